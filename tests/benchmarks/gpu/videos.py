"""What the GPU benchmark trains on: videos of the true shape, made on the device from a seed.

They contain what the network has to learn: in half of them a weak bipole grows in mid-video, in the others it is there
from the start, beside older ones. A fifth of the labels used for training is wrong. Neither a release nor astropy is
needed.
"""

import math
from copy import copy
from typing import Self

import numpy as np
import torch

from helioloop.model.device import Device
from helioloop.model.runtime import CubeLoader
from helioloop.records.cubes import CubeInfo
from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label

WRONG_LABELS = 0.2
NOISE = 0.01
"""Of the scaled field: 20 G."""
STRENGTH = 0.002, 0.015
"""Range of the peak field that emerges, scaled: 4 to 30 G, about the noise of a pixel."""
N_OLD = 2
"""Number of bipoles that are there throughout, in every video; up to twice as strong."""


class Videos:
    """Gridded videos in main memory, float16 as in the cache, with their true and their given labels."""

    def __init__(self, n: int, instrument: Instrument, device: Device, *, seed: int = 1) -> None:
        draw = np.random.default_rng(seed)
        self.truth = draw.permutation(np.arange(n) % 2 == 1)
        self.given = self.truth ^ (draw.random(n) < WRONG_LABELS)
        self.cubes = np.empty((n, instrument.n_frames, instrument.size_px, instrument.size_px), dtype=np.float16)
        generator = torch.Generator(device.kind).manual_seed(seed)
        side = instrument.size_px
        axis = torch.arange(side, device=device.kind) / side
        times = torch.arange(instrument.n_frames, device=device.kind) / instrument.n_frames
        for k in range(n):
            field = NOISE * torch.randn(self.cubes.shape[1:], generator=generator, device=device.kind)
            onset = draw.uniform(0.1, 0.95) if self.truth[k] else draw.uniform(-2.0, -0.5)
            strengths = [draw.uniform(*STRENGTH), *draw.uniform(0.0, 2 * STRENGTH[1], N_OLD)]
            for strength, start in zip(strengths, [onset, *[-2.0] * N_OLD], strict=True):
                growth = torch.sigmoid((times - start) * 25.0)[:, None, None] * float(
                    strength * draw.choice([-1.0, 1.0])
                )
                angle, width, (y, x) = draw.uniform(0, math.pi), draw.uniform(0.04, 0.08), draw.uniform(0.2, 0.8, 2)
                for sign in (1.0, -1.0):
                    dy, dx = (axis - y - sign * width * math.sin(angle)), (axis - x - sign * width * math.cos(angle))
                    field += sign * growth * torch.exp(-(dy[:, None] ** 2 + dx**2) / (2 * width**2))
            self.cubes[k] = (0.5 + field).clamp(0, 1).half().cpu().numpy()
        self.infos = tuple(
            CubeInfo(
                release="made", name=f"cube{k:05d}", sha256=f"{k:064x}", region=f"region{k}", verified=False,
                start=f"{1996 + k % 15}-{1 + k // 15 % 12:02d}-01T00:00:00",
                label=Label.EMERGENCE if self.given[k] else Label.NON_EMERGENCE,
            )
            for k in range(n)
        )  # fmt: skip

    def __call__(self, cube: CubeInfo) -> np.ndarray:
        """Return a video, as the loader of cubes does."""
        return self.cubes[int(cube.name[4:])]

    def first(self, n: int) -> Self:
        """Return the first `n` videos."""
        part = copy(self)
        part.truth, part.given = self.truth[:n], self.given[:n]
        part.cubes, part.infos = self.cubes[:n], self.infos[:n]
        return part


def videos_loader(videos: Videos) -> CubeLoader:
    """Return the videos as a loader of cubes; only calls are needed here."""
    return videos  # type: ignore[return-value]
