"""Masking curves equal the naive loop: the network run on every masked video."""

import numpy as np
import pytest
import torch

from helioloop.emergence.masking import masking_curves
from helioloop.instrument import MDI, Instrument
from helioloop.model.device import CPU
from helioloop.model.inputs import FloatArray, cell_steps, channel_frames
from helioloop.model.networks import FramesAsChannels, Network, PerFrameNetwork

SMALL = Instrument(name="small", cadence_seconds=5760.0, n_frames=12, size_px=24, clip_gauss=1000.0, frozen_frames=4)


def random_cube(instrument: Instrument, *, seed: int) -> FloatArray:
    """A field of random sign that grows over the video, with a corner off-disk for its first half."""
    generator = np.random.default_rng(seed)
    shape = (instrument.n_frames, instrument.size_px, instrument.size_px)
    growth = np.linspace(0.05, 0.4, instrument.n_frames)[:, None, None]
    cube = np.clip(0.5 + growth * generator.standard_normal(shape), 0, 1).astype(np.float32)
    cube[: instrument.n_frames // 2, :5, :7] = np.nan
    return cube


def lively(network: Network, *, seed: int) -> Network:
    """Random weights large enough, and batch-norm statistics odd enough, that masks make a difference."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            noise = torch.randn(value.shape, generator=generator)
            value.copy_(1.0 + 0.1 * noise.abs() if "running_var" in name else value + 0.3 * noise)
    return network.eval()


def per_frame(seed: int) -> Network:
    torch.manual_seed(seed)  # the weights that `lively` starts from
    return lively(PerFrameNetwork(filters=(4, 6, 6), dense=8, dropout=0.5), seed=seed)


def frames_as_channels(instrument: Instrument, seed: int) -> Network:
    torch.manual_seed(seed)
    return lively(
        FramesAsChannels(
            n_frames=instrument.n_frames, size_px=instrument.size_px, filters=(4, 6, 8), dense=8, dropout=0.5
        ),
        seed=seed,
    )


def masked(cube: FloatArray, frame: int, instrument: Instrument) -> FloatArray:
    """The masked video as the paper describes it: start frozen, then frames after `frame` replaced by it."""
    video = cube.copy()
    video[: instrument.frozen_frames] = cube[instrument.frozen_frames]
    for later in range(frame + 1, instrument.n_frames):
        video[later] = video[frame]
    return video


def naive_curve(network: Network, cube: FloatArray, instrument: Instrument, frames: range) -> FloatArray:
    prepare = cell_steps if isinstance(network, PerFrameNetwork) else channel_frames
    with torch.no_grad():
        logits = [
            network(torch.from_numpy(prepare(masked(cube, frame, instrument), instrument))[None]) for frame in frames
        ]
        return np.asarray(torch.sigmoid(torch.cat(logits)).numpy())


@pytest.mark.parametrize("n_frames", [10, 11, 12, 70])
def test_per_frame_curve_equals_the_naive_loop(n_frames: int) -> None:
    """Also inside a group of three frames, and where the last group is not full."""
    instrument = Instrument(**{**SMALL.as_dict(), "n_frames": n_frames})
    cube, network = random_cube(instrument, seed=1), per_frame(seed=2)
    (curve,) = masking_curves([network], cube, instrument=instrument, device=CPU)
    expected = naive_curve(network, cube, instrument, range(n_frames))
    np.testing.assert_allclose(curve, expected, atol=1e-5)
    assert np.ptp(expected) > 1e-3, "the curve varies by a hundred times the tolerance"


def test_frames_as_channels_curve_equals_the_naive_loop() -> None:
    """The running sum over the first layer's kernels gives every masked video's first layer."""
    instrument = SMALL
    cube, network = random_cube(instrument, seed=3), frames_as_channels(instrument, seed=4)
    (curve,) = masking_curves([network], cube, instrument=instrument, device=CPU)
    expected = naive_curve(network, cube, instrument, range(instrument.n_frames))
    np.testing.assert_allclose(curve, expected, atol=1e-5)
    assert np.ptp(expected) > 1e-2


@pytest.mark.parametrize("kind", ["per-frame", "frames-as-channels"])
def test_full_size_curves_equal_the_naive_loop(kind: str) -> None:
    """On MDI's grid, spot-checked at the frozen start, around a group's borders and at the end."""
    cube = random_cube(MDI, seed=5)
    network = per_frame(seed=6) if kind == "per-frame" else frames_as_channels(MDI, seed=6)
    (curve,) = masking_curves([network], cube, instrument=MDI, device=CPU)
    for frames in (range(29, 33), range(110, 114), range(222, 225)):
        expected = naive_curve(network, cube, MDI, frames)
        np.testing.assert_allclose(curve[frames.start : frames.stop], expected, atol=1e-5)


def test_curve_is_level_over_the_frozen_start_and_ends_at_the_whole_video() -> None:
    """Masks up to the frozen start leave one frame; the last mask leaves the video as it is."""
    cube, network = random_cube(SMALL, seed=7), per_frame(seed=8)
    (curve,) = masking_curves([network], cube, instrument=SMALL, device=CPU)
    assert curve.shape == (12,)
    assert set(curve[: SMALL.frozen_frames + 1]) == {curve[0]}
    with torch.no_grad():
        whole = torch.sigmoid(network(torch.from_numpy(cell_steps(cube, SMALL))[None]))
    assert curve[-1] == pytest.approx(float(whole), abs=1e-6)


def test_each_network_has_a_curve_of_its_own() -> None:
    """Curves come in the order of the networks."""
    cube, networks = random_cube(SMALL, seed=9), [per_frame(seed=10), per_frame(seed=11)]
    curves = masking_curves(networks, cube, instrument=SMALL, device=CPU)
    for network, curve in zip(networks, curves, strict=True):
        np.testing.assert_array_equal(masking_curves([network], cube, instrument=SMALL, device=CPU)[0], curve)
