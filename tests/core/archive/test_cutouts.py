import csv
import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from tests.core.archive.sun import Spot, times, write_series

from helioloop import __version__
from helioloop.archive.cutouts import make_cutouts
from helioloop.archive.making import find_files
from helioloop.archive.regions import Region
from helioloop.archive.release import MadeRelease
from helioloop.data.cubes import read_cube
from helioloop.data.gridding import to_grid
from helioloop.data.making_lock import only_maker
from helioloop.data.release import read_labels
from helioloop.data.release_profile import read_release_profile
from helioloop.errors import ReleaseError
from helioloop.records.instrument import Instrument
from helioloop.records.profiles import BUILT_IN, Profile

COARSE = Profile(
    name="coarse",
    instrument=Instrument(
        name="MDI", cadence_seconds=6 * 3600.0, n_frames=60, size_px=30, clip_gauss=800.0, frozen_frames=8
    ),
    patch_deg=20.0,
    projection="CAR",
    grid_tolerance_seconds=600.0,
    to_mdi_factor=1.0,
    to_mdi_source="none",
    bad_quality_bits=0x80000000,
)
FIRST = "2001-03-07T00:00:00"  # the central meridian is at 81.3°
EAST, WEST = Region(name="AR 1", lon_deg=40.0, lat_deg=12.0), Region(name="002", lon_deg=110.0, lat_deg=-20.0)


def spots(days: float) -> list[Spot]:
    """Return a region that was always there, and one that emerges after a day and a half."""
    fixed = [Spot(lon=110.0, lat=-20.0, sigma_deg=1.5, gauss=-600.0)]
    return fixed + ([Spot(lon=40.0, lat=12.0, sigma_deg=1.5, gauss=700.0)] if days > 1.5 else [])


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with twelve images, six hours apart, and one that only doubles a slot."""
    folder = tmp_path_factory.mktemp("series")
    write_series(folder, times(FIRST, hours=6, n=12), spots)
    write_series(folder, ["2001-03-07T09:00:00"], spots)  # in the middle of the slot that begins at 06:00
    return folder


@pytest.fixture(scope="module")
def made(series: Path, tmp_path_factory: pytest.TempPathFactory) -> MadeRelease:
    out = tmp_path_factory.mktemp("made") / "release"
    return make_cutouts([str(series)], [EAST, WEST], out, profile=COARSE, processes=1)


def excluded(folder: Path) -> dict[str, str]:
    with (folder / "cutouts-excluded.csv").open(newline="") as file:
        return {Path(row["file"]).name: row["reason"] for row in csv.DictReader(file)}


def test_a_release_has_cubes_labels_profile_and_what_was_excluded(made: MadeRelease) -> None:
    """Two regions give two cubes of twelve frames, named after region and day; the labels are empty.

    The first was 41° east of the meridian on 7 March, so the patch came over the limb, 59° earlier, on 2 March.
    """
    names = ["002_20010225", "AR 1_20010302"]
    assert sorted(made.cubes) == names
    assert set(made.cubes.values()) == {12}
    assert sorted(path.name for path in made.folder.iterdir()) == sorted(
        [*(f"{name}.fits" for name in names), "cutouts-excluded.csv", "labels.csv", "release.toml"]
    )
    assert [row.label for row in read_labels(made.folder / "labels.csv").values()] == [None, None]
    assert read_release_profile(made.folder) == COARSE


def test_of_two_files_in_a_slot_the_nearer_to_its_middle_is_used(made: MadeRelease) -> None:
    reasons = excluded(made.folder)
    assert list(reasons) == ["mdi.20010307_060000_TAI.data.fits"]
    assert "mdi.20010307_090000_TAI.data.fits is nearer to the middle of the same grid slot" in next(
        iter(reasons.values())
    )


def test_one_file_under_two_names_is_used_once_and_said(series: Path, tmp_path: Path) -> None:
    """By another spelling of its path and by a link; it was said to be nearer to the middle than itself."""
    source = series / "mdi.20010307_000000_TAI.data.fits"
    first, copy, link = tmp_path / "a" / "a.fits", tmp_path / "a" / "b.fits", tmp_path / "a" / "c.fits"
    first.parent.mkdir()
    shutil.copy(source, first)
    shutil.copy(source, copy)
    link.symlink_to(first)
    places = [str(place) for place in (first, tmp_path / "a" / ".." / "a" / "a.fits", link, copy)]
    made = make_cutouts(places, [WEST], tmp_path / "release", profile=COARSE, processes=1)
    assert (made.n_files, list(made.cubes.values())) == (4, [1])
    used = next(place for place in places if place not in made.excluded)
    reasons = [f"it is the same file as {used}, which is used once"] * 2
    reasons += ["a.fits has the same time, and one observation of a grid slot is used"]
    assert sorted(made.excluded.values()) == sorted(reasons)


def test_a_cube_is_read_as_any_other_and_shows_the_emergence(made: MadeRelease) -> None:
    """Times count from the slot in which the patch came into view; the spot is there from the seventh image on."""
    cube = read_cube(made.folder / "AR 1_20010302.fits")
    assert (cube.region, cube.observed_gauss.shape) == ("AR 1", (12, 30, 30))
    assert np.array_equal(np.diff(cube.seconds), [9 * 3600, 3 * 3600, *[6 * 3600] * 9])
    peak = cube.observed_gauss[:, 13:17, 13:17].max(axis=(1, 2))
    assert (peak[:7] < 100.0).all()
    assert (peak[7:] > 500.0).all()
    since_start = Time(FIRST, scale="tai") - Time(cube.start, scale="utc")
    assert cube.seconds[0] == pytest.approx(since_start.sec, abs=1e-3)


def test_a_cube_is_gridded_with_the_profile_of_its_release(made: MadeRelease) -> None:
    gridded = to_grid(read_cube(made.folder / "002_20010225.fits"), COARSE.instrument)
    assert gridded.shape == (60, 30, 30)


def test_astropy_reads_the_right_coordinates_back(made: MadeRelease) -> None:
    """The patch's centre is the region; a pixel is 20°/30; latitude is linear, as plate carrée has it."""
    header = fits.getheader(made.folder / "AR 1_20010302.fits")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wcs = WCS(header, fix=False).celestial
        frame = wcs_to_celestial_frame(wcs)
    assert frame.name == "heliographic_carrington"
    assert wcs.pixel_to_world_values(14.5, 14.5) == pytest.approx((40.0, 12.0), abs=1e-9)
    assert wcs.pixel_to_world_values(0.0, 29.0) == pytest.approx(
        (40.0 - 14.5 * 20 / 30, 12.0 + 14.5 * 20 / 30), abs=1e-9
    )


