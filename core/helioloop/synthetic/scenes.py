"""What the varied kinds of both generators have in common: how many regions a cube shows, where, and of which kind."""

import numpy as np

from helioloop.records.labels import Label
from helioloop.synthetic.scenario import Kind, Truth, log_uniform

FURTHEST = 0.36
"""How far regions are from the centre of the patch, as a fraction of its width and height."""
GAP_FRACTION = 0.06
"""Cubes of which the first days are not observed."""
_HIDDEN_FRACTION = 0.25  # of the new regions emerge before they rotate into view
_HIDDEN_DEG = (-105.0, -77.0)  # longitudes at which these reach a tenth of their flux
_VISIBLE_DEG = (-73.0, 55.0)  # the same of the others
_OLDER = (0.3, 0.4, 0.2, 0.1)  # how often there are none to three older regions


def draw_counts(rng: np.random.Generator, new: tuple[float, float, float]) -> tuple[int, int]:
    """Return how many new and how many older regions a cube shows, one at least.

    Parameters
    ----------
    rng : numpy.random.Generator
        Advanced by the draw.
    new : tuple of float
        How often there are none, one and two new regions.
    """
    n_new = n_older = 0
    while n_new + n_older == 0:
        n_new, n_older = int(rng.choice(3, p=new)), int(rng.choice(4, p=_OLDER))
    return n_new, n_older


def draw_longitude(rng: np.random.Generator) -> float:
    """Return the longitude in degrees at which a new region emerges."""
    is_hidden = rng.random() < _HIDDEN_FRACTION
    return float(rng.uniform(*(_HIDDEN_DEG if is_hidden else _VISIBLE_DEG)))


def around(rng: np.random.Generator, usual: float, factor: float) -> float:
    """Draw a value between `usual` divided and multiplied by `factor`, evenly on a logarithmic scale."""
    return log_uniform(rng, usual / factor, usual * factor)


def kind_of(truth: Truth, *, n_new: int, n_older: int) -> Kind:
    """Return the kind of a cube with so many new and older regions and this truth."""
    if truth.label is Label.EMERGENCE:
        return Kind.INSIDE if n_older else Kind.EMERGING
    return Kind.GROWING if n_new else Kind.ROTATING_IN
