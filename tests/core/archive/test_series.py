"""A growing series: a disk passage that is over becomes a cube, once; regions on the disk are waited for."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.time import Time, TimeDelta
from tests.core.archive.sun import Spot, times, write_series
from tests.core.archive.test_cutouts import COARSE, EAST, FIRST, WEST

from helioloop.archive.cutouts import make_cutouts
from helioloop.archive.labelling import label_release, lacks_crude_labels
from helioloop.archive.making import find_files
from helioloop.archive.regions import Region
from helioloop.archive.series import Extended, extend_release
from helioloop.data.cubes import read_cube
from helioloop.data.release import LabelRow, read_labels, write_labels
from helioloop.data.release_profile import read_release_profile
from helioloop.errors import ReleaseError
from helioloop.records.labels import Label

WEST_CUBE, EAST_CUBE = "002_20010225", "AR 1_20010302"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Fifteen images, twelve hours apart: WEST leaves the disk on the sixth day, EAST stays."""
    folder = tmp_path_factory.mktemp("images")

    def spots(days: float) -> list[Spot]:
        away = [Spot(lon=110.0, lat=-20.0, sigma_deg=1.5)] if days < 2.0 else []  # the test's Sun has no far side
        return [Spot(lon=40.0, lat=12.0, sigma_deg=1.5), *away]

    return write_series(folder, times(FIRST, hours=12, n=15), spots)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    folder = tmp_path / "series"
    folder.mkdir()
    return folder


def add(series: Path, images: list[Path]) -> None:
    for image in images:
        shutil.copy2(image, series)


def extend(series: Path, *regions: Region, ended: bool = False) -> Extended:
    out = series.parent / "release"
    return extend_release(
        find_files([str(series)]), regions or (EAST, WEST), out, profile=COARSE, ended=ended, processes=1
    )


def excluded(series: Path) -> dict[str, str]:
    with (series.parent / "release" / "cutouts-excluded.csv").open(newline="") as file:
        return {Path(row["file"]).name: row["reason"] for row in csv.DictReader(file)}


def test_regions_on_the_disk_are_waited_for_and_the_others_become_cubes(images: list[Path], series: Path) -> None:
    """After two days none is over; after seven WEST is, and its cube is what `cutouts` makes of the same files."""
    add(series, images[:4])
    first = extend(series)
    assert (first.n_read, first.made) == (4, {})
    assert [(one.region, one.frames) for one in first.running] == [("002", 4), ("AR 1", 4)]
    assert first.running[0].until == "2001-03-11"
    out = series.parent / "release"
    assert not (out / "labels.csv").exists()

    add(series, images[4:])
    second = extend(series)
    assert second.n_read == 11
    assert list(second.made) == [WEST_CUBE]
    assert [one.region for one in second.running] == ["AR 1"]
    assert list(read_labels(out / "labels.csv")) == [WEST_CUBE]
    assert read_release_profile(out) == COARSE

    at_once = make_cutouts([str(series)], [EAST, WEST], series.parent / "at-once", profile=COARSE, processes=1)
    one, other = (read_cube(folder / f"{WEST_CUBE}.fits") for folder in (out, at_once.folder))
    assert one.start == other.start
    assert np.array_equal(one.seconds, other.seconds)
    assert np.array_equal(one.observed_gauss, other.observed_gauss, equal_nan=True)


def test_one_file_with_a_later_date_ends_no_passage(images: list[Path], series: Path) -> None:
    """A wrong date would make a stump of every region, which is not changed any more; the next file after it does."""
    add(series, [*images[:4], images[-1]])
    first = extend(series)
    assert (first.n_read, first.made) == (5, {})
    assert [one.region for one in first.running] == ["002", "AR 1"]
    add(series, images[4:-1])
    assert list(extend(series).made) == [WEST_CUBE]


