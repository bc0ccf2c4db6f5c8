"""Drift in made-up releases whose statistics scatter as those of synthetic ones do."""

from dataclasses import replace

import numpy as np
import pytest

from helioloop.evaluation.drift import NO_DRIFT, Drift, DriftSample, find_drift


def release(
    rng: np.random.Generator, n: int, *, noise: float = 1.0, field: float = 1.0, emergences: float = 0.5
) -> DriftSample:
    """Draw a release of n regions, with factors to noise and field, and a fraction of certain emergences."""
    is_emergence = rng.random(n) < emergences
    return DriftSample(
        noise_gauss=16.0 * noise * np.exp(rng.normal(0.0, 0.14, n)),
        typical_gauss=15.7 * field * np.exp(rng.normal(0.0, 0.2, n)),
        peak_gauss=50.0 * field * np.exp(rng.normal(0.0, 0.4, n)),
        p_emergence=np.where(is_emergence, rng.beta(6, 2, n), rng.beta(2, 6, n)),
    )


@pytest.mark.parametrize(("n_new", "n_trained"), [(30, 60), (60, 60), (300, 600), (2000, 120)])
def test_at_most_one_of_twenty_releases_that_are_alike_is_flagged(n_new: int, n_trained: int) -> None:
    """New releases of any size and versions trained on any number, both drawn anew each time."""
    rng = np.random.default_rng(n_new)
    flagged = sum(find_drift(release(rng, n_new), release(rng, n_trained)).found for _ in range(200))
    assert flagged <= 200 / 20


@pytest.mark.parametrize(("noise", "field"), [(2.0, 1.0), (1.4, 1.4), (0.7, 0.7)])
def test_doubled_noise_and_a_scaled_field_are_always_found(noise: float, field: float) -> None:
    """In each of 100 releases of 30 regions, and the noise is among the reasons."""
    rng = np.random.default_rng(7)
    for _ in range(100):
        drift = find_drift(release(rng, 30, noise=noise, field=field), release(rng, 60))
        assert any(reason.startswith("noise ") for reason in drift.reasons)


def test_the_reason_contains_both_values() -> None:
    """Two noise values that one can check by hand."""
    rng = np.random.default_rng(3)
    trained, new = release(rng, 60), release(rng, 40)
    before, now = np.tile([18.0, 20.0, 22.0], 20), np.tile([36.0, 40.0, 44.0], 20)
    drift = find_drift(replace(new, noise_gauss=now), replace(trained, noise_gauss=before))
    assert drift.reasons == ("noise 39.9 G, and 19.9 G in the releases trained on",)
    assert drift.sentences() == (
        "This release is not like those trained on: noise 39.9 G, and 19.9 G in the releases trained on.",
    )


def test_a_trifle_is_not_flagged_however_large_the_releases_are() -> None:
    """Five percent of the field, and five more emergences in a hundred, are significant and too small to matter."""
    rng = np.random.default_rng(5)
    new = release(rng, 2000, noise=1.05, field=1.05, emergences=0.55)
    assert find_drift(new, release(rng, 2000)) == NO_DRIFT


def test_other_probabilities_are_a_reason_by_themselves() -> None:
    """Nine in ten are emergences, where half of those trained on were."""
    rng = np.random.default_rng(6)
    (reason,) = find_drift(release(rng, 80, emergences=0.9), release(rng, 80)).reasons
    assert reason.startswith("probability of emergence at most 0.")
    assert reason.endswith("in the releases trained on")


def test_a_few_regions_are_too_few_to_compare() -> None:
    """Four with any number; five with twenty are enough, if the noise is doubled."""
    rng = np.random.default_rng(8)
    few = find_drift(release(rng, 4, noise=2.0), release(rng, 500))
    assert few == Drift(
        unknown="4 new regions and 500 trained on are too few to compare field strengths and probabilities; at least 5 "
        "new ones are needed: put cubes of more regions into the release, or let people label it"
    )
    assert (few.found, few.alike) == (False, False)
    assert few.sentences()[0].startswith("Whether this release is like those trained on is unknown: 4 new regions")
    assert find_drift(release(rng, 5, noise=2.0), release(rng, 20)).found


@pytest.mark.parametrize("n_trained", [5, 6, 8, 12, 20, 24, 500])
def test_with_as_many_regions_as_are_said_to_be_needed_a_release_is_compared(n_trained: int) -> None:
    rng = np.random.default_rng(n_trained)
    trained = release(rng, n_trained)
    unknown = find_drift(release(rng, 1), trained).unknown or ""
    needed = int(unknown.split("at least ")[1].split()[0])
    assert find_drift(release(rng, needed - 1), trained).unknown is not None
    compared = find_drift(release(rng, needed), trained)
    assert (compared.unknown, compared.alike) == (None, not compared.found)


def test_where_few_were_trained_on_no_new_region_helps() -> None:
    rng = np.random.default_rng(11)
    drift = find_drift(release(rng, 300), release(rng, 4))
    assert drift.unknown is not None
    assert drift.unknown.endswith("; verify more cubes drawn at random, of other regions")


def test_cubes_without_noise_are_compared() -> None:
    """Zero gauss, as in cubes made by hand, has no logarithm."""
    rng = np.random.default_rng(9)
    new, trained = (replace(release(rng, 30), noise_gauss=np.zeros(30)) for _ in range(2))
    assert not find_drift(new, trained).found
    assert find_drift(new, release(rng, 30)).found


def test_a_probability_outside_0_and_1_is_refused() -> None:
    rng = np.random.default_rng(10)
    wrong = replace(release(rng, 30), p_emergence=np.full(30, 1.5))
    with pytest.raises(ValueError, match=r"contains 1.5, outside \[0, 1\]"):
        find_drift(wrong, release(rng, 30))
