"""Cubes: the values in the files are returned unchanged, and every faulty file is refused with its reason."""

import gzip
import hashlib
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from helioloop.data import cubes
from helioloop.data.cubes import (
    Cube,
    CubeFiles,
    CubeHeader,
    hash_cube,
    is_cube_file,
    read_cube,
    read_cube_header,
    write_cube,
)
from helioloop.data.times import COMPANION_SUFFIX
from helioloop.errors import CubeError
from helioloop.records.instrument import MDI

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
        warnings.simplefilter("ignore")  # some of these files break the FITS standard on purpose
        fits.HDUList(list(hdus)).writeto(path)
    return path


def _pair(folder: Path, image: fits.PrimaryHDU | None = None, times: np.ndarray = TIMES, *, name: str = "C") -> Path:
    path = _write(folder, image or _image(), name=name)
    fits.PrimaryHDU(times).writeto(folder / f"{name}{COMPANION_SUFFIX}")
    return path


def _read(path: Path) -> Cube:
    """Read a cube, and check that reading its header alone gives the same name, start and region."""
    cube = read_cube(path)
    header = CubeHeader(name=cube.name, start=cube.start, start_scale=cube.start_scale, region=cube.region)
    assert read_cube_header(path) == header
    return cube


def _refusal(path: Path) -> str:
    """Return the message with which a cube is refused."""
    with pytest.raises(CubeError) as refused:
        read_cube(path)
    message = str(refused.value)
    assert message.startswith(path.name)
    assert "\n" not in message
    return message


# -- the two layouts ---------------------------------------------------------------------------------


def test_authors_pair(tmp_path: Path) -> None:
    """The authors' pair gives the image in gauss and the companion's seconds."""
    cube = _read(_pair(tmp_path, _image(DATE_OBS="1998-12-06T01:02:03"), name="BARD0310_19981206"))
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
    """The table of a single file may give times as durations, dates or days; all become seconds since the start."""
    cube = _read(_write(tmp_path, _image(DATE_BEG="1998-12-06T00:00:00"), table))
    np.testing.assert_allclose(cube.seconds, TIMES, rtol=0, atol=1e-3)
    assert cube.start == "1998-12-06T00:00:00"


def test_absolute_times_alone_give_the_start(tmp_path: Path) -> None:
    """Without a start in the header, the earliest absolute time of the table is grid frame 0."""
    dates = ["1998.12.06_01:36:31_TAI", "1998.12.06_00:00:31_TAI"]
    cube = _read(_write(tmp_path, _image(), _table("T_REC", dates, kind="23A")))
    assert (cube.start, cube.start_scale) == ("1998-12-06T00:00:00", "tai")
    np.testing.assert_array_equal(cube.seconds, TIMES)
    np.testing.assert_array_equal(cube.observed_gauss, FIELD[::-1])


def test_written_cube_is_read_back(tmp_path: Path) -> None:
    """`read_cube` returns what `write_cube` wrote within half a step of 0.1 G, with NaN, start and region."""
    field = np.where(np.arange(24).reshape(2, 3, 4) % 5 == 0, np.nan, FIELD * 100.03)
    path = tmp_path / "C.fits"
    write_cube(path, field, TIMES, start="2001-01-01T00:00:00", region="R7", instrument=MDI, header={"SEED": 3})
    cube = _read(path)
    np.testing.assert_allclose(cube.observed_gauss, field, atol=0.0501)
    np.testing.assert_array_equal(cube.seconds, TIMES)
    assert (cube.start, cube.start_scale, cube.region) == ("2001-01-01T00:00:00", "utc", "R7")
    assert fits.getval(path, "SEED") == 3
    assert list(tmp_path.iterdir()) == [path]


def test_real_video(real_data: Path) -> None:
    """The real video has the 31 frames, the start and the bounds given in its README."""
    cube = _read(real_data / "BARD0310_19981206.fits")
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
    """The start comes from DATE-BEG, DATE-OBS or T_REC and is converted to UTC from the time scale in the file."""
    cube = _read(_pair(tmp_path, _image(**cards)))
    assert (cube.start, cube.start_scale) == (start, scale)


