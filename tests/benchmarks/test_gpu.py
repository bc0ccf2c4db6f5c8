"""The harness of `make bench-gpu`; it measures nothing here."""

import json
from pathlib import Path

import torch
from click.testing import CliRunner

from tests.benchmarks.gpu.__main__ import main
from tests.benchmarks.gpu.masking import convolutions


def test_tiny_sizes_train_mask_and_write_their_figures(tmp_path: Path) -> None:
    """Here on a CPU; the steps left out only compare ways to launch kernels."""
    out = tmp_path / "gpu.json"
    parts = "ceilings,paper-adamw,masking,one-by-one"
    result = CliRunner().invoke(main, ["--tiny", "--only", parts, "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text())
    assert not [name for name, values in figures.items() if "error" in values]
    assert figures["retrain: paper-adamw"]["members"] == 10
    assert figures["masking: float32"]["masks"] == 18
    assert figures["masking: float32"]["largest_difference_from_float32_loop"] < 1e-4


def test_tiny_rounds_write_what_they_took_and_found(tmp_path: Path) -> None:
    """A real round of a small network on cubes made here, evaluated against their truth."""
    out = tmp_path / "gpu.json"
    options = ["--only", "per-frame,rounds", "--recipes", "quick", "--processes", "1", "--folder", str(tmp_path)]
    result = CliRunner().invoke(main, ["--tiny", "--out", str(out), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text())
    assert not [name for name, values in figures.items() if "error" in values]
    made, measured = figures["rounds: release"], figures["round: quick, 1 processes"]
    assert (made["cubes"], measured["cubes"], measured["members"]) == (24, 24, 10)
    assert measured["evaluation"]["wrong_labels"] == made["wrong"] > 0
    assert {"epochs", "scoring", "locating", "measuring"} == measured["phases"].keys()
    assert figures["step: one member of accurate on cpu"]["milliseconds"] > 0


def test_choosing_the_arithmetic_leaves_cudnn_on() -> None:
    """Without cuDNN, convolutions take torch's own slow way, and masking was measured seven times too slow."""
    before = torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32
    for tf32 in (False, True):
        with convolutions(tf32=tf32):
            assert (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32) == (before[0], tf32)
            assert torch.backends.cudnn.deterministic
    assert (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32) == before
