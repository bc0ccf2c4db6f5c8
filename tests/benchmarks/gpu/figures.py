"""What was measured so far, how it was timed, and on which machine."""

import json
import os
import platform
import statistics
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from helioloop.model.device import Device


@dataclass
class Figures:
    """What was measured so far; written after each step."""

    path: Path
    values: dict[str, Any]

    def add(self, name: str, **figures: Any) -> None:
        """Print and keep the figures of a step."""
        rounded = {key: float(f"{one:.4g}") if isinstance(one, float) else one for key, one in figures.items()}
        self.values[name] = rounded
        click.echo(f"{name}: {json.dumps(rounded)}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.values, indent=1) + "\n")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Keep the error of a step as its figure, so that the other steps are measured."""
        begun = time.perf_counter()
        try:
            yield
        except Exception as error:  # noqa: BLE001 - device time is short; the other steps go on
            self.add(name, error=repr(error)[:500], trace=traceback.format_exc()[-3000:])
        click.echo(f"  ({name} took {time.perf_counter() - begun:.1f} s)")


def wait(device: Device) -> None:
    """Wait until the device has done what was launched."""
    if device.kind == "cuda":
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], object], device: Device, *, repeats: int = 7) -> float:
    """Return the median duration of `work` after two runs that do not count."""
    work(), work()
    times = []
    for _ in range(repeats):
        wait(device)
        begun = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def machine(device: Device) -> dict[str, Any]:
    """Return the machine and the versions."""
    cuda: dict[str, Any] = {}
    if device.kind == "cuda":
        properties = torch.cuda.get_device_properties(0)
        query = ["nvidia-smi", "--query-gpu=driver_version,clocks.sm,clocks.mem,power.limit", "--format=csv,noheader"]
        cuda = {
            "multiprocessors": properties.multi_processor_count,
            "memory_gib": round(properties.total_memory / 2**30, 1),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "driver_clocks_power": subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip(),
        }
    return {
        "device": device.name, "torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version(),
        "cores": os.cpu_count(), **cuda,
    }  # fmt: skip