@pytest.mark.parametrize(
    ("name", "start", "region"),
    [
        ("BARD0310_19981206", "1998-12-06T00:00:00", "BARD0310"),
        ("BARD0310_19981306", None, "BARD0310"),
        ("BARD0310", None, None),
    ],
)
def test_start_and_region_from_the_name(tmp_path: Path, name: str, start: str | None, region: str | None) -> None:
    """Without header cards, start and region come from a file name like those of the authors."""
    cube = _read(_pair(tmp_path, name=name))
    assert (cube.start, cube.start_scale, cube.region) == (start, None, region)


@pytest.mark.parametrize(
    ("cards", "region"),
    [({"REGION": "R1"}, "R1"), ({"NOAA_AR": 8398}, "NOAA 8398"), ({"HARPNUM": 12}, "HARP 12"), ({"NOAA_AR": 0}, "X")],
)
def test_region(tmp_path: Path, cards: dict[str, object], region: str) -> None:
    """A region in the header is preferred to that of the file name; the number 0 means none."""
    assert _read(_pair(tmp_path, _image(**cards), name="X_19981206")).region == region


@pytest.mark.parametrize(
    "value",
    ["MISSING", "missing", "-2147483648", "-32768", "NaN", "Invalid KeyLink", "0", "-1", " ", None, -2147483648, 0.0],
)
@pytest.mark.parametrize("card", ["REGION", "NOAA_AR", "HARPNUM"])
def test_codes_of_missing_values_are_not_regions(tmp_path: Path, card: str, value: object) -> None:
    """A code that the archive writes for an unknown region names none, and the next card is used."""
    assert _read(_pair(tmp_path, _image(**{card: value}), name="X_19981206")).region == "X"
    (tmp_path / "next").mkdir()
    others = {"NOAA_AR": 8398, "HARPNUM": 12} | {card: value}
    expected = "HARP 12" if card == "NOAA_AR" else "NOAA 8398"
    assert _read(_pair(tmp_path / "next", _image(**others))).region == expected


@pytest.mark.parametrize("region", ["1", "AR 0", "MISSING LINK", "Nantes", "R-1"])
def test_names_that_resemble_missing_values_are_regions(tmp_path: Path, region: str) -> None:
    assert _read(_pair(tmp_path, _image(REGION=region))).region == region


def test_cards_without_quotes(tmp_path: Path) -> None:
    """Text without quotes is read as text; NaN without quotes is a missing value."""
    path = _pair(tmp_path, _image(REGION="xxxxx", NOAA_AR="yyy", DATE_OBS="zzzzzzzzzzzzzzzzzzz"))
    content = path.read_bytes()
    for quoted, bare in ((b"'xxxxx   '", b"AR9366    "), (b"'yyy     '", b"NaN       ")):
        content = content.replace(quoted, bare)
    path.write_bytes(content.replace(b"'zzzzzzzzzzzzzzzzzzz'", b"1998-12-06T00:00:31  "))
    cube = _read(path)
    assert (cube.region, cube.start) == ("AR9366", "1998-12-06T00:00:31")
    path.write_bytes(path.read_bytes().replace(b"AR9366    ", b"NaN       "))
    assert _read(path).region is None


@pytest.mark.parametrize("value", ["MISSING", "-4712.01.01_11:59:28_TAI", "Invalid KeyLink", None])
def test_codes_of_missing_times_are_no_start(tmp_path: Path, value: object) -> None:
    cube = _read(_pair(tmp_path, _image(DATE_OBS=value, T_REC="1998.12.06_00:00:31_TAI")))
    assert cube.start == "1998-12-06T00:00:00"


