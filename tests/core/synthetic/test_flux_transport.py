"""The flux-transport generator: its flows, its regions, its crude labels, and releases of it."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from helioloop.data.release import Release
from helioloop.data.truth import read_truth
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.synthetic import Generator, make_cube, make_release
from helioloop.synthetic.flow import Scale
from helioloop.synthetic.making import crude_label
from helioloop.synthetic.scenario import Kind
from helioloop.synthetic.transport import surface
from helioloop.synthetic.transport.constants import USUAL
from helioloop.synthetic.transport.convection import Convection
from helioloop.synthetic.transport.detection import finds
from helioloop.synthetic.transport.observation import observe
from helioloop.synthetic.transport.passage import LIKE_HMI, LIKE_MDI, Passage
from helioloop.synthetic.transport.regions import ActiveRegion, fragments
from helioloop.synthetic.transport.sampling import WEAK_MX, draw_passage

SMALL = replace(MDI, size_px=30)
SCALE = Scale.of(MDI)


@pytest.fixture(scope="module")
def passages() -> list[Passage]:
    return [draw_passage(1, index, MDI) for index in range(600)]


def region(**changes: float) -> ActiveRegion:
    drawn = ActiveRegion(
        flux_mx=2e21,
        onset_frame=80.0,
        rise_frames=40.0,
        decay_frames=100.0,
        x_px=0.0,
        y_px=0.0,
        separation_px=20.0,
        tilt_deg=0.0,
        leading_polarity=1,
        key=(1, 2, 3),
    )
    return replace(drawn, **changes)


def test_flow_carries_a_spot_and_keeps_its_flux() -> None:
    """In ten frames of 0.5 pixels west and 1.2 pixels north a spot moves by (5, 12) pixels; its flux stays."""
    y, x = np.indices((60, 60))
    field = np.exp(-((x - 20.0) ** 2 + (y - 25.0) ** 2) / 18.0).astype(np.float32)
    total = field.sum()
    for _ in range(10):
        field = surface._advect(field, np.full((60, 60), 0.5, np.float32), np.full((60, 60), 1.2, np.float32))
    assert field.sum() == pytest.approx(total, rel=1e-4)
    assert (x * field).sum() / total == pytest.approx(25.0, abs=0.1)
    assert (y * field).sum() / total == pytest.approx(37.0, abs=0.1)
    assert field.min() > -1e-4


def test_diffusion_widens_a_spot_and_keeps_its_flux() -> None:
    """The variance along each axis grows by 2 · D · Δt / Δx²: from 9 to 13 after twenty frames of 0.1."""
    y, x = np.indices((60, 60))
    field = np.exp(-((x - 30.0) ** 2 + (y - 30.0) ** 2) / 18.0).astype(np.float32)
    total = field.sum()
    for _ in range(20):
        field = surface._diffuse(field, 0.1)
    assert field.sum() == pytest.approx(total, rel=1e-4)
    assert ((x - 30.0) ** 2 * field).sum() / total == pytest.approx(13.0, rel=0.01)


def test_convection_has_the_speed_and_the_size_of_supergranules() -> None:
    """Its root mean square is 300 m/s within a tenth, and it has changed after four lifetimes."""
    convection = Convection(np.random.default_rng(1), SCALE, USUAL)
    flows = [np.stack(convection.velocity()) for _ in range(100)]
    speed = math.sqrt(float(np.mean([(flow**2).sum(0).mean() for flow in flows])))
    assert speed == pytest.approx(SCALE.px_per_frame(USUAL.speed_metre_per_second), rel=0.1)

    def correlation(lag: int) -> float:
        return float(np.corrcoef(flows[0].ravel(), flows[lag].ravel())[0, 1])

    assert correlation(1) > 0.9
    assert abs(correlation(96)) < 0.3


def test_region_emerges_to_its_flux_and_a_tenth_of_it_at_the_emergence_frame() -> None:
    """Nothing has emerged at the onset, a tenth at `emerged_frame`, and all at the end of the rise."""
    emerging = region()
    frames = np.array([80.0, emerging.emerged_frame, 121.0])
    assert emerging.emerged_mx(frames) == pytest.approx([0.0, 2e20, 2e21], rel=0.01, abs=1e17)
    assert 80.0 < emerging.emerged_frame < 105.0


def test_fragments_hold_or_release_all_flux_and_part() -> None:
    """Held and released flux add up to the region's in each polarity; the clusters end 20 pixels apart."""
    emerging = region()
    parts = fragments(emerging, SCALE, latitude_deg=15.0, frames=np.arange(-45.0, 225.0))
    n = parts.flux_gauss_px.shape[1] // 2
    for sign, polarity in ((1.0, slice(0, n)), (-1.0, slice(n, None))):
        held = parts.flux_gauss_px[-1, polarity].sum() + parts.released_gauss_px[:, polarity].sum()
        assert held == pytest.approx(sign * SCALE.gauss_px(2e21), rel=0.01)
    leading, following = parts.place_px[-1, :n].mean(0), parts.place_px[-1, n:].mean(0)
    early = parts.place_px[126, :n].mean(0) - parts.place_px[126, n:].mean(0)
    spread = sum(emerging.spread_px(SCALE)) / math.sqrt(n)
    assert leading[0] - following[0] == pytest.approx(20.0, abs=3.0 * spread)
    assert early[0] < leading[0] - following[0]


