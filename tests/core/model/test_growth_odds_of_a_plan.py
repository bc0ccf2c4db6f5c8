"""The growth odds of a round: measured once before its cubes are scored, and part of the version."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.torch import save_file

from helioloop.errors import CubeError, RegistryError
from helioloop.model import ensemble, member_weights
from helioloop.model.architectures import find_architecture
from helioloop.model.device import CPU
from helioloop.model.ensemble import Ensemble, keep_growth_odds
from helioloop.model.growth_odds import EARLIER, GrowthOdds
from helioloop.model.input_cache import GrowthCache
from helioloop.model.plan import Plan, make_plan
from helioloop.model.recipes import QUICK
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import MDI
from helioloop.records.labels import Label
from helioloop.records.profiles import BUILT_IN
from helioloop.registry.staging import GROWTH_ODDS_FILE

GRID = replace(MDI, n_frames=120, size_px=30, frozen_frames=6)
PROFILE = replace(BUILT_IN["mdi"], name="small", instrument=GRID, patch_deg=5.0)
RECIPE = replace(QUICK, folds=2, dropouts=(0.2,))
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


def growing_by_half(cube: CubeInfo) -> npt.NDArray[np.float16]:
    """Return a cube in which both polarities grow from 51 to 79 G, of which noise and floor leave a growth of 1.5."""
    if cube.name == "cube05":
        raise CubeError("damaged since")
    field = np.full((GRID.n_frames, GRID.size_px, GRID.size_px), 0.5)
    for frame, gauss in ((0, 115.0), (60, 165.0)):
        field[frame:, 12:18, 6:12] = 0.5 * (1.0 + gauss / GRID.clip_gauss)
        field[frame:, 12:18, 12:18] = 0.5 * (1.0 - gauss / GRID.clip_gauss)
    return field.astype(np.float16)


RUNTIME = Runtime(instrument=GRID, load=growing_by_half, device=CPU, inputs=None)  # type: ignore[arg-type] - only called


def planned(*, local_growth: bool = True) -> Plan:
    """Return the plan of a round of 24 cubes."""
    recipe = replace(RECIPE, local_growth=local_growth)
    return make_plan(CUBES, recipe=recipe, instrument=GRID, seed=0, parent=None, reason="test", profile=PROFILE)


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """A staging folder with a plan and untrained members."""
    plan = planned()
    plan.save(tmp_path)
    for member in plan.members:
        network = find_architecture(RECIPE.network).build(RECIPE, GRID, dropout=0.2)
        save_file(network.state_dict(), tmp_path / member.file, metadata=member_weights._metadata(plan, member))
    return tmp_path


def test_an_archive_in_which_quiet_cubes_grow_has_its_own_odds(staged: Path) -> None:
    """The cube that cannot be read is left out; a second call measures nothing."""
    plan, reported = planned(), []
    runtime = replace(RUNTIME, report=lambda done, total, what: reported.append((done, total, what)))
    keep_growth_odds(plan, staged, runtime)
    kept = GrowthOdds.read(staged)
    assert kept is not None
    assert kept.n_cubes == 23
    measured = GrowthCache.of(plan, RUNTIME)(CUBES[0])
    assert measured is not None
    assert 1.3 < measured < 1.8
    members = Ensemble.open(staged, device=CPU)
    p_networks = [members.p_networks(cube, RUNTIME).mean() for cube in CUBES if cube.name != "cube05"]
    expected = GrowthOdds.estimate([measured] * 23).shifted(p_networks, [measured] * 23)
    assert (kept.even, kept.shift) == pytest.approx((expected.even, expected.shift))
    assert kept.shift != 0.0
    assert reported[-1] == (24, 24, "measuring local growth")
    keep_growth_odds(plan, staged, runtime)
    assert len(reported) == 24


def test_of_a_large_archive_the_same_sample_is_measured_in_any_order(
    staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chosen by content, so that the odds do not depend on how the cubes are listed."""
    monkeypatch.setattr(ensemble, "ENOUGH_CUBES", 4)
    loaded: dict[str, None] = {}

    def load(cube: CubeInfo) -> npt.NDArray[np.float16]:
        loaded[cube.name] = None
        return growing_by_half(cube)

    plan = planned()
    keep_growth_odds(replace(plan, cubes=plan.cubes[::-1]), staged, replace(RUNTIME, load=load))  # type: ignore[arg-type]
    assert list(loaded) == ["cube00", "cube01", "cube02", "cube03"]


def test_a_recipe_without_local_growth_measures_none(tmp_path: Path) -> None:
    """The authors' network stays as they describe it."""
    keep_growth_odds(planned(local_growth=False), tmp_path, RUNTIME)
    assert not (tmp_path / GROWTH_ODDS_FILE).exists()


def test_members_are_combined_by_the_odds_in_their_folder(staged: Path) -> None:
    """Quiet cubes grow little in this archive: a growth of 1.5 says less against an emergence than elsewhere."""
    keep_growth_odds(planned(), staged, RUNTIME)
    opened = Ensemble.open(staged, device=CPU)
    assert opened.growth_odds == GrowthOdds.read(staged)
    score, other = opened.score(CUBES[0], RUNTIME), replace(opened, growth_odds=EARLIER).score(CUBES[0], RUNTIME)
    assert opened.growth_odds.even < EARLIER.even
    assert score.p_emergence > other.p_emergence


def test_a_version_of_other_learning_code_is_read_as_it_was_made(staged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no odds of its own."""
    monkeypatch.setattr(ensemble, "code_version", lambda: "0.2.0+later")
    assert Ensemble.open(staged, device=CPU).growth_odds == EARLIER


@pytest.mark.parametrize("content", [None, "{"], ids=["lost", "damaged"])
def test_members_without_readable_odds_do_not_score(staged: Path, content: str | None) -> None:
    """They would give other probabilities than those in the version."""
    if content is not None:
        (staged / GROWTH_ODDS_FILE).write_text(content)
    with pytest.raises(RegistryError, match=f"{GROWTH_ODDS_FILE} .*restore it"):
        Ensemble.open(staged, device=CPU)
