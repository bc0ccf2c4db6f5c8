"""`helioloop watch`: what it refuses, its help, and one watch at a time."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from tests.core.archive.sun import header, paint, write, write_series
from tests.worker.shell import run_one_of

from helioloop.data.cubes import write_cube
from helioloop.files.checksums import WRITE_AGAIN
from helioloop.files.lease import holding
from helioloop.records.instrument import MDI
from helioloop.settings import Settings
from helioloop_worker.commands import watch
from helioloop_worker.watch.notes import notes_on_unread


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release root; project 1 is set up."""
    root = tmp_path / "data" / "releases"
    root.mkdir(parents=True)
    (tmp_path / "models" / "project-1").mkdir(parents=True)
    settings = Settings(model_root=tmp_path / "models", release_roots=[root], redis_url="redis://127.0.0.1:1/0")
    monkeypatch.setattr(watch, "load_settings", lambda: settings)
    return root


@pytest.mark.parametrize("words", [(), ("--once",)])
def test_a_folder_whose_releases_the_workers_would_not_find_is_refused(root: Path, words: tuple[str, ...]) -> None:
    """Both a folder elsewhere and one inside a release root."""
    inside = root / "release"
    inside.mkdir()
    for folder in (inside, root.parents[1] / "models"):
        result = run_one_of(watch.commands(), "watch", folder, "--project", "1", *words)
        assert result.exit_code == 2
        assert f"{folder} is not in HELIOLOOP_RELEASE_ROOTS ({root}) and contains none" in result.stderr


def test_a_project_that_is_not_set_up_is_refused(root: Path) -> None:
    result = run_one_of(watch.commands(), "watch", root, "--project", "7", "--once")
    assert result.exit_code == 2
    assert "project 7 has no model folder" in result.stderr


def test_a_release_root_and_its_parent_can_be_watched(root: Path) -> None:
    """With nothing in them there is nothing to do; Redis is not needed."""
    for folder in (root, root.parent):
        result = run_one_of(watch.commands(), "watch", folder, "--project", "1", "--once")
        assert (result.exit_code, result.stdout) == (0, "")


def test_one_watch_runs_at_a_time(root: Path) -> None:
    """A second one is refused; from cron it ends quietly."""
    with holding(root.parents[1] / "models" / "project-1" / ".watch.lock"):
        refused = run_one_of(watch.commands(), "watch", root, "--project", "1")
        assert refused.exit_code == 2
        assert "another `helioloop watch` runs for project 1" in refused.stderr
        once = run_one_of(watch.commands(), "watch", root, "--project", "1", "--once")
        assert once.exit_code == 0
        assert "nothing to do" in once.stdout


def test_redis_that_is_not_there_is_said_and_nothing_is_set_aside(root: Path) -> None:
    """With --once the exit status is 1; the next call takes the release."""
    release = root / "new"
    release.mkdir()
    field = np.random.default_rng(0).normal(0.0, 20.0, (3, 90, 90))
    write_cube(
        release / "A.fits", field, np.array([0.0, 50.0, 100.0]) * 5760.0, start="2001-03-07T00:00:00", region="A",
        instrument=MDI,
    )  # fmt: skip
    (release / "labels.csv").write_text("cube,label,verified\nA,,\n")
    result = run_one_of(watch.commands(), "watch", root, "--project", "1", "--once", "--quiet", "0")
    assert result.exit_code == 1
    assert "new: not taken yet: Redis" in result.stdout
    assert not (root.parents[1] / "models" / "project-1" / "watched.csv").exists()


def test_loose_files_and_foreign_folders_are_passed_over(root: Path) -> None:
    (root / "A.fits").write_text("x")
    result = run_one_of(watch.commands(), "watch", root, "--project", "1", "--once")
    assert "passed over A.fits, directly in" in result.stdout


@pytest.mark.parametrize(("name", "shown"), [(b"new\xff", r"new\udcff"), (b"2011-04 ", "2011-04 "), (b" new", " new")])
def test_a_name_that_no_release_can_have_is_said(root: Path, name: bytes, shown: str) -> None:
    r"""The byte \xff is no text, and a table keeps no blank at the ends of a cell: a sibling would be there twice."""
    for sibling in (name, b"2011-04"):
        (root / os.fsdecode(sibling)).mkdir()
    words = ("watch", root, "--project", "1", "--once", "--quiet", "0")
    result = run_one_of(watch.commands(), *words)
    assert result.exit_code == 0
    assert f"{shown}: passed over: the release name " in result.stdout
    assert "2011-04: set aside: it has neither labels.csv nor a FITS file" in result.stdout
    again = run_one_of(watch.commands(), *words)
    assert again.exit_code == 0
    assert "set aside" not in again.stdout


