"""Frame times in UTC and TAI."""

from pathlib import Path

import numpy as np
import pytest

from helioloop.data import cubes
from helioloop.data.cubes import write_cube
from helioloop.data.frame_times import FrameTime, cube_frame_time, frame_time
from helioloop.records.instrument import MDI


def test_frames_start_a_cadence_apart() -> None:
    """Frame 15 at MDI's cadence of 96 minutes starts a day after frame 0; TAI was 31 s ahead of UTC in 1998."""
    assert frame_time("1998-12-06T00:00:00", 0, cadence_seconds=MDI.cadence_seconds) == FrameTime(
        utc="1998-12-06T00:00:00", tai="1998-12-06T00:00:31"
    )
    assert frame_time("1998-12-06T00:00:00", 15, cadence_seconds=MDI.cadence_seconds).utc == "1998-12-07T00:00:00"


@pytest.mark.parametrize(
    ("frame", "utc", "tai"),
    [
        (0, "1998-12-31T23:59:58", "1999-01-01T00:00:29"),
        (1, "1998-12-31T23:59:59", "1999-01-01T00:00:30"),
        (2, "1998-12-31T23:59:60", "1999-01-01T00:00:31"),
        (3, "1999-01-01T00:00:00", "1999-01-01T00:00:32"),
    ],
)
def test_the_leap_second_at_the_end_of_1998_is_counted(frame: int, utc: str, tai: str) -> None:
    """Second by second across the leap second: UTC reads 23:59:60 once, TAI has no gap."""
    assert frame_time("1998-12-31T23:59:58", frame, cadence_seconds=1.0) == FrameTime(utc=utc, tai=tai)


def test_frames_after_a_leap_second_start_a_second_earlier_in_utc() -> None:
    """15 cadences after noon of 31 December 1998, 86 400 s have passed; that UTC day had 86 401 s."""
    time = frame_time("1998-12-31T12:00:00", 15, cadence_seconds=MDI.cadence_seconds)
    assert time == FrameTime(utc="1999-01-01T11:59:59", tai="1999-01-01T12:00:31")


def test_fractions_of_a_second_are_kept() -> None:
    """A start in milliseconds gives times in milliseconds."""
    assert frame_time("2001-03-01T00:03:02.500", 0, cadence_seconds=1.0).tai == "2001-03-01T00:03:34.500"


def _write(path: Path, start: str | None) -> Path:
    write_cube(path, np.ones((2, 3, 3)), np.array([0.0, 5760.0]), start=start, region=None, instrument=MDI)
    return path


def test_frame_time_of_a_cube_needs_no_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a frame comes from the header's start; no pixel is converted to gauss."""

    def refuse(_: object, **__: object) -> None:
        raise AssertionError("a pixel was converted")

    monkeypatch.setattr(cubes, "field_in_gauss", refuse)
    path = _write(tmp_path / "A.fits", "1998-12-06T00:00:00")
    time = cube_frame_time(path, 15, cadence_seconds=MDI.cadence_seconds)
    assert time == FrameTime(utc="1998-12-07T00:00:00", tai="1998-12-07T00:00:31")


@pytest.mark.parametrize("name", ["A_19981206", "A"])
def test_a_cube_without_a_start_in_its_files_has_no_frame_times(tmp_path: Path, name: str) -> None:
    """A day in the file name is too coarse for frame times."""
    assert cube_frame_time(_write(tmp_path / f"{name}.fits", None), 0, cadence_seconds=5760.0) is None
