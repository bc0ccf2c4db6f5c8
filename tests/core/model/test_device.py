"""Where networks run."""

import pytest
import torch

from helioloop.errors import SettingsError
from helioloop.model.device import CPU, choose_device


def test_a_missing_gpu_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """auto falls back to the CPU and logs it."""
    caplog.set_level("INFO")
    assert choose_device("cpu") == CPU
    assert "networks run on CPU" in caplog.text
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="cuda"):
            choose_device("cuda")
        assert choose_device("auto") == CPU
