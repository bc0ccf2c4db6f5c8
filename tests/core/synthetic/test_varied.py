"""Scenarios whose constants and scenes differ from cube to cube."""

from collections import Counter
from dataclasses import astuple, replace

import numpy as np
import pytest

from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.synthetic import Generator, draw_scenario, make_cube
from helioloop.synthetic.constants import USUAL
from helioloop.synthetic.detection import first_detection
from helioloop.synthetic.observation import line_of_sight, observe
from helioloop.synthetic.scenario import Kind, Scenario
from helioloop.synthetic.surface import radial_deposit
from helioloop.synthetic.varied import draw_constants, draw_varied_scenario

SMALL = replace(MDI, size_px=30, n_frames=120)


@pytest.fixture(scope="module")
def scenarios() -> list[Scenario]:
    return [draw_varied_scenario(1, index, MDI) for index in range(200)]


def test_each_cube_has_constants_of_its_own(scenarios: list[Scenario]) -> None:
    """No two are equal, and each lies on both sides of the usual one in a fifth of the cubes or more."""
    assert len({one.constants for one in scenarios}) == len(scenarios)
    drawn = np.array([np.hstack(astuple(one.constants)) for one in scenarios])
    above = (drawn > np.hstack(astuple(USUAL))).mean(axis=0)
    assert np.all((above > 0.2) & (above < 0.8)), above


def test_the_constants_of_usual_cubes_are_the_same_in_all() -> None:
    assert {draw_scenario(1, index, MDI).constants for index in range(24)} == {USUAL}


def test_drawn_constants_depend_on_the_random_numbers_alone() -> None:
    assert draw_constants(np.random.default_rng(3)) == draw_constants(np.random.default_rng(3))
    assert draw_constants(np.random.default_rng(3)) != draw_constants(np.random.default_rng(4))


def test_neither_the_number_of_regions_nor_their_place_tells_the_class(scenarios: list[Scenario]) -> None:
    """Both classes have cubes with one to four regions, everywhere in the patch; two fifths are of either."""
    for label in Label:
        of_class = [one for one in scenarios if one.truth.label is label]
        assert len(of_class) >= 0.4 * len(scenarios)
        counts = Counter(sum(bipole.is_region for bipole in one.bipoles) for one in of_class)
        assert {1, 2, 3} <= counts.keys() <= {1, 2, 3, 4, 5}
        regions = [bipole for one in of_class for bipole in one.bipoles if bipole.is_region]
        places = np.array([(one.x_px, one.y_px) for one in regions])
        assert np.all(places.min(axis=0) < -25.0)
        assert np.all(places.max(axis=0) > 25.0)


def test_the_kind_says_whether_regions_are_new_or_older(scenarios: list[Scenario]) -> None:
    for one in scenarios:
        if one.truth.kind is Kind.ROTATING_IN:
            assert one.truth.label is Label.NON_EMERGENCE
    kinds = {one.truth.kind for one in scenarios if one.truth.label is Label.EMERGENCE}
    assert kinds == {Kind.EMERGING, Kind.INSIDE}


def test_every_region_is_found_by_the_detector(scenarios: list[Scenario]) -> None:
    assert all(first_detection(one, MDI) is not None for one in scenarios)


def test_a_cube_depends_on_seed_and_index_alone() -> None:
    one, same, other = (make_cube(seed, 2, SMALL, generator=Generator.VARIED_ELEMENTS) for seed in (1, 1, 2))
    assert one.observed_gauss.tobytes() == same.observed_gauss.tobytes()
    assert one.observed_gauss.tobytes() != other.observed_gauss.tobytes()


@pytest.mark.parametrize(
    "changed",
    [
        {"cell_mm": 50.0},
        {"cell_life_seconds": 4e4},
        {"flow_metre_per_second": 500.0},
        {"granulation_metre2_per_second": 2e8},
        {"dispersal_metre2_per_second": 6e8},
        {"join_frames": 20.0},
        {"network_element_mx": 3e19},
        {"network_life_frames": 60.0},
        {"ephemeral_element_mx": 1.2e19},
        {"ephemeral_life_frames": 20.0},
        {"ephemeral_per_frame": 9.0},
        {"approach_frames": 3.0},
        {"spot_fraction": (0.1, 0.1)},
        {"plage_gauss": 150.0},
        {"blur_px": 1.6},
        {"disk_blur_px": 1.4},
        {"horizontal_fraction": 0.0},
        {"gain": 1.3},
        {"noise_correlation": (0.0, 0.0)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_every_constant_of_fields_and_observation_changes_the_cube(changed: dict[str, float]) -> None:
    """Of a cube with a region older than its first frame, which has elements of all sorts."""
    scenario = next(
        one for one in (draw_scenario(1, index, SMALL) for index in range(60)) if one.truth.kind is Kind.INSIDE
    )
    usual, other = (
        observe(line_of_sight(radial_deposit(one, SMALL), one, SMALL), one, SMALL)[0]
        for one in (scenario, replace(scenario, constants=replace(USUAL, **changed)))
    )
    assert not np.array_equal(usual, other, equal_nan=True)
