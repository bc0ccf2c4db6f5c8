"""Cells of label and truth tables: every unambiguous spelling is read, everything else is refused with the rule."""

import pytest

from helioloop.data.table_cells import read_cell, read_frame, read_label, read_mark
from helioloop.errors import ReleaseError
from helioloop.files.tables import Row
from helioloop.records.labels import Label

E, N = Label.EMERGENCE, Label.NON_EMERGENCE


@pytest.mark.parametrize("text", ["emergence", "Emergence", "EMERGENCE", '"emergence"', "'emergence'", "“emergence”"])
def test_emergence(text: str) -> None:
    """Any case and any quotes."""
    assert read_label(text) is E


@pytest.mark.parametrize(
    "text", ["non-emergence", "Non-Emergence", "non emergence", "non_emergence", "nonemergence", "non–emergence", '="non-emergence"']  # noqa: E501
)  # fmt: skip
def test_non_emergence(text: str) -> None:
    """Any hyphen, dash, space or none."""
    assert read_label(text) is N


@pytest.mark.parametrize("text", ["", '""', "NA", "nan", "N/A", "NULL"])
def test_an_empty_cell_is_no_label_and_no_mark(text: str) -> None:
    """NA and NaN are what R and pandas write for empty cells."""
    assert read_label(text) is None
    assert read_frame(text) is None
    assert not read_mark(text)


@pytest.mark.parametrize("text", ["none", "0", "1", "emerging", "no emergence", "emergence?", "not emergence", "-"])
def test_other_words_are_no_label(text: str) -> None:
    """Negations are not guessed."""
    with pytest.raises(ValueError, match="it must be emergence or non-emergence, or empty"):
        read_label(text)


@pytest.mark.parametrize("text", ["1", "1.0", "1,0", "1.", "TRUE", "True", "yes", "Y", "WAHR", "vrai", '"1"'])
def test_marks_that_are_true(text: str) -> None:
    """Numbers, and words as pandas and Excel write them."""
    assert read_mark(text)


@pytest.mark.parametrize("text", ["0", "0.0", "0,00", "FALSE", "false", "No", "n", "FALSCH", "'0'"])
def test_marks_that_are_false(text: str) -> None:
    """Numbers and words."""
    assert not read_mark(text)


@pytest.mark.parametrize("text", ["2", "-1", "0.5", "maybe", "x", "01/01/2001", "1e0", "٣"])
def test_other_words_are_no_mark(text: str) -> None:
    """Nothing else counts as verified or not."""
    with pytest.raises(ValueError, match="it must be 0 or 1"):
        read_mark(text)


def test_frames() -> None:
    """Whole numbers; pandas writes 41.0 in a column with empty cells."""
    assert [read_frame(text) for text in ("0", "41", "41.0", "41,00", " 7 ")] == [0, 41, 41, 41, 7]
    for text in ("41.5", "-1", "4 1", "1e3", "frame 3", "1.234,5"):
        with pytest.raises(ValueError, match="a frame number of at least 0"):
            read_frame(text)


def test_a_refused_cell_is_named() -> None:
    """File, line, column, value, rule and remedy."""
    row = Row("labels.csv, line 3", {"verified": "perhaps"})
    with pytest.raises(
        ReleaseError, match=r"^labels\.csv, line 3: verified is 'perhaps'; it must be 0 or 1: correct it$"
    ):
        read_cell(row, "verified", read_mark)
    assert read_cell(row, "label", read_label) is None
