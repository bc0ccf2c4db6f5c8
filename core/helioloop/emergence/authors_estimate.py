"""The authors' estimate of the emergence frame: where each member's masking curve is steepest. Needs numpy only.

It is written beside the estimate of this package, so that both can be compared.

References
----------
Chatterjee, Muñoz-Jaramillo & Lamb 2022, Nature Astronomy 6, 796, doi:10.1038/s41550-022-01701-3
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorsEstimate:
    """The steepest frames of the members' masking curves.

    Parameters
    ----------
    frame : float
        Median over the members, 0-based on the grid.
    spread_frames : float or None
        Standard deviation over the members; None for a single member.
    members : tuple of int
        Frame of each member.
    """

    frame: float
    spread_frames: float | None
    members: tuple[int, ...]


def authors_estimate(curves: Sequence[Sequence[float]] | Curve, *, start: int) -> AuthorsEstimate:
    """Return median and spread of the steepest frames of masking curves, also where a curve hardly rises.

    Parameters
    ----------
    curves : array_like, shape (n_members, n_frames)
        Masking curves of the out-of-fold members.
    start : int
        The frame that the frozen start repeats.
    """
    frames = tuple(steepest_frame(np.asarray(curve, dtype=np.float64), start=start) for curve in curves)
    return AuthorsEstimate(
        frame=float(np.median(frames)),
        spread_frames=float(np.std(frames)) if len(frames) > 1 else None,
        members=frames,
    )


def steepest_frame(curve: Curve, *, start: int) -> int:
    """Return the frame at which a masking curve rises most steeply, at least `start`; `start` if it is the last one."""
    free = np.asarray(curve, dtype=np.float64)[start:]
    return start + (int(np.argmax(np.gradient(free))) if len(free) > 1 else 0)
