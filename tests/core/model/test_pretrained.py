"""Pretrained weights: members begin from them, and weights that do not fit are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from helioloop.errors import SettingsError
from helioloop.model import pretrained, provenance
from helioloop.model.architectures import find_architecture
from helioloop.model.device import CPU
from helioloop.model.pretrained import pretrained_file
from helioloop.model.provenance import code_version
from helioloop.model.recipes import QUICK, RECIPES, Recipe
from helioloop.model.training import Examples, new_network, train
from helioloop.progress import silent
from helioloop.records.instrument import MDI

PRETRAINED = [recipe for recipe in RECIPES.values() if recipe.pretrained is not None]


def moving(n: int) -> Examples:
    """Noise on a patch of 6 × 6 cells; every second video is labelled an emergence."""
    steps = np.random.default_rng(0).standard_normal((n, 12, 3, 6, 6)).astype(np.float32)
    steps[:, :, 2] = 1.0
    targets = (np.arange(n) % 2).astype(np.float32)
    return Examples(inputs=lambda k: steps[k], targets=targets, groups=[str(k) for k in range(n)])


def test_the_recipes_of_the_per_frame_network_are_pretrained_and_the_authors_are_not() -> None:
    """The authors' CNN stays as they describe it."""
    assert [recipe.name for recipe in PRETRAINED] == ["quick", "accurate"]


@pytest.mark.parametrize("recipe", PRETRAINED, ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("other", ["", "-elements", "-flux-transport"])
def test_a_new_network_has_the_weights_of_the_file_that_its_recipe_names(recipe: Recipe, other: str) -> None:
    """Of all generators, and of one alone, which the benchmark measures on the other."""
    name = f"{recipe.pretrained}{other}"
    network = new_network(
        find_architecture(recipe.network), replace(recipe, pretrained=name), MDI, dropout=recipe.dropouts[0]
    )
    weights = load_file(pretrained_file(name))
    assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())


def test_a_member_begins_from_the_pretrained_weights() -> None:
    """A training whose steps are tiny leaves them; only the statistics of the norms, and the bias, are new."""
    recipe = replace(QUICK, epochs=1, min_steps=0, batch=8, learning_rate=1e-9)
    network = train(
        moving(8), architecture=find_architecture(recipe.network), recipe=recipe, instrument=MDI, seed=1, dropout=0.2,
        device=CPU, report=silent,
    )  # fmt: skip
    weights, trained = load_file(pretrained_file("quick")), network.state_dict()
    assert torch.allclose(trained["encoder.0.weight"], weights["encoder.0.weight"], atol=1e-6)
    assert not torch.equal(trained["encoder.1.running_mean"], weights["encoder.1.running_mean"])


def test_weights_that_do_not_exist_are_refused_with_those_that_do() -> None:
    """A recipe of a later helioloop, say."""
    with pytest.raises(SettingsError, match=r"no pretrained weights 'better'; choose one of: accurate, .*quick"):
        pretrained_file("better")


def test_weights_that_are_damaged_are_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that was cut off."""
    (tmp_path / "quick.safetensors").write_bytes(pretrained_file("quick").read_bytes()[:1000])
    monkeypatch.setattr(pretrained, "WEIGHTS", str(tmp_path))
    with pytest.raises(SettingsError, match=r"quick\.safetensors cannot be read .*; install helioloop again"):
        new_network(find_architecture(QUICK.network), QUICK, MDI, dropout=0.2)


def test_weights_of_another_width_are_refused() -> None:
    """Torch would list every tensor."""
    recipe = replace(QUICK, filters=(4, 6, 6), dense=8)
    with pytest.raises(SettingsError, match="the pretrained weights quick do not fit this network; use the widths"):
        new_network(find_architecture(recipe.network), recipe, MDI, dropout=0.2)


def test_other_weights_give_another_code_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They decide scores, as source does."""
    code_version.cache_clear()
    before = code_version()
    for content in (b"one", b"other"):
        (tmp_path / "quick.safetensors").write_bytes(content)
        monkeypatch.setattr(provenance, "WEIGHTS", str(tmp_path))
        code_version.cache_clear()
        assert code_version() != before
        before = code_version()
    monkeypatch.undo()
    code_version.cache_clear()
