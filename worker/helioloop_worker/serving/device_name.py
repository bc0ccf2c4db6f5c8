"""The name of the device on which the jobs of a worker run networks."""

import os
from typing import Final

import torch

from helioloop.model.device import choose_device
from helioloop.settings import Settings

CUDA: Final = "CUDA"
"""With this the name of every CUDA device begins."""


def device_name(settings: Settings) -> str:
    """Return the device of networks without initialising CUDA, which must not happen before a fork.

    Raises
    ------
    SettingsError
        Where the settings want CUDA and there is none.
    """
    # torch then asks the driver's monitor and does not initialise CUDA
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    if settings.device != "cpu" and torch.cuda.is_available():
        return f"{CUDA} (each job logs the device)"
    return choose_device(settings.device).name
