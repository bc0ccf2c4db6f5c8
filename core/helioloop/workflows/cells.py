"""Cells of the tables that commands write: decimals, emergence frames and times; empty means unknown."""

from helioloop.data.frame_times import FrameTime
from helioloop.records.scores import Emergence


def decimal(value: float | None) -> str:
    """Return a number with six decimals; empty for None."""
    return "" if value is None else f"{value:.6f}"


def frame_cells(emergence: Emergence | None) -> dict[str, str | int]:
    """Return the three columns of an emergence frame with its interval; empty for None."""
    frames = ("", "", "") if emergence is None else (emergence.frame, emergence.frame_lo, emergence.frame_hi)
    return dict(zip(("emergence_frame", "emergence_frame_lo", "emergence_frame_hi"), frames, strict=True))


def time_cells(time: FrameTime | None) -> dict[str, str]:
    """Return the two columns of the time when the emergence frame starts; empty for None."""
    utc, tai = ("", "") if time is None else (time.utc, time.tai)
    return {"emergence_time_utc": utc, "emergence_time_tai": tai}
