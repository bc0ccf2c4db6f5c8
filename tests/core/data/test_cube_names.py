"""Names of cubes in tables: found where one cube can be meant, with a doubt where another spelling is read."""

import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helioloop.data.cube_names import find_cubes
from helioloop.errors import ReleaseError
from helioloop.files.names import is_plain_name
from helioloop.files.tables import Row


def find(cubes: Sequence[str], *names: str, folder: str | None = "made") -> tuple[list[str], list[str]]:
    """Return the cubes of rows with these names, and the doubts."""
    doubts: list[str] = []
    rows = [Row(f"t.csv, line {line}", {"cube": name}) for line, name in enumerate(names, start=2)]
    return find_cubes(rows, cubes, folder=folder, on_doubt=doubts.append), doubts


@pytest.mark.parametrize(
    "name",
    [
        "0310", "0310.fits", "0310.fits.gz", "0310.FITS", "0310.fts", "0310.dt.fits", "0310.dt", "made/0310.fits",
        "./0310.fits", "/data/releases/made/0310.fits", r"C:\data\made\0310.fits", "'0310", '="0310"', "“0310”",
    ],
)  # fmt: skip
def test_endings_paths_and_quotes_are_read_without_a_doubt(name: str) -> None:
    """The file is the one that can be meant."""
    assert find(["0310", "310a"], name) == (["0310"], [])


def test_names_that_look_like_endings_stay() -> None:
    """A cube may be called so; the exact name counts first."""
    assert find(["a.dt.fits", "a", "b.gz"], "a.dt.fits", "a", "b.gz") == (["a.dt.fits", "a", "b.gz"], [])


def test_leading_zeros_that_a_spreadsheet_removed() -> None:
    """Two rows are alike and make one sentence, which names the first."""
    cubes, doubts = find(["0310", "0007", "12"], "310", "7.0", "12")
    assert cubes == ["0310", "0007", "12"]
    assert doubts == [
        "t.csv, line 2 (and 1 more row): '310' is read as cube '0310', which has the leading zeros that spreadsheets "
        "remove; write the names of the files"
    ]


def test_a_number_of_two_cubes_is_refused() -> None:
    """The exact name still counts."""
    with pytest.raises(ReleaseError, match=r"line 2: the name '310' may be cube '00310' or '0310'; write the name"):
        find(["0310", "00310"], "310")
    assert find(["310", "0310"], "310") == (["310"], [])


def test_two_rows_of_one_cube_are_refused_however_they_are_spelled() -> None:
    """Also where the two spellings are exact and another."""
    with pytest.raises(ReleaseError, match=r"line 3: cube '0310' is there twice, here as '310'; remove one"):
        find(["0310"], "0310", "310")
    with pytest.raises(ReleaseError, match=r"line 3: cube 'A' is there twice, here as 'A.dt.fits'"):
        find(["A"], "A.fits", "A.dt.fits")


def test_other_case_is_doubtful() -> None:
    """And refused where two cubes differ in case only."""
    cubes, (doubt,) = find(["AR7981"], "ar7981.fits")
    assert cubes == ["AR7981"]
    assert "'ar7981.fits' is read as cube 'AR7981', which differs in upper and lower case" in doubt
    with pytest.raises(ReleaseError, match="may be cube 'AB' or 'Ab'"):
        find(["AB", "Ab"], "ab")


def test_a_file_in_another_folder_is_doubtful() -> None:
    """A table of another release, for instance."""
    cubes, (doubt,) = find(["A"], "other/A.fits")
    assert cubes == ["A"]
    assert "although the name is that of a file in another folder" in doubt
    assert find(["A"], "other/A.fits", folder=None) == (["A"], [])


@pytest.mark.parametrize(("written", "stored"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_unicode_normal_forms(written: str, stored: str) -> None:
    """The name of the file is returned as the disk has it."""
    cube = unicodedata.normalize(stored, "Süd-é")  # type: ignore[arg-type]
    assert find([cube], unicodedata.normalize(written, "Süd-é") + ".fits") == ([cube], [])  # type: ignore[arg-type]


def test_unknown_names_come_back_without_path_and_ending() -> None:
    """They are rows without a file; numbers in scientific notation have lost digits and are not guessed."""
    assert find(["20110200000000000", "0310"], "x/B.fits", "2.01102E+16", "3.1E+02", "310.5") == (
        ["B", "2.01102E+16", "3.1E+02", "310.5"],
        [],
    )


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(is_plain_name)


@settings(deadline=None, derandomize=True)
@given(cubes=st.lists(NAMES, min_size=1, unique=True), data=st.data())
def test_exact_names_are_always_themselves(cubes: list[str], data: st.DataObject) -> None:
    """Whatever other cubes there are; no doubt is raised."""
    names = data.draw(st.permutations(cubes))
    assert find(cubes, *names) == (names, [])


@settings(deadline=None, derandomize=True)
@given(cube=NAMES, others=st.lists(NAMES), ending=st.sampled_from(["", ".fits", ".fits.gz"]), path=st.booleans())
def test_a_name_is_never_read_as_another_file_s(cube: str, others: list[str], ending: str, *, path: bool) -> None:
    """A file of that name and ending gets its own row, whatever other cubes there are."""
    written = ("made/" if path else "") + cube + ending
    assume(not {written, cube + ending} & set(others) or not ending)
    assert find([cube, *others], written)[0] == [cube]
