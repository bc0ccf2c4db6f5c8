"""The gate lets another seed pass and stops harm."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from helioloop.evaluation.promotion import MIN_COMPARED, gate


def p_of_label(z: np.ndarray, auroc: float) -> np.ndarray:
    """P(verified label) of a calibrated version that separates the classes with `auroc`; z is its noise."""
    distance = np.sqrt(2.0) * norm.ppf(auroc)
    return expit(distance * (distance / 2 + z))


def two_versions(
    n: int, rng: np.random.Generator, *, auroc: tuple[float, float], shared: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two versions' P(verified label); `shared` is the part of the noise variance that is the cube's own."""
    cube, one, other = rng.normal(size=(3, n))
    own = np.sqrt(1.0 - shared)
    return (
        p_of_label(np.sqrt(shared) * cube + own * one, auroc[0]),
        p_of_label(np.sqrt(shared) * cube + own * other, auroc[1]),
    )


def refused(n: int, *, auroc: tuple[float, float], shared: float, times: int = 1000) -> float:
    rng = np.random.default_rng(n)
    return float(np.mean([not gate(*two_versions(n, rng, auroc=auroc, shared=shared)).publish for _ in range(times)]))


def test_a_first_version_is_published() -> None:
    """There is nothing it could be worse than."""
    verdict = gate(None, np.array([0.1, 0.2]))
    assert verdict.publish
    assert "first version" in verdict.reason


def test_a_worse_candidate_is_kept_with_the_numbers() -> None:
    """From 0.9 to 0.4 on every cube: Brier 0.01 to 0.36, and all right classes are lost."""
    verdict = gate(np.full(60, 0.9), np.full(60, 0.4))
    assert not verdict.publish
    assert verdict.reason.startswith(
        "kept, not published: on 60 verified cubes the Brier score goes from 0.010 to 0.360"
    )
    assert "60 right classes are lost and 0 won" in verdict.reason
    assert verdict.metrics["worsening"] == pytest.approx(0.35)
    assert verdict.metrics["worsening_at_least"] == pytest.approx(0.35)


def test_a_better_candidate_is_published() -> None:
    """The same the other way round."""
    verdict = gate(np.full(60, 0.4), np.full(60, 0.9))
    assert verdict.publish
    assert verdict.metrics["won"] == 60


def test_the_tolerance_shrinks_with_the_number_of_cubes_and_then_stays() -> None:
    """From 0.9 to 0.8 the Brier score rises by 0.03: borne on 60 cubes (0.043), refused on 150 (0.027)."""
    assert gate(np.full(60, 0.9), np.full(60, 0.8)).publish
    assert not gate(np.full(150, 0.9), np.full(150, 0.8)).publish
    assert gate(np.full(10_000, 0.9), np.full(10_000, 0.84)).metrics["tolerance"] == 0.02


def test_a_worsening_within_its_error_is_borne() -> None:
    """On 25 cubes 4 turn from 1 to 0 and 2 from 0 to 1: 0.08 is above the tolerance of 0.066, but it is 0.08 ± 0.10."""
    published, candidate = np.ones(25), np.ones(25)
    published[:2] = candidate[2:6] = 0.0
    verdict = gate(published, candidate)
    assert verdict.metrics["worsening"] == pytest.approx(0.08)
    assert verdict.metrics["worsening_at_least"] < 0.0
    assert verdict.publish


def test_lost_classes_are_found_below_the_tolerance() -> None:
    """Twelve of 400 cubes cross ½ by a hair: Brier hardly moves, but 12 lost and none won is no chance."""
    published = np.full(400, 0.9)
    published[:12] = 0.55
    candidate = published.copy()
    candidate[:12] = 0.45
    verdict = gate(published, candidate)
    assert verdict.metrics["worsening"] < 0.01
    assert verdict.metrics["sign_test_p"] == pytest.approx(0.5**12, abs=1e-6)
    assert not verdict.publish


def test_force_overrides_and_says_so() -> None:
    """Somebody asked for this version."""
    verdict = gate(np.full(60, 0.9), np.full(60, 0.4), forced=True)
    assert verdict.publish
    assert verdict.reason.startswith("published because it was asked for, against the gate")


def test_few_verified_cubes_are_not_compared() -> None:
    """One below the least number publishes even a worse candidate, and says why."""
    verdict = gate(np.full(MIN_COMPARED - 1, 0.9), np.full(MIN_COMPARED - 1, 0.1))
    assert verdict.publish
    assert f"scored {MIN_COMPARED - 1} verified cubes" in verdict.reason
    assert gate(np.array([]), np.array([])).publish


def test_cubes_drawn_at_random_alone_count_where_there_are_enough() -> None:
    """On the chosen ones the candidate looks better, on the random ones it is worse."""
    published, candidate = np.repeat([0.1, 0.9], [200, 20]), np.repeat([0.9, 0.3], [200, 20])
    drawn = np.arange(220) >= 200
    assert gate(published, candidate).publish
    verdict = gate(published, candidate, drawn=drawn)
    assert not verdict.publish
    assert "20 randomly drawn verified cubes" in verdict.reason
    assert gate(published, candidate, drawn=np.arange(220) >= 201).publish  # one too few: all count


@pytest.mark.parametrize("n", [20, 60, 150, 400])
def test_another_seed_is_rarely_refused(n: int) -> None:
    """Two equally good versions (AUROC 0.92) that share 85 % of their noise: fewer than 2 in 100."""
    assert refused(n, auroc=(0.92, 0.92), shared=0.85) < 0.02


def test_harm_is_refused() -> None:
    """AUROC 0.9 to 0.75: nearly 9 in 10 on 60 verified cubes, nearly always on 150; labels scrambled: always."""
    assert refused(60, auroc=(0.9, 0.75), shared=0.5) > 0.85
    assert refused(150, auroc=(0.9, 0.75), shared=0.5) > 0.95
    assert refused(60, auroc=(0.9, 0.5), shared=0.0) > 0.99


def test_what_cannot_be_compared_is_refused() -> None:
    """Arrays that do not fit, and a NaN."""
    with pytest.raises(ValueError, match="one value per verified cube"):
        gate(np.full(3, 0.5), np.full(2, 0.5))
    with pytest.raises(ValueError, match="one value per verified cube"):
        gate(np.full(3, 0.5), np.full(3, 0.5), drawn=np.ones(2, dtype=bool))
    with pytest.raises(ValueError, match="probabilities"):
        gate(np.full(3, 0.5), np.array([0.5, 0.5, np.nan]))
