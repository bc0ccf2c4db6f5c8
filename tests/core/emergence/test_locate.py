"""Which of curve, flux and bipolar rise an emergence frame comes from; the networks are real, with chosen weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from helioloop.emergence.locate import LEAST_PROBABILITY, locate, needs_emergence_frame
from helioloop.model.device import CPU
from helioloop.model.ensemble import Ensemble
from helioloop.model.per_frame import PerFrame
from helioloop.model.plan import make_plan
from helioloop.model.recipes import QUICK
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.records.profiles import BUILT_IN
from helioloop.records.scores import CubeScore

GRID = replace(MDI, n_frames=120, size_px=30, frozen_frames=6)
PROFILE = replace(BUILT_IN["mdi"], name="small", instrument=GRID, patch_deg=5.0)
RECIPE = replace(QUICK, folds=2, dropouts=(0.2,), local_growth=False)
CUBES = [
    CubeInfo(
        release="r",
        name=f"cube{k:02d}",
        sha256=f"{k:064x}",
        start=f"2001-{1 + k % 12:02d}-01T00:00:00",
        region=f"region{k}",
        label=Label.EMERGENCE if k % 2 else Label.NON_EMERGENCE,
        verified=False,
    )
    for k in range(24)
]


@pytest.fixture(scope="module")
def undecided() -> Ensemble:
    """Networks whose last layer has zero weights: p is one half for every video, masked or not."""
    plan = make_plan(CUBES, recipe=RECIPE, instrument=GRID, seed=0, parent=None, reason="test", profile=PROFILE)
    networks = {}
    for member in plan.members:
        network = PerFrame().build(RECIPE, GRID, dropout=0.2).eval()
        with torch.no_grad():
            network.head[-1].weight.zero_()  # type: ignore[union-attr, operator]
            network.head[-1].bias.zero_()  # type: ignore[union-attr, operator]
        networks[member.name] = network
    return Ensemble(plan=plan, networks=networks, device=CPU)


def bipole(*, frame: int, positive_gauss: float = 200.0, negative_gauss: float = 200.0) -> npt.NDArray[np.float16]:
    """Return a cube with a cell of each polarity, side by side, from `frame` on."""
    cube = np.full((GRID.n_frames, GRID.size_px, GRID.size_px), 0.5)
    cube[frame:, 12:18, 6:12] += 0.5 * positive_gauss / GRID.clip_gauss
    cube[frame:, 12:18, 12:18] -= 0.5 * negative_gauss / GRID.clip_gauss
    return cube.astype(np.float16)


@pytest.mark.parametrize(
    ("cube", "frame"),
    [
        (bipole(frame=60), 57),
        (bipole(frame=81), 78),
        (bipole(frame=0), None),
        (bipole(frame=60, negative_gauss=0.0), None),
        (bipole(frame=60, negative_gauss=60.0), None),
    ],
    ids=["a bipole", "a later bipole", "an old bipole", "one polarity", "a weak second polarity"],
)
def test_where_the_curve_says_nothing_the_bipolar_rise_gives_the_frame(
    undecided: Ensemble, cube: npt.NDArray[np.float16], frame: int | None
) -> None:
    """The curve is level. The frame follows a new bipole; without one there is none."""
    runtime = Runtime(instrument=GRID, load=lambda _cube: cube, device=CPU, inputs=None)
    located = locate(undecided, CUBES[1], undecided.score(CUBES[1], runtime), runtime)
    assert located.curve is not None
    assert np.ptp(located.curve) < 1e-6
    assert (None if located.emergence is None else located.emergence.frame) == frame


@pytest.fixture(scope="module")
def undecided_with_growth(undecided: Ensemble) -> Ensemble:
    """The same networks under a recipe that combines them with the local growth."""
    return replace(undecided, plan=replace(undecided.plan, recipe=replace(RECIPE, local_growth=True)))


def test_curve_and_probability_contain_the_local_growth(undecided_with_growth: Ensemble) -> None:
    """Networks at one half: before the bipole the odds are 1/50, afterwards 50; the frame is that of the bipole."""
    runtime = Runtime(instrument=GRID, load=lambda _cube: bipole(frame=60), device=CPU, inputs=None)
    score = undecided_with_growth.score(CUBES[1], runtime)
    assert score.p_networks == pytest.approx(0.5)
    assert score.p_emergence == pytest.approx(50.0 / 51.0)
    assert score.growth is not None
    assert score.growth > 5.0
    located = locate(undecided_with_growth, CUBES[1], score, runtime)
    assert located.curve is not None
    assert located.curve[59] == pytest.approx(1.0 / 51.0, abs=1e-4)
    assert located.curve[-1] == pytest.approx(score.p_emergence, abs=1e-4)
    assert located.emergence is not None
    assert abs(located.emergence.frame - 60) <= 3


def test_members_curves_are_kept_and_their_mean_is_the_curve(undecided_with_growth: Ensemble) -> None:
    """A cube of no fold is scored by both members, in the order of their names in the score."""
    runtime = Runtime(instrument=GRID, load=lambda _cube: bipole(frame=60), device=CPU, inputs=None)
    new = replace(CUBES[1], name="new", sha256="f" * 64, region="another", label=None)
    located = locate(undecided_with_growth, new, undecided_with_growth.score(new, runtime), runtime)
    assert located.member_curves is not None
    curves = np.array(located.member_curves.unpack())
    assert curves.shape == (2, GRID.n_frames)
    assert curves.mean(axis=0) == pytest.approx(np.array(located.curve), abs=2e-5)


def test_a_recipe_without_growth_stores_none(undecided: Ensemble) -> None:
    """Versions trained before the growth was measured give the probability of their networks."""
    runtime = Runtime(instrument=GRID, load=lambda _cube: bipole(frame=60), device=CPU, inputs=None)
    score = undecided.score(CUBES[1], runtime)
    assert (score.p_emergence, score.p_networks, score.growth) == (pytest.approx(0.5), None, None)


@pytest.mark.parametrize(
    ("n_frames", "patch_deg"),
    [(34, 5.0), (GRID.n_frames, 15.0)],
    ids=["28 observed frames are less than two days", "two pixels per degree"],
)
def test_where_the_growth_is_not_measured_the_networks_alone_count(
    undecided: Ensemble, n_frames: int, patch_deg: float
) -> None:
    """Probability and masking curve are those of the networks, though a bipole comes up."""
    grid = replace(GRID, n_frames=n_frames)
    recipe = replace(RECIPE, local_growth=True)
    profile = replace(PROFILE, instrument=grid, patch_deg=patch_deg)
    plan = make_plan(CUBES, recipe=recipe, instrument=grid, seed=0, parent=None, reason="test", profile=profile)
    runtime = Runtime(instrument=grid, load=lambda _cube: bipole(frame=20)[:n_frames], device=CPU)
    ensemble = replace(undecided, plan=plan)
    score = ensemble.score(CUBES[1], runtime)
    assert score.growth is None
    assert score.p_networks == score.p_emergence == pytest.approx(0.5)
    located = locate(ensemble, CUBES[1], score, runtime)
    assert located.curve == pytest.approx((0.5,) * n_frames, abs=1e-5)


def test_scoring_again_reads_no_cube(undecided_with_growth: Ensemble, tmp_path: Path) -> None:
    """Inputs and growth are kept in the folder; a deleted or damaged growth is measured again."""
    loaded: list[str] = []

    def load(cube: CubeInfo) -> npt.NDArray[np.float16]:
        loaded.append(cube.name)
        return bipole(frame=60)

    runtime = Runtime(instrument=GRID, load=load, device=CPU, inputs=tmp_path)  # type: ignore[arg-type] - only called
    first = undecided_with_growth.score(CUBES[1], runtime)
    assert first.growth is not None
    n_loaded = len(loaded)
    assert n_loaded > 0
    assert undecided_with_growth.score(CUBES[1], runtime) == first
    assert len(loaded) == n_loaded
    (kept,) = tmp_path.glob("local-growth-*/*.npy")
    kept.write_bytes(kept.read_bytes()[:20])
    assert undecided_with_growth.score(CUBES[1], runtime) == first
    assert len(loaded) == n_loaded + 1


@pytest.mark.parametrize(
    ("p", "label", "verified", "needed"),
    [
        (0.5, Label.NON_EMERGENCE, True, True),
        (0.49, Label.NON_EMERGENCE, False, False),
        (0.49, None, False, False),
        (0.49, Label.EMERGENCE, False, True),
        (LEAST_PROBABILITY, Label.EMERGENCE, False, True),
        (LEAST_PROBABILITY - 0.01, Label.EMERGENCE, False, False),
        (LEAST_PROBABILITY - 0.01, Label.EMERGENCE, True, True),
    ],
)
def test_an_emergence_has_a_frame_unless_only_a_crude_label_that_is_all_but_refuted_says_so(
    *, p: float, label: Label | None, verified: bool, needed: bool
) -> None:
    """By the ensemble, by a human, or by a crude label that the ensemble does not exclude."""
    score = CubeScore(cube="c", sha256="0" * 64, p_emergence=p, p_spread=None, members=("m",))
    assert needs_emergence_frame(score, label, verified=verified) is needed
