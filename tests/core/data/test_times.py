"""Times of cubes: each notation, scale and place of times gives the same frames, and doubtful ones are said."""

import warnings
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

from helioloop.data.slots import grid_frames
from helioloop.data.time_text import parse_time
from helioloop.data.time_units import to_seconds
from helioloop.errors import CubeError

# -- notations ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "1998-12-06T00:00:00", "1998-12-06T00:00:00.000Z", "1998-12-06 00:00:00", "1998-12-06T00:00:00+00:00",
        "1998/12/06 00:00", "1998.12.06_00:00", "1998.12.06_00:00:31_TAI", "1998-12-06T00:00:00 UT", "19981206_000000",
        "19981206", "06-Dec-1998 00:00:00.000", "6 december 1998", "06/12/98", "06/12/98 00:00:00", "1998-12-6",
    ],
)  # fmt: skip
def test_every_notation_of_a_time_is_read(text: str) -> None:
    time, _ = parse_time(text, scale="utc", what="DATE-OBS")
    assert time.utc.isot == "1998-12-06T00:00:00.000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("06/12/07", "year can be 1907 or 2007"),
        ("06-Dec-07", "year can be 1907 or 2007"),
        ("yesterday", "must be a date"),
        ("1998-02-30T00:00:00", "does not exist"),
        ("1998-12-06T00:00:00_LST", "time scale is 'LST'"),
        (
            "1998-12-06T00:00:00 CET",
            "DATE-OBS is '1998-12-06T00:00:00 CET', whose time scale is 'CET'.* such as .01:00",
        ),
        ("1998-12-06 01:36:00 PM", "DATE-OBS is '1998-12-06 01:36:00 PM'; the hours of a day are 0 to 23"),
        ("1601-01-01T00:00:00", "no magnetograms before"),
        ("06-Dez-1998", "does not exist"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(CubeError, match=message):
        parse_time(text, scale="utc", what="DATE-OBS")


@pytest.mark.parametrize(
    ("scale", "clock"),
    [("UTC", "00:00:00"), ("TAI", "00:00:31"), ("TT(TAI)", "00:01:03.184"), ("tai(nist)", "00:00:31"),
     ("GPS", "00:00:12"), ("UT", "00:00:00"), ("TDT", "00:01:03.184")],
)  # fmt: skip
def test_every_time_scale_gives_the_same_start(tmp_path: Path, scale: str, clock: str) -> None:
    """In December 1998, TAI was 31 s ahead of UTC, TT 63.184 s and GPS 12 s."""
    check_midnight(
        tmp_path, cube_image(DATE__OBS=f"1998-12-06T{clock}", TIMESYS=scale), number_table("SECONDS", SECONDS)
    )


@pytest.mark.parametrize("card", ["T_REC", "T_OBS"])
def test_times_of_jsoc_without_suffix_are_tai(tmp_path: Path, card: str) -> None:
    check_midnight(tmp_path, cube_image(**{card: "1998.12.06_00:00:31"}), number_table("SECONDS", SECONDS))


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("s", 1), ("seconds", 1), ("SEC", 1), ("ms", 1e-3), ("Minutes", 60), ("min", 60), ("hr", 3600), ("hours", 3600),
     ("h", 3600), ("days", 86400), ("d", 86400), ("", 1)],
)  # fmt: skip
def test_units_of_time_may_be_spelt_out(unit: str, factor: float) -> None:
    np.testing.assert_allclose(to_seconds(SECONDS / factor, unit), SECONDS)


@pytest.mark.parametrize("unit", ["m", "G", "fortnights ago", "deg"])
def test_other_units_are_refused(unit: str) -> None:
    with pytest.raises(CubeError, match="must be a unit of time"):
        to_seconds(SECONDS, unit)


# -- places ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["DATE-OBS", "DATE_OBS", "DATE__OBS", "date obs", "T_OBS", "DATE-AVG", "DateTime", "UTC"]
)
def test_a_column_of_dates_is_found_by_every_spelling(tmp_path: Path, name: str) -> None:
    column = fits.Column(name, "30A", array=[f"{text}Z" for text in TIMES.isot])
    check_midnight(tmp_path, cube_image(), fits.BinTableHDU.from_columns([column]))


@pytest.mark.parametrize("card", ["DATE-OBS", "DATE_OBS", "DATE__OBS", "T_REC", "DATE-AVG", "DATE-BEG"])
def test_a_card_is_found_by_every_spelling(tmp_path: Path, card: str) -> None:
    image = cube_image()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy says that DATE__OBS is longer than the standard allows
        image.header[card] = "1998-12-06T00:00:00Z"
    check_midnight(tmp_path, image, number_table("SECONDS", SECONDS))


