"""Cubes: what the files say is what comes out, and what they cannot mean is refused in a sentence."""

import gzip
import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from helioloop.data.cubes import COMPANION_SUFFIX, hash_cube, is_cube_file, read_cube, write_cube
from helioloop.errors import CubeError
from helioloop.instrument import MDI

FIELD = np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 12.0
TIMES = np.array([0.0, 5760.0])


def _image(field: np.ndarray = FIELD, **cards: object) -> fits.PrimaryHDU:
    image = fits.PrimaryHDU(field)
    image.header.update({key.replace("_", "-") if key.startswith("DATE") else key: card for key, card in cards.items()})
    return image


def _table(name: str, values: object, *, kind: str = "D", unit: str | None = None, **cards: object) -> fits.BinTableHDU:
    table = fits.BinTableHDU.from_columns([fits.Column(name, kind, unit=unit, array=values)])
    table.header.update(cards)
    return table


def _write(folder: Path, *hdus: object, name: str = "C") -> Path:
    path = folder / f"{name}.fits"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of these files are meant to be odd
        fits.HDUList(list(hdus)).writeto(path)
    return path


def _pair(folder: Path, image: fits.PrimaryHDU | None = None, times: np.ndarray = TIMES, *, name: str = "C") -> Path:
    path = _write(folder, image or _image(), name=name)
    fits.PrimaryHDU(times).writeto(folder / f"{name}{COMPANION_SUFFIX}")
    return path


def _refusal(path: Path) -> str:
    with pytest.raises(CubeError) as refused:
        read_cube(path)
    sentence = str(refused.value)
    assert sentence.startswith(path.name)
    assert "\n" not in sentence
    return sentence


# -- the two layouts ---------------------------------------------------------------------------------


def test_authors_pair(tmp_path: Path) -> None:
    """The authors' pair gives the image in gauss and the companion's seconds."""
    cube = read_cube(_pair(tmp_path, _image(DATE_OBS="1998-12-06T01:02:03"), name="BARD0310_19981206"))
    np.testing.assert_array_equal(cube.observed_gauss, FIELD)
    np.testing.assert_array_equal(cube.seconds, TIMES)
    assert cube.observed_gauss.dtype == np.float32
    assert (cube.name, cube.start, cube.start_scale) == ("BARD0310_19981206", "1998-12-06T01:02:03", "utc")


@pytest.mark.parametrize(
    "table",
    [
        _table("SECONDS", TIMES),
        _table("time", TIMES / 60.0, unit="min"),
        _table("dt", TIMES / 3600.0, TIMEUNIT="h"),
        _table("T_REC", ["1998.12.06_00:00:31_TAI", "1998.12.06_01:36:31_TAI"], kind="23A"),
        _table("DATE-OBS", ["1998-12-06T00:00:00Z", "1998-12-06T01:36:00"], kind="20A"),
        _table("MJD", 51153.0 + TIMES / 86400.0),
        _table("JD", 2451153.5 + TIMES / 86400.0),
        _table("TIME", TIMES - 86400.0, unit="s", MJDREF=51154.0),
    ],
    ids=["seconds", "minutes", "hours by TIMEUNIT", "T_REC in TAI", "dates", "MJD", "JD", "since MJDREF"],
)
def test_single_file(tmp_path: Path, table: fits.BinTableHDU) -> None:
    """A single file's table may give its times as durations, dates or days; seconds since the start come out."""
    cube = read_cube(_write(tmp_path, _image(DATE_BEG="1998-12-06T00:00:00"), table))
    np.testing.assert_allclose(cube.seconds, TIMES, rtol=0, atol=1e-3)
    assert cube.start == "1998-12-06T00:00:00"


def test_absolute_times_alone_give_the_start(tmp_path: Path) -> None:
    """Without a start in the header, the earliest absolute time of the table is grid frame 0."""
    dates = ["1998.12.06_01:36:31_TAI", "1998.12.06_00:00:31_TAI"]
    cube = read_cube(_write(tmp_path, _image(), _table("T_REC", dates, kind="23A")))
    assert (cube.start, cube.start_scale) == ("1998-12-06T00:00:00", "tai")
    np.testing.assert_array_equal(cube.seconds, TIMES)
    np.testing.assert_array_equal(cube.observed_gauss, FIELD[::-1])


