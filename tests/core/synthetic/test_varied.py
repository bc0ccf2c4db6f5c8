"""Scenarios and passages whose constants and scenes differ from cube to cube."""

from collections import Counter
from dataclasses import astuple, fields, replace
from typing import Any

import numpy as np
import pytest

from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.synthetic import Generator, draw_scenario, make_cube
from helioloop.synthetic.constants import USUAL, Constants
from helioloop.synthetic.detection import first_detection
from helioloop.synthetic.flow import Scale
from helioloop.synthetic.making import draw
from helioloop.synthetic.observation import line_of_sight, observe
from helioloop.synthetic.regions import RegionSampler
from helioloop.synthetic.scenario import Kind
from helioloop.synthetic.surface import radial_deposit
from helioloop.synthetic.transport import constants as transport_constants
from helioloop.synthetic.transport import varied as transport_varied
from helioloop.synthetic.transport.detection import finds
from helioloop.synthetic.transport.passage import Passage
from helioloop.synthetic.transport.regions import draw_region
from helioloop.synthetic.transport.sampling import draw_passage
from helioloop.synthetic.transport.surface import radial_field
from helioloop.synthetic.transport.varied import draw_magnetograph, draw_varied_passage
from helioloop.synthetic.varied import draw_constants, draw_varied_scenario

SMALL = replace(MDI, size_px=30, n_frames=120)


CHANGED: tuple[dict[str, Any], ...] = (
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
)
CHANGED_TRANSPORT: tuple[dict[str, Any], ...] = (
    {"cell_mm": 60.0},
    {"life_days": 0.8},
    {"speed_metre_per_second": 150.0},
    {"diffusion_metre2_per_second": 2e8},
    {"quenching_gauss": 40.0},
    {"ephemeral_mx_per_day": 1e24},
    {"ephemeral_mx": 3e19},
    {"burst_frames": 10.0},
    {"parting_frames": 4.0},
    {"fragment_mm": 4.0},
    {"cluster_mm": 10.0},
    {"following_wider": 1.0},
)
KINDS = {
    Generator.VARIED_ELEMENTS: (draw_varied_scenario, draw_scenario, USUAL),
    Generator.VARIED_FLUX_TRANSPORT: (draw_varied_passage, draw_passage, transport_constants.USUAL),
}


@pytest.fixture(scope="module", params=KINDS, ids=str)
def generator(request: pytest.FixtureRequest) -> Generator:
    return Generator(request.param)


@pytest.fixture(scope="module")
def drawn(generator: Generator) -> list[Any]:
    return [draw(generator, 1, index, MDI) for index in range(200)]


def regions_of(one: Any) -> list[Any]:
    """Return the active regions of a scenario or passage."""
    return [region for region in getattr(one, "bipoles", None) or one.regions if region.is_region]


def test_each_cube_has_constants_of_its_own(generator: Generator, drawn: list[Any]) -> None:
    """No two are equal, and each lies on both sides of the usual one in a fifth of the cubes or more."""
    usual = KINDS[generator][2]
    assert len({one.constants for one in drawn}) == len(drawn)
    values = np.array([np.hstack(astuple(one.constants)) for one in drawn])
    above = (values > np.hstack(astuple(usual))).mean(axis=0)
    assert np.all((above > 0.2) & (above < 0.8)), above


def test_regions_have_the_constants_of_their_cube() -> None:
    """Rise, decay and separation in proportion; a flux-transport region has all that moves its footpoints."""
    passages = [draw_varied_passage(1, index, MDI) for index in range(20)]
    assert all(region.constants == one.constants for one in passages for region in one.regions)
    twice = replace(transport_constants.USUAL, rise_days=3.0, decay_days=12.0, separation_mm=60.0)
    usual, other = (
        draw_region(
            np.random.default_rng(1), 5e21, latitude_deg=10.0, cycle=23, scale=Scale.of(MDI), place_px=(0.0, 0.0),
            key=(1, 1, 1), constants=constants,
        )
        for constants in (transport_constants.USUAL, twice)
    )  # fmt: skip
    assert ratios(other, usual) == pytest.approx([2.0, 2.0, 2.0])
    sampled = []
    for constants in (USUAL, replace(USUAL, rise_days=3.4, decay_days=8.0, separation_deg=5.0)):
        sampler = RegionSampler(
            rng=np.random.default_rng(1), tracking=draw_scenario(1, 0, MDI).tracking, latitude_deg=10.0, cycle=23,
            rank=0.5, instrument=MDI, constants=constants,
        )  # fmt: skip
        sampled.append(sampler.emerging(21.7, 0.0))
    assert ratios(sampled[1], sampled[0]) == pytest.approx([2.0, 2.0, 2.0])