@pytest.mark.parametrize("scale", ["utc", "tai", "tt"])
@pytest.mark.parametrize("name", ["time", "DATE-OBS", "when"])
def test_a_column_of_astropy_times_is_read(tmp_path: Path, scale: str, name: str) -> None:
    """astropy writes two Julian dates per row, and the scale in TCTYP."""
    QTable({name: getattr(TIMES, scale)}).write(tmp_path / "table.fits")
    with fits.open(tmp_path / "table.fits") as table:
        check_midnight(tmp_path, cube_image(), table[1].copy())


def test_two_columns_of_julian_dates_are_read(tmp_path: Path) -> None:
    columns = [fits.Column(f"time.{part}", "D", array=getattr(TIMES, part)) for part in ("jd1", "jd2")]
    check_midnight(tmp_path, cube_image(), fits.BinTableHDU.from_columns(columns))


@pytest.mark.parametrize(("name", "values"), [("JD", TIMES.jd), ("MJD", TIMES.mjd), ("MJD-OBS", TIMES.mjd)])
def test_columns_of_days_are_read(tmp_path: Path, name: str, values: np.ndarray) -> None:
    check_midnight(tmp_path, cube_image(), number_table(name, values, "d"))


def test_julian_dates_in_a_column_of_days_are_not_taken_for_a_duration(tmp_path: Path) -> None:
    """A Julian date is certain; a modified one is read and said."""
    check_midnight(tmp_path, cube_image(), number_table("TIME", TIMES.jd, "d"))
    (tmp_path / "modified").mkdir()
    cube, origin = read(tmp_path / "modified", cube_image(), number_table("TIME", TIMES.mjd, "d"))
    assert grid_frames_of(cube) == [0, 1, 5]
    assert origin.doubts == ("column TIME is in days, begins at 51153 and was read as modified Julian dates",)


@pytest.mark.parametrize(
    "cards",
    [{"MJDREF": 51153.0}, {"MJDREFI": 51153, "MJDREFF": 0.0}, {"DATEREF": "1998-12-06T00:00:00"}, {"JDREF": 2451153.5},
     {"MJDREF": 51153.0 + 31.0 / 86400.0, "TIMESYS": "TAI"}],
)  # fmt: skip
def test_a_table_counts_from_its_reference_time(tmp_path: Path, cards: dict[str, object]) -> None:
    check_midnight(tmp_path, cube_image(), number_table("TIME", SECONDS, "s", **cards))


@pytest.mark.parametrize(
    "cards",
    [
        {"CTYPE3": "TIME", "CUNIT3": "s", "CRPIX3": 1.0, "CRVAL3": 0.0, "CDELT3": 5760.0, "DATEREF": "1998-12-06"},
        {"CTYPE3": "UTC", "CUNIT3": "h", "CRPIX3": 1.0, "CRVAL3": 0.0, "CDELT3": 1.6, "MJDREF": 51153.0},
        {"CTYPE3": "TAI", "CUNIT3": "s", "CRPIX3": 2.0, "CRVAL3": 5791.0, "CD3_3": 5760.0, "MJDREF": 51153.0},
        {"CTYPE3": "UTC", "CUNIT3": "d", "CRPIX3": 1, "CRVAL3": -1, "CDELT3": 1.6 / 24.0, "MJDREF": 51154},
        {"CTYPE3": "TIME", "CUNIT3": "min", "CRPIX3": 1.0, "CDELT3": 96.0, "DATE__BEG": "1998-12-06T00:00:00"},
    ],
)
def test_times_may_be_the_third_axis_of_the_image(tmp_path: Path, cards: dict[str, object]) -> None:
    cube, origin = read(tmp_path, cube_image(**cards))
    assert (cube.start, grid_frames_of(cube), origin.doubts) == ("1998-12-06T00:00:00", [0, 1, 2], ())


def test_codes_of_missing_times_lose_only_their_frames(tmp_path: Path) -> None:
    texts = jsoc(TIMES)
    texts[1] = "-4712.01.01_11:59:28_TAI"
    cube, origin = read(tmp_path, cube_image(), text_table(T_REC=texts))
    assert grid_frames_of(cube) == [0, 5]
    assert np.isnan(origin.stored_seconds[1])


# -- times of processing --------------------------------------------------------------------------


def test_a_card_date_is_no_start(tmp_path: Path) -> None:
    cube, _ = read(tmp_path, cube_image(DATE="2015-03-03T10:00:00"), number_table("SECONDS", SECONDS))
    assert cube.start is None


