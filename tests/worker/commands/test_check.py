"""`helioloop check`: every FITS file of a release has one row that says what was read, or why nothing was."""

import gzip
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from tests.core.archive.real import real_folder
from tests.core.archive.sun import Spot, times, write_series
from tests.worker.shell import read_table, run_one_of

from helioloop.data.cubes import write_cube
from helioloop.data.reading_table import COLUMNS
from helioloop.data.release_profile import write_release_profile
from helioloop.records.instrument import MDI
from helioloop.records.profiles import BUILT_IN
from helioloop_worker.commands.check import commands

RNG = np.random.default_rng(0)
FIELD = RNG.normal(0.0, 20.0, (3, 90, 90)).astype(np.float32)
SECONDS = np.array([0.0, 50.0, 100.0]) * MDI.cadence_seconds


def _cube(path: Path, *, seconds: np.ndarray = SECONDS, start: str | None = "2001-03-07T00:00:00") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_cube(path, FIELD, seconds, start=start, region="R1", instrument=MDI)
    return path


def _check(folder: Path, *words: str | Path, exit_code: int = 0) -> tuple[dict[str, dict[str, str]], str]:
    """Run the command; return the rows of its table by cube, and its standard output."""
    out = folder.parent / "table.csv"
    result = run_one_of(commands(), "check", folder, "--out", out, *words)
    assert result.exit_code == exit_code, result.output
    return {row["cube"]: row for row in read_table(out)}, result.stdout


def test_a_good_cube_is_ok_with_the_source_of_every_value(tmp_path: Path) -> None:
    _cube(tmp_path / "release" / "A.fits")
    rows, output = _check(tmp_path / "release")
    assert tuple(rows["A"]) == COLUMNS
    assert list(rows["A"].values()) == [
        *("A", "ok", "3", "3"),
        *("2001-03-07T00:00:00Z", "utc", "DATE-BEG"),
        *("G", "BUNIT", "R1", "REGION", ""),
    ]
    assert "1 ok, 0 warned, 0 refused" in output


@pytest.mark.parametrize("name", ["new\nline", ".hidden", "x" * 201])
def test_a_release_is_refused_by_its_name_as_training_refuses_it(tmp_path: Path, name: str) -> None:
    """Its cubes would all be refused, and `check` would call them ok."""
    _cube(tmp_path / name / "BARD0001_20010307.fits")
    result = run_one_of(commands(), "check", tmp_path / name)
    assert result.exit_code != 0
    assert "the release name" in result.output


def test_a_cube_that_is_doubtful_is_warned_with_the_reason(tmp_path: Path) -> None:
    """All three frames lie among those that are replaced by one; a start is absent."""
    _cube(tmp_path / "release" / "A.fits", seconds=SECONDS / 10.0, start=None)
    rows, output = _check(tmp_path / "release")
    assert rows["A"]["verdict"] == "warned"
    assert "the last frame used is grid frame 10" in rows["A"]["reasons"]
    assert rows["A"]["reasons"].count(";") == 1
    assert (rows["A"]["start"], rows["A"]["start_source"]) == ("", "")
    assert "no start is known" in output


def test_the_image_that_was_read_is_named_where_a_file_has_several(tmp_path: Path) -> None:
    path = _cube(tmp_path / "release" / "A.fits")
    with fits.open(path, mode="append") as hdus:
        hdus.append(fits.ImageHDU(np.abs(FIELD), name="ERRORS"))
    row = _check(tmp_path / "release")[0]["A"]
    assert row["verdict"] == "warned"
    assert "2 images have three axes and HDU 0 (PRIMARY) was read" in row["reasons"]


def test_dropped_frames_have_their_reasons(tmp_path: Path) -> None:
    """Of three frames one has no time and two are in one slot, so one is used; a frame before the start is named."""
    folder = tmp_path / "release"
    _cube(folder / "A.fits", seconds=np.array([np.nan, 200000.0, 200001.0]))
    _cube(folder / "B.fits", seconds=SECONDS - 6000.0)
    rows = _check(folder)[0]
    assert (rows["A"]["frames_in_file"], rows["A"]["frames_used"], rows["A"]["verdict"]) == ("3", "1", "warned")
    assert rows["A"]["reasons"].split("; ")[-2:] == [
        "1 frame is without a finite time and dropped",
        "1 frame is in the same grid frame as a later one and dropped",
    ]
    assert rows["B"]["reasons"] == "1 frame is before the start and dropped: check the start"