@pytest.mark.parametrize(
    ("day", "time", "start"),
    [
        ("1998-12-06", "01:36:00", "1998-12-06T01:36:00"),
        ("1998-12-06", "01:36:31.000_TAI", "1998-12-06T01:36:00"),
        ("1998-12-06T12:00:00", "01:36:00", "1998-12-06T12:00:00"),
        ("1998-12-06", "MISSING", "1998-12-06T00:00:00"),
    ],
)
def test_the_time_of_day_in_a_card_of_its_own(tmp_path: Path, day: str, time: str, start: str) -> None:
    """TIME-OBS completes a DATE-OBS that is only a day."""
    assert _read(_pair(tmp_path, _image(**{"DATE-OBS": day, "TIME-OBS": time}))).start == start


@pytest.mark.parametrize("columns", [("DATE", "TIME"), ("DATE-OBS", "TIME-OBS"), ("date_obs", "time_obs")])
def test_day_and_time_of_day_in_two_columns(tmp_path: Path, columns: tuple[str, str]) -> None:
    values = (["1998-12-06", "1998-12-06"], ["00:00:00", "01:36:00"])
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, "10A", array=texts) for name, texts in zip(columns, values, strict=True)]
    )
    cube = _read(_write(tmp_path, _image(), table))
    assert cube.start == "1998-12-06T00:00:00"
    np.testing.assert_array_equal(cube.seconds, TIMES)


def test_a_column_date_of_processing_is_not_used_beside_one_of_observation(tmp_path: Path) -> None:
    processed, observed = ["2009-01-02T03:04:05"] * 2, ["1998-12-06T00:00:00", "1998-12-06T01:36:00"]
    table = fits.BinTableHDU.from_columns(
        [fits.Column("DATE", "20A", array=processed), fits.Column("UTC", "20A", array=observed)]
    )
    cube = _read(_write(tmp_path, _image(), table))
    np.testing.assert_array_equal(cube.seconds, TIMES)


def test_a_reference_day_in_two_cards(tmp_path: Path) -> None:
    """MJDREFI + MJDREFF equals MJDREF."""
    table = _table("TIME", TIMES - 86400.0, unit="s", MJDREFI=51153, MJDREFF=1.0)
    cube = _read(_write(tmp_path, _image(), table))
    assert cube.start == "1998-12-06T00:00:00"
    np.testing.assert_allclose(cube.seconds, TIMES, rtol=0, atol=1e-3)


def test_frames_are_sorted_by_time(tmp_path: Path) -> None:
    """Frames are sorted by time; of two with equal time the later in the file is kept; unknown times are dropped."""
    field = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), dtype=np.float32) + 1.0
    cube = _read(_pair(tmp_path, _image(field), np.array([200.0, 100.0, np.nan, 200.0, 0.0])))
    assert cube.seconds.tolist() == [0.0, 100.0, 200.0]
    assert cube.observed_gauss[:, 0, 0].tolist() == [5.0, 2.0, 4.0]


# -- the header alone --------------------------------------------------------------------------------

TIME_TABLES = [
    _table("SECONDS", TIMES),
    _table("T_REC", ["1998.12.06_00:00:31_TAI", "1998.12.06_01:36:31_TAI"], kind="23A"),
    _table("DATE-OBS", ["1998-12-06T00:00:00Z", "1998-12-06T01:36:00"], kind="20A"),
    _table("MJD", 51153.0 + TIMES / 86400.0, TIMESYS="TT"),
    _table("JD", 2451153.5 + TIMES / 86400.0),
    _table("TIME", TIMES - 86400.0, unit="s", MJDREF=51154.0),
]
START_CARDS = [{}, {"DATE_BEG": "1998-12-05T12:00:00"}, {"T_REC": "1998.12.06_00:00:31_TAI"}, {"DATE_OBS": "N/A"}]
REGION_CARDS = [{}, {"REGION": "R1"}, {"NOAA_AR": 8398}]


