"""Reports of cubes: the source of start, unit and region, and warnings at their bounds."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from helioloop.data.cube_report import CubeReport, Verdict
from helioloop.data.cubes import write_cube
from helioloop.data.inspection import inspect_cube, is_video, most_frequent
from helioloop.data.times import COMPANION_SUFFIX
from helioloop.errors import CubeError
from helioloop.records.instrument import MDI

FIELD = np.random.default_rng(0).normal(0.0, 20.0, (2, 90, 90)).astype(np.float32)
DATES = ["1998.12.06_00:00:31_TAI", "1998.12.08_12:00:31_TAI"]


def _report(
    folder: Path, column: fits.Column | None = None, *, last: float = 200000.0, name: str = "C", **cards: object
) -> CubeReport:
    """Return the report of a cube of two frames, whose times are in a companion or in a table."""
    image = fits.PrimaryHDU(FIELD / 10.0 if cards.get("BUNIT") == "mT" else FIELD)
    image.header.update({key.replace("_", "-"): value for key, value in cards.items()})
    hdus = [image] if column is None else [image, fits.BinTableHDU.from_columns([column])]
    path = folder / f"{name}.fits"
    fits.HDUList(hdus).writeto(path)
    if column is None:
        companion = fits.PrimaryHDU(np.array([0.0, last]))
        companion.header["DATE-OBS"] = "1998-12-07" if name == "companion" else None
        companion.writeto(folder / f"{name}{COMPANION_SUFFIX}")
    return inspect_cube(path, MDI)


def test_the_source_of_the_start(tmp_path: Path) -> None:
    reports = [
        _report(tmp_path, name="a", DATE_OBS="1998-12-06"),
        _report(tmp_path, name="companion"),
        _report(tmp_path, fits.Column("T_REC", "23A", array=DATES), name="b"),
        _report(tmp_path, fits.Column("MJD", "D", array=[51153.0, 51155.5]), name="c"),
        _report(tmp_path, name="R_19981206"),
        _report(tmp_path, name="d"),
    ]
    assert [(report.start_source, report.start_scale) for report in reports] == [
        ("DATE-OBS", "utc"),
        ("DATE-OBS of the companion .dt.fits", "utc"),
        ("column T_REC", "tai"),
        ("column MJD", "utc"),
        ("file name", None),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("day", "doubtful"),
    [
        ("19981204", True), ("19981205", False), ("19981206", False), ("19981209", False), ("19981210", True),
        ("19991206", True), ("00121206", False), ("19981306", False),
    ],
)  # fmt: skip
def test_a_name_with_a_day_that_the_video_does_not_cover_is_doubtful(tmp_path: Path, day: str, doubtful: bool) -> None:
    """The video is of 1998-12-06 06:00 to 12-08 13:33; a day more is allowed. What is no day is a number."""
    report = _report(tmp_path, name=f"R_{day}", DATE_BEG="1998-12-06T06:00:00")
    sentence = (
        f"its name has the day {day[:4]}-{day[4:6]}-{day[6:]}, DATE-BEG gives the start 1998-12-06T06:00:00, and the "
        "latter was used: rename the cube or correct the start"
    )
    assert (report.verdict == Verdict.WARNED) == doubtful == (sentence in report.reasons)
    assert report.start == "1998-12-06T06:00:00"


@pytest.mark.parametrize(
    ("cards", "also"),
    [
        ({"DATE_OBS": "1998-12-06"}, ""),
        ({"DATE_OBS": "1998-12-06", "TIME_OBS": "013600"}, ", TIME-OBS '013600' is not read as the time of day,"),
        ({"DATE_OBS": "06/12/98", "TIME_OBS": 5760.0}, ", TIME-OBS '5760.0' is not read as the time of day,"),
        ({"DATE_OBS": "1998.12.06", "UT_OBS": "01:36:00"}, ", UT-OBS '01:36:00' is not read as the time of day,"),
        ({"DATE_OBS": "1998-12-06", "TIME_OBS": "N/A"}, ""),
    ],
)
def test_a_start_without_a_time_of_day_is_said_with_the_card_that_may_have_it(
    tmp_path: Path, cards: dict[str, object], also: str
) -> None:
    """Midnight was taken without a word, so that emergences were dated up to a day too early."""
    report = _report(tmp_path, **cards)
    assert (report.verdict, report.start) == (Verdict.WARNED, "1998-12-06T00:00:00")
    assert report.reasons[0] == (
        f"DATE-OBS gives only the day{also} and midnight was taken for the start, so its times may be up to a day too "
        "early: write day and time into one card, as in 1998-12-06T01:36:00"
    )


@pytest.mark.parametrize(
    "cards",
    [
        {"DATE_OBS": "1998-12-06T00:00:00"},
        {"DATE_OBS": "1998-12-06", "TIME_OBS": "00:00:00"},
        {"DATE_BEG": "1998-12-06"},
        {"MJD_OBS": 51153.0},
    ],
)
def test_a_start_at_midnight_is_no_doubt(tmp_path: Path, cards: dict[str, object]) -> None:
    """DATE-BEG is written for the video, which may begin at midnight."""
    report = _report(tmp_path, **cards)
    assert (report.verdict, report.start) == (Verdict.OK, "1998-12-06T00:00:00")


def test_a_day_in_the_header_beside_dates_of_the_frames_is_no_doubt(tmp_path: Path) -> None:
    report = _report(tmp_path, fits.Column("T_REC", "23A", array=DATES), DATE_OBS="1998-12-06")
    assert (report.verdict, report.start) == (Verdict.OK, "1998-12-06T00:00:00")


def test_the_source_of_unit_and_region(tmp_path: Path) -> None:
    one = _report(tmp_path, name="R_19981206")
    assert (one.unit, one.unit_source, one.region, one.region_source) == ("G", "assumed", "R", "file name")
    two = _report(tmp_path, name="X_19981206", BUNIT="Mx/cm^2", HARPNUM=12)
    assert (two.unit, two.unit_source, two.region, two.region_source) == ("G", "BUNIT", "HARP 12", "HARPNUM")
    three = _report(tmp_path, name="Y", BUNIT="mT")
    assert (three.unit, three.region, three.region_source) == ("mT", None, None)


@pytest.mark.parametrize(
    ("frame", "verdict"), [(0, Verdict.WARNED), (30, Verdict.WARNED), (31, Verdict.OK), (225, Verdict.WARNED)]
)
def test_frames_that_show_no_change_are_warned(tmp_path: Path, frame: int, verdict: Verdict) -> None:
    """Frames 0 to 30 of MDI's grid are shown as one; one frame alone, or a second one off the grid, is warned too."""
    report = _report(tmp_path, last=(frame + 0.5) * 5760.0, DATE_OBS="1998-12-06T00:00:00")
    assert report.verdict == verdict
    assert report.frames_used == (1 if frame in {0, 225} else 2)


