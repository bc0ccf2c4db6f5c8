"""Values that a cube lacks: pixels without any value, values that are missing, and values that do not change."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helioloop.data.off_disk import off_disk
from helioloop.errors import CubeError

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

LOWEST_GAUSS = np.float32(-7000.0)
"""Lower values are codes: sunspots reach −6e3 G."""
MOST_WITHOUT_VALUE = 0.4
"""A cube is refused if this fraction of its on-disk pixels has no value in any frame; it is 0 in observed cubes."""
UNCHANGED_FRAMES = 6
"""A value is unchanged if it is one of so many equal ones in a row. Two equal ones are frequent: 10 % in MDI's data,
which are whole multiples of a few gauss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentValues:
    """What a cube's frames lack. Nothing is counted under two names.

    Parameters
    ----------
    off_disk : float
        Fraction of the pixels that are off-disk in all frames.
    without_value : float
        Fraction of the on-disk pixels that have no value in any frame: each is missing, or 0.
    missing : float
        Fraction of the on-disk values that are missing, without those of such pixels.
    unchanged : float
        Fraction of the on-disk values that are unchanged (see `UNCHANGED_FRAMES`), without those of such pixels.
    """

    off_disk: float
    without_value: float
    missing: float
    unchanged: float


def absent_values(observed_gauss: Floats, at_corner: Mask, *, n_frozen: int) -> AbsentValues:
    """Return what usable observations lack.

    Parameters
    ----------
    observed_gauss : array, shape (n_obs, ny, nx)
        Gauss; may contain NaN.
    at_corner : array of bool, shape (n_obs, ny, nx)
        From `corner_regions`.
    n_frozen : int
        So many observations at the beginning may be equal: in the authors' cubes they are copies of one frame.
    """
    on_disk = ~off_disk(at_corner)
    present = ~at_corner & (observed_gauss >= LOWEST_GAUSS)  # False for NaN
    seen, without = on_disk.any(axis=0), _without_value(observed_gauss, at_corner)
    unchanged = _unchanged(observed_gauss[n_frozen:]) & present[n_frozen:]
    n_values = max(1, int(on_disk.sum()))
    return AbsentValues(
        off_disk=float((~seen).mean()),
        without_value=float((without & seen).sum()) / max(1, int(seen.sum())),
        missing=float((on_disk & ~present & ~without).sum()) / n_values,
        unchanged=float((unchanged & ~without).sum()) / n_values,
    )


def refuse_without_values(name: str, observed_gauss: Floats, at_corner: Mask, usable: Ints) -> None:
    """Raise CubeError if `MOST_WITHOUT_VALUE` of the on-disk pixels have no value in any usable observation.

    Parameters
    ----------
    name : str
        The cube's name, for the error.
    observed_gauss : array, shape (n_obs, ny, nx)
        Gauss; may contain NaN.
    at_corner : array of bool, shape (n_obs, ny, nx)
        From `corner_regions`.
    usable : array of int, shape (n_usable,)
        The observations that are looked at; at least one.

    Notes
    -----
    Three observations decide for nearly all cubes: pixels that have a value in one of them have a value.
    """
    some = usable[[0, len(usable) // 2, -1]]
    if _without_value(observed_gauss[some], at_corner[some]).mean() < MOST_WITHOUT_VALUE:
        return
    seen = ~at_corner[usable].all(axis=0)
    without = _without_value(observed_gauss[usable], at_corner[usable]) & seen
    fraction = float(without.sum()) / max(1, int(seen.sum()))
    if fraction >= MOST_WITHOUT_VALUE:
        raise CubeError(
            f"{name}: {fraction:.0%} of its on-disk pixels have no value in any frame, each is missing or 0; fewer "
            f"than {MOST_WITHOUT_VALUE:.0%} may be without one: fetch or make the file again"
        )


def _without_value(observed_gauss: Floats, at_corner: Mask) -> Mask:
    """Return the pixels that are missing, 0 or in a corner region in all observations, shape (ny, nx)."""
    without: Mask = ~(~at_corner & (observed_gauss >= LOWEST_GAUSS) & (observed_gauss != 0.0)).any(axis=0)
    return without


def _unchanged(values: Floats) -> Mask:
    """Return which values are one of `UNCHANGED_FRAMES` or more equal ones in successive observations; same shape."""
    unchanged = np.zeros(values.shape, dtype=np.bool_)
    n_runs = len(values) - UNCHANGED_FRAMES + 1
    if n_runs < 1:
        return unchanged
    equal = values[1:] == values[:-1]  # False for NaN
    begins = np.logical_and.reduce([equal[k : k + n_runs] for k in range(UNCHANGED_FRAMES - 1)])
    for k in range(UNCHANGED_FRAMES):
        unchanged[k : k + n_runs] |= begins
    return unchanged
