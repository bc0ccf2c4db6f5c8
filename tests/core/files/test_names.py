"""Which names may become part of a path."""

from pathlib import Path

import pytest

from helioloop.files import atomic
from helioloop.files.names import LONGEST_NAME, file_name, is_plain_name, shown_name


@pytest.mark.parametrize("name", ["A", "BARD0310_19981206", "a b", "a..b", "é", "x" * LONGEST_NAME])
def test_file_names_are_plain(name: str) -> None:
    """Spaces, dots inside and letters of any script are allowed."""
    assert is_plain_name(name)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "..",
        ".a",
        "a/b",
        "/a",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\x7f",
        "a ",
        " a",
        " ",
        "\u202ea",
        "x" * (LONGEST_NAME + 1),
        None,
        7,
        ["a"],
    ],
)
def test_paths_and_other_values_are_not_plain(value: object) -> None:
    """Separators, a leading dot, blanks at the ends, control characters, undue length and other types are refused."""
    assert not is_plain_name(value)


@pytest.mark.parametrize("letter", ["x", "é", "ж", "日", "\U0001f31e", "\udcff"])
@pytest.mark.parametrize("n", [1, 60, 85, 115, 130, 240, 300])
def test_a_file_can_have_every_name(tmp_path: Path, letter: str, n: int) -> None:
    """Also while it is written; the ending stays, and names that fit stay whole."""
    name = file_name(n * letter, "-0123456789ab.csv")
    atomic.write_text(tmp_path / name, "x")
    assert (tmp_path / name).read_text() == "x"
    assert name.endswith("-0123456789ab.csv")
    assert name.removesuffix("-0123456789ab.csv") == (n * letter)[: len(name) - 17]
    assert (n != 1) or name == f"{letter}-0123456789ab.csv"


def test_shown_names_can_be_written() -> None:
    """A byte that is no text becomes an escape; other names stay."""
    assert [shown_name(name) for name in ("a", "ж", "a\udcff")] == ["a", "ж", "a\\udcff"]