def test_a_cube_carries_sources_times_and_what_was_done(made: MadeRelease) -> None:
    header = fits.getheader(made.folder / "AR 1_20010302.fits")
    assert header["NSOURCE"] == 12
    assert header["SRCFIRST"] == "mdi.20010307_000000_TAI.data.fits"
    assert header["SRCLAST"] == "mdi.20010309_180000_TAI.data.fits"
    assert header["TAI-FRST"] == "2001-03-07T00:00:00.000"
    assert header["TAI-LAST"] == "2001-03-09T18:00:00.000"
    assert header["TAI-BEG"] == "2001-03-02T11:50:00.000"  # ten minutes before the nominal time of the slot
    assert (header["PROFILE"], header["TO_MDI"], header["TIMECARD"]) == ("coarse", 1.0, "T_OBS")
    assert header["CREATOR"] == f"helioloop {__version__}"
    assert "12 observations, one per slot of 21600 s" in "".join(header["HISTORY"])


def test_several_processes_and_a_second_run_give_the_same_bytes(
    series: Path, made: MadeRelease, tmp_path: Path
) -> None:
    again = make_cutouts([str(series)], [EAST, WEST], tmp_path / "r", profile=COARSE, processes=2)
    for name in again.cubes:
        assert (again.folder / f"{name}.fits").read_bytes() == (made.folder / f"{name}.fits").read_bytes()