def test_an_old_region_begins_dispersed() -> None:
    """What was released twenty days before is spread by √(2 · D · age), 32 Mm."""
    old = region(onset_frame=-340.0)
    parts = fragments(old, SCALE, latitude_deg=15.0, frames=np.arange(0.0, 225.0))
    assert parts.width_px[0].min() * SCALE.mm_per_px == pytest.approx(math.sqrt(2 * 3e8 * 300 * 5760) / 1e6, rel=0.05)
    assert abs(parts.released_gauss_px[0]).sum() > abs(parts.flux_gauss_px[0]).sum()


@pytest.mark.parametrize("latitude", [20.0, -20.0])
def test_leading_polarity_is_nearer_the_equator(latitude: float) -> None:
    """Joy's law: with a positive tilt the axis points west and towards the equator."""
    west, north = region(tilt_deg=20.0).axis(latitude)
    assert west > 0.9
    assert north * latitude < 0


def test_fraction_of_wrong_crude_labels() -> None:
    """Of three times 600 crude labels 22 to 25 % are wrong; half of the cubes show an emergence."""
    drawn = [draw_passage(seed, index, MDI) for seed in (1, 2, 3) for index in range(600)]
    assert 0.22 <= np.mean([crude_label(p, MDI) is not p.truth.label for p in drawn]) <= 0.25
    assert 0.48 <= np.mean([p.truth.label is Label.EMERGENCE for p in drawn]) <= 0.52


def test_crude_labels_are_wrong_for_the_hard_kinds(passages: list[Passage]) -> None:
    """Simple emergences are labelled right; those inside a region or near the limb, and faint remnants, often wrong."""
    wrong = Counter(p.truth.kind for p in passages if crude_label(p, MDI) is not p.truth.label)
    total = Counter(p.truth.kind for p in passages)
    for kind in (Kind.EMERGING, Kind.WEAK):
        assert wrong[kind] <= 0.15 * total[kind]
    for kind in (Kind.INSIDE, Kind.NEAR_LIMB):
        assert wrong[kind] >= 0.4 * total[kind]
    assert 0.15 * total[Kind.FAINT] <= wrong[Kind.FAINT]


def test_emergences_span_two_decades_and_many_are_weak(passages: list[Passage]) -> None:
    """Between a fifth and a half of the emergences are below 7e20 Mx, some above 1e22 Mx; all kinds occur."""
    flux = np.array([p.regions[0].flux_mx for p in passages if p.truth.label is Label.EMERGENCE])
    assert 0.2 < np.mean(flux < WEAK_MX) < 0.5
    assert (flux > 1e22).any()
    assert {p.truth.kind for p in passages} == set(Kind) - {Kind.RETURNING}


