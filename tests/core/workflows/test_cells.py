"""Cells of tables: six decimals, frames with intervals and times; None is empty."""

from helioloop.data.frame_times import FrameTime
from helioloop.records.scores import Emergence
from helioloop.workflows.cells import decimal, frame_cells, time_cells


def test_a_number_has_six_decimals() -> None:
    """Zero is a number, None is not."""
    assert [decimal(value) for value in (0.12345678, 0.0, None)] == ["0.123457", "0.000000", ""]


def test_an_emergence_fills_three_columns() -> None:
    """In the order frame, lower end, upper end."""
    found = Emergence(frame=90, frame_lo=80, frame_hi=99)
    assert frame_cells(found) == {"emergence_frame": 90, "emergence_frame_lo": 80, "emergence_frame_hi": 99}
    assert frame_cells(None) == {"emergence_frame": "", "emergence_frame_lo": "", "emergence_frame_hi": ""}


def test_a_time_fills_two_columns() -> None:
    """UTC and TAI."""
    time = FrameTime(utc="2001-01-01T00:00:00", tai="2001-01-01T00:00:32")
    assert time_cells(time) == {
        "emergence_time_utc": "2001-01-01T00:00:00",
        "emergence_time_tai": "2001-01-01T00:00:32",
    }
    assert set(time_cells(None).values()) == {""}
