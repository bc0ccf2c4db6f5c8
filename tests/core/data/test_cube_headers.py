"""Headers of cubes: start, region and times, from whatever cards and columns have them, and without the pixels."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from tests.core.data.cube_files import TIMES, image_hdu, read_checked, refusal, table_hdu, write_hdus, write_pair

from helioloop.data import cubes
from helioloop.data.cubes import CubeHeader, read_cube_header

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
    cube = read_checked(write_pair(tmp_path, image_hdu(**cards)))
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
    cube = read_checked(write_pair(tmp_path, name=name))
    assert (cube.start, cube.start_scale, cube.region) == (start, None, region)


@pytest.mark.parametrize(
    ("cards", "region"),
    [({"REGION": "R1"}, "R1"), ({"NOAA_AR": 8398}, "NOAA 8398"), ({"HARPNUM": 12}, "HARP 12"), ({"NOAA_AR": 0}, "X")],
)
def test_region(tmp_path: Path, cards: dict[str, object], region: str) -> None:
    """A region in the header is preferred to that of the file name; the number 0 means none."""
    assert read_checked(write_pair(tmp_path, image_hdu(**cards), name="X_19981206")).region == region


@pytest.mark.parametrize(
    "value",
    ["MISSING", "missing", "-2147483648", "-32768", "NaN", "Invalid KeyLink", "0", "-1", " ", None, -2147483648, 0.0],
)
@pytest.mark.parametrize("card", ["REGION", "NOAA_AR", "HARPNUM"])
def test_codes_of_missing_values_are_not_regions(tmp_path: Path, card: str, value: object) -> None:
    """A code that the archive writes for an unknown region names none, and the next card is used."""
    assert read_checked(write_pair(tmp_path, image_hdu(**{card: value}), name="X_19981206")).region == "X"
    (tmp_path / "next").mkdir()
    others = {"NOAA_AR": 8398, "HARPNUM": 12} | {card: value}
    expected = "HARP 12" if card == "NOAA_AR" else "NOAA 8398"
    assert read_checked(write_pair(tmp_path / "next", image_hdu(**others))).region == expected


@pytest.mark.parametrize("region", ["1", "AR 0", "MISSING LINK", "Nantes", "R-1"])
def test_names_that_resemble_missing_values_are_regions(tmp_path: Path, region: str) -> None:
    assert read_checked(write_pair(tmp_path, image_hdu(REGION=region))).region == region


def test_cards_without_quotes(tmp_path: Path) -> None:
    """Text without quotes is read as text; NaN without quotes is a missing value."""
    path = write_pair(tmp_path, image_hdu(REGION="xxxxx", NOAA_AR="yyy", DATE_OBS="zzzzzzzzzzzzzzzzzzz"))
    content = path.read_bytes()
    for quoted, bare in ((b"'xxxxx   '", b"AR9366    "), (b"'yyy     '", b"NaN       ")):
        content = content.replace(quoted, bare)
    path.write_bytes(content.replace(b"'zzzzzzzzzzzzzzzzzzz'", b"1998-12-06T00:00:31  "))
    cube = read_checked(path)
    assert (cube.region, cube.start) == ("AR9366", "1998-12-06T00:00:31")
    path.write_bytes(path.read_bytes().replace(b"AR9366    ", b"NaN       "))
    assert read_checked(path).region is None


@pytest.mark.parametrize("value", ["MISSING", "-4712.01.01_11:59:28_TAI", "Invalid KeyLink", None])
def test_codes_of_missing_times_are_no_start(tmp_path: Path, value: object) -> None:
    cube = read_checked(write_pair(tmp_path, image_hdu(DATE_OBS=value, T_REC="1998.12.06_00:00:31_TAI")))
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
    assert read_checked(write_pair(tmp_path, image_hdu(**{"DATE-OBS": day, "TIME-OBS": time}))).start == start


@pytest.mark.parametrize("columns", [("DATE", "TIME"), ("DATE-OBS", "TIME-OBS"), ("date_obs", "time_obs")])
def test_day_and_time_of_day_in_two_columns(tmp_path: Path, columns: tuple[str, str]) -> None:
    values = (["1998-12-06", "1998-12-06"], ["00:00:00", "01:36:00"])
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, "10A", array=texts) for name, texts in zip(columns, values, strict=True)]
    )
    cube = read_checked(write_hdus(tmp_path, image_hdu(), table))
    assert cube.start == "1998-12-06T00:00:00"
    np.testing.assert_array_equal(cube.seconds, TIMES)


def test_a_column_date_of_processing_is_not_used_beside_one_of_observation(tmp_path: Path) -> None:
    processed, observed = ["2009-01-02T03:04:05"] * 2, ["1998-12-06T00:00:00", "1998-12-06T01:36:00"]
    table = fits.BinTableHDU.from_columns(
        [fits.Column("DATE", "20A", array=processed), fits.Column("UTC", "20A", array=observed)]
    )
    cube = read_checked(write_hdus(tmp_path, image_hdu(), table))
    np.testing.assert_array_equal(cube.seconds, TIMES)


def test_a_reference_day_in_two_cards(tmp_path: Path) -> None:
    """MJDREFI + MJDREFF equals MJDREF."""
    table = table_hdu("TIME", TIMES - 86400.0, unit="s", MJDREFI=51153, MJDREFF=1.0)
    cube = read_checked(write_hdus(tmp_path, image_hdu(), table))
    assert cube.start == "1998-12-06T00:00:00"
    np.testing.assert_allclose(cube.seconds, TIMES, rtol=0, atol=1e-3)


def test_frames_are_sorted_by_time(tmp_path: Path) -> None:
    """Frames are sorted by time; of two with equal time the later in the file is kept; unknown times are dropped."""
    field = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), dtype=np.float32) + 1.0
    cube = read_checked(write_pair(tmp_path, image_hdu(field), np.array([200.0, 100.0, np.nan, 200.0, 0.0])))
    assert cube.seconds.tolist() == [0.0, 100.0, 200.0]
    assert cube.observed_gauss[:, 0, 0].tolist() == [5.0, 2.0, 4.0]


# -- the header alone --------------------------------------------------------------------------------


TIME_TABLES = [
    table_hdu("SECONDS", TIMES),
    table_hdu("T_REC", ["1998.12.06_00:00:31_TAI", "1998.12.06_01:36:31_TAI"], kind="23A"),
    table_hdu("DATE-OBS", ["1998-12-06T00:00:00Z", "1998-12-06T01:36:00"], kind="20A"),
    table_hdu("MJD", 51153.0 + TIMES / 86400.0, TIMESYS="TT"),
    table_hdu("JD", 2451153.5 + TIMES / 86400.0),
    table_hdu("TIME", TIMES - 86400.0, unit="s", MJDREF=51154.0),
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
        read_checked(write_hdus(folder, image_hdu(**start, **region), table, name=name))
    read_checked(write_pair(tmp_path, image_hdu(**start, **region), name=name))


@pytest.mark.parametrize("companion_start", [{}, {"DATE_OBS": "1998-12-06T01:02:03"}], ids=str)
def test_start_in_the_header_of_the_companion(tmp_path: Path, companion_start: dict[str, object]) -> None:
    """Where the image has no start, that of the companion is used."""
    path = write_hdus(tmp_path, image_hdu())
    write_hdus(tmp_path, image_hdu(TIMES, **companion_start), name="C.dt")
    cube = read_checked(path)
    assert cube.start == companion_start.get("DATE_OBS")
    assert cube.start_scale == ("utc" if companion_start else None)


def test_header_is_read_without_converting_a_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an image in the wrong unit nor destroyed compressed pixels keep the header from being read."""

    def refuse(_: object, **__: object) -> None:
        raise AssertionError("a pixel was converted")

    cards = {"DATE_OBS": "1998-12-06T00:00:00", "REGION": "R1"}
    field = (np.arange(2 * 90 * 90).reshape(2, 90, 90) % 400).astype(np.int16)
    rice = fits.CompImageHDU(field, header=image_hdu(**cards).header)
    damaged = write_hdus(tmp_path, fits.PrimaryHDU(), rice, table_hdu("SECONDS", TIMES), name="rice")
    with fits.open(damaged, disable_image_compression=True) as hdus:
        table = hdus[1].header
        pixels = hdus[1].fileinfo()["datLoc"] + table["NAXIS1"] * table["NAXIS2"]  # after the rows of the table
        n_bytes = table["PCOUNT"]
    with damaged.open("r+b") as file:
        file.seek(pixels)
        file.write(b"\xff" * n_bytes)
    wrong_unit = write_pair(tmp_path, image_hdu(**cards, BUNIT="km"), name="unit")
    for path in (damaged, wrong_unit):
        refusal(path)
        monkeypatch.setattr(cubes, "field_in_gauss", refuse)
        header = read_cube_header(path)
        monkeypatch.undo()
        assert header == CubeHeader(name=path.stem, start="1998-12-06T00:00:00", start_scale="utc", region="R1")


def test_header_is_read_without_reading_the_whole_file(tmp_path: Path) -> None:
    """Reading the header of a cube of 16 MB takes less than 1 MB of memory."""
    path = write_pair(tmp_path, image_hdu(np.ones((1000, 90, 90), dtype=np.int16), REGION="R1"), np.arange(1000.0))
    assert path.stat().st_size > 16e6
    read_cube_header(path)  # imports that happen at the first call are not counted
    tracemalloc.start()
    header = read_cube_header(path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert header.region == "R1"
    assert peak_bytes < 1e6