@pytest.mark.parametrize("name", ["X_19981206", "C"])
@pytest.mark.parametrize("region", REGION_CARDS, ids=str)
@pytest.mark.parametrize("start", START_CARDS, ids=str)
def test_header_alone_equals_that_of_the_whole_cube(
    tmp_path: Path, start: dict[str, object], region: dict[str, object], name: str
) -> None:
    """In every layout of the times, reading only the header gives the same start, time scale and region."""
    for number, table in enumerate(TIME_TABLES):
        folder = tmp_path / str(number)
        folder.mkdir()
        _read(_write(folder, _image(**start, **region), table, name=name))
    _read(_pair(tmp_path, _image(**start, **region), name=name))


@pytest.mark.parametrize("companion_start", [{}, {"DATE_OBS": "1998-12-06T01:02:03"}], ids=str)
def test_start_in_the_header_of_the_companion(tmp_path: Path, companion_start: dict[str, object]) -> None:
    """Where the image has no start, that of the companion is used."""
    path = _write(tmp_path, _image())
    _write(tmp_path, _image(TIMES, **companion_start), name="C.dt")
    cube = _read(path)
    assert cube.start == companion_start.get("DATE_OBS")
    assert cube.start_scale == ("utc" if companion_start else None)


def test_header_is_read_without_converting_a_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an image in the wrong unit nor destroyed compressed pixels keep the header from being read."""

    def refuse(_: object, **__: object) -> None:
        raise AssertionError("a pixel was converted")

    cards = {"DATE_OBS": "1998-12-06T00:00:00", "REGION": "R1"}
    field = (np.arange(2 * 90 * 90).reshape(2, 90, 90) % 400).astype(np.int16)
    rice = fits.CompImageHDU(field, header=_image(**cards).header)
    damaged = _write(tmp_path, fits.PrimaryHDU(), rice, _table("SECONDS", TIMES), name="rice")
    with fits.open(damaged, disable_image_compression=True) as hdus:
        table = hdus[1].header
        pixels = hdus[1].fileinfo()["datLoc"] + table["NAXIS1"] * table["NAXIS2"]  # after the rows of the table
        n_bytes = table["PCOUNT"]
    with damaged.open("r+b") as file:
        file.seek(pixels)
        file.write(b"\xff" * n_bytes)
    wrong_unit = _pair(tmp_path, _image(**cards, BUNIT="km"), name="unit")
    for path in (damaged, wrong_unit):
        _refusal(path)
        monkeypatch.setattr(cubes, "field_in_gauss", refuse)
        header = read_cube_header(path)
        monkeypatch.undo()
        assert header == CubeHeader(name=path.stem, start="1998-12-06T00:00:00", start_scale="utc", region="R1")


def test_header_is_read_without_reading_the_whole_file(tmp_path: Path) -> None:
    """Reading the header of a cube of 16 MB takes less than 1 MB of memory."""
    path = _pair(tmp_path, _image(np.ones((1000, 90, 90), dtype=np.int16), REGION="R1"), np.arange(1000.0))
    assert path.stat().st_size > 16e6
    read_cube_header(path)  # imports that happen at the first call are not counted
    tracemalloc.start()
    header = read_cube_header(path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert header.region == "R1"
    assert peak_bytes < 1e6


# -- pixels ------------------------------------------------------------------------------------------


def test_scaled_integers(tmp_path: Path) -> None:
    """BSCALE, BZERO and BLANK are applied."""
    image = _image(np.array([[[1, 2], [-32768, 4]]], dtype=np.int16))
    image.header.update({"BSCALE": 0.5, "BZERO": 10.0, "BLANK": -32768})
    cube = _read(_pair(tmp_path, image, np.array([0.0])))
    np.testing.assert_array_equal(cube.observed_gauss, [[[10.5, 11.0], [np.nan, 12.0]]])


@pytest.mark.parametrize(
    ("card", "value", "reason"),
    [
        ("BSCALE", "0.1", "BSCALE is '0.1'; it must be a number, without quotes: correct it"),
        ("BZERO", "5", "BZERO is '5'; it must be a number"),
        ("BSCALE", None, "BSCALE is ''; it must be a number"),
        ("BSCALE", 0.0, "BSCALE is 0, with which no pixel has a field"),
    ],
)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_scale_that_is_no_number_is_named(tmp_path: Path, card: str, value: object, reason: str, dtype: type) -> None:
    """Such a file was said to be damaged, with a sentence of numpy's, and to be fetched again."""
    image = _image(FIELD.astype(dtype))
    image.header[card] = value
    assert reason in _refusal(_pair(tmp_path, image))


