"""Releases: rows in the order of the table, and no name that leads to a file outside the release roots."""

import os
import shutil
from pathlib import Path

import pytest

from helioloop.data.release import LabelRow, Release, ReleaseRoots, read_labels, write_labels
from helioloop.errors import CubeError, HelioloopError, ReleaseError, WrongUsage
from helioloop.records.labels import Label

E, N = Label.EMERGENCE, Label.NON_EMERGENCE


def _release(folder: Path, *cubes: str, table: str = "cube,label,verified\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for cube in cubes:
        (folder / f"{cube}.fits").write_bytes(b"")
    (folder / "labels.csv").write_text(table)
    return folder


# -- label tables ------------------------------------------------------------------------------------


def test_table_is_read_in_its_order(tmp_path: Path) -> None:
    """Rows keep their order; empty labels, other columns, spaces, a byte order mark and CRLF are allowed."""
    path = tmp_path / "labels.csv"
    path.write_bytes(
        '\ufeffverified, cube ,label,note\r\n1,B,emergence,x\r\n0, A ,non-emergence,\r\n\r\n,C,,"a\nb"\r\n'.encode()
    )
    assert list(read_labels(path).values()) == [
        LabelRow(cube="B", label=E, verified=True),
        LabelRow(cube="A", label=N, verified=False),
        LabelRow(cube="C", label=None, verified=False),
    ]


def test_written_table_is_read_back(tmp_path: Path) -> None:
    """`read_labels` reads what `write_labels` wrote."""
    rows = [LabelRow(cube="B, 2", label=E, verified=True), LabelRow(cube="A", label=None, verified=False)]
    write_labels(tmp_path / "t.csv", rows)
    assert (tmp_path / "t.csv").read_text() == 'cube,label,verified\n"B, 2",emergence,1\nA,,0\n'
    assert list(read_labels(tmp_path / "t.csv").values()) == rows


@pytest.mark.parametrize(
    ("text", "text_of_error"),
    [
        ("", "no column 'cube'"),
        ("cube,label\nA,emergence\n", "no column 'verified'"),
        ("cube,label,verified\nA,Emerging,0\n", "line 2: label is 'Emerging'"),
        ("cube,label,verified\nA,emergence,maybe\n", "line 2: verified is 'maybe'"),
        ("cube,label,verified\nA,,1\n", "line 2: verified is 1 and label is empty"),
        ("cube,label,verified\nA,emergence,0\nA,emergence,0\n", "line 3: cube 'A' is there twice"),
        ("cube,label,verified\n,emergence,0\n", "line 2: the cube name '' is not allowed"),
        ("cube,label,verified\n../A,emergence,0\n", "line 2: the cube name '../A' is not allowed"),
        ('cube,label,verified\n"A,emergence,0\n', "not CSV"),
        ("cube,label,verified\nA\x00,emergence,0\n", "line 2"),
        ("cube,label,verified\nA\n", None),
    ],
)
def test_table_errors_name_the_line(tmp_path: Path, text: str, text_of_error: str | None) -> None:
    """The error names the line and the value; a short row has empty cells."""
    path = tmp_path / "labels.csv"
    path.write_text(text)
    if text_of_error is None:
        assert read_labels(path)["A"].label is None
        return
    with pytest.raises(ReleaseError) as raised:
        read_labels(path)
    assert text_of_error in str(raised.value)


def test_unreadable_tables(tmp_path: Path) -> None:
    """A missing table and one that is not UTF-8 are errors."""
    with pytest.raises(ReleaseError, match="is missing"):
        read_labels(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_bytes(b"cube,label,verified\n\x81\xfe,,\n")
    with pytest.raises(ReleaseError, match="UTF-8"):
        read_labels(tmp_path / "labels.csv")


# -- a release ---------------------------------------------------------------------------------------


def test_rows_files_and_what_is_missing(tmp_path: Path) -> None:
    """Cubes without a row come last, unlabelled; rows without a file are listed; companions are not cubes."""
    folder = _release(
        tmp_path / "r",
        "C",
        "A",
        "B",
        "A.dt",
        ".hidden",
        table="cube,label,verified\nB,emergence,1\nZ,non-emergence,0\n",
    )
    release = Release.open(folder)
    assert release.name == "r"
    assert [(row.cube, row.label, row.verified) for row in release.rows] == [
        ("B", E, True), ("Z", N, False), ("A", None, False), ("C", None, False),
    ]  # fmt: skip
    assert release.missing == ("Z",)
    assert release.path("B") == folder / "B.fits"


def test_a_release_of_5000_cubes_is_listed_whole(tmp_path: Path) -> None:
    """Every third cube has a row, in reverse order, and 1,000 rows have no file."""
    cubes = [f"cube{k:04d}" for k in range(5000)]
    listed, absent = cubes[::-3], [f"absent{k:03d}" for k in range(1000)]
    table = "cube,label,verified\n" + "".join(f"{cube},emergence,1\n" for cube in (*listed, *absent))
    release = Release.open(_release(tmp_path / "r", *cubes, table=table))
    unlisted = [cube for k, cube in enumerate(cubes) if k % 3 != 1]  # the last one, 4999, is 1 modulo 3
    assert [row.cube for row in release.rows] == [*listed, *absent, *unlisted]
    assert [row.verified for row in release.rows] == [True] * (len(listed) + 1000) + [False] * len(unlisted)
    assert release.missing == tuple(absent)


def test_labels_are_replaced_for_named_cubes(tmp_path: Path) -> None:
    """Another table replaces label and verified of the cubes named in it; the other cubes keep theirs."""
    table = "cube,label,verified\nA,emergence,0\nB,emergence,1\n"
    release = Release.open(_release(tmp_path / "r", "A", "B", table=table))
    (tmp_path / "new.csv").write_text("cube,label,verified\nA,non-emergence,1\n")
    assert release.with_labels(tmp_path / "new.csv").rows == (
        LabelRow(cube="A", label=N, verified=True), LabelRow(cube="B", label=E, verified=True),
    )  # fmt: skip
    assert release.rows[0].label is E


def test_unknown_cube_in_labels_is_wrong_usage(tmp_path: Path) -> None:
    """A table that names a cube the release does not have is wrong usage."""
    release = Release.open(_release(tmp_path / "r", "A"))
    (tmp_path / "new.csv").write_text("cube,label,verified\nQ,emergence,1\n")
    with pytest.raises(WrongUsage, match="'Q'"):
        release.with_labels(tmp_path / "new.csv")


def test_folders_that_are_not_releases(tmp_path: Path) -> None:
    """A folder that does not exist, has no table or has no cube cannot be opened."""
    (tmp_path / "bare").mkdir()
    for folder, text in [("absent", "is not a folder"), ("bare", "is missing")]:
        with pytest.raises(ReleaseError, match=text):
            Release.open(tmp_path / folder)
    with pytest.raises(ReleaseError, match="contains no cube"):
        Release.open(_release(tmp_path / "empty"))


def test_rows_find_their_files_however_a_spreadsheet_saved_the_table(tmp_path: Path) -> None:
    """Excel in German: semicolons, lost zeros, WAHR; the names of the files count, and the doubt names the row."""
    folder = _release(tmp_path / "r", "0310", "0007", "B")
    (folder / "labels.csv").write_bytes(
        b"\xef\xbb\xbfsep=;\r\nCube;Label;Verified;;\r\n310;Emergence;WAHR;;\r\nB.fits;non emergence;0,0;;\r\n;;;;\r\n"
    )
    release = Release.open(folder)
    assert release.rows == (
        LabelRow(cube="0310", label=E, verified=True),
        LabelRow(cube="B", label=N, verified=False),
        LabelRow(cube="0007", label=None, verified=False),
    )
    assert (release.missing, release.unlisted) == ((), ("0007",))
    (doubt,) = release.doubts
    assert doubt.startswith(f"{folder / 'labels.csv'}, line 3: '310' is read as cube '0310'")


def test_a_table_without_doubts_raises_none(tmp_path: Path) -> None:
    """What `write_labels` writes."""
    folder = _release(tmp_path / "r", "A", "B")
    write_labels(folder / "labels.csv", [LabelRow(cube="A", label=E, verified=True)])
    assert Release.open(folder).doubts == ()


def test_a_table_of_other_cubes_is_doubtful(tmp_path: Path) -> None:
    """No row has a file: the column may have the names of regions."""
    table = "cube,label,verified\nAR1,emergence,0\nAR2,,0\n"
    (doubt,) = Release.open(_release(tmp_path / "r", "A", table=table)).doubts
    assert "no row of" in doubt
    assert "names a cube of the folder, such as 'A', and the first names 'AR1'" in doubt


def test_na_is_an_empty_cell_with_a_doubt(tmp_path: Path) -> None:
    """As R writes it."""
    table = "cube,label,verified\nA,NA,0\nB,emergence,NA\n"
    release = Release.open(_release(tmp_path / "r", "A", "B", table=table))
    assert [(row.label, row.verified) for row in release.rows] == [(None, False), (E, False)]
    assert release.doubts == (
        f"{tmp_path / 'r' / 'labels.csv'}, line 2 (and 1 more row): NA is read as an empty cell; leave it empty",
    )


def test_another_table_s_names_are_found_and_its_doubts_added(tmp_path: Path) -> None:
    """The doubts of both tables are kept, and a cube that it names is no longer unlisted."""
    release = Release.open(_release(tmp_path / "r", "01", "02", table="cube,label,verified\n1,emergence,0\n"))
    (tmp_path / "new.csv").write_text("cube;label;verified\nother/02.fits;non-emergence;1\n")
    changed = release.with_labels(tmp_path / "new.csv")
    assert changed.rows == (
        LabelRow(cube="01", label=E, verified=False), LabelRow(cube="02", label=N, verified=True),
    )  # fmt: skip
    assert changed.unlisted == ()
    assert ["leading zeros" in changed.doubts[0], "another folder" in changed.doubts[1]] == [True, True]


# -- release roots -----------------------------------------------------------------------------------


def test_first_root_wins(tmp_path: Path) -> None:
    """A cube is taken from the first root that has it."""
    _release(tmp_path / "one" / "r", "A")
    _release(tmp_path / "two" / "r", "A", "B")
    roots = ReleaseRoots([tmp_path / "absent", tmp_path / "one", tmp_path / "two"])
    assert roots.path("r", "A") == tmp_path / "one" / "r" / "A.fits"
    assert roots.path("r", "B") == tmp_path / "two" / "r" / "B.fits"
    assert roots.folder("r") == tmp_path / "one" / "r"


NAMES = ["", ".", "..", "../r", "r/..", "/etc", "a\\b", ".r", "a\0b", "a\nb", "a\x7f", "\ud800", "\u202er", "x" * 201]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_not_plain_file_names(tmp_path: Path, name: str) -> None:
    """A name with a separator, a leading dot, a control character or over 200 characters is an error."""
    roots = ReleaseRoots([_release(tmp_path / "root" / "r", "A").parent])
    _release(tmp_path / "r", "A")
    with pytest.raises(ReleaseError, match="not allowed"):
        roots.path(name, "A")
    with pytest.raises(ReleaseError, match="not allowed"):
        roots.folder(name)
    with pytest.raises(CubeError, match="not allowed"):
        roots.path("r", name)


@pytest.mark.parametrize("linked", ["cube", "companion", "release"])
def test_links_out_of_the_root(tmp_path: Path, linked: str) -> None:
    """A cube, a companion and a release that are links to outside of the root are errors."""
    inside, outside = _release(tmp_path / "root" / "r", "A", "A.dt"), _release(tmp_path / "out", "A", "A.dt")
    if linked == "release":
        shutil.rmtree(inside)
        inside.symlink_to(outside)
    else:
        link = inside / ("A.fits" if linked == "cube" else "A.dt.fits")
        link.unlink()
        link.symlink_to(outside / link.name)
    with pytest.raises(CubeError, match="link out of its release root"):
        ReleaseRoots([tmp_path / "root"]).path("r", "A")


def test_links_inside_the_root(tmp_path: Path) -> None:
    """A link to a file in the same root is followed, and a root may be a link itself."""
    folder = _release(tmp_path / "root" / "r", "A")
    (folder / "B.fits").symlink_to(folder / "A.fits")
    (tmp_path / "alias").symlink_to(tmp_path / "root")
    assert ReleaseRoots([tmp_path / "alias"]).path("r", "B").is_file()


@pytest.mark.parametrize("name", ["A.fits", "A.dt.fits"])
def test_a_pipe_a_folder_or_a_broken_link_is_not_opened(tmp_path: Path, name: str) -> None:
    """Neither as a cube nor as its companion; a companion is looked for even where the cube has times of its own."""
    folder = _release(tmp_path / "root" / "r", "A")
    path = folder / name
    path.unlink(missing_ok=True)
    roots = ReleaseRoots([tmp_path / "root"])
    for make, reason in (
        (lambda: os.mkfifo(path), "is a pipe, a socket or a device"),
        (lambda: path.symlink_to("nowhere"), "is a link to a file that does not exist"),
        (path.mkdir, "is a folder"),
    ):
        make()
        with pytest.raises(CubeError, match=f"{name} of release r {reason}"):
            roots.path("r", "A")
        if not path.is_dir():
            path.unlink()


def test_a_later_root_has_the_file_that_is_a_broken_link_in_the_first(tmp_path: Path) -> None:
    (_release(tmp_path / "one" / "r") / "A.fits").symlink_to("nowhere")
    _release(tmp_path / "two" / "r", "A")
    assert ReleaseRoots([tmp_path / "one", tmp_path / "two"]).path("r", "A") == tmp_path / "two" / "r" / "A.fits"


def test_a_cube_or_release_that_no_root_has(tmp_path: Path) -> None:
    """The error names the setting and no folder of this machine."""
    roots = ReleaseRoots([_release(tmp_path / "root" / "r", "A").parent])
    for find in (lambda: roots.path("r", "B"), lambda: roots.path("s", "A"), lambda: roots.folder("s")):
        with pytest.raises(HelioloopError, match="HELIOLOOP_RELEASE_ROOTS") as raised:
            find()
        assert str(tmp_path) not in str(raised.value)
