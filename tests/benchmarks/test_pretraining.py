"""How the pretrained weights are made, at a tiny size."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from safetensors.torch import load_file

from helioloop.data.truth import read_truth
from helioloop.model.recipes import QUICK
from helioloop.progress import silent
from helioloop.records.labels import Label
from helioloop.synthetic import Generator
from tests.benchmarks import pretraining

FEW = 4


def test_the_networks_of_a_recipe_are_trained_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On real cubes of both generators, and of each alone; in one epoch."""
    quickly = replace(pretraining.pretraining(QUICK), epochs=1, min_steps=0, batch=4)
    assert (quickly.pretrained, quickly.early_learning) == (None, 0.0)
    monkeypatch.setattr(pretraining, "pretraining", lambda _: quickly)
    folder, out = tmp_path / "work", tmp_path / "weights"
    options = ["--folder", str(folder), "--out", str(out), "--n", str(FEW), str(FEW), "--recipe", "quick"]
    result = CliRunner().invoke(pretraining.main, options, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    names = ["quick", "quick-elements", "quick-flux-transport"]
    assert sorted(path.stem for path in out.iterdir()) == names
    shapes = [{key: value.shape for key, value in load_file(out / f"{name}.safetensors").items()} for name in names]
    shipped = load_file(pretraining.WEIGHTS / "quick.safetensors")
    assert shapes == 3 * [{key: value.shape for key, value in shipped.items()}]

    made = {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")}
    cubes = pretraining.make_cubes(folder, Generator.ELEMENTS, n=FEW, report=silent)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")} == made  # a second call makes nothing
    truth = read_truth(folder / "releases" / f"elements-{FEW}-{pretraining.DATA_SEED}-truth.csv")
    assert cubes.emergence.tolist() == [true.label is Label.EMERGENCE for true in truth.values()]
    assert len(cubes.inputs) == FEW