def test_an_interrupted_run_goes_on_and_reads_no_file_twice(series: Path, made: MadeRelease, tmp_path: Path) -> None:
    """After an interruption at the fifth file, five files are found and eight are read."""
    out = tmp_path / "r"
    reported: list[int] = []

    def note(done: int, _: int, what: str) -> None:
        if what == "reading files":
            reported.append(done)

    def interrupt(done: int, total: int, what: str) -> None:
        if done == 5 and what == "reading files":
            raise KeyboardInterrupt(total)

    with pytest.raises(KeyboardInterrupt):
        make_cutouts([str(series)], [EAST, WEST], out, profile=COARSE, processes=1, report=interrupt)
    assert not list(out.glob("*.fits"))
    with pytest.raises(ReleaseError, match=r"begun with another regions.*repeat them, or remove"):
        make_cutouts([str(series)], [EAST], out, profile=COARSE, processes=1)
    again = make_cutouts([str(series)], [EAST, WEST], out, profile=COARSE, processes=1, report=note)
    assert reported == list(range(5, 14))
    for name in again.cubes:
        assert (out / f"{name}.fits").read_bytes() == (made.folder / f"{name}.fits").read_bytes()
    assert not (out / ".cutouts").exists()


def test_first_seen_chooses_the_passage(tmp_path: Path) -> None:
    """Images of two rotations give two cubes of a region, and one where the table says when it was first seen."""
    for first in (FIRST, "2001-04-03T12:00:00"):
        write_series(tmp_path / "series", times(first, hours=12, n=2), lambda _: [])
    both = make_cutouts([str(tmp_path / "series")], [EAST], tmp_path / "both", profile=COARSE, processes=1)
    assert [name.partition("_")[2][:6] for name in both.cubes] == ["200103", "200103"]
    seen = Region(name="AR 1", lon_deg=40.0, lat_deg=12.0, first_seen_tai="2001-04-05T00:00:00")
    one = make_cutouts([str(tmp_path / "series")], [seen], tmp_path / "one", profile=COARSE, processes=1)
    assert list(one.cubes) == [list(both.cubes)[1]]
    assert set(excluded(tmp_path / "one").values()) == {
        "none of the regions is on the disk at its time: nothing to cut"
    }


def test_bad_files_are_listed_and_the_others_used(series: Path, tmp_path: Path) -> None:
    """A damaged file, a cube and a text are excluded with reasons; the release is made from the rest."""
    for path in sorted(series.iterdir())[:3]:
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "cut.fits").write_bytes(next(series.iterdir()).read_bytes()[:20000])
    (tmp_path / "page.fits").write_text("<html>")
    fits.PrimaryHDU(np.zeros((3, 4, 4), dtype=np.float32)).writeto(tmp_path / "cube.fits")
    (tmp_path / "notes.txt").write_text("mine")
    made = make_cutouts([str(tmp_path)], [EAST], tmp_path / "r", profile=COARSE, processes=1)
    assert list(made.cubes.values()) == [2]
    assert sorted(excluded(made.folder)) == [
        "cube.fits",
        "cut.fits",
        "mdi.20010307_060000_TAI.data.fits",
        "page.fits",
    ]