@pytest.fixture
def series(root: Path) -> Path:
    """A series of one full-disk file with a table of regions."""
    series = root / "series"
    write_series(series, ["2001-03-07T00:00:00"], lambda _: [])
    (series / "regions.csv").write_text("region,carrington_lon,carrington_lat\nA,80,10\n")
    return series


def run_once(root: Path) -> Result:
    """Watch once, with one process and without a quiet period."""
    words = ("watch", root, "--project", "1", "--once", "--quiet", "0", "--processes", "1")
    return run_one_of(watch.commands(), *words)


def look_once(root: Path) -> str:
    """Return what a watch printed that needed no Redis."""
    result = run_once(root)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_file_whose_name_is_no_text_ends_no_watch(root: Path, series: Path) -> None:
    r"""The byte \xe4 is Latin-1; the folder after it is looked at, too."""
    (series / "regions.csv").rename(series.parent / "table")
    next(series.glob("*.fits")).rename(series / os.fsdecode(b"M\xe4rz.fits"))
    (series.parent / "table").rename(series / "regions.csv")
    write_series(root / "images", ["2001-03-07T00:00:00"], lambda _: [])
    next((root / "images").glob("*.fits")).rename(root / "images" / os.fsdecode(b"M\xe4rz.fits"))
    (root / "zero").mkdir()
    said = look_once(root)
    assert "series: 1 file read, 0 cubes made in series-cubes" in said
    assert r"images: set aside: M\udce4rz.fits: it is one magnetogram of the full disk" in said
    assert "zero: set aside" in said
    assert look_once(root) == ""