def test_written_cube_is_read_back(tmp_path: Path) -> None:
    """What `write_cube` wrote comes back within half a quantum, with NaN, start and region."""
    field = np.where(np.arange(24).reshape(2, 3, 4) % 5 == 0, np.nan, FIELD * 100.03)
    path = tmp_path / "C.fits"
    write_cube(path, field, TIMES, start="2001-01-01T00:00:00", region="R7", instrument=MDI, header={"SEED": 3})
    cube = read_cube(path)
    np.testing.assert_allclose(cube.observed_gauss, field, atol=0.0501)
    np.testing.assert_array_equal(cube.seconds, TIMES)
    assert (cube.start, cube.start_scale, cube.region) == ("2001-01-01T00:00:00", "utc", "R7")
    assert fits.getval(path, "SEED") == 3
    assert list(tmp_path.iterdir()) == [path]


def test_real_video(real_data: Path) -> None:
    """The real video has the 31 frames, the start and the bounds that its README names."""
    cube = read_cube(real_data / "BARD0310_19981206.fits")
    assert cube.observed_gauss.shape == (31, 90, 90)
    assert (cube.start, cube.region) == ("1998-12-06T00:00:00", "BARD0310")
    assert np.floor(cube.seconds / 5760).tolist() == [0, *range(30, 180, 5)]
    assert np.abs(cube.observed_gauss).max() <= 1000


# -- times and start ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cards", "start", "scale"),
    [
        ({"DATE_BEG": "1998-12-06T00:00:31", "TIMESYS": "TAI"}, "1998-12-06T00:00:00", "tai"),
        ({"T_REC": "1998.12.06_00:00:31_TAI"}, "1998-12-06T00:00:00", "tai"),
        ({"T_REC": "1998.12.06_00:00:31_TAI", "TIMESYS": "UTC"}, "1998-12-06T00:00:00", "tai"),
        ({"DATE_OBS": "1998-12-06T00:00:00.250Z"}, "1998-12-06T00:00:00.250", "utc"),
        ({"DATE_OBS": "1998-12-06"}, "1998-12-06T00:00:00", "utc"),
        ({"DATE_OBS": "06/12/98"}, "1998-12-06T00:00:00", "utc"),
        ({"DATE_BEG": "1999-01-01T00:00:00", "DATE_OBS": "1998-12-06T00:00:00"}, "1999-01-01T00:00:00", "utc"),
        ({"DATE_OBS": "N/A"}, None, None),
        ({}, None, None),
    ],
)
def test_start(tmp_path: Path, cards: dict[str, object], start: str | None, scale: str | None) -> None:
    """The start comes from DATE-BEG, DATE-OBS or T_REC and is turned into UTC from the scale the file names."""
    cube = read_cube(_pair(tmp_path, _image(**cards)))
    assert (cube.start, cube.start_scale) == (start, scale)


@pytest.mark.parametrize(
    ("name", "start", "region"),
    [
        ("BARD0310_19981206", "1998-12-06T00:00:00", "BARD0310"),
        ("BARD0310_19981306", None, "BARD0310"),
        ("BARD0310", None, None),
    ],
)
def test_name_stands_in_for_headers(tmp_path: Path, name: str, start: str | None, region: str | None) -> None:
    """Where headers say nothing, start and region come from a name like the authors'."""
    cube = read_cube(_pair(tmp_path, name=name))
    assert (cube.start, cube.start_scale, cube.region) == (start, None, region)


@pytest.mark.parametrize(
    ("cards", "region"),
    [({"REGION": "R1"}, "R1"), ({"NOAA_AR": 8398}, "NOAA 8398"), ({"HARPNUM": 12}, "HARP 12"), ({"NOAA_AR": 0}, "X")],
)
def test_region(tmp_path: Path, cards: dict[str, object], region: str) -> None:
    """A header's region comes before the name's; number 0 means none."""
    assert read_cube(_pair(tmp_path, _image(**cards), name="X_19981206")).region == region


def test_frames_come_in_order_of_time(tmp_path: Path) -> None:
    """Unsorted frames are sorted; of two at one time the later in the file counts; unknown times are dropped."""
    field = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), dtype=np.float32) + 1.0
    cube = read_cube(_pair(tmp_path, _image(field), np.array([200.0, 100.0, np.nan, 200.0, 0.0])))
    assert cube.seconds.tolist() == [0.0, 100.0, 200.0]
    assert cube.observed_gauss[:, 0, 0].tolist() == [5.0, 2.0, 4.0]


# -- pixels ------------------------------------------------------------------------------------------


