"""Tables of times: what several writers make of one video is read alike, and contradictions are said or refused."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from astropy.time import Time, TimeDelta
from tests.core.data.timed import (
    SECONDS,
    START,
    TIMES,
    check_midnight,
    cube_image,
    grid_frames_of,
    jsoc,
    number_table,
    read,
    text_table,
)

from helioloop.data.time_text import parse_time
from helioloop.errors import CubeError

DAYS = [text[:10] for text in TIMES.isot]
LATER = START + TimeDelta(SECONDS * 6.0, format="sec")
"""0:00 and 9:36 of the first day, 0:00 of the third: a time of day that falls back."""
LATER_DAYS, LATER_SECONDS = [text[:10] for text in LATER.isot], SECONDS * 6.0 % 86400.0


def _table(*columns: fits.Column, **cards: object) -> fits.BinTableHDU:
    table = fits.BinTableHDU.from_columns(list(columns))
    table.header.update(cards)
    return table


def _text(name: str, values: list[str]) -> fits.Column:
    return fits.Column(name, "40A", array=values)


def _number(name: str, values: object, kind: str = "D", unit: str | None = None) -> fits.Column:
    return fits.Column(name, kind, unit=unit, array=values)


def _refused(folder: Path, message: str, *hdus: object) -> None:
    with pytest.raises(CubeError, match=message):
        read(folder, *hdus)


# -- a day and the time of day in numbers ---------------------------------------------------------


@pytest.mark.parametrize(
    "table",
    [
        _table(_number("DAY", [7280, 7280, 7282], "I"), _number("TIME", LATER_SECONDS * 1000, "J")),
        _table(_number("MJD", [51153, 51153, 51155], "J"), _number("TIME", LATER_SECONDS * 1000, "J")),
        _table(_number("MJD", [51153, 51153, 51155]), _number("TIME", LATER_SECONDS / 3600, unit="h")),
        _table(_text("DATE-OBS", LATER_DAYS), _number("TIME", LATER_SECONDS)),
        _table(_text("DATE", LATER_DAYS), _number("UT", LATER_SECONDS / 3600, unit="hours")),
        _table(_text("DATE_OBS", LATER_DAYS), _number("SECONDS", LATER_SECONDS)),
        _table(_text("DATE-OBS", LATER_DAYS), _text("TIME-OBS", ["0:00:00", "9:36:00", "0:00"])),
    ],
    ids=["DAY of SolarSoft", "MJD of SolarSoft", "MJD", "text and seconds", "text and UT", "falls back", "short clock"],
)
def test_a_day_is_completed_by_a_time_of_day_in_numbers(tmp_path: Path, table: fits.BinTableHDU) -> None:
    cube, origin = read(tmp_path, cube_image(), table)
    assert (cube.start, grid_frames_of(cube), origin.doubts) == ("1998-12-06T00:00:00", [0, 6, 30], ())


def test_seconds_beside_a_day_count_from_the_start(tmp_path: Path) -> None:
    """They do not fall back, and go beyond a day."""
    table = _table(_text("DATE-OBS", LATER_DAYS), _number("SECONDS", SECONDS * 6.0))
    cube, _ = read(tmp_path, cube_image(DATE__BEG="1998-12-06T00:00:00"), table)
    assert grid_frames_of(cube) == [0, 6, 30]


def test_a_time_of_day_beyond_a_day_is_refused(tmp_path: Path) -> None:
    table = _table(_text("DATE-OBS", LATER_DAYS), _number("UT", SECONDS * 6.0))
    _refused(tmp_path, "a time of day is below 86400 s", cube_image(), table)


def test_days_without_time_of_day_are_refused(tmp_path: Path) -> None:
    _refused(tmp_path, "only days and several frames have the same one", cube_image(), text_table(DATE__OBS=LATER_DAYS))


# -- columns that are not times of frames ---------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        _number("DT", np.full(3, 30.0)),
        _number("T", np.full(3, 300.0), unit="K"),
        _number("TIME", [10.0, 20.0, 30.0], unit="G"),
        _number("SECONDS", np.full(3, np.nan)),
        _text("DATE-OBS", [TIMES.isot[0]] * 3),
        _text("DATE-OBS", ["MISSING"] * 3),
    ],
    ids=["exposure time", "temperature", "other unit", "no number", "the same date", "missing dates"],
)
def test_a_column_that_cannot_be_times_is_passed_over(tmp_path: Path, column: fits.Column) -> None:
    image = cube_image(DATE__OBS=TIMES.isot[0])
    check_midnight(tmp_path, image, _table(column, _text("T_REC", jsoc(TIMES))))


def test_equal_times_are_refused_where_no_other_column_has_times(tmp_path: Path) -> None:
    _refused(tmp_path, "all 3 times in column SECONDS are equal", cube_image(), number_table("SECONDS", [7.0] * 3))


def test_mostly_equal_times_are_refused(tmp_path: Path) -> None:
    """Steps between frames, instead of times since the first, are such a case."""
    image = fits.PrimaryHDU(np.random.default_rng(0).normal(0.0, 20.0, (6, 24, 24)).astype(np.float32))
    _refused(tmp_path, "6 frames have only 2 different times", image, number_table("DT", [0.0] + [5760.0] * 5))


def test_numbers_that_contradict_the_dates_are_not_used(tmp_path: Path) -> None:
    steps = [0.0, *np.diff(SECONDS)]
    cube, origin = read(tmp_path, cube_image(), _table(_number("DT", steps), _text("T_REC", jsoc(TIMES))))
    assert (cube.start, grid_frames_of(cube)) == ("1998-12-06T00:00:00", [0, 1, 5])
    assert "column DT and column T_REC disagree by up to 1.6 h" in origin.doubts[0]


@pytest.mark.parametrize(
    "column", [_number("T_REC", SECONDS + 691804831.0), _text("TIME", ["00:00", "01:36", "08:00"])]
)
def test_a_column_named_like_dates_without_dates_is_refused_by_name(tmp_path: Path, column: fits.Column) -> None:
    _refused(tmp_path, f"column {column.name} has no dates that can be read", cube_image(), _table(column))


def test_the_table_with_one_time_per_frame_is_read(tmp_path: Path) -> None:
    """Another table may list something else that has dates."""
    check_midnight(tmp_path, cube_image(), text_table(T_REC=jsoc(TIMES)[:2]), text_table(DATE__OBS=list(TIMES.isot)))


# -- dates that give the start --------------------------------------------------------------------


def test_dates_beside_seconds_give_the_start(tmp_path: Path) -> None:
    cube, origin = read(tmp_path, cube_image(), _table(_number("SECONDS", SECONDS), _text("T_REC", jsoc(TIMES))))
    assert (cube.start, cube.start_scale, origin.start_source) == ("1998-12-06T00:00:00", "tai", "column T_REC")


@pytest.mark.parametrize("frame", [1, 2])
def test_a_header_copied_from_a_later_frame_does_not_date_the_seconds(tmp_path: Path, frame: int) -> None:
    table = _table(_number("SECONDS", SECONDS), _text("T_REC", jsoc(TIMES)))
    cube, origin = read(tmp_path, cube_image(DATE__OBS=TIMES.isot[frame]), table)
    assert (cube.start, grid_frames_of(cube)) == ("1998-12-06T00:00:00", [0, 1, 5])
    assert "after the time in column T_REC at which column SECONDS is 0" in origin.doubts[0]


def test_a_start_in_the_header_of_the_table_is_read(tmp_path: Path) -> None:
    check_midnight(tmp_path, cube_image(), number_table("SECONDS", SECONDS, **{"DATE-OBS": TIMES.isot[0]}))


def test_a_header_that_gives_only_the_day_shifts_no_frame(tmp_path: Path) -> None:
    times = TIMES + TimeDelta(13.0 * 3600.0, format="sec")
    cube, origin = read(tmp_path, cube_image(DATE__OBS="1998-12-06"), text_table(DATE__OBS=list(times.isot)))
    assert (cube.start, grid_frames_of(cube)) == ("1998-12-06T13:00:00", [0, 1, 5])
    assert "gives only the day" in origin.notes[0]


@pytest.mark.parametrize("later_seconds", [0.1, 45.0])
def test_a_header_a_little_after_the_first_time_is_not_called_a_later_frame(
    tmp_path: Path, later_seconds: float
) -> None:
    observed = (START + TimeDelta(later_seconds, format="sec")).isot
    check_midnight(tmp_path, cube_image(DATE__OBS=observed), text_table(DATE__OBS=list(TIMES.isot)))


def test_a_header_of_a_later_frame_is_compared_with_an_axis_of_times(tmp_path: Path) -> None:
    cards = {"CTYPE3": "UTC", "CUNIT3": "s", "CRPIX3": 1.0, "CRVAL3": 0.0, "CDELT3": 5760.0, "DATEREF": "1998-12-06"}
    cube, origin = read(tmp_path, cube_image(DATE__OBS="1998-12-06T03:12:00", **cards))
    assert (cube.start, grid_frames_of(cube)) == ("1998-12-06T00:00:00", [0, 1, 2])
    assert "as if copied from a later frame" in origin.doubts[0]


def test_an_axis_of_times_without_step_is_refused(tmp_path: Path) -> None:
    _refused(tmp_path, "CDELT3 is missing", cube_image(CTYPE3="TIME", DATEREF="1998-12-06"))


# -- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "values"),
    [
        ("JD", TIMES.jd), ("mjd", TIMES.mjd), ("hours since 1998-12-06 00:00:00", SECONDS / 3600.0),
        ("days since 1998-12-01", SECONDS / 86400.0 + 5.0), ("Seconds since 1970-01-01T00:00:00Z", TIMES.unix),
    ],
)  # fmt: skip
def test_a_unit_may_name_the_date_from_which_it_counts(tmp_path: Path, unit: str, values: np.ndarray) -> None:
    check_midnight(tmp_path, cube_image(), number_table("TIME", values, unit))


def test_numbers_written_as_text_are_read(tmp_path: Path) -> None:
    check_midnight(tmp_path, cube_image(DATE__OBS=TIMES.isot[0]), text_table(SECONDS=[f"{value}" for value in SECONDS]))
    (tmp_path / "days").mkdir()
    check_midnight(tmp_path / "days", cube_image(), text_table(MJD=[f"{value:.9f}" for value in TIMES.mjd]))


@pytest.mark.parametrize("cards", [{"MJDREF": 0.0}, {"JDREF": 0.0}, {"DATEREF": "1858-11-17"}])
def test_a_reference_time_of_zero_does_not_replace_the_start(tmp_path: Path, cards: dict[str, object]) -> None:
    check_midnight(tmp_path, cube_image(DATE__OBS=TIMES.isot[0]), number_table("TIME", SECONDS, "s", **cards))


def test_a_reference_time_in_the_header_of_the_image_is_read(tmp_path: Path) -> None:
    check_midnight(tmp_path, cube_image(MJDREF=51153.0), number_table("TIME", SECONDS, "s"))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (_number("TIME", TIMES.unix), "years after a start"),
        (_number("SECONDS", np.array([0, 32000, -28000]), "I"), "wrap at 32767"),
        (_number("JD", TIMES.jd, "E"), "single precision, which rounds its times to 6 h"),
        (_number("JD", TIMES.mjd), "must have Julian dates of 1950 to 2100"),
        (_number("MJD", TIMES.jd), "must have modified Julian dates of 1950 to 2100"),
    ],
    ids=["Unix", "16 bits", "JD in single precision", "MJD called JD", "JD called MJD"],
)
def test_numbers_that_are_no_times_of_a_video_are_refused(tmp_path: Path, column: fits.Column, message: str) -> None:
    _refused(tmp_path, message, cube_image(), _table(column))


def test_modified_julian_dates_in_single_precision_are_said(tmp_path: Path) -> None:
    cube, origin = read(tmp_path, cube_image(), _table(_number("MJD", TIMES.mjd, "E")))
    assert grid_frames_of(cube) == [0, 1, 5]
    assert "rounds its times to 338 s" in origin.doubts[0]


# -- missing times --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    ["JD_0", "NaT", "1601.01.01_00:00:00_TAI", "1970-01-01T00:00:00", "0000-00-00", "1977.01.01_00:00:00_TAI",
     "1858-11-17T00:00:00.000", "-4712.01.01_11:59:28.000_TAI", "nan", ""],
)  # fmt: skip
def test_a_date_that_codes_a_missing_one_loses_only_its_frame(tmp_path: Path, code: str) -> None:
    cube, origin = read(tmp_path, cube_image(), text_table(DATE__OBS=[TIMES.isot[0], code, TIMES.isot[2]]))
    assert (grid_frames_of(cube), np.isnan(origin.stored_seconds).tolist()) == ([0, 5], [False, True, False])


@pytest.mark.parametrize("code", [-(2**31), -99])
def test_an_integer_that_codes_a_missing_time_loses_only_its_frame(tmp_path: Path, code: int) -> None:
    column = fits.Column("SECONDS", "J", null=-99, array=np.array([0, code, 28800]))
    cube, origin = read(tmp_path, cube_image(), _table(column))
    assert (grid_frames_of(cube), np.isnan(origin.stored_seconds).tolist()) == ([0, 5], [False, True, False])


def test_a_julian_date_of_zero_is_a_missing_time(tmp_path: Path) -> None:
    cube, _ = read(tmp_path, cube_image(), number_table("JD", [TIMES.jd[0], 0.0, TIMES.jd[2]]))
    assert grid_frames_of(cube) == [0, 5]


# -- other layouts --------------------------------------------------------------------------------


def test_vectors_in_a_table_of_one_row_are_read(tmp_path: Path) -> None:
    """IDL writes a structure of arrays so."""
    check_midnight(
        tmp_path,
        cube_image(DATE__OBS=TIMES.isot[0]),
        _table(fits.Column("SECONDS", "3D", array=SECONDS[None]), fits.Column("EXPTIME", "D", array=[30.0])),
    )
    (tmp_path / "text").mkdir()
    dates = fits.Column("DATE_OBS", "69A", dim="(23,3)", array=np.array([list(TIMES.isot)]))
    check_midnight(tmp_path / "text", cube_image(), _table(dates))


def test_dates_in_an_ascii_table_are_read(tmp_path: Path) -> None:
    column = fits.Column("DATE-OBS", "A23", array=np.array(TIMES.isot))
    check_midnight(tmp_path, cube_image(), fits.TableHDU.from_columns(fits.ColDefs([column], ascii=True)))


def test_a_masked_astropy_time_is_unknown(tmp_path: Path) -> None:
    times = Time(TIMES.isot)
    times[1] = np.ma.masked
    QTable({"when": times}).write(tmp_path / "table.fits")
    with fits.open(tmp_path / "table.fits") as table:
        cube, _ = read(tmp_path, cube_image(), table[1].copy())
    assert (cube.start, grid_frames_of(cube)) == ("1998-12-06T00:00:00", [0, 5])


def test_an_astropy_time_delta_counts_from_the_start(tmp_path: Path) -> None:
    QTable({"time": TimeDelta(SECONDS, format="sec")}).write(tmp_path / "table.fits")
    with fits.open(tmp_path / "table.fits") as table:
        check_midnight(tmp_path, cube_image(DATE__OBS=TIMES.isot[0]), table[1].copy())


def test_frames_out_of_order_are_sorted_and_said(tmp_path: Path) -> None:
    cube, origin = read(tmp_path, cube_image(), number_table("SECONDS", SECONDS[::-1]))
    assert grid_frames_of(cube) == [0, 1, 5]
    assert origin.notes == ("2 times are earlier than those before them, and frames were sorted by time",)


# -- companions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "companion",
    [
        [fits.PrimaryHDU(SECONDS, header=fits.Header([("BUNIT", None), ("DATE-BEG", TIMES.isot[0])]))],
        [fits.PrimaryHDU(SECONDS / 60.0, header=fits.Header([("BUNIT", "minutes"), ("DATE-BEG", TIMES.isot[0])]))],
        [fits.PrimaryHDU(SECONDS[:, None], header=fits.Header([("DATE-BEG", TIMES.isot[0])]))],
        [fits.PrimaryHDU(SECONDS, header=fits.Header([("DATE-BEG", "1998-12-06T00:00:31"), ("TIMESYS", "TAI")]))],
        [fits.PrimaryHDU(SECONDS, header=fits.Header([("MJDREF", 51153.0)]))],
        [fits.PrimaryHDU(), text_table(T_REC=jsoc(TIMES))],
    ],
    ids=["no BUNIT", "minutes", "a column", "TAI", "MJDREF", "a table"],
)
def test_companions_of_several_kinds_are_read(tmp_path: Path, companion: list[object]) -> None:
    fits.HDUList(companion).writeto(tmp_path / "C.dt.fits")
    check_midnight(tmp_path, cube_image())


def test_seconds_in_a_companion_count_from_its_own_start(tmp_path: Path) -> None:
    """The image's DATE-OBS was copied from a frame."""
    header = fits.Header([("DATE-BEG", TIMES.isot[0])])
    fits.PrimaryHDU(SECONDS, header=header).writeto(tmp_path / "C.dt.fits")
    check_midnight(tmp_path, cube_image(DATE__OBS=TIMES.isot[2]))