def test_region_is_found_in_the_first_image_that_shows_it(passages: list[Passage]) -> None:
    """A large region is found on its way in, so it counts as rotated in; without its first images it counts so, too."""
    passage = next(p for p in passages if p.truth.kind is Kind.ROTATING_IN and p.regions[0].flux_mx > 5e21)
    frame, longitude, _, emerged = finds(passage, MDI)[0]
    assert longitude < -50.0
    assert not emerged
    late = tuple(k for k in passage.tracking.observed if k > frame + 20)
    gap = replace(passage, tracking=replace(passage.tracking, observed=late))
    assert finds(gap, MDI)[0][1] > longitude
    assert crude_label(gap, MDI) is Label.NON_EMERGENCE


@pytest.mark.parametrize("magnetograph", [LIKE_MDI, LIKE_HMI])
def test_noise_rises_towards_the_limb(passages: list[Passage], magnetograph: object) -> None:
    """Without any field the noise near the limb is at least a third larger; off-disk pixels are NaN."""
    passage = next(p for p in passages if p.magnetograph is magnetograph and len(p.tracking.observed) > 210)
    empty = np.zeros((MDI.n_frames, SCALE.box_px, SCALE.box_px), dtype=np.float32)
    field, seconds = observe(empty, passage, MDI)
    longitude = np.abs(passage.tracking.longitude(seconds // MDI.cadence_seconds))

    def noise(frames: npt.NDArray[np.bool_]) -> float:
        shown = field[frames]
        return float(np.median(np.abs(shown[np.isfinite(shown)])))

    assert noise(np.abs(longitude - 62.0) < 5.0) > 1.33 * noise(longitude < 15.0)
    assert np.isnan(field[0]).mean() > 0.5
    assert np.isfinite(field[len(field) // 2]).mean() > 0.7


def test_cube_shows_both_polarities_rise_at_its_emergence() -> None:
    """The flux of a strong simple emergence is several times higher after its rise than at its onset."""
    index = next(
        k
        for k in range(200)
        if (p := draw_passage(1, k, SMALL)).truth.kind is Kind.EMERGING and p.regions[0].flux_mx > 4e21
        and p.regions[0].rise_frames < 70 and len(p.tracking.observed) > 190
    )  # fmt: skip
    emerging = draw_passage(1, index, SMALL).regions[0]
    field = surface.radial_field(draw_passage(1, index, SMALL), Scale.of(SMALL))[:, 15:-15, 15:-15]
    before, after = int(emerging.emerged_frame) - 8, int(emerging.onset_frame + emerging.rise_frames)
    for sign in (1.0, -1.0):
        flux = np.maximum(sign * field, 0.0).sum(axis=(1, 2))
        assert flux[min(after, 224)] > 3.0 * flux[before]


def test_release_has_the_formats_of_the_first_generator(tmp_path: Path) -> None:
    """Twelve cubes are made, read back with labels and truth, and have both classes."""
    made = make_release(
        tmp_path / "sft", n=12, seed=4, truth=tmp_path / "truth.csv", workers=1, instrument=SMALL,
        generator=Generator.FLUX_TRANSPORT,
    )  # fmt: skip
    release = Release.open(tmp_path / "sft")
    truth = read_truth(tmp_path / "truth.csv", cubes=[row.cube for row in release.rows])
    assert len(release.rows) == 12
    assert {row.cube: row.label for row in release.rows} == made.crude
    assert {cube.label for cube in truth.values()} == set(Label)
    assert all((cube.frame is None) == (cube.label is Label.NON_EMERGENCE) for cube in truth.values())
    assert all(cube.kind for cube in truth.values())


def test_the_same_seed_gives_the_same_cube() -> None:
    """Two calls give equal bytes; the next seed gives another cube."""
    one, same, other = (make_cube(seed, 3, SMALL, generator=Generator.FLUX_TRANSPORT) for seed in (1, 1, 2))
    assert np.array_equal(one.observed_gauss, same.observed_gauss, equal_nan=True)
    assert one.truth == same.truth
    assert one.observed_gauss.shape != other.observed_gauss.shape or not np.array_equal(
        one.observed_gauss, other.observed_gauss, equal_nan=True
    )
