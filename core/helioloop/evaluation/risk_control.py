"""Triage with a promise: which labels of a new release need no human, and how often those are wrong at most.

Learning floor. The ensemble scores a release nobody has labelled. Where it is sure, its class is taken; the rest goes
to the humans. How sure is sure enough is read off labels that humans verified *on cubes drawn at random* in an earlier
period: a ranking by disagreement verifies where the ensemble errs, and promises nothing. Pure: numpy and scipy.

The promise carries over as far as the new release is like the earlier one and is scored in the same way: by as many
members, none of which trained on the cube.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from helioloop.errors import WrongUsage

SPARE_SHARE = 1 / 12
"""The sequence starts where it can bear this part of the wrong labels that the rate allows the calibration set: none
with few labels, so that something can be promised at all; some with many, so that one unlucky label does not end it."""
GROWTH = 1.05
"""By how much the wrong labels that a set can bear grow from step to step, at least by one."""
RATES = tuple(k / 200 for k in range(60, 0, -1))
"""The rates `smallest_guarantee` tries, from 30 % down to 0.5 %."""

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskGuarantee:
    """Labels accepted at `threshold` are wrong at most at `rate`, with `confidence`.

    Parameters
    ----------
    threshold : float
        A class is accepted where its probability, max(p, 1 − p), is at least this.
    rate : float
        Largest part of wrong labels among those accepted.
    confidence : float
        Probability, over calibration sets drawn at random, that the promise holds.
    n_calibration : int
        Random verified labels it was made from.
    n_accepted, n_wrong : int
        How many of those the threshold accepts, and how many of these the ensemble got wrong.
    """

    threshold: float
    rate: float
    confidence: float
    n_calibration: int
    n_accepted: int
    n_wrong: int

    @property
    def accepted_share(self) -> float:
        """Part of the calibration set that is accepted: what to expect of a new release."""
        return self.n_accepted / self.n_calibration

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what `as_dict` wrote."""
        return cls(**values)


def make_guarantee(
    p_emergence: Floats, emergence: Bools, *, rate: float = 0.02, confidence: float = 0.9
) -> RiskGuarantee | None:
    """Return the promise that accepts most at the asked rate, or None where the labels do not bear one.

    Parameters
    ----------
    p_emergence : ndarray, shape (n,)
        Probabilities of emergence of the calibration cubes, by members that did not train on them.
    emergence : ndarray of bool, shape (n,)
        Their verified labels. The cubes were drawn at random.
    rate : float
        Largest part of wrong labels among those accepted; chosen before the labels are looked at. To let the labels
        choose it, ask `smallest_guarantee`.
    confidence : float
        Probability with which the promise is to hold.

    Raises
    ------
    WrongUsage
        Where `rate` or `confidence` does not lie between 0 and 1.
    ValueError
        Where the arrays differ in shape or hold what is no probability.

    Notes
    -----
    Learn-then-Test. Sets of the k surest cubes are tested in turn, k growing, each against "among all cubes as sure as
    the least sure of these, more than `rate` are wrong" with an exact binomial p-value; the first that is not rejected
    at 1 − `confidence` ends the sequence, and the last one rejected gives the threshold. The sizes k depend on n,
    `rate` and `confidence` alone, never on a label: each is the smallest set that can bear one wrong label more than
    the one before; the whole set comes last. A set between two of these can bear no more than the smaller of them, and
    would only be a further chance to end the sequence.

    *Why it holds.* A promise is broken only if the first true hypothesis of the sequence is rejected. Let E(t) be the
    part of wrong labels among cubes at least as sure as t, let it not rise with t, and let τ be where it passes the
    rate. The first true hypothesis is the first set larger than the number N of calibration cubes at or above τ. Given
    N and all scores below τ, the N cubes are a random draw from those above τ, so wrong at the rate, and each further
    one in the set is wrong with at least that probability. The count of wrong ones is thus stochastically no smaller
    than the binomial it is tested against, and the p-value is valid. Scores that tie are accepted together.

    Where E(t) does rise with t (the ensemble is most wrong where it is surest), what was proven of the surest few is
    only approximate; the calibration set shows such an ensemble by giving no promise.

    One threshold serves both classes, and the promise is on the accepted labels together, not on each class.

    References
    ----------
    Angelopoulos, Bates, Candès, Jordan & Lei 2021, "Learn then Test", arXiv:2110.01052
    """
    surest = _Surest(p_emergence, emergence, rates=(rate,), confidence=confidence)
    kept: RiskGuarantee | None = None
    for size in _sizes(surest.n, rate=rate, confidence=confidence):
        tested = surest.test(size, rate)
        if tested is None:
            break
        kept = tested
    return kept


