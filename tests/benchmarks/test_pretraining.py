"""How the pretrained weights are made, at a tiny size."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helioloop.model.device import CPU
from helioloop.model.recipes import QUICK
from helioloop.progress import silent
from helioloop.records.instrument import MDI
from helioloop.synthetic import Generator
from tests.benchmarks import pretraining

SMALL = replace(QUICK, filters=(4, 6, 6), dense=8)


def test_a_network_is_trained_on_true_labels_of_cubes_made_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real cubes of either generator; the second call reads what the first one made."""
    few = replace(pretraining.pretraining(SMALL), epochs=1, min_steps=0, batch=4)
    assert (few.pretrained, few.early_learning) == (None, 0.0)
    monkeypatch.setattr(pretraining, "pretraining", lambda _: few)
    made = [
        pretraining.make_cubes(tmp_path, one, n=4, recipe=SMALL, instrument=MDI, report=silent) for one in Generator
    ]
    again = pretraining.make_cubes(tmp_path, Generator.ELEMENTS, n=4, recipe=SMALL, instrument=MDI, report=silent)
    assert all(np.array_equal(one, other) for one, other in zip(made[0].inputs, again.inputs, strict=True))
    assert [len(cubes.inputs) for cubes in made] == [4, 4]
    network = pretraining.pretrain(SMALL, made, CPU, silent)
    assert 0.0 <= pretraining.wrong_fraction(network, made[1]) <= 1.0