@pytest.mark.parametrize("name", ["regions.csv", "release.toml", "SHA256SUMS"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_table_of_a_series_that_is_no_file_is_named_until_it_is_mended(series: Path, name: str, kind: str) -> None:
    """A link that leads nowhere, a pipe (which would be waited for) and a folder; neighbours are taken."""
    root, path = series.parent, series / name
    good = path.read_text() if path.exists() else ""
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(root / "unmounted" / name)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    (root / "zero").mkdir()
    said = look_once(root)
    assert f"series: set aside: {name} is a {kind}" in said
    assert "zero: set aside" in said
    assert look_once(root) == ""
    if kind == "folder":
        path.rmdir()
    else:
        path.unlink()
    if good:
        path.write_text(good)
    assert "series: 1 file read" in look_once(root)


def test_a_series_whose_release_is_in_the_way_is_cut_once_that_is_renamed(series: Path) -> None:
    """The remedy is outside of the series. It is looked for at each look, and said once."""
    root, foreign = series.parent, series.parent / "series-cubes"
    foreign.mkdir()
    assert "series: set aside: " in look_once(root)
    assert look_once(root) == ""
    foreign.rename(root / "other")
    assert "series: 1 file read, 0 cubes made in series-cubes" in look_once(root)


def test_a_release_of_a_series_that_was_removed_is_made_again(series: Path) -> None:
    root, out = series.parent, series.parent / "series-cubes"
    (series / "SHA256SUMS").write_text("")
    subprocess.run(["bash", "-c", WRITE_AGAIN.split("`")[1]], cwd=series, check=True)
    for _ in range(2):
        assert "series: 1 file read, 1 cube made in series-cubes" in run_once(root).stdout
        assert "series:" not in run_once(root).stdout
        shutil.rmtree(out)


def test_a_series_is_cut_again_once_the_table_of_its_release_is_mended(series: Path) -> None:
    """Its release has the tables of an earlier look; one of them was damaged meanwhile."""
    root, out = series.parent, series.parent / "series-cubes"
    look_once(root)
    (out / "release.toml").symlink_to(root / "gone.toml")
    write_series(series, ["2001-03-07T04:48:00"], lambda _: [])
    assert "series: set aside: " in look_once(root)
    assert look_once(root) == ""
    (out / "release.toml").unlink()
    assert "series: 1 file read" in look_once(root)


def test_a_release_of_a_name_that_is_taken_is_taken_once_the_other_is_renamed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers read the first of two release roots; of both the watch looks at, only the other folder is changed."""
    roots = [root.parent / "r1", root.parent / "r2"]
    for place in roots:
        (place / "x").mkdir(parents=True)
        (place / "x" / "labels.csv").write_text("cube,label,verified\nA,,\n")
    settings = watch.load_settings().model_copy(update={"release_roots": roots})
    monkeypatch.setattr(watch, "load_settings", lambda: settings)
    first = run_once(root.parent).stdout
    assert f"x: set aside: the workers read {roots[0] / 'x'}, a release of the same name" in first
    assert "set aside" not in run_once(root.parent).stdout
    (roots[0] / "x").rename(roots[0] / "y")
    assert "x: changed, unchanged for" in run_once(root.parent).stdout


def test_what_cutouts_says_about_files_is_said_once_about_a_series(series: Path) -> None:
    """A missing unit, and files that are not read; also by the next watch, after a further file without a unit."""
    root, day = series.parent, 0
    (series / "sub").mkdir()
    for name in ("b.fits.bz2", "c.fits.part", "sub/e.fits.xz"):
        (series / name).touch()
    (series / "d.fits").symlink_to("nowhere")

    def add() -> None:
        nonlocal day
        day += 1
        of = header(f"2001-03-0{day}T00:00:00", size=256, scale=8.0, BUNIT=None)
        write(series / f"{day}.fits", of, paint(of, [], noise=10.0))

    add()
    said = look_once(root)
    assert said.count("series: note: BUNIT is missing") == 1
    assert "gauss" in said
    assert "(1 file)" in said
    for name in ("b.fits.bz2", "c.fits.part", "sub/e.fits.xz", "d.fits"):
        assert f"series: note: {series / name} is not read: " in said
    add()
    again = look_once(root)
    assert "series: 1 file read" in again
    assert "note" not in again
    (series / "f.fits.Z").touch()
    add()
    assert f"series: note: {series / 'f.fits.Z'} is not read: " in look_once(root)


def test_a_series_without_a_file_that_is_read_says_why(series: Path) -> None:
    """It has a table of regions, and FITS files of another ending."""
    next(series.glob("*.fits")).rename(series / "a.fits.1")
    said = look_once(series.parent)
    assert "series: arriving: it has regions.csv and no FITS file that is read; " in said
    assert "a.fits.1 is not read: it is FITS and its name has another ending" in said


def test_a_file_that_may_still_be_arriving_is_no_note(tmp_path: Path) -> None:
    """Downloads have other names until they are done."""
    (tmp_path / "a.fits.part").touch()
    now = time.time() + 5.0
    assert notes_on_unread(tmp_path, quiet_seconds=600.0, now=now) == []
    assert len(notes_on_unread(tmp_path, quiet_seconds=1.0, now=now)) == 1


def test_a_folder_on_a_disk_that_is_not_mounted_is_named(series: Path) -> None:
    """Its link leads nowhere; hidden ones are nobody's."""
    root = series.parent
    for name in ("archive", ".hidden"):
        (root / name).symlink_to(root.parent / "unmounted")
    said = look_once(root)
    assert "archive: passed over: it is a link to a file that does not exist: restore that file" in said
    assert "hidden" not in said
    assert "series: 1 file read" in said


def test_series_beside_the_release_root_are_found_in_its_parent(root: Path) -> None:
    """Their cubes go to the release root; another folder there is none of the watch's."""
    series = root.parent / "fulldisk"
    write_series(series, ["2001-03-07T00:00:00"], lambda _: [])
    (series / "regions.csv").write_text("region,carrington_lon,carrington_lat\nA,80,10\n")
    (root.parent / "other").mkdir()
    words = ("--project", "1", "--once", "--quiet", "0", "--processes", "1")
    result = run_one_of(watch.commands(), "watch", root.parent, *words)
    assert result.exit_code == 0
    assert "fulldisk: 1 file read, 0 cubes made in fulldisk-cubes" in result.stdout
    assert (root / "fulldisk-cubes" / ".cutouts").is_dir()
    assert "other" not in result.stdout
    assert run_one_of(watch.commands(), "watch", root.parent, *words).stdout == ""


def test_images_without_a_table_of_regions_are_set_aside_with_the_command_for_them(root: Path) -> None:
    write_series(root / "images", ["2001-03-07T00:00:00"], lambda _: [])
    result = run_one_of(watch.commands(), "watch", root, "--project", "1", "--once", "--quiet", "0")
    assert "images: set aside: " in result.stdout
    assert "make cubes of it and others with `helioloop cutouts`" in result.stdout
    assert "in a folder that has regions.csv" in result.stdout


def test_the_help_teaches_completeness_cron_and_what_is_set_aside() -> None:
    text = " ".join(run_one_of(watch.commands(), "watch", "--help").output.split())
    for part in ("SHA256SUMS", "regions.csv", "*/15 * * * * helioloop watch", "set aside", "watched.csv", "polled"):
        assert part in text
