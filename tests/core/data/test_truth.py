"""Truth tables: rows that contradict themselves or what humans verified, and labels that nobody verified."""

from pathlib import Path

import pytest

from helioloop.data.truth import TrueCube, contradiction, read_truth
from helioloop.errors import ReleaseError
from helioloop.records.labels import Label


def test_a_frame_is_optional_and_only_an_emergence_has_one(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("cube,label,emergence_frame\nA,emergence,55\nB,emergence,\nC,non-emergence,\nD,non-emergence,NA\n")
    assert read_truth(path) == {
        "A": TrueCube(cube="A", label=Label.EMERGENCE, frame=55, kind=""),
        "B": TrueCube(cube="B", label=Label.EMERGENCE, frame=None, kind=""),
        "C": TrueCube(cube="C", label=Label.NON_EMERGENCE, frame=None, kind=""),
        "D": TrueCube(cube="D", label=Label.NON_EMERGENCE, frame=None, kind=""),
    }


@pytest.mark.parametrize("frame", ["55", "0", "55.0"])
def test_a_non_emergence_with_an_emergence_frame_is_refused(tmp_path: Path, frame: str) -> None:
    """One of both is wrong, and probably the label, since a person who gives a frame saw an emergence."""
    path = tmp_path / "sample.csv"
    path.write_text(f"cube,label,emergence_frame\nA,emergence,55\nB,Non-Emergence,{frame}\n")
    with pytest.raises(ReleaseError) as refused:
        read_truth(path)
    assert str(refused.value) == (
        f"{path}, line 3: label is 'Non-Emergence' and emergence_frame is {int(float(frame))}; only an emergence has a "
        "frame: correct the label, or leave the frame empty"
    )


def test_a_frame_that_a_cut_number_has_shifted_is_refused(tmp_path: Path) -> None:
    """The frame was 0, the digits after the comma of verified, and only cells under no name were reported."""
    path = tmp_path / "sample.csv"
    path.write_text("cube,label,verified,emergence_frame\nA,emergence,1,0,41,0\n")
    with pytest.raises(ReleaseError, match="line 2: it has 6 cells and the header 4"):
        read_truth(path)
    path.write_text("cube,label\nA,emergence,seen at once\n")
    assert read_truth(path)["A"].label is Label.EMERGENCE


@pytest.mark.parametrize("mark", ["0", "false", "Falsch", "0.0", "", "NA"])
def test_labels_that_nobody_verified_are_no_truth(tmp_path: Path, mark: str) -> None:
    """A release's own table was taken for an audit sample, and what it guarantees followed from crude labels."""
    path = tmp_path / "labels.csv"
    path.write_text(f"cube,label,Verified\nA,emergence,1\nB,emergence,{mark}\nC,non-emergence,{mark}\n")
    with pytest.raises(ReleaseError) as refused:
        read_truth(path)
    assert str(refused.value) == (
        f"{path}, line 3 (and 1 more row): verified is {mark!r}; in a truth table or audit sample all labels are "
        "verified, and the others of a labels.csv are crude: give another table, or put 1 where a human verified the "
        "label"
    )


@pytest.mark.parametrize("mark", ["1", "TRUE", "wahr", "K. Meyer", "2024-03-01"])
def test_marks_of_verified_labels_and_other_words_deny_nothing(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "sample.csv"
    path.write_text(f"cube,label,verified\nA,emergence,{mark}\n")
    assert read_truth(path)["A"].label is Label.EMERGENCE


def test_a_human_who_contradicts_the_truth_is_named(tmp_path: Path) -> None:
    """Cubes that only one of both has, and equal labels, are no contradiction."""
    path = tmp_path / "sample.csv"
    path.write_text("cube,label\nA,emergence\nB,emergence\nC,non-emergence\n")
    known = read_truth(path)
    no, yes = Label.NON_EMERGENCE, Label.EMERGENCE
    assert contradiction(known, [("A", yes), ("C", no), ("D", no)]) is None
    assert contradiction(known, [("A", yes), ("B", no)]) == (
        "cube B is emergence there, and its verified label is non-emergence"
    )
    assert contradiction(known, [("B", no), ("C", yes)]) == (
        "cube B (and 1 more) is emergence there, and its verified label is non-emergence"
    )