def test_files_that_are_not_cubes_of_the_release_are_refused_with_what_to_do(tmp_path: Path) -> None:
    """Other endings, a subfolder, a companion without its cube, a page and a mask; a hidden file is not listed."""
    folder = tmp_path / "release"
    content = _cube(folder / "A.fits").read_bytes()
    (folder / "B.fts").write_bytes(content)
    (folder / "C.fits.gz").write_bytes(gzip.compress(content))
    _cube(folder / "sub" / "D.fits")
    fits.PrimaryHDU(SECONDS).writeto(folder / "E.dt.fits")
    (folder / "F.fits").write_text("<html>")
    time = fits.Header([("T_OBS", "2011.02.15_00:00:00_TAI")])
    fits.PrimaryHDU(np.array([[0, 1], [2, 1]], dtype=np.int16), time).writeto(folder / "G.fits")
    shutil.copy(folder / "A.fits", folder / ".hidden.fits")
    rows, _ = _check(folder)
    assert {cube: row["verdict"] for cube, row in rows.items() if row["verdict"] != "refused"} == {"A": "ok"}
    assert {cube: row["reasons"] for cube, row in rows.items() if cube != "A"} == {
        "B.fts": "its name must end in .fits, as the names of all cubes do: rename it B.fits",
        "C.fits.gz": "its name must end in .fits, as the names of all cubes do: rename it C.fits",
        "E.dt": "it has the times of a cube that is not beside it: add E.fits",
        "F": rows["F"]["reasons"],
        "G": rows["G"]["reasons"],
        "sub/D.fits": "it is in a subfolder and cubes must be directly in the folder of a release: move it there",
    }
    assert "it begins with b'<html>'" in rows["F"]["reasons"]
    assert "as in a mask" in rows["G"]["reasons"]


def test_names_of_cubes_that_training_does_not_open_are_refused_with_the_reason(tmp_path: Path) -> None:
    """Folders, broken links, pipes, also in place of a companion, links out of the root, and names with a line end."""
    folder = tmp_path / "root" / "release"
    content = _cube(folder / "A.fits").read_bytes()
    (folder / "B.fits").mkdir()
    (folder / "C.fits").symlink_to("nowhere")
    os.mkfifo(folder / "D.fits")
    (folder / "E.fits").write_bytes(content)
    os.mkfifo(folder / "E.dt.fits")
    (folder / "F.fits").symlink_to(_cube(tmp_path / "archive" / "F.fits"))
    (folder / "G\nH.fits").write_bytes(content)
    rows, _ = _check(folder)
    assert {cube for cube, row in rows.items() if row["verdict"] != "refused"} == {"A"}
    words = {
        "B": "is a folder",
        "C": "does not exist",
        "D": "is a pipe",
        "E": "E.dt.fits is a pipe",
        "F": "link out of",
    }
    assert {cube: text in rows[cube]["reasons"] for cube, text in words.items()} == dict.fromkeys(words, True)
    assert "must be a plain file name" in rows["G\nH"]["reasons"]


def test_data_that_are_not_those_of_their_sum_are_warned(tmp_path: Path) -> None:
    """A bit changed on the way: the field is plausible, and only DATASUM shows it."""
    path = _cube(tmp_path / "release" / "A.fits")
    with fits.open(path, do_not_scale_image_data=True) as hdus:
        hdus.writeto(path, checksum=True, overwrite=True)
    assert _check(path.parent)[0]["A"]["verdict"] == "ok"
    content = bytearray(path.read_bytes())
    content[10 * 2880] ^= 1
    path.write_bytes(content)
    row = _check(path.parent)[0]["A"]
    assert row["verdict"] == "warned"
    assert "its data in HDU 0 are not those of which DATASUM is the sum" in row["reasons"]


