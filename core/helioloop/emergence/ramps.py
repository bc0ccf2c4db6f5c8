"""Ramps: series that are flat, climb in a straight line and are flat again, fitted by least squares.

At the bottom of the learning floor: masking curves (`emergence`) and fluxes (`flux`) climb alike. numpy only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """A series that is flat, climbs in a straight line, and is flat again.

    Parameters
    ----------
    foot, top : int
        Where in the series it starts and stops climbing.
    low, high : float
        Its values before and after.
    """

    foot: int
    top: int
    low: float
    high: float

    @property
    def rise(self) -> float:
        """How much it climbs; negative when it falls."""
        return self.high - self.low

    def reaches(self, share: float) -> float:
        """Return where it has climbed by `share` of its rise: 0 is its foot, 1 its top."""
        return self.foot + share * (self.top - self.foot)


def fit_ramp(series: Floats, *, widths: Sequence[int] | None = None) -> Ramp:
    """Fit ramps by least squares and return the one that explains most, of all feet, widths and series.

    Parameters
    ----------
    series : ndarray, shape (n,) or (n, n_series)
        What climbs. Of several series, the one whose climb explains the largest sum of squares is taken.
    widths : sequence of int or None
        Widths that are tried; None tries all.

    Returns
    -------
    Ramp
        The best climb, even where a fall fits better. A series too short for any ramp gives a level one at 0.
    """
    y = np.asarray(series, dtype=np.float64).reshape(len(series), -1)
    feet, tops, shapes, norms = _ramps(len(y), None if widths is None else tuple(widths))
    if not len(feet):
        return Ramp(foot=0, top=0, low=float(y[0, 0]), high=float(y[-1, 0]))
    # With shapes centred on their mean, the best step is <shape, y> / <shape, shape>, and removes its square from the
    # residual sum.
    mean = y.mean(axis=0)
    step = shapes @ (y - mean) / norms[:, None]
    ramp, which = np.unravel_index(int(np.argmax(np.sign(step) * step**2 * norms[:, None])), step.shape)
    foot, top, rise = int(feet[ramp]), int(tops[ramp]), float(step[ramp, which])
    low = float(mean[which] - rise * _levels(len(y), foot, top).mean())
    return Ramp(foot=foot, top=top, low=low, high=low + rise)


def _levels(n: int, foot: npt.ArrayLike, top: npt.ArrayLike) -> Floats:
    """Return how far a ramp has climbed, from 0 to 1, at each of `n` places."""
    climbed: Floats = (np.arange(n) - np.asarray(foot)) / (np.asarray(top) - np.asarray(foot))
    return climbed.clip(0.0, 1.0)


@lru_cache(maxsize=32)
def _ramps(
    n: int, widths: tuple[int, ...] | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats, Floats]:
    """Return feet, tops, centred shapes (n_ramps, n) and their squared norms of all ramps on n places."""
    tried = range(1, n) if widths is None else widths
    pairs = [(foot, foot + width) for width in tried for foot in range(n - width)]
    feet, tops = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    shapes = _levels(n, feet[:, None], tops[:, None])
    shapes -= shapes.mean(axis=1, keepdims=True)
    return feet, tops, shapes, (shapes**2).sum(axis=1)
