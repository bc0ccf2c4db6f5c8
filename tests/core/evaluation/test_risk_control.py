"""Triage promises only what the random labels bear, and keeps it."""

import numpy as np
import pytest

from helioloop.errors import WrongUsage
from helioloop.evaluation.risk_control import RiskGuarantee, make_guarantee, smallest_guarantee, split


def draw(n: int, rng: np.random.Generator, *, everywhere: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Cubes as sure as c, uniform from ½ to 1; their class is wrong at 2 (1 − c)², or alike `everywhere`."""
    sure = rng.uniform(0.5, 1.0, n)
    p = np.where(rng.random(n) < 0.5, sure, 1.0 - sure)
    wrong = rng.random(n) < (2.0 * (1.0 - sure) ** 2 if everywhere is None else everywhere)
    return p, (p >= 0.5) ^ wrong


def true_rate(threshold: float) -> float:
    """The mean of 2 (1 − c)² from the threshold to 1."""
    return 2.0 / 3.0 * (1.0 - threshold) ** 2


def test_without_a_wrong_label_it_takes_ln_delta_over_ln_right_labels() -> None:
    """2 % at 90 %: 0.98^114 is the first power below a tenth, so 113 right labels promise nothing and 114 do."""
    sure, emergence = np.full(114, 0.9), np.ones(114, dtype=bool)
    assert make_guarantee(sure[:113], emergence[:113]) is None
    assert make_guarantee(sure, emergence) == RiskGuarantee(
        threshold=0.9, rate=0.02, confidence=0.9, n_calibration=114, n_accepted=114, n_wrong=0
    )


def test_the_threshold_leaves_out_where_the_wrong_labels_are() -> None:
    """200 sure and right ones are accepted, 100 unsure ones of which half are wrong are not."""
    p = np.concatenate([np.linspace(0.99, 0.9, 100), np.linspace(0.01, 0.1, 100), np.linspace(0.7, 0.6, 100)])
    emergence = np.concatenate([np.ones(100), np.zeros(100), np.arange(100) % 2]).astype(bool)
    promise = make_guarantee(p, emergence)
    assert promise is not None
    assert promise.threshold == pytest.approx(0.9, abs=0.01)
    assert promise.n_wrong == 0
    assert promise.accepted_share == promise.n_accepted / 300


def test_equal_scores_are_accepted_together() -> None:
    """Whichever of them the sequence stops at, the count covers all that the threshold lets in."""
    p = np.repeat([0.95, 0.9, 0.6], [150, 60, 40])
    emergence = np.repeat([True, True, False], [150, 60, 40])
    promise = make_guarantee(p, emergence)
    assert promise is not None
    assert (promise.threshold, promise.n_accepted) == (0.9, 210)


def test_an_ensemble_that_is_wrong_where_it_is_surest_gets_no_promise() -> None:
    """All further labels being right does not make up for it."""
    p = np.linspace(0.99, 0.6, 400)
    assert make_guarantee(p, np.arange(400) >= 20) is None


def test_the_promise_is_broken_no_more_often_than_stated() -> None:
    """Over 400 calibration sets the accepted part's true error passes 5 % in at most a tenth; most get a promise."""
    rng = np.random.default_rng(1)
    promises = [make_guarantee(*draw(400, rng), rate=0.05) for _ in range(400)]
    thresholds = [promise.threshold for promise in promises if promise]
    assert sum(true_rate(threshold) > 0.05 for threshold in thresholds) <= 0.12 * 400
    assert len(thresholds) >= 0.8 * 400
    assert 2.0 * (1.0 - np.median(thresholds)) > 0.3  # of the 0.55 that could be accepted if the errors were known


def test_an_ensemble_that_is_just_too_bad_everywhere_is_found_out() -> None:
    """The hardest case: wrong in 5.01 % however sure, it is promised 5 % in at most a tenth of 400 calibration sets."""
    rng = np.random.default_rng(3)
    promises = [make_guarantee(*draw(400, rng, everywhere=0.0501), rate=0.05) for _ in range(400)]
    assert sum(promise is not None for promise in promises) <= 0.12 * 400


def test_the_smallest_rate_is_broken_no_more_often_than_stated() -> None:
    """Though the labels choose the rate themselves: graded errors, and 5 % wrong everywhere."""
    rng = np.random.default_rng(2)
    promises = [smallest_guarantee(*draw(150, rng)) for _ in range(100)]
    assert sum(true_rate(promise.threshold) > promise.rate for promise in promises if promise) <= 0.14 * 100
    promises = [smallest_guarantee(*draw(150, rng, everywhere=0.05)) for _ in range(100)]
    assert sum(promise.rate < 0.05 for promise in promises if promise) <= 0.14 * 100


def test_fewer_random_labels_promise_a_larger_rate_and_none_promise_nothing() -> None:
    """Right labels only: ln 0.1 / ln(1 − rate) of them are needed for a rate."""
    rates = []
    for n in (5, 10, 50, 500):
        promise = smallest_guarantee(np.linspace(0.99, 0.9, n), np.ones(n, dtype=bool))
        rates.append(promise.rate if promise else None)
    assert rates == [None, 0.21, 0.05, 0.005]
    assert smallest_guarantee(np.array([]), np.array([], dtype=bool)) is None
    assert make_guarantee(np.array([]), np.array([], dtype=bool)) is None


def test_a_split_sends_the_least_sure_to_the_humans_first() -> None:
    """Both classes are accepted at the threshold; without a promise nothing is."""
    promise = RiskGuarantee(threshold=0.9, rate=0.02, confidence=0.9, n_calibration=200, n_accepted=150, n_wrong=0)
    p = np.array([0.95, 0.7, 0.05, 0.55, 0.9])
    accepted, to_human = split(p, promise)
    assert accepted.tolist() == [0, 2, 4]
    assert to_human.tolist() == [3, 1]
    accepted, to_human = split(p, None)
    assert (accepted.tolist(), to_human.tolist()) == ([], [3, 1, 4, 0, 2])


def test_a_promise_survives_json() -> None:
    """It is kept until the next release comes."""
    promise = RiskGuarantee(threshold=0.9, rate=0.02, confidence=0.9, n_calibration=200, n_accepted=150, n_wrong=0)
    assert RiskGuarantee.from_dict(promise.as_dict()) == promise


def test_what_cannot_be_meant_is_refused() -> None:
    """A rate of 2 meant as 2 %, labels that do not fit, and a NaN."""
    one = np.ones(1, dtype=bool)
    with pytest.raises(WrongUsage, match="rate is 2"):
        make_guarantee(np.array([0.9]), one, rate=2)
    with pytest.raises(WrongUsage, match="confidence is 90"):
        smallest_guarantee(np.array([0.9]), one, confidence=90)
    with pytest.raises(ValueError, match="one label per probability"):
        make_guarantee(np.array([0.9, 0.8]), one)
    with pytest.raises(ValueError, match="probabilities"):
        split(np.array([np.nan]), None)


def test_each_step_bears_one_wrong_label_more() -> None:
    """400 labels, 2 %: sets of 114, 194, 265 … bear 0, 1, 2 … wrong ones; one at rank 150 ends nothing before 194."""
    p = np.linspace(0.999, 0.6, 400)
    emergence = np.ones(400, dtype=bool)
    emergence[149] = False
    emergence[194:] = False
    promise = make_guarantee(p, emergence, rate=0.02, confidence=0.9)
    assert promise is not None
    assert (promise.n_accepted, promise.n_wrong) == (194, 1)
