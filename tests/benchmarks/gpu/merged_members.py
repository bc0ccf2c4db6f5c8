"""Ten members merged into one network, the way that was not chosen; only its steps are timed."""

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from helioloop.model.device import Device
from helioloop.model.recipes import Recipe
from tests.benchmarks.gpu.figures import wait
from tests.benchmarks.gpu.scale import Scale


class MergedMembers:
    """Members merged into one network: grouped convolutions over the channels of all, recorded as a CUDA graph."""

    def __init__(self, inputs: Any, recipe: Recipe, scale: Scale, device: Device, *, count: int) -> None:
        self.device, self.inputs, self.recipe, self.count = device, inputs, recipe, count
        self.instrument = scale.instrument
        pixels = inputs._pixels
        channels = pixels.shape[-1]
        layers: list[nn.Module] = []
        widths = recipe.filters

        def block(narrow: int, wide: int, kernel: int, padding: int) -> list[nn.Module]:
            return [
                nn.Conv2d(count * narrow, count * wide, kernel, padding=padding, groups=count), nn.SiLU(),
                nn.BatchNorm2d(count * wide),
            ]  # fmt: skip

        layers += [*block(channels, widths[0], 3, 1), *block(widths[0], widths[0], 3, 1), nn.MaxPool2d(2)]
        for narrow, wide in pairwise(widths[:-1]):
            layers += [*block(narrow, wide, 3, 0), *block(wide, wide, 3, 0), nn.MaxPool2d(2)]
        layers += [*block(widths[-2], widths[-1], 2, 0)]
        side = scale.instrument.size_px // 2
        for _ in widths[1:-1]:
            side = (side - 4) // 2
        dense = nn.Conv2d(count * widths[-1], count * recipe.dense, side - 1, groups=count)
        layers += [dense, nn.SiLU(), nn.Conv2d(count * recipe.dense, count * recipe.dense, 1, groups=count), nn.SiLU()]
        layers += [nn.Conv2d(count * recipe.dense, count, 1, groups=count)]
        self.network = nn.Sequential(*layers).to(device.kind).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.SGD(
            self.network.parameters(), lr=1e-4, momentum=0.9, nesterov=True, fused=device.kind == "cuda"
        )
        self.chosen = torch.randint(0, len(pixels), (recipe.batch * count,), device=device.kind)
        self.graph: Any = None

    def step(self) -> None:
        """Make one step of all members."""
        side, count = self.instrument.size_px, self.count
        self.optimiser.zero_grad(set_to_none=True)
        with self.device.autocast():
            x = self.inputs._pixels.index_select(0, self.chosen).view(
                -1, count, side, side, self.inputs._pixels.shape[-1]
            )
            x = x.permute(0, 2, 3, 1, 4).flatten(3).permute(0, 3, 1, 2)  # (batch, members × channels, rows, columns)
            logits = self.network(x)
        functional.binary_cross_entropy_with_logits(
            logits.float(), torch.ones_like(logits, dtype=torch.float32)
        ).backward()
        self.optimiser.step()

    def seconds(self, n: int) -> float:
        """Return the seconds of one step of all members."""
        run: Callable[[], None] = self.step
        if self.device.kind == "cuda":
            stream = torch.cuda.Stream()
            wait(self.device)
            with torch.cuda.stream(stream):
                for _ in range(3):
                    self.step()
                self.optimiser.zero_grad(set_to_none=True)
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph, stream=stream):
                    self.step()
            run = self.graph.replay
        run()
        wait(self.device)
        begun = time.perf_counter()
        for _ in range(n):
            run()
        wait(self.device)
        return (time.perf_counter() - begun) / n