def test_an_image_with_four_axes_is_told_what_a_cube_has(tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    fits.PrimaryHDU(FIELD[None]).writeto(tmp_path / "release" / "A.fits")
    row = _check(tmp_path / "release", exit_code=1)[0]["A"]
    assert "its image has the shape (1, 3, 90, 90), a cube has three axes, time, y and x" in row["reasons"]


def test_a_copy_under_another_name_is_warned(tmp_path: Path) -> None:
    """The companion belongs to the content: C has other times, and is none."""
    folder = tmp_path / "release"
    folder.mkdir()
    for name, seconds in (("A", SECONDS), ("B", SECONDS), ("C", 2.0 * SECONDS)):
        fits.PrimaryHDU(FIELD).writeto(folder / f"{name}_20010307.fits")
        fits.PrimaryHDU(seconds).writeto(folder / f"{name}_20010307.dt.fits")
    rows, _ = _check(folder)
    assert [row["verdict"] for row in rows.values()] == ["ok", "warned", "ok"]
    assert rows["B_20010307"]["reasons"] == (
        "it has the content of cube A_20010307, and one video counts once, remove the copy"
    )


def test_the_companion_of_a_cube_is_not_listed(tmp_path: Path) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    fits.PrimaryHDU(FIELD).writeto(folder / "A_20010307.fits")
    fits.PrimaryHDU(SECONDS).writeto(folder / "A_20010307.dt.fits")
    (row,) = _check(folder)[0].values()
    assert (row["cube"], row["verdict"], row["reasons"]) == ("A_20010307", "ok", "")
    assert (row["start_source"], row["region_source"], row["unit_source"]) == ("file name", "file name", "assumed")


def test_nothing_readable_ends_with_1_and_the_reason_first(tmp_path: Path) -> None:
    """Two images of the full disk: `cutouts` takes them."""
    folder = tmp_path / "release"
    folder.mkdir()
    write_series(folder, times("2001-03-07T00:00:00", hours=1.6, n=2), lambda _: [Spot(lon=80.0, lat=10.0)])
    rows, output = _check(folder, exit_code=1)
    assert len(rows) == 2
    assert all("helioloop cutouts" in row["reasons"] for row in rows.values())
    assert output.splitlines()[0].startswith(f"no cube of {folder} is readable; the reason of 2 of 2: it is one magn")


def test_a_folder_without_fits_files_ends_with_1(tmp_path: Path) -> None:
    result = run_one_of(commands(), "check", tmp_path)
    assert result.exit_code == 1
    assert "contains no FITS file" in result.output


def test_doubts_about_the_label_table_are_printed(tmp_path: Path) -> None:
    """Lost zeros are said and a row without a file is refused; an unusable table is said, cubes are listed."""
    folder = _cube(tmp_path / "release" / "0310.fits").parent
    (folder / "labels.csv").write_text("cube;label;verified\n310;emergence;0\nB;;0\n")
    result = run_one_of(commands(), "check", folder)
    (zeros,) = (line for line in result.stderr.splitlines() if line.startswith("helioloop: "))
    assert "'310' is read as cube '0310'" in zeros
    assert "B: refused\n  it is in labels.csv and its file is missing: restore it or remove the row" in result.stdout
    assert "1 ok, 0 warned, 1 refused" in result.stdout
    (folder / "labels.csv").write_text("cube,label\n0310,emergence\n")
    result = run_one_of(commands(), "check", folder)
    assert result.exit_code == 0
    assert "has no column 'verified'" in result.stderr
    assert "1 ok, 0 warned, 0 refused" in result.stdout


def test_the_profile_of_the_release_or_of_the_option_defines_the_grid(tmp_path: Path) -> None:
    """Frames of 90 × 90 px do not fit a profile of 60 × 60 px; the option replaces release.toml."""
    folder = _cube(tmp_path / "release" / "A.fits").parent
    mdi = BUILT_IN["mdi"]
    small = replace(mdi, name="small", patch_deg=10.0, instrument=replace(mdi.instrument, name="small", size_px=60))
    write_release_profile(folder, small)
    assert "60 × 60 px" in _check(folder, exit_code=1)[0]["A"]["reasons"]
    assert _check(folder, "--profile", "mdi")[0]["A"]["verdict"] == "ok"


def test_the_real_files_are_all_refused_with_the_command_that_takes_them() -> None:
    result = run_one_of(commands(), "check", real_folder())
    assert result.exit_code == 1
    assert "0 ok, 0 warned, 11 refused" in result.output
    listed = result.output.split("refused\n")
    assert sum("helioloop cutouts" in text for text in listed[1:]) == 3
    assert sum("helioloop stack" in text for text in listed[1:]) == 5
    assert sum("not a line-of-sight magnetogram" in text for text in listed[1:]) == 3


def test_the_real_video_is_ok(real_data: Path) -> None:
    result = run_one_of(commands(), "check", real_data)
    assert result.exit_code == 0, result.output
    assert "BARD0310_19981206: ok, 31 of 31 frames used" in result.output


@pytest.mark.parametrize("word", ["refused", "frames_used", "start_source", "helioloop check releases/december-1999"])
def test_the_help_explains_the_table(word: str) -> None:
    assert word in run_one_of(commands(), "check", "--help").output
