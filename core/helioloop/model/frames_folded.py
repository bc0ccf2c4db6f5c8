"""The layers of the authors' CNN after its first convolution, in a form that is fast on a CPU. Needs torch."""

from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from helioloop.model.frames_network import FramesAsChannelsNetwork

SMALLEST_SCALE = 1e-30
"""Smallest scale of a batch norm here. With a smaller one, the value that it maps to zero would be infinite."""


class FoldedLayers:
    """The layers after the first convolution in evaluation mode, each batch norm folded into the next layer.

    Parameters
    ----------
    network : FramesAsChannelsNetwork
        On a CPU, with weights in single precision.
    size_px : int
        Side of the frames.

    Attributes
    ----------
    side : int
        Side of the outputs of the first convolution, with one more pixel around them, that the logits depend on: where
        a side is odd, max pooling drops its last row and column, and what only these are made from is left out.

    Notes
    -----
    A batch norm multiplies each channel by a scale s and adds a shift t. A convolution after it, with kernels W and
    bias b, becomes one with kernels s W and bias b + Σ t W, summed over channels and pixels of the kernel; likewise a
    dense layer. A maximum of pixels in between commutes with the batch norm if no s is negative; else the batch norm
    stays.
    A convolution that pads with zeros has an input padded with -t / s, which the batch norm maps to zero.

    Arrays have their channels last, activations replace their input, and sums for folding are in double precision.
    Logits differ from the network's by rounding.
    """

    def __init__(self, network: FramesAsChannelsNetwork, *, size_px: int) -> None:
        self.side = _side_in_use(network, size_px)
        self._size_px = size_px
        self._layers: list[Callable[[Tensor], Tensor]] = []
        norm: tuple[Tensor, Tensor] | None = None
        pools = []
        for layer in network.rest:
            if isinstance(layer, nn.BatchNorm2d):
                norm = _scale_and_shift(layer)
            elif isinstance(layer, nn.Conv2d | nn.Linear):
                self._layers.append(_folded(layer, norm))
                norm = None
            elif isinstance(layer, nn.MaxPool2d):
                if norm is not None and bool((norm[0] < 0).any()):
                    self._layers.append(partial(_normalised, scale=norm[0].float(), shift=norm[1].float()))
                    norm = None
                self._layers.append(_pooled)
                pools.append(len(self._layers))
            elif isinstance(layer, nn.SiLU):
                self._layers.append(partial(functional.silu, inplace=True))
            elif isinstance(layer, nn.Flatten):
                self._layers.append(layer)
            elif not isinstance(layer, nn.Dropout):
                raise TypeError(f"the layer {layer} cannot be folded")
        self._n_early = pools[:2][-1]
        scale, shift = _scale_and_shift(cast("nn.BatchNorm2d", network.rest[1]))
        self._border = (-shift / scale).float()

    def early(self, first: Tensor) -> Tensor:
        """Return the output of the layers up to the second pooling, with the channels last.

        Parameters
        ----------
        first : Tensor, shape (batch, side, side, filters)
            Outputs of the first convolution, and around them one more pixel of any value, as far as they are in use.
            The array is overwritten.
        """
        activation, *others = self._layers[: self._n_early]
        x = activation(first)
        after = self._size_px + 1  # the pixel after the last row, which may not be in use
        x[:, 0] = x[:, after:] = x[:, :, 0] = x[:, :, after:] = self._border
        x = x.permute(0, 3, 1, 2)
        for layer in others:
            x = layer(x)
        return x

    def logits(self, early: Tensor) -> Tensor:
        """Return the logits (batch,) of outputs of `early`; their weights are so many that a large batch is faster."""
        x = early
        for layer in self._layers[self._n_early :]:
            x = layer(x)
        return x[:, 0]


def _side_in_use(network: FramesAsChannelsNetwork, size_px: int) -> int:
    """Return what `FoldedLayers.side` is: the side of the last output, followed back to the first one."""
    layers = [layer for layer in network.rest if isinstance(layer, nn.Conv2d | nn.MaxPool2d)]
    side = size_px
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            side += 2 * int(layer.padding[0]) - (layer.kernel_size[0] - 1)
        else:
            side //= 2
    for layer in reversed(layers):
        side = side + layer.kernel_size[0] - 1 if isinstance(layer, nn.Conv2d) else 2 * side
    return side


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return what a batch norm in evaluation mode multiplies by and adds, per channel, in double precision."""
    mean, variance = cast("Tensor", norm.running_mean).double(), cast("Tensor", norm.running_var).double()
    scale = norm.weight.double() / (variance + norm.eps).sqrt()
    scale = torch.where(scale.abs() < SMALLEST_SCALE, SMALLEST_SCALE, scale)
    return scale, norm.bias.double() - mean * scale


def _folded(layer: nn.Conv2d | nn.Linear, norm: tuple[Tensor, Tensor] | None) -> Callable[[Tensor], Tensor]:
    """Return the layer, without padding, as a function of what is before the batch norm with this scale and shift."""
    weight, bias = layer.weight, cast("Tensor", layer.bias)
    if norm is not None:
        # A dense layer takes all pixels of the first channel, then all of the second, and so on.
        scale, shift = (each.repeat_interleave(weight.shape[1] // len(each)) for each in norm)
        kernels = weight.double().flatten(2) if weight.ndim > 2 else weight.double()[:, :, None]
        bias = (bias.double() + torch.einsum("oik,i->o", kernels, shift)).float()
        weight = (kernels * scale[:, None]).float().view_as(weight)
    if isinstance(layer, nn.Linear):
        return partial(functional.linear, weight=weight, bias=bias)
    return partial(functional.conv2d, weight=weight.contiguous(memory_format=torch.channels_last), bias=bias)


def _normalised(x: Tensor, *, scale: Tensor, shift: Tensor) -> Tensor:
    """Return x · scale + shift per channel, in place of x (batch, channels, height, width)."""
    return x.mul_(scale[:, None, None]).add_(shift[:, None, None])


def _pooled(x: Tensor) -> Tensor:
    """Return the maximum of each 2×2 pixels: three times as fast as torch's own max pooling with the channels last."""
    height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    x = torch.maximum(x[:, :, 0:height:2], x[:, :, 1:height:2])
    return torch.maximum(x[..., 0:width:2], x[..., 1:width:2])