def test_most_frames_in_one_slot_are_said(tmp_path: Path) -> None:
    """Of 40 frames 30 lie within half an hour; a finer cadence, eight per slot, is sampled without a word."""
    field = np.random.default_rng(0).normal(0.0, 20.0, (40, 90, 90)).astype(np.float32)
    crowded = np.concatenate([np.arange(30) * 60.0, np.arange(31, 41) * 5760.0])
    for name, seconds in (("crowded", crowded), ("fine", np.arange(10, 50) * 5760.0 / 8 * 10)):
        write_cube(tmp_path / f"{name}.fits", field, seconds, start="2001-03-07", region="A", instrument=MDI)
    report = inspect_cube(tmp_path / "crowded.fits", MDI)
    assert report.verdict == Verdict.WARNED
    assert report.reasons[0] == (
        "30 of 40 frames are in grid frame 0, of which one is used: check the times and their unit"
    )
    assert inspect_cube(tmp_path / "fine.fits", MDI).verdict == Verdict.OK


def test_the_most_frequent_reason_counts_reasons_that_differ_in_names_and_numbers() -> None:
    reasons = {"A": "A.fits: it has 3 times", "B": "it is empty", "C": "C.fits: it has 12 times"}
    assert most_frequent(reasons) == "the reason of 2 of 3: A.fits: it has 3 times"


def test_a_faulty_cube_is_refused_in_its_report(tmp_path: Path) -> None:
    report = _report(tmp_path, BUNIT="m/s")
    assert (report.cube, report.verdict, report.frames_in_file) == ("C", Verdict.REFUSED, None)
    assert report.reasons == (
        "C.fits: BUNIT is 'm/s'; it must be a unit of magnetic flux density, such as Gauss: correct it",
    )


def test_a_video_has_three_axes(tmp_path: Path) -> None:
    for axes, shape in ((2, (4, 4)), (3, (2, 4, 4))):
        path = tmp_path / f"{axes}.fits"
        fits.PrimaryHDU(np.zeros(shape)).writeto(path)
        assert is_video(path) == (axes == 3)
    (tmp_path / "page.fits").write_text("<html>")
    with pytest.raises(CubeError, match="it begins with"):
        is_video(tmp_path / "page.fits")
