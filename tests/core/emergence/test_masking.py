"""Masking curves equal those of the naive loop, which runs the network on every masked video."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from helioloop.emergence.masking import masking_curves
from helioloop.model.architecture import AnyArchitecture, Architecture
from helioloop.model.device import CPU
from helioloop.model.field_video import FieldVideo
from helioloop.model.frames_as_channels import FramesAsChannels
from helioloop.model.frames_masking import matrix_product_logits, patches_of, prefix_sum_logits
from helioloop.model.frames_network import FramesAsChannelsNetwork, channel_frames
from helioloop.model.inputs import FloatArray
from helioloop.model.per_frame import PerFrame
from helioloop.model.recipes import PAPER, QUICK
from helioloop.records.instrument import MDI, Instrument

SMALL = Instrument(name="small", cadence_seconds=5760.0, n_frames=12, size_px=24, clip_gauss=1000.0, frozen_frames=4)
OTHER = Instrument(name="other", cadence_seconds=720.0, n_frames=35, size_px=31, clip_gauss=2500.0, frozen_frames=7)
"""Another cadence, length and clip; its frames do not divide into groups of three, nor its pixels into cells."""
RECIPES = {
    "per-frame": replace(QUICK, filters=(4, 6, 6), dense=8, pretrained=None),
    "frames-as-channels": replace(PAPER, filters=(4, 6, 8), dense=8),
}
both = pytest.mark.parametrize("architecture", [PerFrame(), FramesAsChannels()], ids=lambda each: each.name)


def random_cube(instrument: Instrument, *, seed: int) -> FloatArray:
    """A field of random sign that grows over the video, with a corner off-disk for its first half."""
    generator = np.random.default_rng(seed)
    shape = (instrument.n_frames, instrument.size_px, instrument.size_px)
    growth = np.linspace(0.05, 0.4, instrument.n_frames)[:, None, None]
    cube = np.clip(0.5 + growth * generator.standard_normal(shape), 0, 1).astype(np.float32)
    cube[: instrument.n_frames // 2, :5, :7] = np.nan
    return cube


def random_network(architecture: AnyArchitecture, instrument: Instrument, *, seed: int) -> nn.Module:
    """Random weights so large, and batch-norm statistics so far from 0 and 1, that masks make a difference."""
    torch.manual_seed(seed)
    network: nn.Module = architecture.build(RECIPES[architecture.name], instrument, dropout=0.5)
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            noise = torch.randn(value.shape, generator=generator)
            value.copy_(1.0 + 0.1 * noise.abs() if "running_var" in name else value + 0.3 * noise)
    return network.eval()


def masked(cube: FloatArray, frame: int, instrument: Instrument) -> FloatArray:
    """The masked video as in the paper: the start is frozen, then the frames after `frame` are replaced by it."""
    video = cube.copy()
    video[: instrument.frozen_frames] = cube[instrument.frozen_frames]
    for later in range(frame + 1, instrument.n_frames):
        video[later] = video[frame]
    return video


def naive_curve(
    architecture: AnyArchitecture, network: nn.Module, cube: FloatArray, instrument: Instrument, frames: range
) -> FloatArray:
    with torch.no_grad():
        inputs = [architecture.prepare(FieldVideo(masked(cube, frame, instrument), instrument)) for frame in frames]
        logits = [network(torch.from_numpy(x)[None]) for x in inputs]
        return np.asarray(torch.sigmoid(torch.cat(logits)).numpy())


@pytest.mark.parametrize("n_frames", [10, 11, 12, 70])
def test_per_frame_curve_equals_the_naive_loop(n_frames: int) -> None:
    """Also inside a group of three frames, and where the last group is incomplete."""
    instrument = Instrument(**{**SMALL.as_dict(), "n_frames": n_frames})
    cube, network = random_cube(instrument, seed=1), random_network(PerFrame(), instrument, seed=2)
    (curve,) = masking_curves(PerFrame(), [network], FieldVideo(cube, instrument), device=CPU)
    expected = naive_curve(PerFrame(), network, cube, instrument, range(n_frames))
    np.testing.assert_allclose(curve, expected, atol=1e-5)
    assert np.ptp(expected) > 1e-3, "the curve varies by a hundred times the tolerance"


@both
def test_curves_on_another_grid_equal_the_naive_loop(architecture: AnyArchitecture) -> None:
    """Every mask, from the frozen start to the last frame of that grid."""
    cube, network = random_cube(OTHER, seed=15), random_network(architecture, OTHER, seed=16)
    (curve,) = masking_curves(architecture, [network], FieldVideo(cube, OTHER), device=CPU)
    expected = naive_curve(architecture, network, cube, OTHER, range(OTHER.n_frames))
    assert curve.shape == (35,)
    np.testing.assert_allclose(curve, expected, atol=1e-5)
    assert np.ptp(expected) > 1e-3


@both
@pytest.mark.parametrize(("n_frames", "frozen_frames"), [(2, 1), (3, 0), (5, 1), (9, 8), (43, 1)])
def test_curves_of_short_videos_and_frozen_starts_equal_the_naive_loop(
    architecture: AnyArchitecture, n_frames: int, frozen_frames: int
) -> None:
    """Where windows along time begin before the video, or cover all of it, and where there is one mask only."""
    instrument = Instrument(**{**SMALL.as_dict(), "n_frames": n_frames, "frozen_frames": frozen_frames})
    cube, network = random_cube(instrument, seed=17), random_network(architecture, instrument, seed=18)
    (curve,) = masking_curves(architecture, [network], FieldVideo(cube, instrument), device=CPU)
    expected = naive_curve(architecture, network, cube, instrument, range(n_frames))
    np.testing.assert_allclose(curve, expected, atol=1e-5)


def test_frames_as_channels_curve_equals_the_naive_loop() -> None:
    """The prefix sum over the first layer's kernels gives every masked video's first layer."""
    instrument = SMALL
    cube, network = random_cube(instrument, seed=3), random_network(FramesAsChannels(), instrument, seed=4)
    (curve,) = masking_curves(FramesAsChannels(), [network], FieldVideo(cube, instrument), device=CPU)
    expected = naive_curve(FramesAsChannels(), network, cube, instrument, range(instrument.n_frames))
    np.testing.assert_allclose(curve, expected, atol=1e-5)
    assert np.ptp(expected) > 1e-2


@both
def test_full_size_curves_equal_the_naive_loop(architecture: AnyArchitecture) -> None:
    """On MDI's grid, checked at the frozen start, around the edges of a group, and at the end."""
    cube, network = random_cube(MDI, seed=5), random_network(architecture, MDI, seed=6)
    (curve,) = masking_curves(architecture, [network], FieldVideo(cube, MDI), device=CPU)
    for frames in (range(29, 33), range(110, 114), range(222, 225)):
        expected = naive_curve(architecture, network, cube, MDI, frames)
        np.testing.assert_allclose(curve[frames.start : frames.stop], expected, atol=1e-5)