def test_compressed_files(tmp_path: Path) -> None:
    """Files compressed by gzip or Rice give the same frames as the uncompressed file, and another hash."""
    field = (np.arange(2 * 90 * 90).reshape(2, 90, 90) % 100 - 50).astype(np.int16)  # compresses well
    plain = _pair(tmp_path, _image(field), name="plain")
    packed = tmp_path / "packed.fits"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    (tmp_path / "packed.dt.fits").write_bytes(gzip.compress((tmp_path / "plain.dt.fits").read_bytes()))
    rice = _write(tmp_path, fits.PrimaryHDU(), fits.CompImageHDU(field), _table("SECONDS", TIMES), name="rice")
    for path in (packed, rice):
        np.testing.assert_array_equal(_read(path).observed_gauss, field)
        assert hash_cube(path) != hash_cube(plain)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        *(("Gauss", 1), ("G", 1), ("gauss", 1), ("kG", 1e3), ("T", 1e4), ("mT", 10), ("Mx/cm^2", 1), ("GAUSS", 1)),
        *(("KGAUSS", 1e3), ("kilogauss", 1e3), ("Tesla", 1e4), ("milliTesla", 10), ("Mx cm^-2", 1), ("MX/CM^2", 1)),
        *(("[G]", 1), ("G (LOS)", 1), ("gauss (line of sight)", 1), ("Gs", 1), ("0.1 G", 0.1)),
    ],
)
def test_units(tmp_path: Path, unit: str, factor: float) -> None:
    """Any unit of magnetic flux density is converted to gauss."""
    cube = _read(_pair(tmp_path, _image(FIELD / 10.0, BUNIT=unit)))
    np.testing.assert_allclose(cube.observed_gauss, FIELD / 10.0 * factor, rtol=1e-6)


def test_cards_of_the_first_hdu_count_for_an_image_in_another_one(tmp_path: Path) -> None:
    """Unit, rotation and content; the image's own cards count more."""
    field = np.random.default_rng(0).normal(0.0, 20.0, (2, 30, 30)).astype(np.float32)
    first = fits.PrimaryHDU()
    first.header.update({"BUNIT": "kG", "CDELT2": -1.0, "CDELT1": 1.0})
    path = _write(tmp_path, first, fits.ImageHDU(field / 1000.0), _table("SECONDS", TIMES), name="first")
    cube, origin = CubeFiles.read(path).cube_and_origin()
    np.testing.assert_allclose(cube.observed_gauss, field[:, ::-1], rtol=1e-5)
    assert origin.unit_source == "BUNIT"
    own = fits.ImageHDU(field, header=fits.Header({"BUNIT": "G", "CDELT1": 1.0, "CDELT2": 1.0}))
    cube = _read(_write(tmp_path, first, own, _table("SECONDS", TIMES), name="own"))
    np.testing.assert_allclose(cube.observed_gauss, field, rtol=1e-5)
    first.header["CONTENT"] = "DOPPLERGRAM"
    with pytest.raises(CubeError, match="CONTENT is 'DOPPLERGRAM'"):
        _read(_write(tmp_path, first, own, _table("SECONDS", TIMES), name="content"))


