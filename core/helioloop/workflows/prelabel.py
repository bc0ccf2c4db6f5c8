"""A new release pre-labelled with a promise: which classes are taken as they are, and which cubes go to the humans.

Top of the core, above `offline`. `draw` gives what a version says of the cubes of a random draw and who speaks of new
ones, `triage` and `calibration` what the draw's labels bear; here they meet a new release. Needs the extra ``worker``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from helioloop import tables
from helioloop.data.frame_times import FrameTime, cube_frame_time
from helioloop.data.release import Release
from helioloop.emergence.locate import locate
from helioloop.errors import WrongUsage
from helioloop.evaluation.audit_sample import AuditSample, located
from helioloop.evaluation.calibration import (
    IntervalCalibration,
    ProbabilityCalibration,
    intervals_in_words,
    probabilities_in_words,
)
from helioloop.evaluation.risk_control import RATES, RiskGuarantee, make_guarantee, smallest_guarantee, split
from helioloop.model.ensemble import Ensemble
from helioloop.model.plan import Plan
from helioloop.model.runtime import Runtime
from helioloop.records import CubeInfo, CubeScore, Emergence, Label
from helioloop.registry.versions import Registry
from helioloop.workflows.releases import find_version, readable_cubes

COLUMNS = (
    "cube",
    "label_predicted",
    "p_emergence",
    "p_calibrated",
    "accepted",
    "emergence_frame",
    "emergence_frame_lo",
    "emergence_frame_hi",
    "interval",
    "emergence_time_utc",
    "emergence_time_tai",
    "model_version",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prelabel:
    """What is said of one cube of the new release.

    Parameters
    ----------
    score : CubeScore
        By the members of one fold.
    p_calibrated : float or None
        Calibrated probability of emergence; None where too few labels allow none.
    accepted : bool
        True where the class is taken under the promise.
    found : Emergence or None
        The emergence frame with the interval that is shown; None where the class is another or the curve does not rise.
    coverage : float or None
        Part of true frames that such intervals are calibrated to contain; None where they are not.
    time : FrameTime or None
        When the emergence frame starts; None without frame, or where the files give no start.
    """

    score: CubeScore
    p_calibrated: float | None
    accepted: bool
    found: Emergence | None
    coverage: float | None
    time: FrameTime | None

    def row(self, version: str) -> dict[str, str | int]:
        """Return the cube's row of the table; empty means unknown."""
        found = self.found
        frame, lo, hi = ("", "", "") if found is None else (found.frame, found.frame_lo, found.frame_hi)
        interval = "uncalibrated" if self.coverage is None else f"calibrated {self.coverage:g}"
        return {
            "cube": self.score.cube,
            "label_predicted": str(self.score.predicted),
            "p_emergence": f"{self.score.p_emergence:.6f}",
            "p_calibrated": "" if self.p_calibrated is None else f"{self.p_calibrated:.6f}",
            "accepted": int(self.accepted),
            "emergence_frame": frame,
            "emergence_frame_lo": lo,
            "emergence_frame_hi": hi,
            "interval": "" if found is None else interval,
            "emergence_time_utc": "" if self.time is None else self.time.utc,
            "emergence_time_tai": "" if self.time is None else self.time.tai,
            "model_version": version,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be promised: wrong labels at most at `rate` with `confidence`, true frames within at `coverage`."""

    rate: float
    confidence: float
    coverage: float

    def __post_init__(self) -> None:
        for name, value in (("rate", self.rate), ("confidence", self.confidence), ("coverage", self.coverage)):
            if not 0.0 < value < 1.0:
                raise WrongUsage(f"the {name} is {value}; it lies between 0 and 1, both excluded: give 0.02 for 2 %")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prelabelling:
    """A new release, pre-labelled.

    Parameters
    ----------
    version : str
        The version that speaks.
    cubes : tuple of Prelabel
        All readable cubes, in the order of the release's table.
    asked : Asked
        What was to be promised.
    promise : RiskGuarantee or None
        The promise under which labels are accepted; None where the labels do not bear it, and nothing is accepted.
    smallest : RiskGuarantee or None
        Without a promise: the one with the smallest rate that the labels bear, if any. It is told, not used.
    n_random : int
        Cubes of the random draw.
    probabilities, intervals
        The calibrations; None where there are too few labels or frames.
    n_frames : int
        Verified frames that the intervals could be calibrated on.
    """

    version: str
    cubes: tuple[Prelabel, ...] = field(repr=False)
    asked: Asked
    promise: RiskGuarantee | None
    smallest: RiskGuarantee | None
    n_random: int
    probabilities: ProbabilityCalibration | None
    intervals: IntervalCalibration | None
    n_frames: int

    def sentences(self) -> tuple[str, ...]:
        """Return the outcome in plain words."""
        n, accepted = len(self.cubes), sum(cube.accepted for cube in self.cubes)
        return (
            f"{n} cubes scored by {self.version}: {accepted} accepted, {n - accepted} go to the human.",
            *(self._refusal() if self.promise is None else _meaning(self.promise)),
            probabilities_in_words(self.probabilities),
            intervals_in_words(self.intervals, n_frames=self.n_frames, coverage=self.asked.coverage),
        )

    def _refusal(self) -> tuple[str, ...]:
        rate, confidence, small = self.asked.rate, self.asked.confidence, self.smallest
        least = math.ceil(math.log(1.0 - confidence) / math.log(1.0 - rate))
        why = f"it takes {least} at least" if self.n_random < least else "too many of the sure ones are wrong"
        return (
            f"Nothing is accepted: {self.n_random} random labels do not bear the promise of at most {_percent(rate)} "
            f"wrong with {_percent(confidence)} confidence; {why}.",
            f"They bear none up to {_percent(RATES[0])} either: verify more cubes drawn at random."
            if small is None
            else f"The smallest rate they bear is {_percent(small.rate)}, for about "
            f"{_percent(small.accepted_share)} of the cubes. Verify more cubes drawn at random for a smaller one; "
            "a rate chosen because these labels bear it is promised with a little less confidence.",
        )


def prelabel_release(
    release: Release, registry: Registry, draw: Path, runtime: Runtime, *, asked: Asked, version: str | None
) -> Prelabelling:
    """Score a new release and accept the classes that the random draw bears a promise for.

    Nothing is written: the scores are not those that the version's folder keeps.

    Parameters
    ----------
    release : Release
        The new release; its labels are not looked at.
    registry : Registry
        Model folder.
    draw : Path
        Table ``cube,label[,emergence_frame]`` of *all* cubes of a random draw from an earlier release, as a human
        verified them. Without those whose label was right, or with others chosen by disagreement, nothing it promises
        is true.
    asked : Asked
        What to promise; chosen before the labels are looked at.
    version : str or None
        The version that speaks; None for the published one.
    runtime : Runtime
        What to work with.

    Raises
    ------
    RegistryError
        If nothing is published yet, or the version's instrument is another one.
    ReleaseError, WrongUsage
        If the table of the draw cannot be used, or the version holds no out-of-fold score of a drawn cube.
    """
    version = find_version(registry, version, instrument=runtime.instrument)
    folder = registry.folder(version)
    plan, stored = Plan.read(folder), registry.scores(version)
    drawn = AuditSample.read(draw, plan=plan, stored=stored, version=version)
    p, emergence = drawn.p_emergence, drawn.emergence
    promise = make_guarantee(p, emergence, rate=asked.rate, confidence=asked.confidence)
    probabilities = ProbabilityCalibration.calibrate(p, emergence)
    found, frames = drawn.timed
    start = plan.instrument.frozen_frames
    intervals = IntervalCalibration.calibrate(found, frames, start=start, coverage=asked.coverage)

    cubes = readable_cubes(release, runtime)
    scores = _speak(Ensemble.open(folder, device=runtime.device), drawn, cubes, stored, runtime)
    new = np.array([score.p_emergence for score in scores], dtype=np.float64)
    accepted = set(split(new, promise)[0].tolist())
    calibrated = [None] * len(new) if probabilities is None else [float(q) for q in probabilities.apply(new)]
    prelabels = []
    for k, (cube, score) in enumerate(zip(cubes, scores, strict=True)):
        one = located(score)
        if one is not None and intervals is not None:
            one = intervals.apply(one, start=start, n_frames=plan.instrument.n_frames)
        prelabels.append(
            Prelabel(
                score=score,
                p_calibrated=calibrated[k],
                accepted=k in accepted,
                found=one,
                coverage=None if intervals is None else intervals.coverage,
                time=None
                if one is None
                else cube_frame_time(
                    release.path(cube.name), one.frame, cadence_seconds=runtime.instrument.cadence_seconds
                ),
            )
        )
    return Prelabelling(
        version=version,
        cubes=tuple(prelabels),
        asked=asked,
        promise=promise,
        smallest=None if promise else smallest_guarantee(p, emergence, confidence=asked.confidence),
        n_random=len(drawn.cubes),
        probabilities=probabilities,
        intervals=intervals,
        n_frames=len(frames),
    )


def write_prelabel_table(path: Path, prelabelling: Prelabelling) -> None:
    """Write a row per cube as CSV with the columns `COLUMNS`, in one step; empty means unknown."""
    tables.write_table(path, COLUMNS, (cube.row(prelabelling.version) for cube in prelabelling.cubes))


def _speak(
    ensemble: Ensemble,
    drawn: AuditSample,
    cubes: Sequence[CubeInfo],
    stored: Mapping[tuple[str, str], CubeScore],
    runtime: Runtime,
) -> list[CubeScore]:
    """Return what one fold's members say of each cube, with a time where they see an emergence."""
    plan = ensemble.plan
    of_fold = {fold: ensemble.of_fold(fold) for fold in {member.fold for member in plan.members}}
    trained = {cube.key for cube in plan.labelled}
    said = []
    for done, cube in enumerate(cubes, start=1):
        key = cube.key
        members = of_fold[drawn.speaking_fold(cube, plan)]
        score = stored[key] if key in trained and key in stored else members.score(cube, runtime)
        if score.predicted is Label.EMERGENCE and score.curve is None:
            score = locate(members, cube, score, runtime)
        said.append(score)
        runtime.report(done, len(cubes), "scoring cubes")
    return said


def _meaning(promise: RiskGuarantee) -> tuple[str, ...]:
    return (
        f"Of the accepted labels at most {_percent(promise.rate)} are wrong, with {_percent(promise.confidence)} "
        "confidence, where this release is like the one that the random labels were drawn from.",
        f"Accepted is a class with a probability of at least {promise.threshold:.4f}; of {promise.n_calibration} "
        f"random labels {promise.n_accepted} pass it, {promise.n_wrong} of them wrong.",
    )


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g} %"
