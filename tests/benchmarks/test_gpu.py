"""The harness of `make bench-gpu`; it measures nothing here."""

import torch

from tests.benchmarks.gpu.masking import convolutions


def test_choosing_the_arithmetic_leaves_cudnn_on() -> None:
    """Without cuDNN, convolutions take torch's own slow way, and masking was measured seven times too slow."""
    before = torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32
    for tf32 in (False, True):
        with convolutions(tf32=tf32):
            assert (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32) == (before[0], tf32)
            assert torch.backends.cudnn.deterministic
    assert (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32) == before
