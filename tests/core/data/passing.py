"""Small cubes of a bipole that crosses the disk, written as files: 15° at half a degree per pixel, every six hours."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helioloop.data.cubes import write_cube
from helioloop.records.instrument import Instrument
from helioloop.records.profiles import BUILT_IN

GRID = Instrument(name="PAINTED", cadence_seconds=21600.0, n_frames=60, size_px=30, clip_gauss=1000.0, frozen_frames=4)
PROFILE = replace(BUILT_IN["mdi"], name="small", instrument=GRID)
START = "2001-03-07T00:00:00"
LONGITUDE_AT_START = -96.0
"""Central-meridian distance of the patch's centre at grid frame 0."""
CARRINGTON_LON = 345.2
"""Carrington longitude of the patch's centre: that of the central meridian is 81.3° at the start."""
LATITUDE = 12.0
DEG_PER_DAY = 13.2
CARRINGTON = {
    "CTYPE1": "CRLN-CAR", "CTYPE2": "CRLT-CAR", "CUNIT1": "deg", "CUNIT2": "deg", "CRPIX1": 15.5,
    "CRPIX2": 15.5 - LATITUDE / 0.5, "CRVAL1": CARRINGTON_LON, "CRVAL2": 0.0, "CDELT1": 0.5, "CDELT2": 0.5,
}  # fmt: skip


def write_passing(
    path: Path,
    *,
    emerges_at: float | None,
    first: float = -110.0,
    last: float = 110.0,
    start: str | None = START,
    region: str | None = "A",
    cards: dict[str, Any] | None = None,
    gauss: float = 200.0,
    frozen: int = 0,
    late: NDArray[np.float64] | float = 0.0,
) -> Path:
    """Write a cube of a bipole that is there from the distance `emerges_at` on, or from the beginning.

    Frames from the distance `first` to `last` are observed. `cards` are further header cards. The first `frozen` frames
    repeat the frame after them. The times written are `late` by so many seconds.
    """
    seconds = np.arange(GRID.n_frames) * GRID.cadence_seconds
    centre = LONGITUDE_AT_START + DEG_PER_DAY * seconds / 86400.0
    columns = centre[:, None] + (np.arange(30) - 14.5) * 0.5
    field = 10.0 * np.random.default_rng(0).standard_normal((GRID.n_frames, 30, 30))
    there = centre >= (-np.inf if emerges_at is None else emerges_at)
    for column, sign in ((10, 1.0), (16, -1.0)):
        field[there, 12:16, column : column + 4] += sign * gauss
    field = np.where(np.abs(columns)[:, None, :] > 90.0, np.nan, field)
    field[:frozen] = field[frozen]
    kept = (centre >= first) & (centre <= last)
    write_cube(path, field[kept], (seconds + late)[kept], start=start, region=region, instrument=GRID, header=cards)
    return path
