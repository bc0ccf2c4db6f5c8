"""A random draw of verified cubes: what a version says of each, and who speaks of a cube nobody drew.

Learning floor, above `plan`; pure but for reading the table. RiskGuarantee and calibration are read off cubes that the
version was trained on, each spoken of by the members of its fold alone: with the recipe ``quick`` an average over two.
A cube of a new release could be spoken of by all ten. Their average is better, but it is another score: at the same
threshold it accepts other cubes, among them such as only some members are sure of, and nothing is known of how often
*those* are wrong. So a new cube, too, is spoken of by the members of one fold; a hash of its content draws which.

Given the trained members, a cube of the draw and one of a comparable new release then get their scores in the same way:
a fold comes up, and members who never saw the cube average over it. (Folds being blocks of time, neither has the
members' training cubes around it.) What the draw's labels estimate is the error of each fold's members, averaged over
the folds as often as they come up: the k-fold test error of Bayle et al., and the very error that a new cube is exposed
to. The error of the average over all members is not what held-out labels estimate.

What is left is that a drawn cube, held out from the members of its own fold, helped to train the others. Where no
single cube moves a member much, this vanishes as n grows: the estimate spreads as it would on cubes nobody trained on
(Bayle et al.). Intervals made conformal in this way cover about as asked in practice; in theory up to twice as many may
miss (Barber et al.; cf. Vovk). The tests play it through.

References
----------
Bayle, Bayle, Janson & Mackey 2020, "Cross-validation confidence intervals for test error", arXiv:2007.12671
Barber, Candès, Ramdas & Tibshirani 2021, "Predictive inference with the jackknife+", Ann. Statist. 49, 486
Vovk 2015, "Cross-conformal predictors", Ann. Math. Artif. Intell. 74, 9, doi:10.1007/s10472-013-9368-4
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from helioloop.data.truth import TrueCube, read_truth
from helioloop.errors import WrongUsage
from helioloop.model.plan import Plan
from helioloop.records import CubeInfo, CubeScore, Emergence, Label

SALT = "helioloop fold that speaks"
"""Keeps the draw of the fold apart from all else that is drawn by a hash of a cube's content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSample:
    """Cubes drawn at random and verified, and what the version says of each out of fold.

    Parameters
    ----------
    cubes : tuple of (CubeScore, TrueCube)
        Score and verified label, of every cube of the draw, by name.
    folds : tuple of int
        The fold each was held out in.
    """

    cubes: tuple[tuple[CubeScore, TrueCube], ...] = field(repr=False)
    folds: tuple[int, ...] = field(repr=False)

    @classmethod
    def read(cls, path: Path, *, plan: Plan, stored: Mapping[tuple[str, str], CubeScore], version: str) -> Self:
        """Read the table of the draw and find the scores.

        Raises
        ------
        ReleaseError
            If the table cannot be used.
        WrongUsage
            If the version was not trained on one of its cubes, so that no fold was held out for it, or does not hold
            its score; or if an emergence frame lies outside the grid.
        """
        trained = {cube.name: cube.sha256 for cube in plan.labelled}
        verified = read_truth(path)
        absent = [name for name in verified if (name, trained.get(name, "")) not in stored]
        if absent:
            raise WrongUsage(
                f"{path} names cube {absent[0]!r}, of which version {version} holds no out-of-fold score "
                f"({len(absent)} of {len(verified)} cubes lack one); a random draw is of cubes that the version was "
                "trained on: train on these labels too, or name another --version. The promise breaks where cubes of "
                "the draw are left out"
            )
        last = plan.instrument.n_frames - 1
        outside = [cube for cube in verified.values() if cube.frame is not None and cube.frame > last]
        if outside:
            raise WrongUsage(
                f"{path} gives cube {outside[0].cube} the emergence frame {outside[0].frame}; frames run from 0 to "
                f"{last}: correct it or leave it empty"
            )
        return cls(
            cubes=tuple((stored[name, trained[name]], verified[name]) for name in sorted(verified)),
            folds=tuple(plan.folds[name] for name in sorted(verified)),
        )

    @property
    def p_emergence(self) -> npt.NDArray[np.floating[Any]]:
        """Probabilities of emergence, shape (n,)."""
        return np.array([score.p_emergence for score, _ in self.cubes], dtype=np.float64)

    @property
    def emergence(self) -> npt.NDArray[np.bool_]:
        """Verified labels as bool, shape (n,)."""
        return np.array([cube.label is Label.EMERGENCE for _, cube in self.cubes], dtype=bool)

    @property
    def timed(self) -> tuple[list[Emergence], list[int]]:
        """Located and verified frames, where the version, too, sees an emergence: a new cube gets a time only there."""
        pairs = [
            (found, cube.frame)
            for score, cube in self.cubes
            if cube.label is Label.EMERGENCE and cube.frame is not None and (found := located(score)) is not None
        ]
        return [found for found, _ in pairs], [frame for _, frame in pairs]

    def speaking_fold(self, cube: CubeInfo, plan: Plan) -> int:
        """Return the fold whose members speak of a cube of any release.

        One of the drawn cubes is chosen by a hash of this cube's content, and its fold taken: folds come up as often as
        among the labels that the promise is made from, whichever part of the trained cubes these were drawn from. A
        trained cube keeps its own fold, one whose region was trained on gets that of the region.
        """
        may = {member.fold for member in plan.out_of_fold_members(cube)}
        folds = [fold for fold in self.folds if fold in may] or sorted(may)
        chosen = int.from_bytes(hashlib.sha256(f"{SALT}:{cube.sha256}".encode()).digest())
        return folds[chosen % len(folds)]


def located(score: CubeScore) -> Emergence | None:
    """Return the emergence that a score gives, where its class is emergence."""
    return score.emergence if score.predicted is Label.EMERGENCE else None
