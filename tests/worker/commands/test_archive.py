from pathlib import Path

import pytest
from tests.core.archive.real import real_folder
from tests.core.archive.sun import Spot, times, write_series
from tests.worker.shell import read_table, run_one_of

from helioloop.data.cubes import read_cube
from helioloop.data.release import read_labels
from helioloop_worker.commands.archive import commands

FIRST = "2001-03-07T00:00:00"  # the central meridian is at 81.3°


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with three full-disk images, 96 minutes apart, and a page that was saved as FITS."""
    folder = tmp_path_factory.mktemp("images")
    write_series(folder, times(FIRST, hours=1.6, n=3), lambda _: [Spot(lon=80.0, lat=10.0, sigma_deg=1.5)])
    (folder / "page.fits").write_text("<html>")
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "regions.csv"
    path.write_text("region,carrington_lon,carrington_lat\nAR9366,80,10\n")
    return path


def test_cutouts_makes_a_release_and_says_what_it_made(images: Path, table: Path, tmp_path: Path) -> None:
    """One region, three frames, one file excluded with its reason; the labels are empty."""
    out = tmp_path / "release"
    result = run_one_of(commands(), "cutouts", images, "--regions", table, "--out", out, "--processes", "1")
    assert result.exit_code == 0, result.output
    assert f"{out}: 1 cube with 3 frames from 4 files, profile mdi" in result.output
    assert "1 file excluded" in result.output
    assert "it begins with b'<html>'" in result.output
    (row,) = read_labels(out / "labels.csv").values()
    cube = read_cube(out / f"{row.cube}.fits")
    assert (row.label, cube.region, len(cube.seconds)) == (None, "AR9366", 3)
    (excluded,) = read_table(out / "cutouts-excluded.csv")
    assert Path(excluded["file"]).name == "page.fits"


def test_cutouts_ends_with_1_where_nothing_could_be_made(images: Path, table: Path, tmp_path: Path) -> None:
    """MDI's files under the profile of HMI: the first reason names the profile to use."""
    out = tmp_path / "release"
    result = run_one_of(
        commands(), "cutouts", images, "--regions", table, "--out", out, "--profile", "hmi", "--processes", "1"
    )
    assert result.exit_code == 1
    assert "run it with --profile mdi" in result.output
    assert len(read_table(out / "cutouts-excluded.csv")) == 4


def test_an_unknown_profile_and_a_wrong_table_are_named(images: Path, table: Path, tmp_path: Path) -> None:
    words = ("cutouts", images, "--regions", table, "--out", tmp_path / "release")
    result = run_one_of(commands(), *words, "--profile", "aia")
    assert result.exit_code == 2
    assert "it must be mdi, hmi, gong or the path of a TOML file" in result.output
    table.write_text("region,carrington_lon,carrington_lat\nA,80,100\n")
    result = run_one_of(commands(), *words)
    assert result.exit_code == 1
    assert "row 1: carrington_lat is 100" in result.output


def test_the_help_of_cutouts_shows_an_example() -> None:
    help_text = run_one_of(commands(), "cutouts", "--help").output
    assert "helioloop cutouts mdi-1999/ --regions regions.csv --out releases/december-1999" in help_text
    assert "row 0 south, column 0 east" in " ".join(help_text.split())


def test_the_folder_of_real_files_gives_cubes_of_mdi_and_reasons_for_the_rest(tmp_path: Path) -> None:
    """Both MDI images are cut; GONG, SHARPs and SMARPs are excluded with the command or profile that takes them."""
    table, out = tmp_path / "regions.csv", tmp_path / "release"
    table.write_text(
        "region,carrington_lon,carrington_lat,first_seen\na,255,18,1999-12-09\nb,275,-18,1999-12-06\nc,150,20,2011-03-30\n"
    )
    result = run_one_of(commands(), "cutouts", real_folder(), "--regions", table, "--out", out, "--processes", "1")
    assert result.exit_code == 0, result.output
    assert "3 cubes with 3 frames from 11 files, profile mdi" in result.output
    reasons = {Path(row["file"]).name: row["reason"] for row in read_table(out / "cutouts-excluded.csv")}
    assert len(reasons) == 9
    assert all("helioloop stack" in reason for name, reason in reasons.items() if "magnetogram.fits" in name)
    assert "--profile gong" in reasons["tdbqa090905t0924.fits.fz"]


def test_stack_makes_cubes_of_real_patches_and_says_what_was_assumed(tmp_path: Path) -> None:
    out = tmp_path / "release"
    result = run_one_of(commands(), "stack", real_folder(), "--out", out, "--processes", "1")
    assert result.exit_code == 0, result.output
    assert "5 cubes with 5 frames from 11 files, profile hmi" in result.output
    assert "note: BUNIT is missing, gauss was assumed" in result.output
    assert len(read_table(out / "stack-excluded.csv")) == 6


def test_stack_ends_with_1_where_nothing_could_be_made(images: Path, tmp_path: Path) -> None:
    result = run_one_of(commands(), "stack", images, "--out", tmp_path / "release", "--processes", "1")
    assert result.exit_code == 1
    assert "no cube could be made from 4 files" in result.output
    assert "run `helioloop cutouts` on it" in result.output


def test_the_help_of_stack_shows_an_example() -> None:
    help_text = run_one_of(commands(), "stack", "--help").output
    assert "helioloop stack sharps/ --out releases/february-2011" in help_text