def test_files_from_the_future_end_no_passage(
    images: list[Path], series: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Now is the second day of these images: what is dated later has a wrong date."""
    second_day = Time(FIRST, scale="tai") + TimeDelta(2.0, format="jd")
    monkeypatch.setattr("helioloop.archive.ended_passages.Time", SimpleNamespace(now=lambda: second_day))
    add(series, images)
    assert extend(series).made == {}


def test_a_second_run_reads_and_makes_nothing(images: list[Path], series: Path) -> None:
    """Labels that somebody gave stay."""
    add(series, images)
    extend(series)
    out = series.parent / "release"
    write_labels(out / "labels.csv", [LabelRow(cube=WEST_CUBE, label=Label.EMERGENCE, verified=True)])
    before = (out / f"{WEST_CUBE}.fits").stat().st_mtime_ns
    again = extend(series)
    assert (again.n_read, again.made) == (0, {})
    assert (out / f"{WEST_CUBE}.fits").stat().st_mtime_ns == before
    assert read_labels(out / "labels.csv")[WEST_CUBE].verified


def test_files_may_be_removed_once_they_were_read(images: list[Path], series: Path) -> None:
    """Their patches are kept as long as a passage needs them, and no longer."""
    add(series, images[:6])
    extend(series)
    for path in series.iterdir():
        path.unlink()
    add(series, images[6:])
    extend(series)
    cube = read_cube(series.parent / "release" / f"{WEST_CUBE}.fits")
    assert len(cube.seconds) == 10
    ended = extend(series, ended=True)
    assert ended.made == {EAST_CUBE: 15}
    assert not list((series.parent / "release" / ".cutouts").glob("*.npz"))


def test_a_run_that_was_interrupted_goes_on(images: list[Path], series: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a cube was written and before that was noted: it is written again; files are not read again."""
    add(series, images)
    whole = extend_release.__globals__["write_passage"]

    def dies(*args: object) -> None:
        whole(*args)
        raise KeyboardInterrupt

    monkeypatch.setitem(extend_release.__globals__, "write_passage", dies)
    with pytest.raises(KeyboardInterrupt):
        extend(series)
    monkeypatch.undo()
    again = extend(series)
    assert (again.n_read, list(again.made)) == (0, [WEST_CUBE])


def test_a_file_that_comes_too_late_is_said_and_changes_nothing(images: list[Path], series: Path) -> None:
    add(series, [image for image in images if image is not images[5]])
    extend(series)
    out = series.parent / "release"
    before = (out / f"{WEST_CUBE}.fits").read_bytes()
    add(series, [images[5]])
    late = extend(series)
    assert late.late == {WEST_CUBE: 1}
    assert (out / f"{WEST_CUBE}.fits").read_bytes() == before
    assert excluded(series) == {}, "EAST, which is still on the disk, uses it"
    extend(series, WEST)
    assert f"it came after {WEST_CUBE} was made" in excluded(series)[images[5].name]


def test_a_region_that_is_added_is_looked_for_in_all_files(images: list[Path], series: Path) -> None:
    add(series, images[:4])
    assert [one.region for one in extend(series, EAST).running] == ["AR 1"]
    added = extend(series, EAST, WEST)
    assert (added.n_read, [one.frames for one in added.running]) == (4, [4, 4])


def test_a_corrected_row_counts_unless_the_cube_is_made(images: list[Path], series: Path) -> None:
    add(series, images)
    moved = replace(WEST, lat_deg=-19.0)
    assert list(extend(series, WEST).made) == [WEST_CUBE]
    again = extend(series, moved)
    assert (again.made, again.outdated) == ({}, (WEST_CUBE,))
    assert extend(series, replace(EAST, lat_deg=11.0), ended=True).made == {EAST_CUBE: 15}


def test_a_file_that_was_read_half_is_read_again(images: list[Path], series: Path) -> None:
    add(series, images[:2])
    (series / images[2].name).write_bytes(images[2].read_bytes()[:10_000])
    half = extend(series)
    assert [one.frames for one in half.running] == [2, 2]
    assert list(half.excluded) == [str(series / images[2].name)]
    add(series, [images[2]])
    whole = extend(series)
    assert (whole.n_read, whole.excluded) == (1, {})
    assert [one.frames for one in whole.running] == [3, 3]


def test_another_profile_is_refused(images: list[Path], series: Path) -> None:
    add(series, images[:1])
    extend(series)
    with pytest.raises(ReleaseError, match="was begun with another profile"):
        extend_release(
            find_files([str(series)]), (EAST,), series.parent / "release", profile=replace(COARSE, patch_deg=15.0)
        )


def test_crude_labels_of_new_cubes_leave_labels_that_are_there(images: list[Path], series: Path) -> None:
    """WEST was first seen on the disk, so its crude label is emergence; somebody gave it the other one."""
    add(series, images)
    extend(series)
    out = series.parent / "release"
    table = series / "regions.csv"
    table.write_text("region,carrington_lon,carrington_lat,first_seen\n002,110,-20,2001-03-07\nAR 1,40,12,2001-03-07\n")
    assert lacks_crude_labels(out)
    label_release(out, regions_table=table, keep_labels=True, processes=1)
    assert not lacks_crude_labels(out)
    assert read_labels(out / "labels.csv")[WEST_CUBE].label is Label.EMERGENCE

    write_labels(out / "labels.csv", [LabelRow(cube=WEST_CUBE, label=Label.NON_EMERGENCE, verified=False)])
    extend(series, ended=True)
    assert lacks_crude_labels(out)
    label_release(out, regions_table=table, keep_labels=True, processes=1)
    labels = {cube: row.label for cube, row in read_labels(out / "labels.csv").items()}
    assert labels == {WEST_CUBE: Label.NON_EMERGENCE, EAST_CUBE: Label.EMERGENCE}


def test_a_new_cube_leaves_what_others_wrote_into_the_table(images: list[Path], series: Path) -> None:
    add(series, images)
    extend(series)
    table = series.parent / "release" / "labels.csv"
    table.write_text(f"# by Anna\ncube,label,verified,note\n{WEST_CUBE},emergence,1,sure\n")
    table.chmod(0o664)
    extend(series, ended=True)
    assert table.read_text() == f"# by Anna\ncube,label,verified,note\n{WEST_CUBE},emergence,1,sure\n{EAST_CUBE},,0,\n"
    assert table.stat().st_mode & 0o777 == 0o664