@pytest.mark.parametrize(("kind", "lowest"), [("i2", -32768), ("i4", -(2**31)), ("i8", -(2**63))])
@pytest.mark.parametrize("cards", [{}, {"BSCALE": 0.1, "BZERO": 0.0}, {"BSCALE": 2.0, "BZERO": 5.0}])
def test_the_lowest_integer_is_missing_without_blank(tmp_path: Path, kind: str, lowest: int, cards: Any) -> None:
    """No field has that value, and archives write it where BLANK belongs; the report says so."""
    field = np.random.default_rng(0).normal(0.0, 20.0, (2, 30, 30)).round()
    image = _image(np.where(np.arange(30) == 4, lowest, field).astype(kind))
    image.header.update(cards)
    cube, origin = CubeFiles.read(_pair(tmp_path, image)).cube_and_origin()
    assert np.isnan(cube.observed_gauss).nonzero()[2].tolist() == [4] * 60
    expected = field * cards.get("BSCALE", 1.0) + cards.get("BZERO", 0.0)
    np.testing.assert_allclose(np.delete(cube.observed_gauss, 4, axis=2), np.delete(expected, 4, axis=2), rtol=1e-6)
    assert origin.notes == (f"BLANK is missing, and 60 pixels with the lowest integer {lowest} were read as missing",)
    assert origin.doubts == ()


def test_unsigned_integers_have_no_missing_value(tmp_path: Path) -> None:
    """BZERO of 32768 declares them; their lowest value is 0."""
    field = np.random.default_rng(0).normal(0.0, 20.0, (2, 30, 30)).round() + 32768.0
    image = _image(field.astype(np.uint16))
    with pytest.raises(CubeError, match="beyond 7000 G"):
        CubeFiles.read(_pair(tmp_path, image)).cube()


@pytest.mark.parametrize("code", [32767.0, 9999.0, 1e6, 1e30, -1e6])
def test_codes_beyond_any_field_become_nan(tmp_path: Path, code: float) -> None:
    """A value beyond ± the strongest field of the Sun that many pixels share is the code of pixels off the disk."""
    field = np.random.default_rng(0).normal(0.0, 20.0, (2, 30, 30)).astype(np.float32)
    coded = field.copy()
    coded[:, :8] = code
    read = _read(_pair(tmp_path, _image(coded))).observed_gauss
    assert np.isnan(read[:, :8]).all()
    np.testing.assert_array_equal(read[:, 8:], field[:, 8:])


@pytest.mark.parametrize("value", [6000.0, -32768.0, -2000.0])
def test_strong_fields_and_usual_codes_are_unchanged(tmp_path: Path, value: float) -> None:
    """A saturated umbra, and the negative codes that gridding finds at the corners, keep their values."""
    field = np.random.default_rng(0).normal(0.0, 20.0, (2, 30, 30)).astype(np.float32)
    field[:, :8] = value
    np.testing.assert_array_equal(_read(_pair(tmp_path, _image(field))).observed_gauss, field)


def test_a_few_hot_pixels_are_unchanged(tmp_path: Path) -> None:
    field = np.random.default_rng(0).normal(0.0, 20.0, (2, 30, 30)).astype(np.float32)
    field[:, 4, :3] = 9000.0
    np.testing.assert_array_equal(_read(_pair(tmp_path, _image(field))).observed_gauss, field)


def test_infinite_values_become_nan(tmp_path: Path) -> None:
    """Infinite pixels are returned as NaN."""
    field = FIELD.copy()
    field[0, 0, :2] = np.inf, -np.inf
    assert np.isnan(_read(_pair(tmp_path, _image(field))).observed_gauss[0, 0, :2]).all()


# -- hash --------------------------------------------------------------------------------------------


def test_hash_covers_both_files(tmp_path: Path) -> None:
    """The hash equals ``cat NAME.fits NAME.dt.fits | sha256sum``, so it changes with either file."""
    path = _pair(tmp_path)
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
    assert message in _refusal(path)


def test_truncated(tmp_path: Path) -> None:
    """A file that ends before its data do is refused, also when only its header is read."""
    path = _pair(tmp_path, _image(np.ones((4, 30, 30), dtype=np.float32) * FIELD[0, 0, 0]), np.arange(4.0))
    content = path.read_bytes()
    for kept in (2880, 2881, len(content) - 2881):
        path.write_bytes(content[:kept])
        assert "cut off" in _refusal(path)
        with pytest.raises(CubeError, match="cut off"):
            read_cube_header(path)


