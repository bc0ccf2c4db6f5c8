"""What the chip can do, and how many operations and bytes a training step needs."""

from typing import Any

import torch
from torch import Tensor, nn

from helioloop.model.device import Device
from helioloop.model.recipes import Recipe
from helioloop.records.instrument import Instrument
from tests.benchmarks.gpu.figures import Figures, seconds_of
from tests.benchmarks.gpu.scale import ARCHITECTURE, Scale


def ceilings(figures: Figures, scale: Scale, device: Device) -> None:
    """Measure the rate of a large matrix product on random data, and of a device copy, read and written bytes."""
    n, dtype = scale.matrix, torch.bfloat16 if device.bf16 else torch.float32
    a, b = (torch.randn((n, n), device=device.kind).to(dtype) for _ in "ab")
    ten = seconds_of(lambda: [a @ b for _ in range(10)], device)
    source = torch.empty(scale.copy_bytes, dtype=torch.uint8, device=device.kind).random_()
    target = torch.empty_like(source)
    copying = seconds_of(lambda: target.copy_(source), device)
    figures.add(
        "ceilings", matrix=n, tflops=10 * 2 * n**3 / ten / 1e12, copy_bytes=scale.copy_bytes,
        terabytes_per_second=2 * scale.copy_bytes / copying / 1e12,
    )  # fmt: skip


def forward_flops(recipe: Recipe, instrument: Instrument) -> tuple[float, float]:
    """Return the operations (multiplications and additions) of one video's forward pass, and of its first layer."""
    network = ARCHITECTURE.build(recipe, instrument, dropout=0.0).eval()
    counts: list[float] = []

    def count(layer: nn.Module, _: Any, out: Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        counts.append(2.0 * weight.numel() * (out[0, 0].numel() if out.ndim == 4 else 1))

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, instrument.n_frames, instrument.size_px, instrument.size_px))
    return sum(counts), counts[0]


def step_flops(recipe: Recipe, instrument: Instrument) -> float:
    """Return the operations of one video in one training step: forward, and backward without the input's gradient."""
    whole, first = forward_flops(recipe, instrument)
    return 3 * whole - first


def step_bytes(recipe: Recipe, instrument: Instrument) -> tuple[float, float]:
    """Return the bytes that a training step moves, counted layer by layer in bfloat16: per video, and per member.

    Forward, a layer reads its input and writes its output; backward, it reads the output's gradient and its input and
    writes the input's gradient. Batch norm reads its input once more in both directions, for the statistics. Per
    member, weights are cast to bfloat16 and gradients back; the optimiser reads three and writes two float32 numbers.
    """
    network = ARCHITECTURE.build(recipe, instrument, dropout=0.0)
    numbers = 2.0 * instrument.n_frames * instrument.size_px**2  # the gather reads and writes the video

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal numbers
        own, after = inputs[0][0].numel(), out[0].numel()
        first = own == instrument.n_frames * instrument.size_px**2
        numbers += (own + after) + (after + own + (0 if first else own))
        numbers += 2 * own if isinstance(layer, nn.BatchNorm2d) else 0

    for layer in network.modules():
        if not list(layer.children()):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(2, instrument.n_frames, instrument.size_px, instrument.size_px))
    weights = sum(weight.numel() for weight in network.parameters())
    return 2.0 * numbers, (12.0 + 20.0) * weights