def test_a_companion_with_another_start_of_the_video_is_said(tmp_path: Path) -> None:
    header = fits.Header([("DATE-BEG", "1998-12-07T00:00:00")])
    fits.PrimaryHDU(SECONDS, header=header).writeto(tmp_path / "C.dt.fits")
    cube, origin = read(tmp_path, cube_image(DATE__BEG=TIMES.isot[0]))
    assert cube.start == "1998-12-06T00:00:00"
    assert "DATE-BEG of the companion .dt.fits gives 1998-12-07T00:00:00" in origin.doubts[0]


# -- dates ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["98/12/06", "98-12-06 00:00", "1998-12-06T01:00:00+01:00", "1998-12-05T19:00:00-0500", "1998-12-06T000000",
     "1998-12-06 0:00:00"],
)  # fmt: skip
def test_zones_and_years_of_two_digits_in_front_are_read(text: str) -> None:
    time, scale = parse_time(text, scale="utc", what="DATE-OBS")
    assert (time.utc.isot, scale) == ("1998-12-06T00:00:00.000", "utc")


def test_dates_after_2100_are_refused() -> None:
    with pytest.raises(CubeError, match="no magnetograms after 2100"):
        parse_time("2998-12-06T00:00:00", scale="utc", what="DATE-OBS")
