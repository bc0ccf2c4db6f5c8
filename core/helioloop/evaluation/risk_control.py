"""Risk control: which labels of a new release need no human, so that few of the accepted ones are wrong.

In go the ensemble's probabilities and the verified labels of an audit sample, cubes *drawn at random* from an earlier
release; out comes a threshold with a guarantee. A cube whose predicted class has at least that probability is accepted;
the other cubes go to the humans. Labels verified because of their disagreement cannot be used: among them the
ensemble is wrong more often than among all cubes.

The guarantee holds for a new release that is like the earlier one and is scored in the same way: by as many members,
none of them trained on the cube. It bounds the error rate, the fraction wrong among very many labels accepted in this
way. Among a few, more of them can be wrong by chance; `RiskGuarantee.most_wrong` says how many.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, binomtest

from helioloop.evaluation.probabilities import (
    Bools,
    Floats,
    as_labelled_probabilities,
    as_probabilities,
    check_fraction,
)

SPARE_FRACTION = 1 / 12
"""The first set tested allows this fraction of the wrong labels that the rate allows in the whole calibration set: with
few labels none, so that a guarantee is possible at all; with many some, so that one unlucky label does not end the
sequence."""
GROWTH = 1.05
"""Factor by which the number of wrong labels allowed grows from one set to the next; it grows by at least one."""
RATES = tuple(k / 200 for k in range(60, 0, -1))
"""The rates that `smallest_guarantee` tests, from 30 % down to 0.5 %."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskGuarantee:
    """With probability `confidence`, the error rate of labels accepted at `threshold` is at most `rate`.

    The error rate is the fraction wrong in the long run: the probability that a cube of a comparable release, if it is
    accepted, gets a wrong label. The fraction among N labels that were accepted scatters about it.

    Parameters
    ----------
    threshold : float
        A class is accepted if its probability, max(p, 1 − p), is at least this.
    rate : float
        Largest error rate of the accepted labels, α.
    confidence : float
        Probability, over random calibration sets, that the rate is kept: 1 − δ.
    n_calibration : int
        Verified labels of the calibration set.
    n_accepted, n_wrong : int
        How many of these the threshold accepts, and how many of the accepted ones the ensemble got wrong.
    """

    threshold: float
    rate: float
    confidence: float
    n_calibration: int
    n_accepted: int
    n_wrong: int

    @property
    def accepted_fraction(self) -> float:
        """Fraction of the calibration set that is accepted; about the same is expected of a new release."""
        return self.n_accepted / self.n_calibration

    def most_wrong(self, n: int) -> int:
        """Return how many of n accepted labels may be wrong.

        This is the quantile of the binomial distribution at the same confidence: the smallest m with
        ``P(X ≤ m) ≥ 1 − δ, X ~ Binomial(n, α)``. Where the error rate is at most α, no more than m are wrong with
        probability 1 − δ, if the cubes are independent.
        """
        return int(binom.ppf(self.confidence, n, self.rate)) if n else 0


def make_guarantee(
    p_emergence: Floats, emergence: Bools, *, rate: float = 0.02, confidence: float = 0.9
) -> RiskGuarantee | None:
    """Return the guarantee that accepts most cubes at the given rate, or None if the labels do not support one.

    Parameters
    ----------
    p_emergence : ndarray, shape (n,)
        Probabilities of emergence of the calibration cubes, by members that were not trained on them; n may be 0.
    emergence : ndarray of bool, shape (n,)
        Their verified labels. The cubes must be drawn at random.
    rate : float
        Largest error rate of the accepted labels, α. Choose it before looking at the labels; if the labels are to
        choose it, use `smallest_guarantee`.
    confidence : float
        Probability with which the guarantee holds, 1 − δ.

    Raises
    ------
    WrongUsage
        If `rate` or `confidence` is not between 0 and 1.
    ValueError
        If the arrays differ in shape or contain a value that is not a probability.

    Notes
    -----
    Learn then test. Sort the calibration cubes by their class probability max(p, 1 − p), highest first. The first k
    cubes, w of them wrong, test the null hypothesis

        H(k): of all cubes whose class probability is at least that of the k-th, more than α are wrong

    with the exact binomial p-value ``P(X ≤ w), X ~ Binomial(k, α)``: the probability of so few wrong labels if the
    error rate were α. H(k) is rejected if the p-value is at most δ. The sets are tested in turn, k growing (fixed
    sequence testing); the first H(k) that is not rejected ends the sequence, and the last one rejected gives the
    threshold. In plain words: the threshold is lowered as long as the verified labels prove the error rate to be below
    α.

    The sizes k depend on n, α and δ alone, never on a label: each is the smallest set in which one wrong label more
    than in the one before is still a rejection; the whole set comes last. A set between two of these allows no more
    wrong labels than the smaller one, and would only be a further chance to end the sequence. Cubes of equal
    class probability are accepted together.

    *Why it holds.* The guarantee fails only if the first true hypothesis of the sequence is rejected. Let E(t) be the
    error rate among cubes with class probability at least t, assume that it does not rise with t, and let τ be the
    class probability below which it exceeds α. The first true hypothesis belongs to the first set larger than the
    number N of calibration cubes at τ or above. Given N and all class probabilities below τ, these N cubes are a random
    sample of those above τ, hence wrong at the rate α, and each further cube of the set is wrong with at least that
    probability. The number of wrong labels is therefore stochastically no smaller than the binomial it is tested
    against, and the p-value is valid.

    If E(t) does rise with t (the ensemble is most often wrong where it is most certain), the guarantee for the first
    few sets is only approximate; with such an ensemble the calibration set usually gives no guarantee.

    One threshold serves both classes, and the guarantee is for the accepted labels together, not for each class.

    References
    ----------
    Angelopoulos, Bates, Candès, Jordan & Lei 2021, "Learn then Test", arXiv:2110.01052
    """
    check_fraction("rate", rate)
    calibration = _CalibrationSet(p_emergence, emergence, confidence=confidence)
    last: RiskGuarantee | None = None
    for size in _sizes(calibration.n, rate=rate, confidence=confidence):
        tested = calibration.test(size, rate)
        if tested is None:
            break
        last = tested
    return last


