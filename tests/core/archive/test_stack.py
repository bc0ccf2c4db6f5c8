import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray
from tests.core.archive.sun import Spot, cea_header, cut, header, paint, paint_map, times, write

from helioloop.archive.release import MadeRelease
from helioloop.archive.stack import make_stack
from helioloop.data.cubes import read_cube
from helioloop.data.gridding import to_grid
from helioloop.data.release import read_labels
from helioloop.errors import ReleaseError
from helioloop.records.instrument import MDI
from helioloop.records.profiles import BUILT_IN

FIRST = "2011-02-12T00:00:00"
LON, LAT = 34.9, -20.0
SPOTS = (Spot(lon=LON - 2.0, lat=LAT + 1.5, gauss=500.0), Spot(lon=LON + 3.0, lat=LAT - 1.0, gauss=-500.0))


def excluded(folder: Path) -> dict[str, str]:
    with (folder / "stack-excluded.csv").open(newline="") as file:
        return {Path(row["file"]).name: row["reason"] for row in csv.DictReader(file)}


def centroid(patch: NDArray[np.float32], sign: float) -> tuple[float, float]:
    """Return column and row of what is stronger than 100 G with this sign."""
    rows, columns = np.mgrid[:90, :90]
    weight = np.where(np.nan_to_num(patch) * sign > 100.0, np.nan_to_num(patch) * sign, 0.0)
    return float((weight * columns).sum() / weight.sum()), float((weight * rows).sum() / weight.sum())


@pytest.fixture(scope="module")
def sharps(tmp_path_factory: pytest.TempPathFactory) -> MadeRelease:
    """Return the release of three maps, 96 minutes apart, whose size and centre vary, and a bitmap beside them."""
    folder = tmp_path_factory.mktemp("sharps")
    for number, tai in enumerate(times(FIRST, hours=1.6, n=3)):
        of = cea_header(tai, lon=LON + (number - 1) * 0.5, lat=LAT, shape=(150 + 10 * number, 220))
        write(folder / f"hmi.sharp_cea_720s.377.{number}.magnetogram.fits", of, paint_map(of, SPOTS))
    mask = np.ones((150, 220), dtype=np.float32)
    write(folder / "hmi.sharp_cea_720s.377.0.bitmap.fits", cea_header(FIRST, lon=LON, lat=LAT, shape=mask.shape), mask)
    return make_stack(folder, folder.parent / "release", processes=1)


def test_maps_of_varying_size_become_frames_of_one_grid(sharps: MadeRelease) -> None:
    """The patch is centred on the mean of the centres; the spots are at 6 px per degree from there in each frame."""
    (name,) = sharps.cubes
    cube = read_cube(sharps.folder / f"{name}.fits")
    assert name.startswith("HARP377_")
    assert (sharps.profile, cube.region) == (BUILT_IN["hmi"], "HARP377")
    assert np.array_equal(np.diff(cube.seconds), [5760.0, 5760.0])
    for frame in cube.observed_gauss:
        assert centroid(frame, +1.0) == pytest.approx((44.5 - 12.0, 44.5 + 9.0), abs=0.3)
        assert centroid(frame, -1.0) == pytest.approx((44.5 + 18.0, 44.5 - 6.0), abs=0.3)
    assert np.nanmax(cube.observed_gauss) == pytest.approx(1.40 * 500.0, rel=0.08)  # averaged over a pixel


def test_around_a_small_map_pixels_are_nan_and_the_cube_can_be_gridded(sharps: MadeRelease) -> None:
    """Maps of 9 to 10° leave the south and north of a 15° patch unknown; gridded, that is off the disk."""
    (name,) = sharps.cubes
    cube = read_cube(sharps.folder / f"{name}.fits")
    known = np.isfinite(cube.observed_gauss)
    assert not known[:, :12].any()
    assert not known[:, -12:].any()
    assert known[:, 22:68, 15:75].all()
    assert to_grid(cube, MDI).shape == (225, 90, 90)


def test_a_missing_unit_and_the_bitmap_are_said(sharps: MadeRelease) -> None:
    (name,) = sharps.cubes
    said = "BUNIT is missing, gauss was assumed (_BUNIT is 'Mx/cm^2') (3 files)"
    assert sharps.assumed == (said,)
    assert said in "".join(fits.getheader(sharps.folder / f"{name}.fits")["HISTORY"])
    assert list(excluded(sharps.folder)) == ["hmi.sharp_cea_720s.377.0.bitmap.fits"]


