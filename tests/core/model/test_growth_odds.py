"""Growth odds: estimated from growths without labels, and combined with the networks' probabilities."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helioloop.errors import RegistryError
from helioloop.model.growth_odds import EARLIER, LARGEST_RATIO, NETWORK_ERRORS, GrowthOdds
from helioloop.registry.staging import GROWTH_ODDS_FILE

ODDS = GrowthOdds(even=2.0, n_cubes=100)

# -- estimates ------------------------------------------------------------------------------------


def growths(mean: float, deviation: float, *, quiet: int, emerging: int, seed: int = 0) -> list[float]:
    """Growths of an archive: without an emergence 1 + exp(mean ± deviation), with one about 5, from 2.5 on."""
    rng = np.random.default_rng(seed)
    x = np.concatenate((rng.normal(mean, deviation, quiet), rng.uniform(0.4, 2.4, emerging)))
    return (1.0 + np.exp(x)).tolist()


@pytest.mark.parametrize(("mean", "deviation"), [(-0.8, 0.28), (-0.5, 0.42), (0.0, 0.3)])
@pytest.mark.parametrize(("quiet", "emerging"), [(300, 300), (500, 100), (150, 450), (600, 0)])
def test_even_odds_lie_where_few_cubes_without_an_emergence_grow(
    mean: float, deviation: float, quiet: int, emerging: int
) -> None:
    """At 1.6 deviations above their mean, however many cubes are emergences, in quiet and in lively archives."""
    even = GrowthOdds.estimate(growths(mean, deviation, quiet=quiet, emerging=emerging)).even
    assert np.log(even - 1.0) == pytest.approx(mean + 1.6 * deviation, abs=0.12)


def test_an_archive_of_emergences_alone_has_about_the_odds_expected() -> None:
    """There is no cube to learn from how much grows without one; nothing says that a growth of 5 is usual then."""
    assert 1.7 < GrowthOdds.estimate(growths(-0.8, 0.3, quiet=0, emerging=300)).even < 2.3


def test_a_few_cubes_hardly_change_the_odds_expected() -> None:
    """Also where they all grow in the same way, and where there is none."""
    expected = GrowthOdds.estimate([])
    assert expected.even == pytest.approx(1.0 + np.exp(-0.65 + 1.6 * 0.38))
    assert expected.n_cubes == 0
    for growth in (1.2, 1.4, 3.0, 40.0):
        assert GrowthOdds.estimate([growth] * 3).even == pytest.approx(expected.even, abs=0.3)


def test_the_order_of_the_cubes_does_not_matter() -> None:
    """Members of one archive on another machine are listed in another order."""
    found = growths(-0.6, 0.4, quiet=40, emerging=40)
    assert GrowthOdds.estimate(found[::-1]).even == pytest.approx(GrowthOdds.estimate(found).even, rel=1e-12)


# -- the file in a version ------------------------------------------------------------------------


def test_odds_are_read_as_they_were_written(tmp_path: Path) -> None:
    """A folder without the file has none: the version is of an earlier helioloop."""
    assert GrowthOdds.read(tmp_path) is None
    ODDS.write(tmp_path)
    assert GrowthOdds.read(tmp_path) == ODDS


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"even": 2}',
        '{"even": "2", "n_cubes": 1}',
        '{"even": 1.0, "n_cubes": 1}',
        '{"even": NaN, "n_cubes": 1}',
        '{"even": 2.0, "n_cubes": 1, "shift": NaN}',
        '{"even": 2.0, "n_cubes": 1, "shift": "1"}',
    ],
)
def test_a_damaged_file_is_named(content: str, tmp_path: Path) -> None:
    """With other odds the same weights would give other probabilities."""
    (tmp_path / GROWTH_ODDS_FILE).write_text(content)
    with pytest.raises(RegistryError, match=f"{GROWTH_ODDS_FILE}.* restore it"):
        GrowthOdds.read(tmp_path)


def test_the_file_has_plain_numbers(tmp_path: Path) -> None:
    """For whoever looks into a version's folder."""
    replace(ODDS, shift=0.5).write(tmp_path)
    assert json.loads((tmp_path / GROWTH_ODDS_FILE).read_text()) == {"even": 2.0, "n_cubes": 100, "shift": 0.5}


# -- how often networks should say emergence ------------------------------------------------------


def test_networks_say_emergence_as_often_as_the_growth_adds_to_it() -> None:
    """80 cubes of even p, all of which grow by far: p becomes 50/51, and 20 cubes count to which nothing is added."""
    wanted = 0.5 + 80 * (50 / 51 - 0.5) / 100
    shifted = ODDS.shifted(np.full(80, 0.5), np.full(80, 30.0))
    assert shifted.shift == pytest.approx(np.log(wanted / (1.0 - wanted)))
    assert (shifted.even, shifted.n_cubes) == (ODDS.even, ODDS.n_cubes)


