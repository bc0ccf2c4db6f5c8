"""Least-squares fits of ramps: series that are flat, rise linearly and are flat again. Needs numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """A series that is flat, rises linearly, and is flat again.

    Parameters
    ----------
    foot, top : int
        Positions in the series where the rise starts and ends.
    low, high : float
        Values before and after the rise.
    """

    foot: int
    top: int
    low: float
    high: float

    @property
    def rise(self) -> float:
        """`high` minus `low`; negative for a fall."""
        return self.high - self.low

    def reaches(self, fraction: float) -> float:
        """Return the position at `fraction` of the rise: `foot` at 0, `top` at 1."""
        return self.foot + fraction * (self.top - self.foot)


def fit_ramp(series: Floats, *, widths: Sequence[int] | None = None) -> Ramp:
    """Return the rising ramp that explains most of the variance, over all feet, widths and series.

    Parameters
    ----------
    series : ndarray, shape (n,) or (n, n_series)
        One or several series.
    widths : sequence of int or None
        Values of ``top - foot`` to try; None tries all.

    Returns
    -------
    Ramp
        The best rise, even where a fall fits better. A series too short for any ramp gives a level ramp at 0.

    Notes
    -----
    With r a ramp's shape from 0 to 1, centred on its mean, and y a series minus its mean, the least-squares rise is
    ⟨r, y⟩ / ⟨r, r⟩. It lowers the sum of squared residuals by ⟨r, y⟩² / ⟨r, r⟩, which is what the fit maximises.
    """
    y = np.asarray(series, dtype=np.float64).reshape(len(series), -1)
    feet, tops, shapes, norms = _ramps(len(y), None if widths is None else tuple(widths))
    if not len(feet):
        return Ramp(foot=0, top=0, low=float(y[0, 0]), high=float(y[-1, 0]))
    mean = y.mean(axis=0)
    rises = shapes @ (y - mean) / norms[:, None]
    ramp, which = np.unravel_index(int(np.argmax(np.sign(rises) * rises**2 * norms[:, None])), rises.shape)
    foot, top, rise = int(feet[ramp]), int(tops[ramp]), float(rises[ramp, which])
    low = float(mean[which] - rise * _shapes(len(y), foot, top).mean())
    return Ramp(foot=foot, top=top, low=low, high=low + rise)


def _shapes(n: int, foot: npt.ArrayLike, top: npt.ArrayLike) -> Floats:
    """Return ramps from 0 to 1 at the positions 0 to n - 1."""
    risen: Floats = (np.arange(n) - np.asarray(foot)) / (np.asarray(top) - np.asarray(foot))
    return risen.clip(0.0, 1.0)


@lru_cache(maxsize=32)
def _ramps(
    n: int, widths: tuple[int, ...] | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats, Floats]:
    """Return feet, tops, centred shapes (n_ramps, n) and their squared norms of all ramps on n positions."""
    tried = range(1, n) if widths is None else widths
    pairs = [(foot, foot + width) for width in tried for foot in range(n - width)]
    feet, tops = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    shapes = _shapes(n, feet[:, None], tops[:, None])
    shapes -= shapes.mean(axis=1, keepdims=True)
    return feet, tops, shapes, (shapes**2).sum(axis=1)
