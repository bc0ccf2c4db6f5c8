"""Cubes: both layouts, the hash of a cube, and the reason for which each faulty file is refused."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from tests.core.data.cube_files import FIELD, TIMES, image_hdu, read_checked, refusal, table_hdu, write_hdus, write_pair

from helioloop.data.cubes import hash_cube, is_cube_file, read_cube_header, write_cube
from helioloop.data.times import COMPANION_SUFFIX
from helioloop.errors import CubeError
from helioloop.records.instrument import MDI

# -- the two layouts ---------------------------------------------------------------------------------


def test_authors_pair(tmp_path: Path) -> None:
    """The authors' pair gives the image in gauss and the companion's seconds."""
    cube = read_checked(write_pair(tmp_path, image_hdu(DATE_OBS="1998-12-06T01:02:03"), name="BARD0310_19981206"))
    np.testing.assert_array_equal(cube.observed_gauss, FIELD)
    np.testing.assert_array_equal(cube.seconds, TIMES)
    assert cube.observed_gauss.dtype == np.float32
    assert (cube.name, cube.start, cube.start_scale) == ("BARD0310_19981206", "1998-12-06T01:02:03", "utc")


@pytest.mark.parametrize(
    "table",
    [
        table_hdu("SECONDS", TIMES),
        table_hdu("time", TIMES / 60.0, unit="min"),
        table_hdu("dt", TIMES / 3600.0, TIMEUNIT="h"),
        table_hdu("T_REC", ["1998.12.06_00:00:31_TAI", "1998.12.06_01:36:31_TAI"], kind="23A"),
        table_hdu("DATE-OBS", ["1998-12-06T00:00:00Z", "1998-12-06T01:36:00"], kind="20A"),
        table_hdu("MJD", 51153.0 + TIMES / 86400.0),
        table_hdu("JD", 2451153.5 + TIMES / 86400.0),
        table_hdu("TIME", TIMES - 86400.0, unit="s", MJDREF=51154.0),
    ],
    ids=["seconds", "minutes", "hours by TIMEUNIT", "T_REC in TAI", "dates", "MJD", "JD", "since MJDREF"],
)
def test_single_file(tmp_path: Path, table: fits.BinTableHDU) -> None:
    """The table of a single file may give times as durations, dates or days; all become seconds since the start."""
    cube = read_checked(write_hdus(tmp_path, image_hdu(DATE_BEG="1998-12-06T00:00:00"), table))
    np.testing.assert_allclose(cube.seconds, TIMES, rtol=0, atol=1e-3)
    assert cube.start == "1998-12-06T00:00:00"


def test_absolute_times_alone_give_the_start(tmp_path: Path) -> None:
    """Without a start in the header, the earliest absolute time of the table is grid frame 0."""
    dates = ["1998.12.06_01:36:31_TAI", "1998.12.06_00:00:31_TAI"]
    cube = read_checked(write_hdus(tmp_path, image_hdu(), table_hdu("T_REC", dates, kind="23A")))
    assert (cube.start, cube.start_scale) == ("1998-12-06T00:00:00", "tai")
    np.testing.assert_array_equal(cube.seconds, TIMES)
    np.testing.assert_array_equal(cube.observed_gauss, FIELD[::-1])


def test_written_cube_is_read_back(tmp_path: Path) -> None:
    """`read_cube` returns what `write_cube` wrote within half a step of 0.1 G, with NaN, start and region."""
    field = np.where(np.arange(24).reshape(2, 3, 4) % 5 == 0, np.nan, FIELD * 100.03)
    path = tmp_path / "C.fits"
    write_cube(path, field, TIMES, start="2001-01-01T00:00:00", region="R7", instrument=MDI, header={"SEED": 3})
    cube = read_checked(path)
    np.testing.assert_allclose(cube.observed_gauss, field, atol=0.0501)
    np.testing.assert_array_equal(cube.seconds, TIMES)
    assert (cube.start, cube.start_scale, cube.region) == ("2001-01-01T00:00:00", "utc", "R7")
    assert fits.getval(path, "SEED") == 3
    assert list(tmp_path.iterdir()) == [path]


def test_real_video(real_data: Path) -> None:
    """The real video has the 31 frames, the start and the bounds given in its README."""
    cube = read_checked(real_data / "BARD0310_19981206.fits")
    assert cube.observed_gauss.shape == (31, 90, 90)
    assert (cube.start, cube.region) == ("1998-12-06T00:00:00", "BARD0310")
    assert np.floor(cube.seconds / 5760).tolist() == [0, *range(30, 180, 5)]
    assert np.abs(cube.observed_gauss).max() <= 1000


# -- hash --------------------------------------------------------------------------------------------


def test_hash_covers_both_files(tmp_path: Path) -> None:
    """The hash equals ``cat NAME.fits NAME.dt.fits | sha256sum``, so it changes with either file."""
    path = write_pair(tmp_path)
    companion = tmp_path / f"C{COMPANION_SUFFIX}"
    assert hash_cube(path) == hashlib.sha256(path.read_bytes() + companion.read_bytes()).hexdigest()
    before = hash_cube(path)
    companion.unlink()
    fits.PrimaryHDU(TIMES + 1.0).writeto(companion)
    assert hash_cube(path) != before


def test_companions_are_not_cubes() -> None:
    """Companions, hidden files and files of other types are not cubes."""
    names = ["a.fits", "a.dt.fits", ".b.fits", "labels.csv"]
    assert [is_cube_file(Path(name)) for name in names] == [True, False, False, False]


# -- refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (gzip.compress(b""), "is empty"),
        (b"<!DOCTYPE html><html>", "it begins with b'<!DOCTYPE', and a FITS file begins with"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "it is an HDF5 file, and only FITS is read: write its images as FITS"),
        (b"#ASDF 1.0.0\n#ASDF_STANDARD 1.6.0\n", "it is an ASDF file"),
        (b"SR\x00\x04" + bytes(40), "it is an IDL save file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "run `git lfs pull` in its repository"),
        (b"/annex/objects/MD5E-s1--00.fits\n", "run `git annex get` in its repository"),
        (gzip.compress(b"\x89HDF\r\n\x1a\n" + bytes(40)), "it is an HDF5 file"),
        (b"\x1f\x8b\x08\x00junk", "damaged"),
        (gzip.compress(b"SIMPLE  =" * 999)[:60], "damaged"),
        (b"SIMPLE  =                    T" + b" " * 50, "damaged"),
        (b"SIMPLE  = \xff\xfe\x00" * 300, "damaged"),
    ],
    ids=[
        "empty",
        "empty gzip",
        "HTML",
        "HDF5",
        "ASDF",
        "IDL",
        "Git LFS",
        "git-annex",
        "gzipped HDF5",
        "broken gzip",
        "cut gzip",
        "cut header",
        "binary header",
    ],
)
def test_files_that_are_not_fits(tmp_path: Path, content: bytes, message: str) -> None:
    """A file that is not FITS is refused, and the message names the fault."""
    path = tmp_path / "C.fits"
    path.write_bytes(content)
    assert message in refusal(path)


def test_truncated(tmp_path: Path) -> None:
    """A file that ends before its data do is refused, also when only its header is read."""
    path = write_pair(tmp_path, image_hdu(np.ones((4, 30, 30), dtype=np.float32) * FIELD[0, 0, 0]), np.arange(4.0))
    content = path.read_bytes()
    for kept in (2880, 2881, len(content) - 2881):
        path.write_bytes(content[:kept])
        assert "cut off" in refusal(path)
        with pytest.raises(CubeError, match="cut off"):
            read_cube_header(path)


@pytest.mark.parametrize("shape", [(2**18, 1024, 1024), (4, 30, 30)], ids=["a terabyte", "a little more"])
def test_claimed_size_is_checked_first(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    """A header that claims more data than the file has is refused before any array is allocated."""
    path = write_pair(tmp_path)
    with path.open("r+b") as file:
        header = fits.Header.fromfile(file)
        header["NAXIS3"], header["NAXIS2"], header["NAXIS1"] = shape
        file.seek(0)
        file.write(header.tostring().encode())
    assert "claim" in refusal(path)


def test_small_file_that_claims_a_large_image(tmp_path: Path) -> None:
    """A compressed image whose header claims gigabytes is refused."""
    image = fits.CompImageHDU(np.zeros((2, 16, 16), dtype=np.int16))
    path = write_hdus(tmp_path, fits.PrimaryHDU(), image, table_hdu("SECONDS", TIMES))
    path.write_bytes(path.read_bytes().replace(b"ZNAXIS3 =                    2", b"ZNAXIS3 =             99999999"))
    assert "claims" in refusal(path)


@pytest.mark.parametrize(
    ("hdus", "message"),
    [
        ([fits.PrimaryHDU()], "no image"),
        ([fits.PrimaryHDU(FIELD[0])], "(3, 4)"),
        ([fits.PrimaryHDU(FIELD[None])], "(1, 2, 3, 4)"),
        ([fits.PrimaryHDU(FIELD[0]), fits.ImageHDU(FIELD[0, :2])], "equal size"),
        ([image_hdu(BUNIT="km")], "BUNIT is 'km'"),
        ([image_hdu(BUNIT="furlongs per bit")], "BUNIT"),
        ([image_hdu(FIELD * np.nan)], "all its pixels are NaN"),
        ([image_hdu((FIELD + 12.3).astype("<f4").view(">f4").astype(np.float32))], "byte order"),
        ([image_hdu(DATE_OBS="yesterday")], "DATE-OBS is 'yesterday'"),
        ([image_hdu(DATE_OBS="1998-13-06T00:00:00")], "DATE-OBS"),
        ([image_hdu(DATE_OBS="1998-12-06T00:00:00", TIMESYS="LST")], "'LST'"),
        ([image_hdu()], "no times"),
        ([image_hdu(), table_hdu("FLUX", TIMES)], "no times"),
        ([image_hdu(), table_hdu("SECONDS", TIMES, unit="G")], "unit of its times is 'G'"),
        ([image_hdu(), table_hdu("SECONDS", [0.0, 1.0, 2.0])], "2 frames and 3 times"),
        ([image_hdu(), table_hdu("SECONDS", [0.0, 1.0, 2.0, 3.0])], "its last axis has that length, so put time first"),
        ([image_hdu(), table_hdu("T_REC", ["soon", "later"], kind="5A")], "T_REC is 'soon'"),
        ([image_hdu(), table_hdu("SECONDS", [np.nan, np.inf])], "all its times are NaN"),
    ],
)
def test_fits_files_that_are_not_cubes(tmp_path: Path, hdus: list[object], message: str) -> None:
    """A FITS file without an observed video is refused, and the message names the fault."""
    assert message in refusal(write_hdus(tmp_path, *hdus))


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (np.arange(3.0), "2 frames and 3 times"),
        (FIELD, "no 1-D image"),
        (None, "companion"),
        (b"HTML", "companion"),
    ],
)
def test_bad_companions(tmp_path: Path, times: object, message: str) -> None:
    """A companion with the wrong number of times, with no 1-D image, or that is not FITS is refused."""
    path = write_hdus(tmp_path, image_hdu())
    companion = tmp_path / f"C{COMPANION_SUFFIX}"
    if isinstance(times, np.ndarray):
        fits.PrimaryHDU(times).writeto(companion)
    else:
        companion.write_bytes(times if isinstance(times, bytes) else b"")
    assert message in refusal(path)


def test_absent_file(tmp_path: Path) -> None:
    """A file that does not exist, or is a folder, is refused."""
    (tmp_path / "D.fits").mkdir()
    assert "is not in" in refusal(tmp_path / "C.fits")
    assert "cannot be read" in refusal(tmp_path / "D.fits")


def test_every_damaged_file_gives_a_cube_error(tmp_path: Path) -> None:
    """A file with random bytes overwritten is read or refused in one line; no other error is raised."""
    path = tmp_path / "C.fits"
    write_cube(path, FIELD, TIMES, start="2001-01-01T00:00:00", region="R", instrument=MDI)
    whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    rng = np.random.default_rng(0)
    messages = []
    for _ in range(150):
        damaged = whole.copy()
        where = rng.integers(0, whole.size, size=rng.integers(1, 40))
        damaged[where] = rng.integers(0, 256, size=where.size)
        path.write_bytes(damaged.tobytes())
        try:
            read_checked(path)
        except CubeError as refusal:
            messages.append(str(refusal))
    assert 0 < len(messages) < 150
    assert not any("\n" in message for message in messages)