def test_scaled_integers(tmp_path: Path) -> None:
    """BSCALE, BZERO and BLANK are applied."""
    image = _image(np.array([[[1, 2], [-32768, 4]]], dtype=np.int16))
    image.header.update({"BSCALE": 0.5, "BZERO": 10.0, "BLANK": -32768})
    cube = read_cube(_pair(tmp_path, image, np.array([0.0])))
    np.testing.assert_array_equal(cube.observed_gauss, [[[10.5, 11.0], [np.nan, 12.0]]])


def test_packed_files(tmp_path: Path) -> None:
    """Gzip and Rice give the same frames as the plain file, and another hash."""
    field = (np.arange(2 * 90 * 90).reshape(2, 90, 90) % 400).astype(np.int16)  # packs to less than it holds
    plain = _pair(tmp_path, _image(field), name="plain")
    packed = tmp_path / "packed.fits"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    (tmp_path / "packed.dt.fits").write_bytes(gzip.compress((tmp_path / "plain.dt.fits").read_bytes()))
    rice = _write(tmp_path, fits.PrimaryHDU(), fits.CompImageHDU(field), _table("SECONDS", TIMES), name="rice")
    for path in (packed, rice):
        np.testing.assert_array_equal(read_cube(path).observed_gauss, field)
        assert hash_cube(path) != hash_cube(plain)


@pytest.mark.parametrize(
    ("unit", "factor"), [("Gauss", 1), ("G", 1), ("gauss", 1), ("kG", 1e3), ("T", 1e4), ("mT", 10), ("Mx/cm^2", 1)]
)
def test_units(tmp_path: Path, unit: str, factor: float) -> None:
    """Any unit of magnetic flux density is converted to gauss."""
    cube = read_cube(_pair(tmp_path, _image(FIELD / 10.0, BUNIT=unit)))
    np.testing.assert_allclose(cube.observed_gauss, FIELD / 10.0 * factor, rtol=1e-6)


def test_infinite_is_no_number(tmp_path: Path) -> None:
    """Infinite values come out as NaN."""
    field = FIELD.copy()
    field[0, 0, :2] = np.inf, -np.inf
    assert np.isnan(read_cube(_pair(tmp_path, _image(field))).observed_gauss[0, 0, :2]).all()


# -- hash --------------------------------------------------------------------------------------------


def test_hash_is_that_of_both_files(tmp_path: Path) -> None:
    """The hash is ``cat NAME.fits NAME.dt.fits | sha256sum``: it changes with either file."""
    path = _pair(tmp_path)
    companion = tmp_path / f"C{COMPANION_SUFFIX}"
    assert hash_cube(path) == hashlib.sha256(path.read_bytes() + companion.read_bytes()).hexdigest()
    before = hash_cube(path)
    companion.unlink()
    fits.PrimaryHDU(TIMES + 1.0).writeto(companion)
    assert hash_cube(path) != before


def test_companions_are_no_cubes() -> None:
    """Companions, hidden files and other files are not taken for cubes."""
    names = ["a.fits", "a.dt.fits", ".b.fits", "labels.csv"]
    assert [is_cube_file(Path(name)) for name in names] == [True, False, False, False]


# -- refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (gzip.compress(b""), "is empty"),
        (b"<!DOCTYPE html><html>", "no FITS file"),
        (b"\x1f\x8b\x08\x00junk", "damaged"),
        (gzip.compress(b"SIMPLE  =" * 999)[:60], "damaged"),
        (b"SIMPLE  =                    T" + b" " * 50, "damaged"),
        (b"SIMPLE  = \xff\xfe\x00" * 300, "damaged"),
    ],
    ids=["empty", "empty gzip", "HTML", "broken gzip", "cut gzip", "cut header", "binary header"],
)
def test_no_fits(tmp_path: Path, content: bytes, says: str) -> None:
    """What is no FITS file is refused by what it is instead."""
    path = tmp_path / "C.fits"
    path.write_bytes(content)
    assert says in _refusal(path)


def test_truncated(tmp_path: Path) -> None:
    """A file cut off anywhere in its data is refused."""
    path = _pair(tmp_path, _image(np.ones((4, 30, 30), dtype=np.float32) * FIELD[0, 0, 0]), np.arange(4.0))
    content = path.read_bytes()
    for kept in (2880, 2881, len(content) - 2881):
        path.write_bytes(content[:kept])
        assert "cut off" in _refusal(path)