def test_cutouts_of_the_ccd_turned_by_180_degrees_come_out_upright(tmp_path: Path) -> None:
    """Without HARPNUM the folder names the region; the frames follow the Sun across the CCD."""
    folder = tmp_path / "AR11158"
    folder.mkdir()
    for number, tai in enumerate(times(FIRST, hours=12.8, n=2)):
        whole = header(tai, size=1024, scale=1.98, crota2=180.0, instrument="HMI")
        image = paint(whole, SPOTS)
        rows, columns = np.nonzero(np.nan_to_num(np.abs(image)) > 250.0)
        of, part = cut(
            whole,
            image,
            slice(int(rows.min()) - 60, int(rows.max()) + 60),
            slice(int(columns.min()) - 60, int(columns.max()) + 60),
        )
        write(folder / f"{number}.fits", of, part)
    made = make_stack(tmp_path, tmp_path / "release", processes=1)
    (name,) = made.cubes
    assert name.startswith("AR11158_")
    first, second = read_cube(made.folder / f"{name}.fits").observed_gauss
    for frame in (first, second):
        north_east, south_west = centroid(frame, +1.0), centroid(frame, -1.0)
        assert (south_west[0] - north_east[0], north_east[1] - south_west[1]) == pytest.approx((30.0, 15.0), abs=0.3)
    assert centroid(first, +1.0) == pytest.approx(centroid(second, +1.0), abs=0.3)


def test_regions_are_told_apart_by_number_and_by_folder(tmp_path: Path) -> None:
    """Two HARPs in one folder give two cubes; frames of no HARP that are far apart are excluded."""
    for number, (lon, harp) in enumerate(((LON, 377), (LON + 20.0, 380), (LON, None), (LON + 60.0, None))):
        of = cea_header(FIRST, lon=lon, lat=LAT, shape=(150, 220))
        if harp is None:
            of.remove("HARPNUM")
        else:
            of["HARPNUM"] = harp
        folder = tmp_path / ("mixed" if harp is None else "harps")
        folder.mkdir(exist_ok=True)
        write(folder / f"{number}.fits", of, paint_map(of, SPOTS))
    made = make_stack(tmp_path, tmp_path / "release", processes=1)
    assert [name.partition("_")[0] for name in made.cubes] == ["HARP377", "HARP380"]
    assert list(excluded(made.folder)) == ["2.fits", "3.fits"]
    assert "give each region a folder of its own" in excluded(made.folder)["2.fits"]


@pytest.mark.parametrize("numbers", [(377.0, 378.0), ("377", "378"), ("HARP 377", "HARP 378")])
def test_neighbouring_regions_are_told_apart_however_their_number_is_written(
    tmp_path: Path, numbers: tuple[float | str, float | str]
) -> None:
    """They are six degrees apart, near enough for one region, and were stacked into one cube."""
    for number, harp in enumerate(numbers):
        of = cea_header(FIRST, lon=LON + 6.0 * number, lat=LAT, shape=(150, 220))
        of["HARPNUM"] = harp
        (tmp_path / "in").mkdir(exist_ok=True)
        write(tmp_path / "in" / f"{number}.fits", of, paint_map(of, SPOTS))
    made = make_stack(tmp_path / "in", tmp_path / "release", processes=1)
    assert [name.partition("_")[0] for name in made.cubes] == ["HARP377", "HARP378"]


def test_one_frame_whose_coordinates_are_wrong_does_not_cost_a_region_its_cube(tmp_path: Path) -> None:
    """One of twelve is 60° away: it is left out, and the others are centred as if it were not there."""
    (tmp_path / "in").mkdir()
    for number, tai in enumerate(times(FIRST, hours=1.6, n=12)):
        of = cea_header(tai, lon=LON + (60.0 if number == 5 else 0.0), lat=LAT, shape=(150, 220))
        write(tmp_path / "in" / f"{number:02d}.fits", of, paint_map(of, SPOTS))
    made = make_stack(tmp_path / "in", tmp_path / "release", processes=1)
    assert list(made.cubes.values()) == [11]
    assert list(excluded(made.folder)) == ["05.fits"]
    (name,) = made.cubes
    assert centroid(read_cube(made.folder / f"{name}.fits").observed_gauss[0], +1.0) == pytest.approx(
        (44.5 - 12.0, 44.5 + 9.0), abs=0.3
    )


@pytest.mark.parametrize("keeps_cdelt", [True, False])
def test_the_matrix_cd_is_read_as_the_step_is(tmp_path: Path, keeps_cdelt: bool) -> None:
    """Beside it, the standard lets CDELT be absent, and says that it does not count."""
    of = cea_header(FIRST, lon=LON, lat=LAT, shape=(150, 220))
    image = paint_map(of, SPOTS)
    for axis in (1, 2):
        of[f"CD{axis}_{axis}"] = of[f"CDELT{axis}"]
        if keeps_cdelt:
            of[f"CDELT{axis}"] = 1.0
        else:
            of.remove(f"CDELT{axis}")
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "0.fits", of, image)
    made = make_stack(tmp_path / "in", tmp_path / "release", processes=1)
    (name,) = made.cubes
    (frame,) = read_cube(made.folder / f"{name}.fits").observed_gauss
    assert centroid(frame, +1.0) == pytest.approx((44.5 - 12.0, 44.5 + 9.0), abs=0.3)


