"""A frame's time in UTC and TAI."""

import pytest

from helioloop.data.frame_times import FrameTime, frame_time
from helioloop.instrument import MDI


def test_frames_start_a_cadence_apart() -> None:
    """Frame 15 of MDI's 96 minutes is a day after frame 0; TAI was 31 s ahead in 1998."""
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
    """Second by second across it: UTC repeats nothing and TAI runs on."""
    assert frame_time("1998-12-31T23:59:58", frame, cadence_seconds=1.0) == FrameTime(utc=utc, tai=tai)


def test_after_a_leap_second_the_frames_of_a_cube_stand_a_second_earlier_in_utc() -> None:
    """A cube from noon of 31 December: after 15 cadences 86 400 s have passed, and UTC has had one more to count."""
    time = frame_time("1998-12-31T12:00:00", 15, cadence_seconds=MDI.cadence_seconds)
    assert time == FrameTime(utc="1999-01-01T11:59:59", tai="1999-01-01T12:00:31")


def test_parts_of_a_second_are_kept() -> None:
    """MDI's starts are rarely whole seconds."""
    assert frame_time("2001-03-01T00:03:02.500", 0, cadence_seconds=1.0).tai == "2001-03-01T00:03:34.500"
