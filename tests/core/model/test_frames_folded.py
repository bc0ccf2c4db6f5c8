"""The folded layers of the authors' CNN give the logits of the layers themselves."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from helioloop.model.frames_folded import FoldedLayers
from helioloop.model.frames_masking import MASKS_PER_BATCH, MASKS_PER_GROUP, prefix_sum_logits
from helioloop.model.frames_network import FramesAsChannelsNetwork


def random_network(
    *, size_px: int, n_frames: int = 3, filters: tuple[int, ...] = (6, 8, 7, 9)
) -> FramesAsChannelsNetwork:
    """Weights and batch-norm statistics far from their start values, many scales negative."""
    torch.manual_seed(size_px)
    network = FramesAsChannelsNetwork(n_frames=n_frames, size_px=size_px, filters=filters, dense=7, dropout=0.5)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 0.5, 1.0)
            nn.init.normal_(layer.bias)
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2.0)
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_normal_(layer.weight, gain=3.0)
    return network.eval()


def both_logits(network: FramesAsChannelsNetwork, first: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of the folded layers and of the layers themselves for outputs of the first convolution."""
    with torch.inference_mode():
        expected = network.logits(first)
        folded = FoldedLayers(network, size_px=first.shape[-1])
        padded = functional.pad(first, (1, 1, 1, 1), value=7.0).permute(0, 2, 3, 1)
        return folded.logits(folded.early(padded[:, : folded.side, : folded.side].contiguous())), expected


@pytest.mark.parametrize("size_px", [40, 42, 43, 44, 49])
def test_folded_layers_equal_the_network(size_px: int) -> None:
    """On sides that halve and sides that leave a row, and whatever the value around the input."""
    network = random_network(size_px=size_px)
    logits, expected = both_logits(network, torch.randn(4, 6, size_px, size_px))
    spread = float(expected.std())
    torch.testing.assert_close(logits, expected, atol=1e-4 * spread, rtol=0.0)
    assert spread > 0.1


@pytest.mark.parametrize(("size_px", "side"), [(40, 42), (43, 42), (44, 42), (48, 50), (49, 50)])
def test_what_pooling_drops_is_not_computed(size_px: int, side: int) -> None:
    """All is in use where each side halves: 40 → 20 → 16 → 8 → 4 → 2. In 44 → 22 → 18 → 9, 8 of 9 rows are pooled."""
    assert FoldedLayers(random_network(size_px=size_px), size_px=size_px).side == side


@pytest.mark.parametrize("scale", [1.0, -1.0, 0.0, 1e-20, -1e-40])
def test_a_scale_of_any_sign_and_size_is_folded(scale: float) -> None:
    """Also where the batch norm maps its input to a constant, which the zero padding after it does not have."""
    network = random_network(size_px=41)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            with torch.no_grad():
                layer.weight[1:3] = scale
    logits, expected = both_logits(network, torch.randn(4, 6, 41, 41))
    spread = float(expected.std())
    torch.testing.assert_close(logits, expected, atol=1e-4 * spread, rtol=0.0)
    assert spread > 0.1


@pytest.mark.parametrize("blocks", [1, 2])
def test_networks_of_few_blocks_are_folded(blocks: int) -> None:
    """The early layers end at the second pooling, or at the only one."""
    network = random_network(size_px=20, filters=(3, 5, 4)[: blocks + 1])
    logits, expected = both_logits(network, torch.randn(2, 3, 20, 20))
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("n_frames", "start"),
    [(1, 0), (5, 0), (5, 4), (MASKS_PER_BATCH + 2, 1), (MASKS_PER_GROUP + MASKS_PER_BATCH + 3, 2)],
)
def test_masked_logits_for_any_number_of_masks(n_frames: int, start: int) -> None:
    """One frame, no frozen frame, one mask, incomplete batches and groups: all as by the network itself."""
    networks = [random_network(size_px=18, n_frames=n_frames, filters=(3, 4, 5)) for _ in range(2)]
    nn.init.normal_(networks[1].first.weight)
    frames = torch.rand(n_frames, 18, 18)
    frames[n_frames // 2 :, :5, :7] = 0.5
    with torch.inference_mode():
        logits = prefix_sum_logits(networks, frames, start=start)
        for frame in range(start, n_frames):
            video = frames.clone()
            video[frame + 1 :] = frames[frame]
            expected = torch.cat([network(video[None]) for network in networks])
            torch.testing.assert_close(logits[:, frame - start], expected, atol=2e-5, rtol=1e-4)


def test_unknown_layers_are_refused() -> None:
    """A new layer of the network must not be left out in silence."""
    network = random_network(size_px=41)
    network.rest.append(nn.Tanh())
    with pytest.raises(TypeError, match="Tanh"):
        FoldedLayers(network, size_px=16)