def test_a_number_that_cannot_be_read_leaves_out_the_file_and_is_named(tmp_path: Path) -> None:
    """0 stands for no region; the folder names it then."""
    for number, harp in enumerate((377, "north", 377.5, 0)):
        of = cea_header(FIRST, lon=LON, lat=LAT, shape=(150, 220))
        of["HARPNUM"] = harp
        (tmp_path / "in").mkdir(exist_ok=True)
        write(tmp_path / "in" / f"{number}.fits", of, paint_map(of, SPOTS))
    made = make_stack(tmp_path / "in", tmp_path / "release", processes=1)
    assert [name.partition("_")[0] for name in made.cubes] == ["HARP377", "in"]
    reasons = excluded(made.folder)
    assert list(reasons) == ["1.fits", "2.fits"]
    assert "HARPNUM is 'north', and it must be the number of a region" in reasons["1.fits"]
    assert "HARPNUM is '377.5'" in reasons["2.fits"]


def write_unnumbered(path: Path, tai: str = FIRST, *, lon: float = LON, noise: float = 1.0) -> Path:
    """Write a map without HARPNUM; its folder is made."""
    of = cea_header(tai, lon=lon, lat=LAT, shape=(150, 220))
    of.remove("HARPNUM")
    path.parent.mkdir(parents=True, exist_ok=True)
    return write(path, of, paint_map(of, SPOTS, noise=noise))


def test_links_into_other_folders_are_one_region(tmp_path: Path) -> None:
    """As git-annex and DataLad keep files: each link of a folder leads to a folder of its own."""
    (tmp_path / "farm" / "AR11158").mkdir(parents=True)
    for number, tai in enumerate(times(FIRST, hours=1.6, n=3)):
        target = write_unnumbered(tmp_path / "pool" / str(number) / "m.fits", tai)
        (tmp_path / "farm" / "AR11158" / f"m{number}.fits").symlink_to(target)
    made = make_stack(tmp_path / "farm", tmp_path / "release", processes=1)
    assert [(name.partition("_")[0], frames) for name, frames in made.cubes.items()] == [("AR11158", 3)]


def test_folders_of_one_name_do_not_become_one_region(tmp_path: Path) -> None:
    """Their files are excluded with the reason, and the region beside them is stacked."""
    for number, folder in enumerate(("AR11158/fits", "AR11160/fits", "AR11166")):
        write_unnumbered(tmp_path / "two" / folder / f"{number}.fits", lon=LON + 5.0 * number)
    made = make_stack(tmp_path / "two", tmp_path / "release", processes=1)
    assert [name.partition("_")[0] for name in made.cubes] == ["AR11166"]
    reasons = excluded(made.folder)
    assert list(reasons) == ["0.fits", "1.fits"]
    assert f"folder '{tmp_path / 'two/AR11160/fits'}' has the same name" in reasons["0.fits"]


def test_folders_of_one_name_whose_files_have_numbers_are_stacked(tmp_path: Path) -> None:
    for number in (377, 380):
        of = cea_header(FIRST, lon=LON, lat=LAT, shape=(150, 220))
        of["HARPNUM"] = number
        (tmp_path / str(number) / "fits").mkdir(parents=True)
        write(tmp_path / str(number) / "fits" / "0.fits", of, paint_map(of, SPOTS))
    made = make_stack(tmp_path, tmp_path / "release", processes=1)
    assert [name.partition("_")[0] for name in made.cubes] == ["HARP377", "HARP380"]


def test_a_hidden_folder_names_no_region(tmp_path: Path) -> None:
    """Its cube would be a hidden file; what has a number is stacked there, too."""
    write_unnumbered(tmp_path / ".hid" / "0.fits")
    of = cea_header(FIRST, lon=LON, lat=LAT, shape=(150, 220))
    write(tmp_path / ".hid" / "1.fits", of, paint_map(of, SPOTS))
    made = make_stack(tmp_path / ".hid", tmp_path / "release", processes=1)
    assert [name.partition("_")[0] for name in made.cubes] == ["HARP377"]
    assert "the folder's name is '.hid'; cubes are named after it" in excluded(made.folder)["0.fits"]


