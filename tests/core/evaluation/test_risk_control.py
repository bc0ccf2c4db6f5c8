"""A guarantee is given only if the verified labels prove it, and it holds as often as stated."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from helioloop.errors import WrongUsage
from helioloop.evaluation.risk_control import RiskGuarantee, make_guarantee, min_labels, smallest_guarantee, split


def sample(n: int, rng: np.random.Generator, *, everywhere: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Cubes of class probability c, uniform from ½ to 1; their class is wrong in 2 (1 − c)² or in `everywhere`."""
    certainty = rng.uniform(0.5, 1.0, n)
    p = np.where(rng.random(n) < 0.5, certainty, 1.0 - certainty)
    wrong = rng.random(n) < (2.0 * (1.0 - certainty) ** 2 if everywhere is None else everywhere)
    return p, (p >= 0.5) ^ wrong


def true_rate(threshold: float) -> float:
    """The mean of 2 (1 − c)² from the threshold to 1."""
    return 2.0 / 3.0 * (1.0 - threshold) ** 2


def test_without_a_wrong_label_ln_delta_over_ln_one_minus_rate_labels_are_needed() -> None:
    """2 % at 90 %: 0.98^114 is the first power below a tenth, so 113 right labels are too few and 114 suffice."""
    p, emergence = np.full(114, 0.9), np.ones(114, dtype=bool)
    assert make_guarantee(p[:113], emergence[:113]) is None
    assert make_guarantee(p, emergence) == RiskGuarantee(
        threshold=0.9, rate=0.02, confidence=0.9, n_calibration=114, n_accepted=114, n_wrong=0
    )


def test_the_threshold_excludes_the_cubes_where_the_wrong_labels_are() -> None:
    """200 certain and right cubes are accepted; 100 less certain ones, half of them wrong, are not."""
    p = np.concatenate([np.linspace(0.99, 0.9, 100), np.linspace(0.01, 0.1, 100), np.linspace(0.7, 0.6, 100)])
    emergence = np.concatenate([np.ones(100), np.zeros(100), np.arange(100) % 2]).astype(bool)
    guarantee = make_guarantee(p, emergence)
    assert guarantee is not None
    assert guarantee.threshold == pytest.approx(0.9, abs=0.01)
    assert guarantee.n_wrong == 0
    assert guarantee.accepted_fraction == guarantee.n_accepted / 300


def test_equal_scores_are_accepted_together() -> None:
    """The counts include all cubes that the threshold accepts, not only those of the set tested."""
    p = np.repeat([0.95, 0.9, 0.6], [150, 60, 40])
    emergence = np.repeat([True, True, False], [150, 60, 40])
    guarantee = make_guarantee(p, emergence)
    assert guarantee is not None
    assert (guarantee.threshold, guarantee.n_accepted) == (0.9, 210)


def test_an_ensemble_that_is_wrong_where_it_is_most_certain_gets_no_guarantee() -> None:
    """Although all its less certain classes are right."""
    p = np.linspace(0.99, 0.6, 400)
    assert make_guarantee(p, np.arange(400) >= 20) is None


def test_the_guarantee_fails_no_more_often_than_stated() -> None:
    """The true error among the accepted exceeds 5 % in at most a tenth of 400 calibration sets; most get one."""
    rng = np.random.default_rng(1)
    guarantees = [make_guarantee(*sample(400, rng), rate=0.05) for _ in range(400)]
    thresholds = [guarantee.threshold for guarantee in guarantees if guarantee]
    assert sum(true_rate(threshold) > 0.05 for threshold in thresholds) <= 0.12 * 400
    assert len(thresholds) >= 0.8 * 400
    assert 2.0 * (1.0 - np.median(thresholds)) > 0.3  # of the 0.55 that could be accepted if the errors were known


def test_of_a_few_accepted_labels_more_than_the_rate_can_be_wrong_and_the_bound_says_how_many() -> None:
    """Wrong at exactly the rate, over 2 % of fifty labels are in a fourth of all releases, over the bound in few."""
    guarantee = RiskGuarantee(threshold=0.9, rate=0.02, confidence=0.9, n_calibration=200, n_accepted=150, n_wrong=0)
    assert [guarantee.most_wrong(n) for n in (0, 1, 5, 6, 50, 114, 1000)] == [0, 0, 0, 1, 2, 4, 26]
    wrong = np.random.default_rng(2).binomial(50, 0.02, 4000)
    assert np.mean(wrong > 0.02 * 50) > 0.2
    assert np.mean(wrong > guarantee.most_wrong(50)) <= 0.1
    assert np.mean(wrong > guarantee.most_wrong(50) - 1) > 0.1


