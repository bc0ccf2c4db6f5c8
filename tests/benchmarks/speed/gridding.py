"""Cubes that were read already, put on the grid, against `numpy.interp` for each pixel of the same cubes."""

from collections import deque

import numpy as np

from helioloop.data.cubes import read_cube
from helioloop.data.gridding import frame_use, to_grid
from helioloop.records.instrument import MDI
from tests.benchmarks.speed.timing import Sides
from tests.benchmarks.speed.work import Work

CUBES = 10


def gridding(work: Work) -> Sides:
    """Return both sides; the reference interpolates only, values without gaps at pixels in the order of memory.

    As in the loop, a cube is done with before the next one is begun. Ten results that are kept are new memory each
    time: its first use took 12 of 58 ms, which is no part of gridding.
    """
    read = [read_cube(work.release.path(row.cube)) for row in work.release.rows[:CUBES]]
    frames = [np.asarray(frame_use(cube, MDI).grid_frames) for cube in read]
    values = [
        np.ascontiguousarray(np.nan_to_num(cube.observed_gauss[: len(at)]).reshape(len(at), -1).T)
        for cube, at in zip(read, frames, strict=True)
    ]
    return Sides(
        ours=lambda: deque((to_grid(cube, MDI) for cube in read), maxlen=0),
        reference=lambda: deque((_interpolated(*each) for each in zip(frames, values, strict=True)), maxlen=0),
        rounds=15,
    )


def _interpolated(frames: np.ndarray, values: np.ndarray) -> np.ndarray:
    grid = np.arange(MDI.n_frames)
    out = np.empty((len(values), MDI.n_frames), dtype=np.float32)
    for pixel, value in enumerate(values):
        out[pixel] = np.interp(grid, frames, value)
    return out
