"""An audit sample: cubes drawn at random and verified, with the out-of-fold scores that a version gives them.

Risk control and calibration are computed from cubes that the version was trained on. Each of them is scored by the
members of its own fold alone, with the recipe ``quick`` two of ten. All ten members could score a cube of a new
release, and their average would be better, but it is another score: with the same threshold it accepts other cubes, and
nothing is known about the error rate of *those*. A new cube is therefore scored by the members of one fold, too; a hash
of its content chooses the fold.

Given the trained members, a sampled cube and one of a comparable new release then get their scores in the same way: a
fold is chosen, and members that have not seen the cube are averaged. (Folds are blocks of time, so neither cube has
training cubes of these members next to it.) The labels of the sample estimate the error of each fold's members,
averaged over the folds as often as they are chosen: the k-fold test error of Bayle et al., and exactly the error on new
cubes. They do not estimate the error of the average over all members.

One difference remains: a sampled cube is held out from the members of its own fold, but the other members were trained
on it. If no single cube changes a member much, the effect vanishes as n grows, and the estimate varies as it would on
cubes that nobody was trained on (Bayle et al.). Conformal intervals computed in this way have about the stated coverage
in practice; in theory up to twice as many intervals may miss (Barber et al.; cf. Vovk). The tests simulate this.

References
----------
Bayle, Bayle, Janson & Mackey 2020, "Cross-validation confidence intervals for test error", arXiv:2007.12671
Barber, Candès, Ramdas & Tibshirani 2021, "Predictive inference with the jackknife+", Ann. Statist. 49, 486
Vovk 2015, "Cross-conformal predictors", Ann. Math. Artif. Intell. 74, 9, doi:10.1007/s10472-013-9368-4
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from helioloop.data.truth import TrueCube, contradiction, read_truth
from helioloop.errors import WrongUsage
from helioloop.evaluation.probabilities import Bools, Floats
from helioloop.files.tables import OnDoubt, log_doubt
from helioloop.model.plan import Plan
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore, Emergence

SALT = "helioloop fold that speaks"
"""Hashed with a cube's content, so that the choice of the fold is independent of every other hash of the content.
Another salt would change the scores of new cubes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSample:
    """Cubes drawn at random and verified, with their out-of-fold scores.

    Parameters
    ----------
    cubes : tuple of (CubeScore, TrueCube)
        Score and verified label of every cube of the sample, by name.
    folds : tuple of int
        The fold each was held out in.
    """

    cubes: tuple[tuple[CubeScore, TrueCube], ...] = field(repr=False)
    folds: tuple[int, ...] = field(repr=False)

    @classmethod
    def read(
        cls,
        path: Path,
        *,
        plan: Plan,
        stored: Mapping[tuple[str, str], CubeScore],
        version: str,
        on_doubt: OnDoubt = log_doubt,
    ) -> Self:
        """Read the table of a sample and find the scores of its cubes.

        Parameters
        ----------
        path : Path
            CSV with the columns ``cube,label[,emergence_frame]``.
        plan : Plan
            The plan that the version was trained by.
        stored : mapping of (name, sha256) to CubeScore
            The scores of the version.
        version : str
            Its name, for messages.
        on_doubt : OnDoubt
            Called with a sentence for each doubtful value of the table that was read nevertheless, and where it
            contradicts verified labels that the version was trained on.

        Raises
        ------
        ReleaseError
            If the table cannot be used.
        WrongUsage
            If the version was not trained on one of the cubes, so that no fold was held out for it, or has no score of
            it; or if an emergence frame is outside the grid.
        """
        trained = {cube.name: cube.sha256 for cube in plan.labelled}
        verified = read_truth(path, cubes=trained, on_doubt=on_doubt)
        absent = [name for name in verified if (name, trained.get(name, "")) not in stored]
        if absent:
            raise WrongUsage(
                f"{path} contains cube {absent[0]!r}, of which version {version} has no out-of-fold score "
                f"({len(absent)} of {len(verified)} cubes lack one); the version must be trained on all cubes of the "
                "random sample: train on these labels too, or give another --version. Do not remove cubes from the "
                "sample, the guarantee would be lost"
            )
        last = plan.instrument.n_frames - 1
        outside = [cube for cube in verified.values() if cube.frame is not None and cube.frame > last]
        if outside:
            raise WrongUsage(
                f"{path} gives cube {outside[0].cube} the emergence frame {outside[0].frame}; frames run from 0 to "
                f"{last}: correct it or leave it empty"
            )
        human = [(cube.name, cube.label) for cube in plan.labelled if cube.verified and cube.label is not None]
        if (clause := contradiction(verified, human)) is not None:
            on_doubt(
                f"{path}: {clause} in the table that {version} was trained on; the guarantee counts that of the "
                "sample: correct the table that is wrong"
            )
        return cls(
            cubes=tuple((stored[name, trained[name]], verified[name]) for name in sorted(verified)),
            folds=tuple(plan.folds[name] for name in sorted(verified)),
        )

    @property
    def p_emergence(self) -> Floats:
        """Probabilities of emergence, shape (n,)."""
        return np.array([score.p_emergence for score, _ in self.cubes], dtype=np.float64)

    @property
    def emergence(self) -> Bools:
        """Verified labels, shape (n,): True for emergence."""
        return np.array([cube.label is Label.EMERGENCE for _, cube in self.cubes], dtype=np.bool_)

    @property
    def timed(self) -> tuple[list[Emergence], list[int]]:
        """Located emergences and verified frames of the cubes that have both and are predicted emergences.

        A new cube gets a frame only if emergence is predicted; the calibration must be on the same kind of cubes.
        """
        pairs = [
            (found, cube.frame)
            for score, cube in self.cubes
            if cube.label is Label.EMERGENCE
            and cube.frame is not None
            and (found := predicted_emergence(score)) is not None
        ]
        return [found for found, _ in pairs], [frame for _, frame in pairs]

    def scoring_fold(self, cube: CubeInfo, plan: Plan) -> int:
        """Return the fold whose members score a cube of any release; see the function `scoring_fold`."""
        return scoring_fold(cube, plan, self.folds)


def scoring_fold(cube: CubeInfo, plan: Plan, folds: Sequence[int]) -> int:
    """Return the fold whose members score a cube of any release.

    A hash of the cube's content chooses one of the sampled cubes, and its fold is taken. Folds are thus chosen as often
    as they occur in the sample that the guarantee is computed from. Only folds with out-of-fold members are possible: a
    trained cube keeps its own fold, a cube of a trained region gets the fold of the region.

    Parameters
    ----------
    cube : CubeInfo
        The cube to score.
    plan : Plan
        The plan that the version was trained by.
    folds : sequence of int
        Fold of each sampled cube.
    """
    possible = {member.fold for member in plan.out_of_fold_members(cube)}
    chosen_from = [fold for fold in folds if fold in possible] or sorted(possible)
    chosen = int.from_bytes(hashlib.sha256(f"{SALT}:{cube.sha256}".encode()).digest())
    return chosen_from[chosen % len(chosen_from)]


def predicted_emergence(score: CubeScore) -> Emergence | None:
    """Return the located emergence if the predicted class is emergence, else None."""
    return score.emergence if score.predicted is Label.EMERGENCE else None
