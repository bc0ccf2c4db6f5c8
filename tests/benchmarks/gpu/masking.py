"""The masking curves of ten members on a GPU against the loop over masks and members."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from helioloop.emergence.masking import masking_curves
from helioloop.model.device import Device
from helioloop.model.field_video import FieldVideo
from helioloop.model.member_weights import load_member
from helioloop.model.plan import Plan
from tests.benchmarks.gpu.figures import Figures, seconds_of
from tests.benchmarks.gpu.scale import ARCHITECTURE, Scale
from tests.benchmarks.gpu.videos import Videos


@contextmanager
def convolutions(*, tf32: bool) -> Iterator[None]:
    """Choose whether convolutions in float32 may use TF32; cuDNN stays on, which its `flags` switch off by default."""
    with torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, deterministic=True, allow_tf32=tf32):
        yield


def masking(figures: Figures, videos: Videos, scale: Scale, device: Device, folder: Path | None) -> None:
    """Time the masking curves of ten members on one cube against the loop over masks and members, one at a time."""
    recipe, instrument = scale.recipes[0], scale.instrument
    if folder is None:
        networks = [ARCHITECTURE.build(recipe, instrument, dropout=0.0).eval().to(device.kind) for _ in range(10)]
    else:
        plan = Plan.read(folder)
        networks = [load_member(plan, member, folder).to(device.kind) for member in plan.members]
    cube = np.asarray(videos.cubes[int(np.flatnonzero(videos.truth)[0])])

    def loop(where: Device) -> np.ndarray:
        with torch.inference_mode(), where.autocast():
            prepared = torch.from_numpy(ARCHITECTURE.prepare(FieldVideo(cube, instrument))).to(device.kind)
            rows = []
            for network in networks:
                logits = []
                for frame in range(instrument.frozen_frames, instrument.n_frames):
                    video = prepared.clone()
                    video[frame + 1 :] = prepared[frame]
                    logits.append(network(video[None]).float())
                rows.append(torch.sigmoid(torch.cat(logits)))
            return torch.stack(rows).cpu().numpy()

    def curves(where: Device) -> np.ndarray:
        return masking_curves(ARCHITECTURE, networks, FieldVideo(cube, instrument), device=where)[
            :, instrument.frozen_frames :
        ]

    single = replace(device, bf16=False)
    with device.deterministic(), convolutions(tf32=False):
        exact = loop(single)
    for name, where, tf32 in (("bfloat16", device, True), ("TF32", single, True), ("float32", single, False)):
        with device.deterministic(), convolutions(tf32=tf32):
            loop(where)  # loads kernels
            begun = time.perf_counter()
            expected = loop(where)
            reference = time.perf_counter() - begun
            ours = seconds_of(lambda where=where: curves(where), device)  # type: ignore[misc]
            figures.add(
                f"masking: {name}", members=len(networks), masks=expected.shape[1], milliseconds=1e3 * ours,
                loop_seconds=reference, ratio=reference / ours,
                largest_difference_from_float32_loop=float(np.abs(curves(where) - exact).max()),
                largest_difference_of_the_loop_itself=float(np.abs(expected - exact).max()),
            )  # fmt: skip