@pytest.mark.parametrize("p", [0.02, 0.5, 0.9])
def test_growths_that_speak_for_neither_class_shift_nothing(p: float) -> None:
    """Not measured, or even, however rare emergences are; nor does an archive without cubes."""
    assert ODDS.shifted(np.full(40, p), np.full(40, np.nan)).shift == pytest.approx(0.0, abs=1e-9)
    assert ODDS.shifted(np.full(40, p), np.full(40, ODDS.even)).shift == pytest.approx(0.0, abs=1e-9)
    assert ODDS.shifted([], []) == ODDS


def test_growths_for_both_classes_cancel_where_the_networks_do_not_know() -> None:
    """As many for one class as for the other."""
    assert ODDS.shifted(np.full(40, 0.5), np.array([30.0, 1.0] * 20)).shift == pytest.approx(0.0, abs=1e-9)


def test_a_shift_that_was_estimated_before_does_not_count() -> None:
    """The shift is of the networks' own probabilities."""
    p, growths = np.linspace(0.1, 0.9, 50), np.full(50, 3.0)
    once = ODDS.shifted(p, growths)
    assert once.shifted(p, growths).shift == pytest.approx(once.shift)


@pytest.mark.parametrize(("p", "growth"), [(1.0, 30.0), (0.999, 30.0), (0.0, 1.0), (0.001, 1.0)])
def test_certain_networks_of_which_the_growth_is_certain_too_have_a_shift(p: float, growth: float) -> None:
    """As of a few cubes that all show the same; the mean cannot become more than 1 or less than 0."""
    shift = ODDS.shifted(np.full(5, p), np.full(5, growth)).shift
    assert -1e-6 < (shift if p > 0.5 else -shift) < 30.0


def test_networks_that_are_certain_can_be_shifted() -> None:
    """By no more than if they were certain to one in a million."""
    assert 0.0 < ODDS.shifted(np.zeros(100), np.full(100, 30.0)).shift < 30.0
    assert -30.0 < ODDS.shifted(np.ones(100), np.full(100, 1.0)).shift < 0.0


def test_the_log_odds_of_the_networks_are_shifted_before_the_growth_counts() -> None:
    """Odds of 1 to 3 become even by ln 3; where the growth was not measured, too."""
    odds = replace(ODDS, shift=float(np.log(3.0)))
    assert odds.combine(0.25, 2.0) == pytest.approx(0.5)
    assert odds.combine(0.25, np.nan) == pytest.approx(0.5)
    assert odds.combine(np.array([0.0, 1.0]), np.nan).tolist() == [0.0, 1.0]


# -- probabilities --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("growth", "ratio"),
    [
        (2.0, 1.0),
        (3.0, 1.5**8),
        (2.0 / 1.5, 1.5**-8),
        (1.0, 1.0 / LARGEST_RATIO),
        (30.0, LARGEST_RATIO),
        (np.nan, 1.0),
    ],
)
def test_the_likelihood_ratio_is_the_eighth_power_of_the_growth_over_the_even_one(growth: float, ratio: float) -> None:
    """No growth and very large growth are bounded; a growth that was not measured says nothing."""
    assert ODDS.likelihood_ratio(growth) == pytest.approx(ratio)


def test_odds_are_multiplied_by_the_likelihood_ratio() -> None:
    """Even odds become 50 for a large growth. An even growth leaves .05 + .9 times the networks' p."""
    assert ODDS.combine(0.5, 30.0) == pytest.approx(50.0 / 51.0)
    assert ODDS.combine(np.array([0.25, 0.5]), 2.0).tolist() == pytest.approx([0.275, 0.5])


def test_networks_that_are_certain_do_not_decide_alone() -> None:
    """One answer in twenty may be wrong: odds of 1 to 19, which a growth with a larger ratio outweighs."""
    assert ODDS.combine(np.array([0.0, 1.0]), 2.0).tolist() == pytest.approx([NETWORK_ERRORS, 1.0 - NETWORK_ERRORS])
    assert ODDS.combine(0.0, 30.0) == pytest.approx(50.0 / 69.0)
    assert ODDS.combine(1.0, 1.0) == pytest.approx(19.0 / 69.0)
    assert ODDS.combine(np.array([0.0, 1.0]), np.nan).tolist() == [0.0, 1.0]


def test_a_larger_growth_never_gives_a_smaller_probability() -> None:
    """For every probability of the networks."""
    growth = np.linspace(1.0, 20.0, 100)
    for p in (0.01, 0.3, 0.7, 0.99):
        assert (np.diff(EARLIER.combine(np.full(100, p), growth)) >= 0.0).all()