def test_folders_and_files_may_have_names_of_any_script(tmp_path: Path) -> None:
    """Also names that are not UTF-8: in headers and tables such a byte is an escape."""
    for name in ("Ä.fits", "m_\udce9.fits"):
        write_unnumbered(tmp_path / "Fleck Ä β" / name, FIRST if name == "Ä.fits" else "2011-02-12T01:36:00")
    write_unnumbered(tmp_path / "Fleck Ä β" / "n_\udce9.fits").write_bytes(b"<html>")
    made = make_stack(tmp_path, tmp_path / "release", processes=1)
    ((name, frames),) = made.cubes.items()
    assert (name.rpartition("_")[0], frames) == ("Fleck Ä β", 2)
    assert read_cube(made.folder / f"{name}.fits").region == "Fleck Ä β"
    sources = fits.getheader(made.folder / f"{name}.fits")
    assert (sources["SRCFIRST"], sources["SRCLAST"]) == (r"\xc4.fits", r"m_\udce9.fits")
    assert list(read_labels(made.folder / "labels.csv")) == [name]
    assert list(excluded(made.folder)) == [r"n_\udce9.fits"]


def test_the_far_side_of_a_map_is_nan(tmp_path: Path) -> None:
    """A map that reaches over the limb has values there that nobody observed."""
    of = cea_header(FIRST, lon=0.0, lat=0.0, shape=(260, 260))
    limb = of["CRLN_OBS"] - 90.0
    of["CRVAL1"] = limb % 360.0
    write(tmp_path / "0.fits", of, paint_map(of, [], noise=20.0))
    made = make_stack(tmp_path, tmp_path / "release", processes=1)
    (name,) = made.cubes
    known = np.isfinite(read_cube(made.folder / f"{name}.fits").observed_gauss[0])
    assert not known[:, :37].any()  # B0 is −6.8°, which tilts the limb by 5 px either way
    assert known[5:85, 55:].all()


def test_a_file_of_another_instrument_is_read_with_its_own_factor(tmp_path: Path) -> None:
    of = cea_header(FIRST, lon=LON, lat=LAT, shape=(150, 220))
    write(tmp_path / "0.fits", of, paint_map(of, SPOTS))
    made = make_stack(tmp_path, tmp_path / "release", profile=BUILT_IN["mdi"], processes=1)
    (name,) = made.cubes
    assert fits.getheader(made.folder / f"{name}.fits")["TO_MDI"] == 1.40
    assert "it is from HMI, whose own factor 1.4 was used for the scale of MDI (1 file)" in made.assumed


def test_full_disks_and_synoptic_maps_are_refused(tmp_path: Path) -> None:
    disk = header(FIRST, size=256, scale=8.0)
    write(tmp_path / "disk.fits", disk, paint(disk, [Spot(lon=disk["CRLN_OBS"], lat=5.0, sigma_deg=2.0)], noise=10.0))
    synoptic = cea_header(FIRST, lon=180.0, lat=0.0, shape=(60, 360), step=1.0)
    write(tmp_path / "synoptic.fits", synoptic, paint_map(synoptic, [], noise=10.0))
    with pytest.raises(ReleaseError, match="no cube could be made from 2 files"):
        make_stack(tmp_path, tmp_path / "release", processes=1)
    reasons = excluded(tmp_path / "release")
    assert "run `helioloop cutouts` on it" in reasons["disk.fits"]
    assert "it is a synoptic map" in reasons["synoptic.fits"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="is not a folder"):
        make_stack(tmp_path / "absent", tmp_path / "release")


# -- real files ---------------------------------------------------------------------------------


def test_real_sharps_and_smarps_become_frames(real: Path, tmp_path: Path) -> None:
    """Four SHARPs and one SMARP give five cubes of one frame, with the field of an active region in each."""
    made = make_stack(real, tmp_path / "release", processes=1)
    assert [name.partition("_")[0] for name in made.cubes] == [
        "HARP13561",
        "HARP13777",
        "HARP13845",
        "HARP377",
        "TARP13520",
    ]
    assert set(made.cubes.values()) == {1}
    for name in made.cubes:
        cube = read_cube(made.folder / f"{name}.fits")
        assert np.nanmax(np.abs(cube.observed_gauss)) > 500.0
    assert sum("BUNIT is missing" in sentence and "(3 files)" in sentence for sentence in made.assumed) == 1
    reasons = excluded(made.folder)
    assert sum("not a line-of-sight magnetogram" in reason for reason in reasons.values()) == 3
    assert sum("run `helioloop cutouts`" in reason for reason in reasons.values()) == 3


def test_region_11158_is_upright(real: Path, tmp_path: Path) -> None:
    """On 15 February 2011 its leading positive spot was north-west, its trailing negative one south-east."""
    source = real / "hmi.sharp_cea_720s.377.20110215_020000_TAI.magnetogram.fits"
    shutil.copy(source, tmp_path)
    made = make_stack(tmp_path, tmp_path / "release", processes=1)
    (name,) = made.cubes
    patch = np.nan_to_num(read_cube(made.folder / f"{name}.fits").observed_gauss[0])
    assert patch[60:80, 60:80].max() > 1000.0
    assert patch[35:55, 8:30].min() < -1000.0
