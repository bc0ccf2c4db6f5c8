"""The two built-in networks: their layers, sizes and inputs."""

import numpy as np
import pytest
import torch

from helioloop.errors import SettingsError
from helioloop.model.field_video import FieldVideo
from helioloop.model.frames_as_channels import FramesAsChannels
from helioloop.model.frames_network import channel_frames
from helioloop.model.per_frame import PerFrame
from helioloop.model.recipes import PAPER, QUICK
from helioloop.records.instrument import MDI, Instrument

TINY = Instrument(name="tiny", cadence_seconds=5760.0, n_frames=6, size_px=12, clip_gauss=1000.0, frozen_frames=2)


def test_the_per_frame_network_has_16_000_weights() -> None:
    """It takes any number of steps and cells."""
    network = PerFrame().build(QUICK, MDI, dropout=0.2)
    assert 15_000 < sum(p.numel() for p in network.parameters()) < 17_000
    assert network(torch.zeros(2, 75, 3, 15, 15)).shape == (2,)
    assert network(torch.zeros(2, 4, 3, 4, 4)).shape == (2,)


def test_the_authors_network_has_their_layers() -> None:
    """Nine convolutions with their filters and three dense layers; 90 px become one pixel of 512 channels."""
    network = FramesAsChannels().build(PAPER, MDI, dropout=0.5).eval()
    convolutions = [m.out_channels for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    dense = [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, torch.nn.Linear)]
    assert convolutions == [32, 32, 64, 64, 128, 128, 256, 256, 512]
    assert dense == [(512, 512), (512, 512), (512, 1)]
    with torch.no_grad():
        assert network(torch.zeros(1, 225, 90, 90)).shape == (1,)


def test_frames_too_small_for_the_authors_network_are_refused() -> None:
    """The message names the size."""
    with pytest.raises(SettingsError, match="12 px"):
        FramesAsChannels().build(PAPER, TINY, dropout=0.5)


def test_the_authors_network_has_no_field_off_disk() -> None:
    """Off-disk becomes 0.5, which is 0 G."""
    cube = np.full((6, 12, 12), 0.7)
    cube[:, 0, 0] = np.nan
    frames = channel_frames(FieldVideo(cube, TINY))
    assert frames[3, 0, 0] == 0.5
    assert frames[3, 1, 1] == pytest.approx(0.7, abs=1e-3)