def ratios(other: Any, usual: Any) -> list[float]:
    """Return by which factors two regions differ in rise, decay and separation."""
    return [getattr(other, name) / getattr(usual, name) for name in ("rise_frames", "decay_frames", "separation_px")]


def test_no_constant_is_left_untried() -> None:
    """Those of the two tests below, and the three of the one above."""
    tried = {next(iter(changed)) for changed in CHANGED}
    assert {one.name for one in fields(Constants)} == tried | {"rise_days", "decay_days", "separation_deg"}
    tried = {next(iter(changed)) for changed in CHANGED_TRANSPORT}
    assert {one.name for one in fields(transport_constants.Constants)} == tried | {
        "rise_days", "decay_days", "separation_mm",
    }  # fmt: skip


def test_the_constants_of_usual_cubes_are_the_same_in_all(generator: Generator) -> None:
    _, draw_usual, usual = KINDS[generator]
    assert {draw_usual(1, index, MDI).constants for index in range(24)} == {usual}


@pytest.mark.parametrize("draw_any", [draw_constants, transport_varied.draw_constants, draw_magnetograph])
def test_drawn_constants_depend_on_the_random_numbers_alone(draw_any: Any) -> None:
    assert draw_any(np.random.default_rng(3)) == draw_any(np.random.default_rng(3))
    assert draw_any(np.random.default_rng(3)) != draw_any(np.random.default_rng(4))


def test_neither_the_number_of_regions_nor_their_place_tells_the_class(drawn: list[Any]) -> None:
    """Both classes have cubes with one to four regions, everywhere in the patch; two fifths are of either."""
    for label in Label:
        of_class = [one for one in drawn if one.truth.label is label]
        assert len(of_class) >= 0.4 * len(drawn)
        counts = Counter(len(regions_of(one)) for one in of_class)
        assert {1, 2, 3} <= counts.keys() <= {1, 2, 3, 4, 5}
        places = np.array([(region.x_px, region.y_px) for one in of_class for region in regions_of(one)])
        assert np.all(places.min(axis=0) < -25.0)
        assert np.all(places.max(axis=0) > 25.0)


def test_the_kind_says_what_a_cube_shows(drawn: list[Any]) -> None:
    """A new region on the visible disk, alone or beside older ones; else one that rose before, or older ones alone."""
    kinds = {label: {one.truth.kind for one in drawn if one.truth.label is label} for label in Label}
    assert kinds == {
        Label.EMERGENCE: {Kind.EMERGING, Kind.INSIDE},
        Label.NON_EMERGENCE: {Kind.GROWING, Kind.ROTATING_IN},
    }
    alone = [one for one in drawn if one.truth.kind is Kind.EMERGING]
    assert all(len(regions_of(one)) <= 2 for one in alone)


def test_every_cube_has_a_region_that_its_detector_found(drawn: list[Any]) -> None:
    for one in drawn:
        assert finds(one, MDI) if isinstance(one, Passage) else first_detection(one, MDI) is not None


def test_a_cube_depends_on_seed_and_index_alone(generator: Generator) -> None:
    one, same, other = (make_cube(seed, 2, SMALL, generator=generator) for seed in (1, 1, 2))
    assert one.observed_gauss.tobytes() == same.observed_gauss.tobytes()
    assert one.observed_gauss.tobytes() != other.observed_gauss.tobytes()


@pytest.mark.parametrize("changed", CHANGED, ids=lambda changed: next(iter(changed)))
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


@pytest.mark.parametrize("changed", CHANGED_TRANSPORT, ids=lambda changed: next(iter(changed)))
def test_every_constant_of_flux_transport_changes_the_field(changed: dict[str, float]) -> None:
    passage = next(
        one for one in (draw_passage(1, index, SMALL) for index in range(60)) if one.truth.kind is Kind.INSIDE
    )
    constants = replace(transport_constants.USUAL, **changed)
    regions = tuple(replace(region, constants=constants) for region in passage.regions)
    other = replace(passage, regions=regions, constants=constants)
    scale = Scale.of(SMALL)
    assert not np.array_equal(radial_field(passage, scale), radial_field(other, scale))
