"""Which names may become part of a path."""

import pytest

from helioloop.files.names import LONGEST_NAME, is_plain_name


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
        "\u202ea",
        "x" * (LONGEST_NAME + 1),
        None,
        7,
        ["a"],
    ],
)
def test_paths_and_other_values_are_not_plain(value: object) -> None:
    """Separators, a leading dot, control characters, undue length and what is not a string are not allowed."""
    assert not is_plain_name(value)