@pytest.mark.parametrize("step", [0.0, 2.0])
def test_a_column_of_processing_times_is_refused(tmp_path: Path, step: float) -> None:
    """Files are written seconds apart, magnetograms are observed minutes apart."""
    texts = (Time("2015-03-03T10:00:00") + TimeDelta(step * np.arange(3), format="sec")).isot
    with pytest.raises(CubeError, match="so are times of processing"):
        read(tmp_path, cube_image(), text_table(DATE=list(texts)))


def test_a_column_date_with_plausible_times_is_read_and_said(tmp_path: Path) -> None:
    cube, origin = read(tmp_path, cube_image(), text_table(DATE=list(TIMES.isot)))
    assert grid_frames_of(cube) == [0, 1, 5]
    assert "which FITS reserves for processing" in origin.doubts[0]


# -- a header and a table -------------------------------------------------------------------------


@pytest.mark.parametrize("later_seconds", [0.5, 45.0, 900.0])
def test_a_header_of_another_kind_than_the_table_shifts_no_frame(tmp_path: Path, later_seconds: float) -> None:
    """DATE-OBS is a little after the nominal T_REC of the same observation; frame 0 stays frame 0."""
    observed = START + TimeDelta(later_seconds, format="sec")
    cube, origin = read(tmp_path, cube_image(DATE__OBS=observed.isot), text_table(T_REC=jsoc(TIMES)))
    assert (cube.start, grid_frames_of(cube), origin.doubts) == ("1998-12-06T00:00:00", [0, 1, 5], ())
    assert "of another kind" in origin.notes[0]


def test_the_column_of_the_header_s_kind_is_compared_with_it(tmp_path: Path) -> None:
    table = text_table(T_REC=jsoc(TIMES - TimeDelta(45.0, format="sec")), DATE__OBS=list(TIMES.isot))
    check_midnight(tmp_path, cube_image(DATE__OBS=TIMES.isot[0]), table)


@pytest.mark.parametrize("frame", [1, 2])
@pytest.mark.parametrize("card", ["DATE__OBS", "T_REC", "DATE__BEG"])
def test_a_header_copied_from_a_later_frame_drops_nothing(tmp_path: Path, card: str, frame: int) -> None:
    cube, origin = read(tmp_path, cube_image(**{card: f"{TIMES.isot[frame]}Z"}), text_table(DATE__OBS=list(TIMES.isot)))
    assert (cube.start, grid_frames_of(cube)) == ("1998-12-06T00:00:00", [0, 1, 5])
    assert "as if copied from a later frame" in origin.doubts[0]


def test_a_start_of_the_video_before_its_first_frame_is_kept(tmp_path: Path) -> None:
    """The region comes over the limb before the first observation."""
    cube, _ = read(tmp_path, cube_image(DATE__BEG="1998-12-05T22:24:00"), text_table(DATE__OBS=list(TIMES.isot)))
    assert (cube.start, grid_frames_of(cube)) == ("1998-12-05T22:24:00", [1, 2, 6])


# -- jitter ---------------------------------------------------------------------------------------


def _frames(seconds: list[float], tolerance_seconds: float = 300.0) -> list[int]:
    return grid_frames(np.array(seconds), cadence_seconds=5760.0, tolerance_seconds=tolerance_seconds).tolist()


def test_observations_that_jitter_around_their_slots_keep_a_slot_each() -> None:
    """A minute early is the slot that begins after it, if rounding down would put two into one slot."""
    assert _frames([0.0, 5820.0, 11460.0, 17340.0]) == [0, 1, 2, 3]
    assert _frames([-33.0, 5727.0, 11487.0]) == [0, 1, 2]
    assert _frames([0.0, 5820.0, 11460.0, 17340.0], tolerance_seconds=0.0) == [0, 1, 1, 3]


def test_a_few_observations_within_slots_do_not_hide_the_jitter_of_the_others() -> None:
    """The one in the middle of slot 12 is rounded down."""
    seconds = [frame * 5760.0 + (60.0 if frame % 2 else -60.0) for frame in range(12)]
    assert _frames([*seconds, 12.5 * 5760.0]) == [*range(12), 12]


def test_rounding_down_stays_where_nothing_is_lost_or_times_are_not_at_slots() -> None:
    """The authors round down; an observation in the middle of a slot shows that times do not mark the starts."""
    assert _frames([5759.0, 17280.0]) == [0, 3]
    assert _frames([0.0, 2880.0, 5700.0, 11400.0]) == [0, 0, 0, 1]