def test_curve_is_level_over_the_frozen_start_and_ends_at_the_whole_video() -> None:
    """Masks up to the frozen start leave one frame; the last mask leaves the video as it is."""
    cube, network = random_cube(SMALL, seed=7), random_network(PerFrame(), SMALL, seed=8)
    (curve,) = masking_curves(PerFrame(), [network], FieldVideo(cube, SMALL), device=CPU)
    assert curve.shape == (12,)
    assert set(curve[: SMALL.frozen_frames + 1]) == {curve[0]}
    with torch.no_grad():
        whole = torch.sigmoid(network(torch.from_numpy(PerFrame().prepare(FieldVideo(cube, SMALL)))[None]))
    assert curve[-1] == pytest.approx(float(whole), abs=1e-6)


def test_each_network_has_a_curve_of_its_own() -> None:
    """Curves come in the order of the networks."""
    cube, networks = random_cube(SMALL, seed=9), [random_network(PerFrame(), SMALL, seed=seed) for seed in (10, 11)]
    curves = masking_curves(PerFrame(), networks, FieldVideo(cube, SMALL), device=CPU)
    for network, curve in zip(networks, curves, strict=True):
        np.testing.assert_array_equal(
            masking_curves(PerFrame(), [network], FieldVideo(cube, SMALL), device=CPU)[0], curve
        )


@both
def test_masked_logits_equal_those_of_the_default_loop(architecture: AnyArchitecture) -> None:
    """What an architecture inherits and what it overrides give the same logits."""
    cube, network = random_cube(SMALL, seed=14), random_network(architecture, SMALL, seed=12)
    with torch.inference_mode():
        fast, slow = (
            method(architecture, [network, network], FieldVideo(cube, SMALL), device=CPU)
            for method in (type(architecture).masked_logits, Architecture.masked_logits)
        )
    assert fast.shape == (2, SMALL.n_frames - SMALL.frozen_frames)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-4)
    assert slow[0].std() > 1e-3, "the logits vary by a hundred times the tolerance"


def test_the_masking_of_a_gpu_equals_that_of_a_cpu() -> None:
    """Computed here on the CPU: matrix products of patches give the same masked logits as prefix sums."""
    network = random_network(FramesAsChannels(), MDI, seed=6)
    assert isinstance(network, FramesAsChannelsNetwork)
    frames = torch.from_numpy(channel_frames(FieldVideo(random_cube(MDI, seed=5), MDI)))
    with torch.inference_mode():
        (expected,) = prefix_sum_logits([network], frames, start=195)
        logits = matrix_product_logits(network, frames, patches_of(frames), start=195, device=CPU)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-5)
    assert np.ptp(expected.numpy()) > 1e-2