@pytest.mark.parametrize("shape", [(2**18, 1024, 1024), (4, 30, 30)], ids=["a terabyte", "a little more"])
def test_claimed_size_is_checked_first(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    """A header that claims more data than the file has is refused before any array is allocated."""
    path = _pair(tmp_path)
    with path.open("r+b") as file:
        header = fits.Header.fromfile(file)
        header["NAXIS3"], header["NAXIS2"], header["NAXIS1"] = shape
        file.seek(0)
        file.write(header.tostring().encode())
    assert "claim" in _refusal(path)


def test_small_file_that_claims_a_large_image(tmp_path: Path) -> None:
    """A compressed image whose header claims gigabytes is refused."""
    image = fits.CompImageHDU(np.zeros((2, 16, 16), dtype=np.int16))
    path = _write(tmp_path, fits.PrimaryHDU(), image, _table("SECONDS", TIMES))
    path.write_bytes(path.read_bytes().replace(b"ZNAXIS3 =                    2", b"ZNAXIS3 =             99999999"))
    assert "claims" in _refusal(path)


@pytest.mark.parametrize(
    ("hdus", "message"),
    [
        ([fits.PrimaryHDU()], "no image"),
        ([fits.PrimaryHDU(FIELD[0])], "(3, 4)"),
        ([fits.PrimaryHDU(FIELD[None])], "(1, 2, 3, 4)"),
        ([fits.PrimaryHDU(FIELD[0]), fits.ImageHDU(FIELD[0, :2])], "equal size"),
        ([_image(BUNIT="km")], "BUNIT is 'km'"),
        ([_image(BUNIT="furlongs per bit")], "BUNIT"),
        ([_image(FIELD * np.nan)], "all its pixels are NaN"),
        ([_image((FIELD + 12.3).astype("<f4").view(">f4").astype(np.float32))], "byte order"),
        ([_image(DATE_OBS="yesterday")], "DATE-OBS is 'yesterday'"),
        ([_image(DATE_OBS="1998-13-06T00:00:00")], "DATE-OBS"),
        ([_image(DATE_OBS="1998-12-06T00:00:00", TIMESYS="LST")], "'LST'"),
        ([_image()], "no times"),
        ([_image(), _table("FLUX", TIMES)], "no times"),
        ([_image(), _table("SECONDS", TIMES, unit="G")], "unit of its times is 'G'"),
        ([_image(), _table("SECONDS", [0.0, 1.0, 2.0])], "2 frames and 3 times"),
        ([_image(), _table("SECONDS", [0.0, 1.0, 2.0, 3.0])], "its last axis has that length, so put time first"),
        ([_image(), _table("T_REC", ["soon", "later"], kind="5A")], "T_REC is 'soon'"),
        ([_image(), _table("SECONDS", [np.nan, np.inf])], "all its times are NaN"),
    ],
)
def test_fits_files_that_are_not_cubes(tmp_path: Path, hdus: list[object], message: str) -> None:
    """A FITS file without an observed video is refused, and the message names the fault."""
    assert message in _refusal(_write(tmp_path, *hdus))


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
    path = _write(tmp_path, _image())
    companion = tmp_path / f"C{COMPANION_SUFFIX}"
    if isinstance(times, np.ndarray):
        fits.PrimaryHDU(times).writeto(companion)
    else:
        companion.write_bytes(times if isinstance(times, bytes) else b"")
    assert message in _refusal(path)


def test_absent_file(tmp_path: Path) -> None:
    """A file that does not exist, or is a folder, is refused."""
    (tmp_path / "D.fits").mkdir()
    assert "is not in" in _refusal(tmp_path / "C.fits")
    assert "cannot be read" in _refusal(tmp_path / "D.fits")


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
            _read(path)
        except CubeError as refusal:
            messages.append(str(refusal))
    assert 0 < len(messages) < 150
    assert not any("\n" in message for message in messages)