def test_an_ensemble_that_is_just_too_bad_everywhere_rarely_gets_a_guarantee() -> None:
    """The hardest case: wrong in 5.01 % everywhere, it gets 5 % from at most a tenth of 400 calibration sets."""
    rng = np.random.default_rng(3)
    guarantees = [make_guarantee(*sample(400, rng, everywhere=0.0501), rate=0.05) for _ in range(400)]
    assert sum(guarantee is not None for guarantee in guarantees) <= 0.12 * 400


def test_the_smallest_rate_fails_no_more_often_than_stated() -> None:
    """Although the labels choose the rate: graded errors, and 5 % wrong everywhere."""
    rng = np.random.default_rng(2)
    guarantees = [smallest_guarantee(*sample(150, rng)) for _ in range(100)]
    assert sum(true_rate(guarantee.threshold) > guarantee.rate for guarantee in guarantees if guarantee) <= 0.14 * 100
    guarantees = [smallest_guarantee(*sample(150, rng, everywhere=0.05)) for _ in range(100)]
    assert sum(guarantee.rate < 0.05 for guarantee in guarantees if guarantee) <= 0.14 * 100


def test_fewer_labels_give_a_larger_rate_and_none_give_no_guarantee() -> None:
    """Right labels only: ln 0.1 / ln(1 − rate) of them are needed for a rate."""
    rates = []
    for n in (5, 10, 50, 500):
        guarantee = smallest_guarantee(np.linspace(0.99, 0.9, n), np.ones(n, dtype=bool))
        rates.append(guarantee.rate if guarantee else None)
    assert rates == [None, 0.21, 0.05, 0.005]
    assert smallest_guarantee(np.array([]), np.array([], dtype=bool)) is None
    assert make_guarantee(np.array([]), np.array([], dtype=bool)) is None


def test_a_split_sends_the_least_certain_to_the_humans_first() -> None:
    """Both classes are accepted at the threshold; without a guarantee nothing is."""
    guarantee = RiskGuarantee(threshold=0.9, rate=0.02, confidence=0.9, n_calibration=200, n_accepted=150, n_wrong=0)
    p = np.array([0.95, 0.7, 0.05, 0.55, 0.9])
    accepted, to_human = split(p, guarantee)
    assert accepted.tolist() == [0, 2, 4]
    assert to_human.tolist() == [3, 1]
    accepted, to_human = split(p, None)
    assert (accepted.tolist(), to_human.tolist()) == ([], [3, 1, 4, 0, 2])


def test_wrong_arguments_are_refused() -> None:
    """A rate of 2 meant as 2 %, labels of another shape, and a NaN."""
    one = np.ones(1, dtype=bool)
    with pytest.raises(WrongUsage, match="rate is 2"):
        make_guarantee(np.array([0.9]), one, rate=2)
    with pytest.raises(WrongUsage, match="confidence is 90"):
        smallest_guarantee(np.array([0.9]), one, confidence=90)
    with pytest.raises(ValueError, match="one label per probability"):
        make_guarantee(np.array([0.9, 0.8]), one)
    with pytest.raises(ValueError, match="probabilities"):
        split(np.array([np.nan]), None)


def test_each_set_allows_one_wrong_label_more() -> None:
    """400 labels, 2 %: sets of 114, 194, 265 … allow 0, 1, 2 … wrong; one at rank 150 is allowed in the set of 194."""
    p = np.linspace(0.999, 0.6, 400)
    emergence = np.ones(400, dtype=bool)
    emergence[149] = False
    emergence[194:] = False
    guarantee = make_guarantee(p, emergence, rate=0.02, confidence=0.9)
    assert guarantee is not None
    assert (guarantee.n_accepted, guarantee.n_wrong) == (194, 1)


def test_the_p_value_is_the_lower_tail_of_the_binomial() -> None:
    """The sizes are planned with the same number that the sets are tested with."""
    for n, k, rate in ((114, 0, 0.02), (194, 1, 0.02), (60, 7, 0.3), (400, 20, 0.05)):
        assert binomtest(k, n, rate, alternative="less").pvalue == binom.cdf(k, n, rate)


def test_the_fewest_labels_for_a_guarantee() -> None:
    """114 for 2 % at 90 %, as tested above; 10 for 21 %."""
    assert min_labels(rate=0.02, confidence=0.9) == 114
    assert min_labels(rate=0.21, confidence=0.9) == 10
