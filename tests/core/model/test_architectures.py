"""An architecture written in one module is trained, scored and masked like the built-in ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helioloop.emergence.locate import locate_emergences
from helioloop.emergence.masking import masking_curves
from helioloop.errors import SettingsError
from helioloop.model import architectures
from helioloop.model.architecture import Architecture
from helioloop.model.architectures import find_architecture, register
from helioloop.model.device import CPU
from helioloop.model.ensemble import Ensemble, keep_growth_odds, score_cubes
from helioloop.model.field_video import FieldVideo
from helioloop.model.inputs import FloatArray
from helioloop.model.members import train_member
from helioloop.model.plan import make_plan
from helioloop.model.recipes import QUICK, Augmentation, Recipe
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label

SMALL = Instrument(name="small", cadence_seconds=5760.0, n_frames=12, size_px=6, clip_gauss=1000.0, frozen_frames=2)
ONSET_FRAME = 6


class FluxNetwork(nn.Module):
    """Logit of the largest response of three filters along time to a series of fluxes (batch, n_frames, 1)."""

    def __init__(self, *, dropout: float) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, 3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(3, 1)

    def forward(self, fluxes: Tensor) -> Tensor:
        highest = self.norm(self.filters(fluxes.transpose(1, 2))).amax(2)
        logits: Tensor = self.head(self.dropout(highest))[:, 0]
        return logits


class Flux(Architecture[FluxNetwork]):
    """A toy: each frame enters as its mean unsigned field."""

    name = "flux"
    input_format = "1"

    def prepare(self, video: FieldVideo) -> FloatArray:
        frames = np.nan_to_num(video.scaled(), nan=0.5)
        return np.abs(2.0 * frames - 1.0).mean(axis=(1, 2), dtype=np.float32)[:, None]

    def build(self, recipe: Recipe, instrument: Instrument, *, dropout: float) -> FluxNetwork:  # noqa: ARG002
        return FluxNetwork(dropout=dropout)

    def logit_bias(self, network: FluxNetwork) -> Tensor:
        return network.head.bias

    def augment(
        self,
        inputs: Tensor,
        symmetries: Tensor,  # noqa: ARG002 - an unsigned mean has all symmetries
        others: Tensor | None,  # noqa: ARG002
        *,
        settings: Augmentation,
        generator: torch.Generator,
    ) -> Tensor:
        return inputs + settings.noise * torch.randn(inputs.shape, generator=generator)


def emerging(k: int) -> bool:
    return k % 2 == 1


def gridded(k: int) -> np.ndarray:
    """A field from `ONSET_FRAME` on where cube k emerges, otherwise the same field throughout."""
    cube = 0.5 + 0.01 * np.random.default_rng(k).standard_normal((12, 6, 6))
    cube[ONSET_FRAME if emerging(k) else 0 :, 2:4, 1:5] += 0.4
    return cube.astype(np.float32)


CUBES = [
    CubeInfo(
        release="r",
        name=f"cube{k:02d}",
        sha256=f"{k:064x}",
        label=Label.EMERGENCE if emerging(k) else Label.NON_EMERGENCE,
    )
    for k in range(24)
]
RECIPE = replace(
    QUICK,
    pretrained=None,
    name="toy",
    network="flux",
    folds=2,
    dropouts=(0.0,),
    epochs=60,
    min_steps=0,
    batch=6,
    learning_rate=0.1,
    label_smoothing=0.0,
    early_learning=0.0,
    augmentation=Augmentation(noise=0.001, static_clips=0.3),
)


@pytest.fixture
def flux(monkeypatch: pytest.MonkeyPatch) -> Flux:
    """The toy, registered for one test."""
    monkeypatch.setattr(architectures, "_BY_NAME", dict(architectures._BY_NAME))
    toy = Flux()
    register(toy)
    return toy


def naive_curve(flux: Flux, network: nn.Module, cube: np.ndarray) -> np.ndarray:
    """P(emergence) of every masked video, one after the other."""
    p = []
    for frame in range(SMALL.n_frames):
        video = cube.copy()
        video[: SMALL.frozen_frames] = cube[SMALL.frozen_frames]
        for later in range(frame + 1, SMALL.n_frames):
            video[later] = video[frame]
        with torch.no_grad():
            p.append(float(torch.sigmoid(network(torch.from_numpy(flux.prepare(FieldVideo(video, SMALL)))[None]))))
    return np.array(p)


def test_an_architecture_from_outside_is_trained_scored_and_masked(flux: Flux, tmp_path: Path) -> None:
    """Its members separate the classes, and its masking curve is that of a loop over masked videos."""
    cubes = {cube.name: gridded(k) for k, cube in enumerate(CUBES)}
    runtime = Runtime(instrument=SMALL, load=lambda cube: cubes[cube.name], device=CPU, inputs=tmp_path / "inputs")
    plan = make_plan(CUBES, recipe=RECIPE, instrument=SMALL, seed=0, parent=None, reason="test")
    plan.save(tmp_path)
    for member in plan.members:
        train_member(plan, member.name, tmp_path, runtime)
    keep_growth_odds(plan, tmp_path, runtime)

    ensemble = Ensemble.open(tmp_path, device=CPU)
    scores = score_cubes(ensemble, CUBES, runtime)
    p = np.array([score.p_emergence for score in scores])
    assert p[1::2].min() > p[::2].max()

    networks = list(ensemble.networks.values())
    curves = masking_curves(ensemble.architecture, networks, FieldVideo(cubes["cube01"], SMALL), device=CPU)
    for curve, network in zip(curves, networks, strict=True):
        expected = naive_curve(flux, network, cubes["cube01"])
        np.testing.assert_allclose(curve, expected, atol=1e-6)
        assert np.ptp(expected) > 0.5

    labels = {cube.name: cube.label for cube in CUBES}
    located = locate_emergences(ensemble, CUBES[:2], scores[:2], runtime, labels=labels)
    assert located[1].emergence is not None
    assert located[1].emergence.frame == pytest.approx(ONSET_FRAME, abs=2)


def test_inputs_that_half_precision_would_change_are_kept_exactly(flux: Flux, tmp_path: Path) -> None:
    """A member trained from the folder sees what a member trained from the cubes sees."""
    cube = gridded(1)
    runtime = Runtime(instrument=SMALL, load=lambda _: cube, device=CPU, inputs=tmp_path)
    plan = make_plan(CUBES, recipe=RECIPE, instrument=SMALL, seed=0, parent=None, reason="test")
    network = flux.build(RECIPE, SMALL, dropout=0.0).eval()
    ensemble = Ensemble(plan=plan, networks={member.name: network for member in plan.members}, device=CPU)
    first, second = (ensemble.score(CUBES[1], runtime) for _ in range(2))
    (path,) = tmp_path.glob(f"{flux.name}-*/*.npy")
    np.testing.assert_array_equal(np.load(path), flux.prepare(FieldVideo(cube, SMALL)))
    # numpy's sums of one array depend, in their last bit, on where it lies in memory
    assert first.p_emergence == pytest.approx(second.p_emergence, rel=1e-6)


def test_an_unknown_network_is_refused_with_the_known_names(tmp_path: Path) -> None:
    """By the registry, and by every step that needs the network: none is left out silently."""
    refusal = "network 'flux' is unknown; a recipe's network is one of: frames-as-channels, per-frame"
    with pytest.raises(SettingsError, match=refusal):
        find_architecture("flux")
    plan = make_plan(CUBES, recipe=RECIPE, instrument=SMALL, seed=0, parent=None, reason="test")
    runtime = Runtime(instrument=SMALL, load=lambda _: gridded(0), device=CPU)
    with pytest.raises(SettingsError, match=refusal):
        train_member(plan, "fold0-0", tmp_path, runtime)
    plan.save(tmp_path)
    with pytest.raises(SettingsError, match=refusal):
        Ensemble.open(tmp_path, device=CPU)
    with pytest.raises(SettingsError, match=refusal):
        _ = Ensemble(plan=plan, networks={}, device=CPU).architecture


def test_two_architectures_of_one_name_are_refused(flux: Flux) -> None:
    """The same one may be registered again."""
    register(flux)
    with pytest.raises(SettingsError, match="'flux' is registered already"):
        register(Flux())


@pytest.mark.parametrize("name", ["per-frame", "frames-as-channels"])
def test_the_built_in_architectures_override_the_loop_over_masked_videos(name: str) -> None:
    """Their own way is compared with that loop in test_masking."""
    assert type(find_architecture(name)).masked_logits is not Architecture.masked_logits
