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
from tests.benchmarks.bench import MEASURED_ON

FEW = 4


def test_what_is_measured_on_one_generator_was_pretrained_on_the_other() -> None:
    """Neither has seen a cube of the generator that `make bench-science` measures it on, nor of its varied kind."""
    elements, transport = (set(pretraining.KINDS[f"-{one}"]) for one in MEASURED_ON)
    assert not elements & {Generator.FLUX_TRANSPORT, Generator.VARIED_FLUX_TRANSPORT}
    assert not transport & {Generator.ELEMENTS, Generator.VARIED_ELEMENTS}
    assert set(pretraining.KINDS[""]) == set(pretraining.N_CUBES) == set(Generator)


def test_the_networks_of_a_recipe_are_trained_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On real cubes of all generators, and of each that is measured alone; in one epoch."""
    quickly = replace(pretraining.pretraining(QUICK), epochs=1, min_steps=0, batch=4)
    assert (quickly.pretrained, quickly.early_learning) == (None, 0.0)
    monkeypatch.setattr(pretraining, "pretraining", lambda _: quickly)
    folder, out = tmp_path / "work", tmp_path / "weights"
    options = [
        "--folder",
        str(folder),
        "--out",
        str(out),
        "--n",
        *[str(FEW)] * len(pretraining.N_CUBES),
        "--recipe",
        "quick",
    ]
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
