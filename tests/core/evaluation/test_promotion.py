"""The promotion check accepts another seed and rejects harm."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom, norm

from helioloop.evaluation.promotion import MIN_COMPARED, check_promotion


def p_of_label(z: np.ndarray, auroc: float) -> np.ndarray:
    """P(verified label) of a calibrated version that separates the classes with `auroc`; z is its noise."""
    distance = np.sqrt(2.0) * norm.ppf(auroc)
    return expit(distance * (distance / 2 + z))


def two_versions(
    n: int, rng: np.random.Generator, *, auroc: tuple[float, float], shared: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two versions' P(verified label); `shared` is the fraction of the noise variance that is the cube's own."""
    cube, one, other = rng.normal(size=(3, n))
    own = np.sqrt(1.0 - shared)
    return (
        p_of_label(np.sqrt(shared) * cube + own * one, auroc[0]),
        p_of_label(np.sqrt(shared) * cube + own * other, auroc[1]),
    )


def rejected(n: int, *, auroc: tuple[float, float], shared: float, times: int = 1000) -> float:
    rng = np.random.default_rng(n)
    return float(
        np.mean([not check_promotion(*two_versions(n, rng, auroc=auroc, shared=shared)).publish for _ in range(times)])
    )


def test_a_first_version_is_published() -> None:
    """There is no version that it could be worse than."""
    verdict = check_promotion(None, np.array([0.1, 0.2]))
    assert verdict.publish
    assert "first version" in verdict.reason


def test_a_worse_candidate_is_rejected_with_the_numbers() -> None:
    """From 0.9 to 0.4 on every cube: Brier 0.01 to 0.36, and all right classes are lost."""
    verdict = check_promotion(np.full(60, 0.9), np.full(60, 0.4))
    assert not verdict.publish
    assert verdict.reason.startswith(
        "rejected by the promotion check: on 60 verified cubes the Brier score changes from 0.010 to 0.360"
    )
    assert "60 right classes are lost and 0 won" in verdict.reason
    assert verdict.metrics["worsening"] == pytest.approx(0.35)
    assert verdict.metrics["worsening_at_least"] == pytest.approx(0.35)


def test_a_better_candidate_is_published() -> None:
    """The opposite case."""
    verdict = check_promotion(np.full(60, 0.4), np.full(60, 0.9))
    assert verdict.publish
    assert verdict.metrics["won"] == 60


def test_the_tolerance_shrinks_with_the_number_of_cubes_and_then_stays() -> None:
    """From 0.9 to 0.8 the Brier score rises by 0.03: accepted on 60 cubes (0.043), rejected on 150 (0.027)."""
    assert check_promotion(np.full(60, 0.9), np.full(60, 0.8)).publish
    assert not check_promotion(np.full(150, 0.9), np.full(150, 0.8)).publish
    assert check_promotion(np.full(10_000, 0.9), np.full(10_000, 0.84)).metrics["tolerance"] == 0.02


def test_a_worsening_within_its_error_is_accepted() -> None:
    """On 25 cubes 4 turn from 1 to 0 and 2 from 0 to 1: 0.08 is above the tolerance of 0.066, but it is 0.08 ± 0.10."""
    published, candidate = np.ones(25), np.ones(25)
    published[:2] = candidate[2:6] = 0.0
    verdict = check_promotion(published, candidate)
    assert verdict.metrics["worsening"] == pytest.approx(0.08)
    assert verdict.metrics["worsening_at_least"] < 0.0
    assert verdict.publish


def test_lost_classes_are_found_below_the_tolerance() -> None:
    """Twelve of 400 cubes cross ½ by a hair: Brier hardly moves, but 12 lost and none won is not by chance."""
    published = np.full(400, 0.9)
    published[:12] = 0.55
    candidate = published.copy()
    candidate[:12] = 0.45
    verdict = check_promotion(published, candidate)
    assert verdict.metrics["worsening"] < 0.01
    assert verdict.metrics["sign_test_p"] == pytest.approx(0.5**12, abs=1e-6)
    assert not verdict.publish


def test_a_forced_candidate_is_published_and_the_reason_says_so() -> None:
    """Although it is worse."""
    verdict = check_promotion(np.full(60, 0.9), np.full(60, 0.4), forced=True)
    assert verdict.publish
    assert verdict.reason.startswith("published because it was requested, against the promotion check")


def test_few_verified_cubes_are_not_compared() -> None:
    """With one cube too few even a worse candidate is published, and the reason says why."""
    verdict = check_promotion(np.full(MIN_COMPARED - 1, 0.9), np.full(MIN_COMPARED - 1, 0.1))
    assert verdict.publish
    assert f"scored {MIN_COMPARED - 1} verified cubes" in verdict.reason
    assert check_promotion(np.array([]), np.array([])).publish


def test_only_the_audit_sample_counts_if_it_is_large_enough() -> None:
    """On the chosen cubes the candidate looks better, on the sampled ones it is worse."""
    published, candidate = np.repeat([0.1, 0.9], [200, 20]), np.repeat([0.9, 0.3], [200, 20])
    sampled = np.arange(220) >= 200
    assert check_promotion(published, candidate).publish
    verdict = check_promotion(published, candidate, sampled=sampled)
    assert not verdict.publish
    assert "20 randomly sampled verified cubes" in verdict.reason
    assert check_promotion(published, candidate, sampled=np.arange(220) >= 201).publish  # one too few: all count


@pytest.mark.parametrize(("lost", "won"), [(12, 0), (8, 3), (3, 8), (0, 0)])
def test_the_sign_test_is_the_upper_tail_of_a_fair_coin(lost: int, won: int) -> None:
    """P(at least `lost` of `lost + won`), rounded to six digits as in the card; 1 if no class changes."""
    published, candidate = np.full(40, 0.9), np.full(40, 0.9)
    candidate[:lost] = published[lost : lost + won] = 0.1
    expected = binom.sf(lost - 1, lost + won, 0.5)
    assert check_promotion(published, candidate).metrics["sign_test_p"] == round(float(expected), 6)


@pytest.mark.parametrize("n", [20, 60, 150, 400])
def test_another_seed_is_rarely_rejected(n: int) -> None:
    """Two equally good versions (AUROC 0.92) that share 85 % of their noise: fewer than 2 in 100."""
    assert rejected(n, auroc=(0.92, 0.92), shared=0.85) < 0.02


def test_harm_is_rejected() -> None:
    """AUROC 0.9 to 0.75: nearly 9 in 10 on 60 verified cubes, nearly always on 150; labels scrambled: always."""
    assert rejected(60, auroc=(0.9, 0.75), shared=0.5) > 0.85
    assert rejected(150, auroc=(0.9, 0.75), shared=0.5) > 0.95
    assert rejected(60, auroc=(0.9, 0.5), shared=0.0) > 0.99


def test_what_cannot_be_compared_is_refused() -> None:
    """Arrays of different shapes, and a NaN."""
    with pytest.raises(ValueError, match="one value per verified cube"):
        check_promotion(np.full(3, 0.5), np.full(2, 0.5))
    with pytest.raises(ValueError, match="one value per verified cube"):
        check_promotion(np.full(3, 0.5), np.full(3, 0.5), sampled=np.ones(2, dtype=bool))
    with pytest.raises(ValueError, match="probabilities"):
        check_promotion(np.full(3, 0.5), np.array([0.5, 0.5, np.nan]))