@pytest.mark.parametrize("shape", [(2**18, 1024, 1024), (4, 30, 30)], ids=["a terabyte", "a little more"])
def test_claims_are_checked_first(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    """A header that claims more than the file holds is refused before anything is allocated."""
    path = _pair(tmp_path)
    with path.open("r+b") as file:
        header = fits.Header.fromfile(file)
        header["NAXIS3"], header["NAXIS2"], header["NAXIS1"] = shape
        file.seek(0)
        file.write(header.tostring().encode())
    assert "claim" in _refusal(path)


def test_small_file_that_claims_a_large_image(tmp_path: Path) -> None:
    """A compressed image that claims gigabytes is refused by its header."""
    image = fits.CompImageHDU(np.zeros((2, 16, 16), dtype=np.int16))
    path = _write(tmp_path, fits.PrimaryHDU(), image, _table("SECONDS", TIMES))
    path.write_bytes(path.read_bytes().replace(b"ZNAXIS3 =                    2", b"ZNAXIS3 =             99999999"))
    assert "claims" in _refusal(path)


@pytest.mark.parametrize(
    ("hdus", "says"),
    [
        ([fits.PrimaryHDU()], "no image"),
        ([fits.PrimaryHDU(FIELD[0])], "(3, 4)"),
        ([fits.PrimaryHDU(FIELD[None])], "(1, 2, 3, 4)"),
        ([fits.PrimaryHDU(FIELD[0]), fits.ImageHDU(FIELD[0, :2])], "equal size"),
        ([_image(BUNIT="km")], "BUNIT is 'km'"),
        ([_image(BUNIT="furlongs per bit")], "BUNIT"),
        ([_image(FIELD * np.nan)], "no pixel holds a number"),
        ([_image((FIELD + 12.3).astype("<f4").view(">f4").astype(np.float32))], "byte order"),
        ([_image(DATE_OBS="yesterday")], "DATE-OBS is 'yesterday'"),
        ([_image(DATE_OBS="1998-13-06T00:00:00")], "DATE-OBS"),
        ([_image(DATE_OBS="1998-12-06T00:00:00", TIMESYS="GPS")], "'GPS'"),
        ([_image()], "no times"),
        ([_image(), _table("FLUX", TIMES)], "no times"),
        ([_image(), _table("SECONDS", TIMES, unit="G")], "unit of its times is 'G'"),
        ([_image(), _table("SECONDS", [0.0, 1.0, 2.0])], "2 frames and 3 times"),
        ([_image(), _table("T_REC", ["soon", "later"], kind="5A")], "T_REC is 'soon'"),
        ([_image(), _table("SECONDS", [np.nan, np.inf])], "none of its times is a number"),
    ],
)
def test_what_it_holds_is_no_cube(tmp_path: Path, hdus: list[object], says: str) -> None:
    """A FITS file that holds no observed video is refused by what is wrong in it."""
    assert says in _refusal(_write(tmp_path, *hdus))


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (np.arange(3.0), "2 frames and 3 times"),
        (FIELD, "no list of numbers"),
        (None, "companion"),
        (b"HTML", "companion"),
    ],
)
def test_bad_companions(tmp_path: Path, times: object, says: str) -> None:
    """A companion of another length, of no list, or of no FITS is refused."""
    path = _write(tmp_path, _image())
    companion = tmp_path / f"C{COMPANION_SUFFIX}"
    if isinstance(times, np.ndarray):
        fits.PrimaryHDU(times).writeto(companion)
    else:
        companion.write_bytes(times if isinstance(times, bytes) else b"")
    assert says in _refusal(path)


def test_absent_file(tmp_path: Path) -> None:
    """A file that is not there, or is a folder, is refused like any other."""
    (tmp_path / "D.fits").mkdir()
    assert "is not in" in _refusal(tmp_path / "C.fits")
    assert "cannot be read" in _refusal(tmp_path / "D.fits")


def test_every_damage_is_a_sentence(tmp_path: Path) -> None:
    """A file with bytes overwritten at random is read or refused; nothing else ever comes out."""
    path = tmp_path / "C.fits"
    write_cube(path, FIELD, TIMES, start="2001-01-01T00:00:00", region="R", instrument=MDI)
    whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    rng = np.random.default_rng(0)
    sentences = []
    for _ in range(150):
        damaged = whole.copy()
        where = rng.integers(0, whole.size, size=rng.integers(1, 40))
        damaged[where] = rng.integers(0, 256, size=where.size)
        path.write_bytes(damaged.tobytes())
        try:
            read_cube(path)
        except CubeError as refusal:
            sentences.append(str(refusal))
    assert 0 < len(sentences) < 150
    assert not any("\n" in sentence for sentence in sentences)
