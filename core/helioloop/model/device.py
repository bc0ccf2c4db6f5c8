"""Where networks run: chosen once at start and logged. Needs torch (extra ``worker``)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.utils.deterministic

from helioloop.errors import SettingsError

logger = logging.getLogger(__name__)

_FILLS: Any = torch.utils.deterministic  # its one attribute is dynamic: no type checker sees it

CPU_THREADS = 1
"""Threads of one member on a CPU. Sums split over threads round differently, so a fixed number makes the result
independent of the machine's load; networks this small gain more from members side by side than from threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A processor to run networks on.

    Parameters
    ----------
    kind : {"cpu", "cuda"}
        What torch calls it.
    name : str
        What its maker calls it.
    bf16 : bool
        Whether layers run in bfloat16 where torch's autocast holds that safe.
    """

    kind: Literal["cpu", "cuda"]
    name: str
    bf16: bool

    def autocast(self) -> torch.autocast:
        """Return the context in which forward passes run."""
        return torch.autocast(self.kind, dtype=torch.bfloat16, enabled=self.bf16)

    @contextmanager
    def deterministic(self) -> Iterator[None]:
        """Hold torch to one order of operations, and restore its settings afterwards."""
        threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        benchmark, fill = torch.backends.cudnn.benchmark, _FILLS.fill_uninitialized_memory
        torch.set_num_threads(CPU_THREADS)
        torch.use_deterministic_algorithms(True, warn_only=self.kind == "cuda")
        torch.backends.cudnn.benchmark = False
        _FILLS.fill_uninitialized_memory = False  # a safeguard against reading what was never written; costs a tenth
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict)
            torch.backends.cudnn.benchmark = benchmark
            _FILLS.fill_uninitialized_memory = fill


CPU = Device(kind="cpu", name="CPU", bf16=False)
"""The processor every machine has."""


def choose_device(asked: Literal["auto", "cpu", "cuda"]) -> Device:
    """Return the device that `asked` means here, and log it in a sentence.

    Raises
    ------
    SettingsError
        If CUDA is asked for and there is none.
    """
    if asked == "cpu" or (asked == "auto" and not torch.cuda.is_available()):
        device = CPU
    elif torch.cuda.is_available():
        device = Device(kind="cuda", name=torch.cuda.get_device_name(), bf16=torch.cuda.is_bf16_supported())
    else:
        raise SettingsError(
            "device 'cuda' was asked for, but torch finds no CUDA device here; set HELIOLOOP_DEVICE to auto or cpu"
        )
    logger.info("networks run on %s%s", device.name, " in bfloat16" if device.bf16 else "")
    return device
