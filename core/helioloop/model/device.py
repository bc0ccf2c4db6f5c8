"""The processor that networks run on, CPU or GPU, chosen once per process. Needs torch (extra ``worker``)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
import torch.utils.deterministic
from threadpoolctl import ThreadpoolController

from helioloop.errors import SettingsError

logger = logging.getLogger(__name__)

_FILLS: Any = torch.utils.deterministic  # type checkers do not see its one attribute, which is dynamic

CPU_THREADS = 1
"""Threads per member on a CPU. The rounding of a sum depends on the number of threads, so a fixed number gives the same
result whatever the number of cores. Networks this small gain more from several processes than from several threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A processor to run networks on.

    Parameters
    ----------
    kind : {"cpu", "cuda"}
        Torch's name of the device type.
    name : str
        Name for logs.
    bf16 : bool
        Whether layers run in bfloat16, where torch's autocast does so.
    """

    kind: Literal["cpu", "cuda"]
    name: str
    bf16: bool

    def autocast(self) -> torch.autocast:
        """Return the autocast context for forward passes."""
        return torch.autocast(self.kind, dtype=torch.bfloat16, enabled=self.bf16)

    @contextmanager
    def deterministic(self) -> Iterator[None]:
        """Make torch deterministic, give torch and numpy one number of threads, and restore the settings afterwards.

        Numpy's matrix products would take a thread for each core otherwise. Such a thread waits for the next product in
        a loop: measured beside networks on one thread, it took two thirds as much time of a core as they did.
        """
        threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        benchmark, fill = torch.backends.cudnn.benchmark, _FILLS.fill_uninitialized_memory
        torch.set_num_threads(CPU_THREADS)
        torch.use_deterministic_algorithms(True, warn_only=self.kind == "cuda")
        torch.backends.cudnn.benchmark = False
        _FILLS.fill_uninitialized_memory = False  # it guards against reads of unwritten memory, for 10 % of the time
        try:
            with _numpy_threads().limit(limits=CPU_THREADS, user_api="blas"):
                yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict)
            torch.backends.cudnn.benchmark = benchmark
            _FILLS.fill_uninitialized_memory = fill


@lru_cache(maxsize=1)
def _numpy_threads() -> ThreadpoolController:
    """Return the control of the matrix libraries loaded so far: whoever computes has imported numpy."""
    return ThreadpoolController()


CPU = Device(kind="cpu", name="CPU", bf16=False)
"""The CPU."""


def choose_device(setting: Literal["auto", "cpu", "cuda"]) -> Device:
    """Return the device for a setting, and log its name.

    Parameters
    ----------
    setting : {"auto", "cpu", "cuda"}
        ``auto`` takes a CUDA device if there is one.

    Raises
    ------
    SettingsError
        If the setting is ``cuda`` and there is no CUDA device.
    """
    if setting == "cpu" or (setting == "auto" and not torch.cuda.is_available()):
        device = CPU
    elif torch.cuda.is_available():
        device = Device(kind="cuda", name=torch.cuda.get_device_name(), bf16=torch.cuda.is_bf16_supported())
    else:
        raise SettingsError(
            "the device is set to 'cuda', but torch finds no CUDA device; set HELIOLOOP_DEVICE to auto or cpu"
        )
    logger.info("networks run on %s%s", device.name, " in bfloat16" if device.bf16 else "")
    return device
