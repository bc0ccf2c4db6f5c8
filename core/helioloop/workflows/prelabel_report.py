"""The outcome of pre-labelling a release: a table with one row per cube, and sentences on what it guarantees."""

from dataclasses import dataclass, field
from pathlib import Path

from helioloop.data.frame_times import FrameTime
from helioloop.evaluation.calibration import (
    IntervalCalibration,
    ProbabilityCalibration,
    intervals_in_words,
    probabilities_in_words,
)
from helioloop.evaluation.drift import NO_DRIFT, Drift
from helioloop.evaluation.probabilities import check_fraction
from helioloop.evaluation.risk_control import RATES, RiskGuarantee, min_labels
from helioloop.files import tables
from helioloop.records.scores import CubeScore, Emergence
from helioloop.workflows.cells import decimal, frame_cells, time_cells

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


_WITHDRAWN = (
    "The risk guarantee is therefore withdrawn: nothing is accepted, and probabilities and intervals are uncalibrated."
)
_REMEDY = (
    "If units, profile or processing of the release are wrong, correct them and repeat this. Otherwise verify a random "
    "sample of it, train on it together with the earlier releases, and give that sample to triage."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What is to be guaranteed; each is a fraction between 0 and 1.

    Parameters
    ----------
    rate : float
        Largest error rate of the accepted labels; see `RiskGuarantee`.
    confidence : float
        Probability with which that holds.
    coverage : float
        Fraction of the true frames that calibrated intervals contain.

    Raises
    ------
    WrongUsage
        If one of them is not between 0 and 1.
    """

    rate: float
    confidence: float
    coverage: float

    def __post_init__(self) -> None:
        for name in ("rate", "confidence", "coverage"):
            check_fraction(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prelabel:
    """The pre-label of one cube.

    Parameters
    ----------
    score : CubeScore
        By the members of one fold.
    p_calibrated : float or None
        Calibrated probability of emergence; None if too few labels allow none.
    accepted : bool
        True if the predicted class is accepted under the guarantee.
    verified : bool
        True if a human verified the label, which then stays; such a cube is not accepted.
    emergence : Emergence or None
        Emergence frame with the interval to show; None if another class is predicted, or if neither
        the curve nor both polarities rise.
    coverage : float or None
        Fraction of true frames that such intervals contain; None if they are not calibrated.
    time : FrameTime or None
        When the emergence frame starts; None without frame, or if the files have no start.
    """

    score: CubeScore
    p_calibrated: float | None
    accepted: bool
    verified: bool
    emergence: Emergence | None
    coverage: float | None
    time: FrameTime | None

    def row(self, version: str) -> dict[str, str | int]:
        """Return the cube's row of the table; empty means unknown."""
        interval = "uncalibrated" if self.coverage is None else f"calibrated {self.coverage:g}"
        return {
            "cube": self.score.cube,
            "label_predicted": str(self.score.predicted),
            "p_emergence": decimal(self.score.p_emergence),
            "p_calibrated": decimal(self.p_calibrated),
            "accepted": int(self.accepted),
            **frame_cells(self.emergence),
            "interval": "" if self.emergence is None else interval,
            **time_cells(self.time),
            "model_version": version,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Prelabelling:
    """A pre-labelled release.

    Parameters
    ----------
    version : str
        The version that scored it.
    cubes : tuple of Prelabel
        All readable cubes, in the order of the release's table.
    targets : Targets
        What was to be guaranteed.
    guarantee : RiskGuarantee or None
        The guarantee under which labels are accepted; None if the sample does not support it, then none is accepted.
    smallest : RiskGuarantee or None
        Without a guarantee: the one with the smallest rate that the sample supports, if any. It is reported, not used.
    n_sampled : int
        Cubes of the audit sample.
    probabilities, intervals
        The calibrations; None if there are too few labels or frames.
    n_frames : int
        Verified frames available to calibrate the intervals on.
    drift : Drift
        How the release differs from the audit sample; if it does, there is no guarantee and no calibration.
    """

    version: str
    cubes: tuple[Prelabel, ...] = field(repr=False)
    targets: Targets
    guarantee: RiskGuarantee | None
    smallest: RiskGuarantee | None
    n_sampled: int
    probabilities: ProbabilityCalibration | None
    intervals: IntervalCalibration | None
    n_frames: int
    drift: Drift = NO_DRIFT

    def sentences(self) -> tuple[str, ...]:
        """Return the outcome in plain sentences."""
        n, accepted = len(self.cubes), sum(cube.accepted for cube in self.cubes)
        verified = sum(cube.verified for cube in self.cubes)
        counts = f"{n} cubes scored by {self.version}: {accepted} accepted, {n - accepted - verified} go to the human."
        if verified:
            counts = f"{counts[:-1]}, {verified} {'has' if verified == 1 else 'have'} a label that a human verified."
        if not self.drift.alike:
            return counts, *self.drift.sentences(), _WITHDRAWN, *([_REMEDY] if self.drift.found else [])
        return (
            counts,
            *self._guarantee_in_words(),
            probabilities_in_words(self.probabilities),
            intervals_in_words(self.intervals, n_frames=self.n_frames, coverage=self.targets.coverage),
        )

    def _guarantee_in_words(self) -> tuple[str, ...]:
        if self.guarantee is not None:
            return guarantee_in_words(self.guarantee, accepted=sum(cube.accepted for cube in self.cubes))
        return no_guarantee_in_words(
            rate=self.targets.rate,
            confidence=self.targets.confidence,
            n_sampled=self.n_sampled,
            smallest=self.smallest,
        )


def write_prelabel_table(path: Path, prelabelling: Prelabelling) -> None:
    """Write a row per cube as CSV with the columns `COLUMNS`, in one step; empty means unknown."""
    tables.write_table(path, COLUMNS, (cube.row(prelabelling.version) for cube in prelabelling.cubes))


def guarantee_in_words(guarantee: RiskGuarantee, *, accepted: int) -> tuple[str, ...]:
    """Return what a guarantee says, what that means for so many accepted labels, and what it was computed from."""
    most = guarantee.most_wrong(accepted)
    may_be = f"up to {most} may be" if most else "none is expected to be"
    here = f"; among the {accepted} accepted here {may_be}" if accepted else ""
    return (
        f"Of labels accepted in this way at most {percent(guarantee.rate)} are wrong in the long run, with "
        f"{percent(guarantee.confidence)} confidence{here}. This holds if the release is like the one that the audit "
        "sample was drawn from.",
        f"A class is accepted if its probability is at least {guarantee.threshold:.4f}; of {guarantee.n_calibration} "
        f"labels in the audit sample {guarantee.n_accepted} pass, {guarantee.n_wrong} of these are wrong.",
    )


def no_guarantee_in_words(
    *, rate: float, confidence: float, n_sampled: int, smallest: RiskGuarantee | None
) -> tuple[str, ...]:
    """Return why there is no guarantee, and which one the sample supports.

    Parameters
    ----------
    rate, confidence : float
        What was to be guaranteed; see `Targets`.
    n_sampled : int
        Cubes of the audit sample.
    smallest : RiskGuarantee or None
        The guarantee with the smallest rate that the sample supports, if any.
    """
    needed = min_labels(rate=rate, confidence=confidence)
    why = (
        f"at least {needed} labels are needed" if n_sampled < needed else "too many of the most certain ones are wrong"
    )
    none = f"They do not support a rate up to {percent(RATES[0])} either: verify" if rate < RATES[0] else "Verify"
    return (
        f"Nothing is accepted: {n_sampled} labels of the audit sample do not support a guarantee of at most "
        f"{percent(rate)} wrong with {percent(confidence)} confidence; {why}.",
        f"{none} more cubes drawn at random."
        if smallest is None
        else f"The smallest rate they support is {percent(smallest.rate)}, for about "
        f"{percent(smallest.accepted_fraction)} of the cubes. Verify more cubes drawn at random for a smaller one; "
        "a rate chosen because these labels support it holds with slightly less confidence.",
    )


def percent(fraction: float) -> str:
    """Return a fraction in per cent, with three digits."""
    return f"{100.0 * fraction:.3g} %"
