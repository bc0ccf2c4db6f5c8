"""When a grid frame was, in UTC and TAI.

On the reading floor, beside `times`, which reads starts where this module gives times out; kept apart because no
model's answer depends on it. Leap seconds are astropy's business.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

from astropy.time import Time, TimeDelta

from helioloop.data.cubes import read_cube


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTime:
    """One instant in ISO 8601 without zone: `utc` and `tai`. Within a leap second UTC reads 23:59:60."""

    utc: str
    tai: str


def frame_time(start_utc: str, frame: int, *, cadence_seconds: float) -> FrameTime:
    """Return when a grid frame starts.

    Parameters
    ----------
    start_utc : str
        Absolute time of grid frame 0, ISO 8601 without zone, UTC: a cube's ``start``.
    frame : int
        0-based on the grid.
    cadence_seconds : float
        Time between two grid frames, in seconds that pass: a leap second is one of them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # ERFA tells of far dates by it, whose leap seconds nobody knows
        time = Time(start_utc, scale="utc") + TimeDelta(frame * cadence_seconds, format="sec")
        return FrameTime(utc=_iso(time.utc), tai=_iso(time.tai))


def cube_frame_time(path: Path, frame: int, *, cadence_seconds: float) -> FrameTime | None:
    """Return when a grid frame of the cube at `path` starts; None where only its name dates it, right to a day.

    Raises
    ------
    CubeError
        If the cube cannot be read.
    """
    cube = read_cube(path)
    if cube.start is None or cube.start_scale is None:
        return None
    return frame_time(cube.start, frame, cadence_seconds=cadence_seconds)


def _iso(time: Time) -> str:
    return str(time.isot).removesuffix(".000")