def smallest_guarantee(p_emergence: Floats, emergence: Bools, *, confidence: float = 0.9) -> RiskGuarantee | None:
    """Return the guarantee with the smallest rate that the labels support, or None if they support none.

    Parameters
    ----------
    p_emergence : ndarray, shape (n,)
        Probabilities of emergence of the calibration cubes, by members that were not trained on them; n may be 0.
    emergence : ndarray of bool, shape (n,)
        Their verified labels. The cubes must be drawn at random.
    confidence : float
        Probability with which the guarantee holds, 1 − δ.

    Raises
    ------
    WrongUsage
        If `confidence` is not between 0 and 1.
    ValueError
        If the arrays differ in shape or contain a value that is not a probability.

    Notes
    -----
    Again fixed sequence testing as in `make_guarantee`, now over `RATES` downwards: each rate is tested with the set
    that `make_guarantee` would test first, or with the set before if that is larger. The same argument holds, because
    sets grow and rates fall, so all hypotheses after the first true one are true. Use the guarantee as it is; calling
    `make_guarantee` with the rate found here would use the same labels twice.
    """
    calibration = _CalibrationSet(p_emergence, emergence, confidence=confidence)
    last: RiskGuarantee | None = None
    size = 0
    for rate in RATES:
        sizes = _sizes(calibration.n, rate=rate, confidence=confidence)
        size = max(size, sizes[0]) if sizes else calibration.n + 1
        tested = calibration.test(size, rate) if size <= calibration.n else None
        if tested is None:
            break
        last = tested
    return last


def min_labels(*, rate: float, confidence: float) -> int:
    """Return the fewest verified labels, all right, that support a guarantee.

    That is the smallest n with (1 − rate)ⁿ ≤ 1 − confidence.
    """
    return math.ceil(math.log(1.0 - confidence) / math.log(1.0 - rate))


def split(p_emergence: Floats, guarantee: RiskGuarantee | None) -> tuple[Ints, Ints]:
    """Return which cubes are accepted with the ensemble's class, and which go to the humans, least certain first.

    Parameters
    ----------
    p_emergence : ndarray, shape (n,)
        Probabilities of emergence of a new release.
    guarantee : RiskGuarantee or None
        With None, all cubes go to the humans.

    Returns
    -------
    accepted, to_human : ndarray of int
        Indices into `p_emergence`.
    """
    class_probability = _class_probability(as_probabilities(p_emergence))
    threshold = np.inf if guarantee is None else guarantee.threshold
    accepted = class_probability >= threshold
    to_human = np.flatnonzero(~accepted)
    return np.flatnonzero(accepted), to_human[np.argsort(class_probability[to_human], kind="stable")]


class _CalibrationSet:
    """The calibration cubes, highest class probability first, and the test of the first k of them."""

    def __init__(self, p_emergence: Floats, emergence: Bools, *, confidence: float) -> None:
        check_fraction("confidence", confidence)
        p, truth = as_labelled_probabilities(p_emergence, emergence)
        class_probability = _class_probability(p)
        order = np.argsort(-class_probability, kind="stable")
        self.n = len(p)
        self._confidence = confidence
        self._class_probability = class_probability[order]
        self._wrong = np.cumsum((p >= 0.5)[order] != truth[order])

    def test(self, size: int, rate: float) -> RiskGuarantee | None:
        """Return the guarantee of the first `size` cubes, or None if a higher error rate is not rejected."""
        threshold = self._class_probability[size - 1]
        accepted = int(np.searchsorted(-self._class_probability, -threshold, side="right"))
        wrong = int(self._wrong[accepted - 1])
        if binomtest(wrong, accepted, rate, alternative="less").pvalue > 1.0 - self._confidence:
            return None
        return RiskGuarantee(
            threshold=float(threshold),
            rate=rate,
            confidence=self._confidence,
            n_calibration=self.n,
            n_accepted=accepted,
            n_wrong=wrong,
        )


def _class_probability(p_emergence: Floats) -> Floats:
    """Return the probability of the predicted class."""
    return np.asarray(np.maximum(p_emergence, 1.0 - p_emergence))


def _sizes(n: int, *, rate: float, confidence: float) -> list[int]:
    """Return the sizes of the sets to test, growing up to n; none if n labels are too few for the rate."""
    all_sizes, sizes = np.arange(1, n + 1), []
    wrong = int(n * rate * SPARE_FRACTION)
    # The p-value of `binomtest`, for all sizes at once.
    while len(rejecting := np.flatnonzero(binom.cdf(wrong, all_sizes, rate) <= 1.0 - confidence)):
        sizes.append(int(all_sizes[rejecting[0]]))
        wrong = max(wrong + 1, int(wrong * GROWTH))
    return [*sizes, n] if sizes and sizes[-1] < n else sizes
