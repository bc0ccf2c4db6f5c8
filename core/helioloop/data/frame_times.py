"""Frame times: when a grid frame starts, in UTC and TAI; astropy counts the leap seconds."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.time import Time, TimeDelta

from helioloop.data.cubes import read_cube_header
from helioloop.data.time_text import isot


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTime:
    """One instant in ISO 8601 without zone; within a leap second `utc` reads 23:59:60."""

    utc: str
    tai: str


def frame_time(start_utc: str, frame: int, *, cadence_seconds: float) -> FrameTime:
    """Return when a grid frame starts: at start + frame · cadence.

    Parameters
    ----------
    start_utc : str
        Absolute time of grid frame 0, ISO 8601 without zone, UTC: a cube's ``start``.
    frame : int
        0-based on the grid.
    cadence_seconds : float
        Elapsed time between two grid frames; leap seconds count.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # from ERFA: leap seconds of distant years are unknown
        time = Time(start_utc, scale="utc") + TimeDelta(frame * cadence_seconds, format="sec")
        return FrameTime(utc=isot(time.utc), tai=isot(time.tai))


def frame_times_utc(start_utc: str, n_frames: int, *, cadence_seconds: float) -> tuple[str, ...]:
    """Return the UTC at which each of the first `n_frames` grid frames starts, to the second; see `frame_time`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        times = Time(start_utc, scale="utc") + TimeDelta(np.arange(n_frames) * cadence_seconds, format="sec")
        return tuple(str(text)[:19] for text in times.utc.isot)


def cube_frame_time(path: Path, frame: int, *, cadence_seconds: float) -> FrameTime | None:
    """Return when a grid frame of the cube at `path` starts; no pixel is read.

    Parameters
    ----------
    path : Path
        ``<cube>.fits``.
    frame, cadence_seconds
        As for `frame_time`.

    Returns
    -------
    FrameTime or None
        None if the files give no start; the day in a file name is not precise enough.

    Raises
    ------
    CubeError
        If the headers or times of the cube cannot be read.
    """
    header = read_cube_header(path)
    if header.start is None or header.start_scale is None:
        return None
    return frame_time(header.start, frame, cadence_seconds=cadence_seconds)