def smallest_guarantee(p_emergence: Floats, emergence: Bools, *, confidence: float = 0.9) -> RiskGuarantee | None:
    """Return the promise with the smallest rate that the labels bear, or None: with too few there is no promise.

    Parameters
    ----------
    p_emergence : ndarray, shape (n,)
        Probabilities of emergence of the calibration cubes, by members that did not train on them; n may be 0.
    emergence : ndarray of bool, shape (n,)
        Their verified labels. The cubes were drawn at random.
    confidence : float
        Probability with which the promise is to hold.

    Raises
    ------
    WrongUsage
        Where `confidence` does not lie between 0 and 1.
    ValueError
        Where the arrays differ in shape or hold what is no probability.

    Notes
    -----
    One sequence again, now over `RATES` downwards, each with the set that `make_guarantee` would test first, or the one
    before where that is larger. The argument there holds for it: sets grow, rates fall, so after the first true
    hypothesis all are true. Use the guarantee as it is; asking `make_guarantee` for the rate found here would use
    the same labels twice.
    """
    surest = _Surest(p_emergence, emergence, rates=RATES, confidence=confidence)
    kept: RiskGuarantee | None = None
    size = 0
    for rate in RATES:
        sizes = _sizes(surest.n, rate=rate, confidence=confidence)
        size = max(size, sizes[0]) if sizes else surest.n + 1
        tested = surest.test(size, rate) if size <= surest.n else None
        if tested is None:
            break
        kept = tested
    return kept


def split(p_emergence: Floats, promise: RiskGuarantee | None) -> tuple[Ints, Ints]:
    """Return which cubes are accepted with the ensemble's class, and which go to the humans, the least sure first.

    Parameters
    ----------
    p_emergence : ndarray, shape (n,)
        Probabilities of emergence of a new release.
    promise : RiskGuarantee or None
        Without one, all cubes go to the humans.

    Returns
    -------
    accepted, to_human : ndarray of int
        Indices into `p_emergence`.
    """
    sure = _sureness(p_emergence)
    accepted = np.zeros(sure.shape, dtype=bool) if promise is None else sure >= promise.threshold
    to_human = np.flatnonzero(~accepted)
    return np.flatnonzero(accepted), to_human[np.argsort(sure[to_human], kind="stable")]


class _Surest:
    """The calibration set, the surest first, and the test of its k surest."""

    def __init__(self, p_emergence: Floats, emergence: Bools, *, rates: tuple[float, ...], confidence: float) -> None:
        for name, value in (*(("rate", rate) for rate in rates), ("confidence", confidence)):
            if not 0.0 < value < 1.0:
                raise WrongUsage(f"the {name} is {value}; it lies between 0 and 1, both excluded: give 0.02 for 2 %")
        sure = _sureness(p_emergence)
        truth = np.asarray(emergence, dtype=bool)
        if truth.shape != sure.shape:
            raise ValueError(f"{truth.shape} labels for {sure.shape} probabilities; give one label per probability")
        order = np.argsort(-sure, kind="stable")
        self.n = len(sure)
        self._confidence = confidence
        self._sure = sure[order]
        self._wrong = np.cumsum((np.asarray(p_emergence) >= 0.5)[order] != truth[order])

    def test(self, size: int, rate: float) -> RiskGuarantee | None:
        """Return the promise on the `size` surest cubes, or None where their errors do not rule out a higher rate."""
        threshold = self._sure[size - 1]
        accepted = int(np.searchsorted(-self._sure, -threshold, side="right"))
        wrong = int(self._wrong[accepted - 1])
        if binom.cdf(wrong, accepted, rate) > 1.0 - self._confidence:
            return None
        return RiskGuarantee(
            threshold=float(threshold),
            rate=rate,
            confidence=self._confidence,
            n_calibration=self.n,
            n_accepted=accepted,
            n_wrong=wrong,
        )


def _sureness(p_emergence: Floats) -> Floats:
    p = np.asarray(p_emergence, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0.0) & (p <= 1.0)):  # NaN fails too
        raise ValueError(f"p_emergence of shape {p.shape} must be one row of probabilities in [0, 1]")
    return np.maximum(p, 1.0 - p)


def _sizes(n: int, *, rate: float, confidence: float) -> list[int]:
    """Return the sizes of the sets to test, growing up to n; none where n labels cannot bear the rate."""
    all_sizes, sizes = np.arange(1, n + 1), []
    wrong = int(n * rate * SPARE_SHARE)
    while len(bears := np.flatnonzero(binom.cdf(wrong, all_sizes, rate) <= 1.0 - confidence)):
        sizes.append(int(all_sizes[bears[0]]))
        wrong = max(wrong + 1, int(wrong * GROWTH))
    return [*sizes, n] if sizes and sizes[-1] < n else sizes
