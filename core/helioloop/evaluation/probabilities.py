"""Checks of arguments that the figures of this package share: probabilities, labels and fractions."""

from typing import Any

import numpy as np
import numpy.typing as npt

from helioloop.errors import WrongUsage

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]


def as_probabilities(values: npt.ArrayLike, *, what: str = "p_emergence") -> Floats:
    """Return `values` as float64 probabilities, shape (n,); n may be 0.

    Parameters
    ----------
    values : array_like, shape (n,)
        Probabilities.
    what : str
        Name of the values in the error message.

    Raises
    ------
    ValueError
        If `values` is not one-dimensional, or a value is NaN or outside [0, 1].
    """
    p = np.asarray(values, dtype=np.float64)
    if p.ndim != 1:
        raise ValueError(f"{what} has shape {p.shape}; give one row of probabilities")
    outside = ~((p >= 0.0) & (p <= 1.0))  # NaN compares false
    if outside.any():
        raise ValueError(f"{what} contains {p[outside][0]}, outside [0, 1]; give probabilities")
    return p


def as_labelled_probabilities(p_emergence: npt.ArrayLike, emergence: npt.ArrayLike) -> tuple[Floats, Bools]:
    """Return probabilities of emergence and the labels of the same cubes, both of shape (n,).

    Parameters
    ----------
    p_emergence : array_like, shape (n,)
        Probabilities of emergence; n may be 0.
    emergence : array_like of bool, shape (n,)
        True where the label is emergence.

    Raises
    ------
    ValueError
        If the shapes differ, or `p_emergence` contains a value that is not a probability.
    """
    p, truth = as_probabilities(p_emergence), np.asarray(emergence, dtype=np.bool_)
    if truth.shape != p.shape:
        raise ValueError(f"{truth.shape} labels for {p.shape} probabilities; give one label per probability")
    return p, truth


def check_fraction(name: str, value: float) -> None:
    """Raise `WrongUsage` unless `value` is between 0 and 1, both excluded."""
    if not 0.0 < value < 1.0:
        raise WrongUsage(f"the {name} is {value}; it must be between 0 and 1, both excluded: give 0.02 for 2 %")
