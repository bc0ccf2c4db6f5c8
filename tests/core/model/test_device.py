"""Where networks run."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from helioloop.errors import SettingsError
from helioloop.model import device
from helioloop.model.device import CPU, CPU_THREADS, choose_device


def test_a_missing_gpu_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """auto falls back to the CPU and logs it."""
    caplog.set_level("INFO")
    assert choose_device("cpu") == CPU
    assert "networks run on CPU" in caplog.text
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="cuda"):
            choose_device("cuda")
        assert choose_device("auto") == CPU


def numpy_threads() -> set[int]:
    """Return the numbers of threads of the matrix libraries in use, of which numpy has one."""
    assert (np.ones((2, 2)) @ np.ones((2, 2))).sum() == 8
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_matrix_products_of_numpy_have_as_many_threads_as_networks() -> None:
    """Sums are rounded alike on all machines then, and no thread waits in a loop; restored afterwards."""
    device._numpy_threads.cache_clear()  # other tests may have loaded more libraries since it was filled
    with threadpool_limits(2, user_api="blas"), torch_threads(2):
        assert (numpy_threads(), torch.get_num_threads()) == ({2}, 2)
        with CPU.deterministic():
            assert (numpy_threads(), torch.get_num_threads()) == ({CPU_THREADS}, CPU_THREADS)
        assert (numpy_threads(), torch.get_num_threads()) == ({2}, 2)


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Let torch compute with this number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
