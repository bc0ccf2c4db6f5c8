"""Scores: what one model version estimates for a cube. Frames are 0-based on the grid."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from helioloop.records.cubes import Key
from helioloop.records.labels import Label
from helioloop.records.member_curves import MemberCurves


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergence:
    """Emergence frame of a region and its interval, 0-based on the grid.

    Parameters
    ----------
    frame : int
        Emergence frame; the index ``Instrument.frozen_frames`` means "at this frame or earlier".
    frame_lo, frame_hi : int
        First and last frame of the interval; `frame_lo` is 0 if the region may have emerged in the frozen frames.
    """

    frame: int
    frame_lo: int
    frame_hi: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeScore:
    """The scores that one model version gives one cube. Agreement is not stored; see `agreement`.

    Parameters
    ----------
    cube : str
        Cube name.
    sha256 : str
        Content hash of the cube's files, lower-case hex.
    p_emergence : float
        Probability of emergence: mean over `members`, each combined with the local growth where the recipe measures it.
    p_spread : float or None
        Standard deviation over `members`; None for a single member.
    members : tuple of str
        Names of the members whose probabilities are averaged: those that did not train on this cube.
    emergence : Emergence or None
        Emergence frame and its interval; None if none was located.
    curve : tuple of float or None
        Mean masking curve, shape (n_frames,): value i is P(emergence) when all frames after i are replaced by frame i.
    curve_spread : tuple of float or None
        Standard deviation of the masking curves over `members`, shape (n_frames,); None without a curve, for a single
        member, and in scores that were stored before it was kept.
    member_curves : MemberCurves or None
        Masking curves of `members`, in their order; None without a curve and in scores that were stored before they
        were kept.
    p_networks : float or None
        Mean probability over `members` without the local growth; None where the recipe does not measure the growth, and
        in scores that were stored before it did.
    growth : float or None
        Local growth of the cube, a factor of at least 1; None like `p_networks`, where no place of the cube stays on
        the disk for long enough, and on grids that are too coarse or too short for it. `p_emergence` is then that of
        the networks, whose log odds a version may shift, see `helioloop.model.growth_odds`.
    """

    cube: str
    sha256: str
    p_emergence: float
    p_spread: float | None
    members: tuple[str, ...]
    emergence: Emergence | None = None
    curve: tuple[float, ...] | None = field(default=None, repr=False)
    curve_spread: tuple[float, ...] | None = field(default=None, repr=False)
    member_curves: MemberCurves | None = field(default=None, repr=False)
    p_networks: float | None = None
    growth: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.p_emergence) and 0.0 <= self.p_emergence <= 1.0):
            raise ValueError(f"p_emergence of cube {self.cube} is {self.p_emergence}; a probability lies in [0, 1]")

    @property
    def key(self) -> Key:
        """Name and content hash of the cube."""
        return self.cube, self.sha256

    def probability(self, label: Label) -> float:
        """Return the probability of `label`."""
        return self.p_emergence if label is Label.EMERGENCE else 1.0 - self.p_emergence

    def agreement(self, label: Label) -> float:
        """Return 1 − disagreement: the probability of the current label, which Label Studio shows as score.

        It changes with the current label, so it is computed when a prediction is written or returned.
        """
        return self.probability(label)

    @property
    def predicted(self) -> Label:
        """The class that the ensemble predicts: emergence if its probability is 0.5 or more."""
        return Label.EMERGENCE if self.p_emergence >= 0.5 else Label.NON_EMERGENCE

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        values = {name: getattr(self, name) for name in self.__slots__}  # `asdict` copies each value
        values["emergence"] = None if self.emergence is None else asdict(self.emergence)
        values["member_curves"] = None if self.member_curves is None else self.member_curves.packed
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Make a record from the values of `as_dict`."""
        curve, spread, emergence = values.get("curve"), values.get("curve_spread"), values.get("emergence")
        packed = values.get("member_curves")
        return cls(
            **{
                **values,
                "members": tuple(values["members"]),
                "emergence": None if emergence is None else Emergence(**emergence),
                "curve": None if curve is None else tuple(curve),
                "curve_spread": None if spread is None else tuple(spread),
                "member_curves": None if packed is None else MemberCurves(packed),
            }
        )