def test_nothing_made_is_an_error_that_names_the_first_reason(tmp_path: Path) -> None:
    """The table of reasons stays, and the same folder can be used again."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "page.fits").write_text("<html>")
    for _ in range(2):
        with pytest.raises(
            ReleaseError, match=r"no cube could be made from 1 file: page.fits: it begins with b'<html>'"
        ):
            make_cutouts([str(tmp_path / "in")], [EAST], tmp_path / "r", processes=1)
        assert list(excluded(tmp_path / "r")) == ["page.fits"]


def test_a_folder_with_other_things_is_refused(series: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ReleaseError, match=r"is not empty \(it has 'notes.txt'\)"):
        make_cutouts([str(series)], [EAST], tmp_path, processes=1)


def test_files_are_found_in_folders_patterns_and_by_name(tmp_path: Path) -> None:
    for name in ("a.fits", "b.FTS", "c.fits.gz", "d.fz", "e.txt", ".hidden.fits", "sub/f.fits", "sub/.work/g.fits"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def names(*places: str) -> list[str]:
        return [os.path.relpath(path, tmp_path) for path in find_files([str(tmp_path / place) for place in places])]

    assert names(".") == ["a.fits", "b.FTS", "c.fits.gz", "d.fz", "sub/f.fits"]
    assert names("*.fits", "a.fits") == [".hidden.fits", "a.fits"]
    assert names("e.txt") == ["e.txt"]
    assert find_files(["memory://folder/x.fits"]) == ["memory://folder/x.fits"]
    with pytest.raises(ReleaseError, match=r"nothing\.fits names no FITS file"):
        find_files([str(tmp_path / "nothing.fits")])


def test_real_images_become_cubes_of_one_frame(real: Path, tmp_path: Path) -> None:
    """Two MDI images, three Carrington positions on the disk of 1999: each is a cube of one frame."""
    regions = [
        Region(name=name, lon_deg=lon, lat_deg=lat)
        for name, lon, lat in (("a", 255.0, 18.0), ("b", 275.0, -18.0), ("c", 335.0, 10.0))
    ]
    places = sorted(str(path) for path in real.glob("mdi.fd*.data.fits"))
    made = make_cutouts(places[:1], regions, tmp_path / "r", processes=1)
    assert made.profile == BUILT_IN["mdi"]
    assert list(made.cubes.values()) == [1, 1, 1]
    for name in made.cubes:
        cube = read_cube(made.folder / f"{name}.fits")
        assert np.isfinite(cube.observed_gauss).mean() > 0.9
        assert np.nanmax(np.abs(cube.observed_gauss)) > 200.0


def test_two_runs_do_not_make_one_release(series: Path, tmp_path: Path) -> None:
    """The second one is refused before it looks at what is there, and leaves nothing."""
    with only_maker(tmp_path), pytest.raises(ReleaseError, match="another run makes"):
        make_cutouts([str(series)], [EAST], tmp_path, profile=COARSE, processes=1)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_release_is_not_changed(made: MadeRelease, series: Path) -> None:
    """Its cubes may be labelled; the message names what follows files that keep coming."""
    with pytest.raises(ReleaseError, match=r"is a finished release.*helioloop watch"):
        make_cutouts([str(series)], [EAST, WEST], made.folder, profile=COARSE, processes=1)


def test_a_release_whose_run_ended_while_it_cleaned_up_keeps_its_labels(made: MadeRelease, series: Path) -> None:
    """The hidden folder of the run is still there, and a human has labelled a cube since."""
    labels, hidden = made.folder / "labels.csv", made.folder / ".cutouts"
    before = labels.read_text()
    labelled = "\n".join(f"{line.split(',')[0]},emergence,1" if k else line for k, line in enumerate(before.split()))
    labels.write_text(labelled)
    (hidden / "rest").mkdir(parents=True)
    with pytest.raises(ReleaseError, match="is a finished release"):
        make_cutouts([str(series)], [EAST, WEST], made.folder, profile=COARSE, processes=1)
    assert labels.read_text() == labelled
    assert not hidden.exists()
    labels.write_text(before)


def test_regions_and_files_may_have_names_of_any_script(series: Path, tmp_path: Path) -> None:
    """Also files whose name is not UTF-8: they are read, and excluded ones are listed with an escape."""
    first = next(iter(sorted(series.iterdir())))
    shutil.copy(first, tmp_path / "m_\udce9.fits")
    (tmp_path / "n_\udce9.fits").write_bytes(b"<html>")
    greek = replace(EAST, name="AR β800")
    files = [str(tmp_path / "m_\udce9.fits"), str(tmp_path / "n_\udce9.fits")]
    made = make_cutouts(files, [greek], tmp_path / "release", profile=COARSE, processes=1)
    assert made.cubes == {"AR β800_20010302": 1}
    assert read_cube(made.folder / "AR β800_20010302.fits").region == "AR β800"
    assert list(read_labels(made.folder / "labels.csv")) == ["AR β800_20010302"]
    assert list(excluded(made.folder)) == [r"n_\udce9.fits"]
