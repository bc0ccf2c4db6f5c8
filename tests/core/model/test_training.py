"""Training learns easy classes, and gives the same result twice."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from helioloop.model.architectures import find_architecture
from helioloop.model.device import CPU
from helioloop.model.inputs import FloatArray
from helioloop.model.recipes import PAPER, QUICK, Augmentation, Recipe
from helioloop.model.training import Examples, train
from helioloop.progress import silent
from helioloop.records.instrument import Instrument

SMALL = Instrument(name="small", cadence_seconds=5760.0, n_frames=24, size_px=24, clip_gauss=1000.0, frozen_frames=3)
FEW_STEPS = replace(QUICK, pretrained=None, learning_rate=4e-3, epochs=6, batch=8, min_steps=0)
SMALL_PAPER = replace(PAPER, filters=(4, 6, 8), dense=8, epochs=6, learning_rate=1e-2, dropouts=(0.0, 0.0))


def appearing(n: int) -> Examples:
    """In half the examples a field appears in mid-video, in the others it is there throughout."""
    generator = np.random.default_rng(0)
    targets = (np.arange(n) % 2).astype(np.float32)
    steps = np.zeros((n, 8, 3, 4, 4), dtype=np.float32)
    steps[:, :, 2] = 1
    for k in range(n):
        steps[k, 4 if targets[k] else 0 :, :2, 1:3, 1:3] = 2.0
    steps[:, :, :2] += 0.1 * generator.standard_normal((n, 8, 2, 4, 4)).astype(np.float32)
    return Examples(inputs=lambda k: steps[k], targets=targets, groups=[f"region {k // 2}" for k in range(n)])


def appearing_frames(n: int) -> Examples:
    """Return the same videos as frames."""
    generator = np.random.default_rng(0)
    targets = (np.arange(n) % 2).astype(np.float32)
    frames = 0.5 + 0.02 * generator.standard_normal((n, 24, 24, 24)).astype(np.float32)
    for k in range(n):
        frames[k, 12 if targets[k] else 0 :, 8:16, 8:16] += 0.3
    return Examples(inputs=lambda k: frames[k], targets=targets, groups=[str(k) for k in range(n)])


def trained(examples: Examples, recipe: Recipe, *, seed: int = 1) -> nn.Module:
    return train(
        examples,
        architecture=find_architecture(recipe.network),
        recipe=recipe,
        instrument=SMALL,
        seed=seed,
        dropout=0.1,
        device=CPU,
        report=silent,
    )


def probabilities(network: nn.Module, examples: Examples) -> FloatArray:
    with torch.no_grad():
        x = torch.from_numpy(np.stack([examples.inputs(k) for k in range(len(examples.targets))]))
        return np.asarray(torch.sigmoid(network(x)).numpy())


def test_quick_learns_to_tell_what_appears_from_what_was_there() -> None:
    """Six epochs on forty easy videos."""
    examples = appearing(40)
    p = probabilities(trained(examples, FEW_STEPS), examples)
    assert np.mean((p > 0.5) == (examples.targets > 0.5)) > 0.9


def test_paper_learns_it_too() -> None:
    """SGD with Nesterov momentum on all four symmetry transforms of each video, with validation regions."""
    examples = appearing_frames(24)
    p = probabilities(trained(examples, SMALL_PAPER), examples)
    assert np.mean((p > 0.5) == (examples.targets > 0.5)) > 0.9


@pytest.mark.parametrize("recipe", [FEW_STEPS, SMALL_PAPER], ids=lambda recipe: recipe.name)
def test_same_seed_same_weights(recipe: Recipe) -> None:
    """To the last bit, whatever torch's global generator and thread count are; another seed gives other weights."""
    recipe = replace(recipe, epochs=1)
    examples = appearing(16) if recipe.network == "per-frame" else appearing_frames(16)
    first = trained(examples, recipe).state_dict()
    torch.manual_seed(99)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    again = trained(examples, recipe).state_dict()
    torch.set_num_threads(threads)
    other = trained(examples, recipe, seed=2).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_training_restores_the_state_of_torch() -> None:
    """Neither the global generator nor the settings for determinism change for the caller."""
    torch.manual_seed(5)
    expected = torch.rand(3, generator=torch.Generator().manual_seed(5))
    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    trained(appearing(8), replace(FEW_STEPS, epochs=1))
    assert torch.equal(torch.rand(3), expected)
    assert (torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()) == before


def test_norm_statistics_are_those_of_the_training_cubes() -> None:
    """After re-estimation the running mean of the first layer is the mean over the data, not of the last batches."""
    examples = appearing(16)
    network = trained(examples, replace(FEW_STEPS, epochs=1))
    x = torch.from_numpy(np.stack([examples.inputs(k) for k in range(16)])).flatten(0, 1)
    with torch.no_grad():
        mean = network.get_submodule("encoder.0")(x).mean(dim=(0, 2, 3))
    torch.testing.assert_close(network.get_buffer("encoder.1.running_mean"), mean, atol=1e-4, rtol=1e-3)


def epochs_without_improvement(examples: Examples, *, at_most: int) -> list[int]:
    """Train with a patience of 2 and a learning rate of 0, so that the accuracy never improves; the epochs reported."""
    epochs: list[int] = []
    train(
        examples,
        architecture=find_architecture(SMALL_PAPER.network),
        recipe=replace(SMALL_PAPER, learning_rate=0.0, patience=2, epochs=at_most),
        instrument=SMALL,
        seed=1,
        dropout=0.1,
        device=CPU,
        report=lambda done, *_: epochs.append(done),
    )
    return epochs


def test_the_stopping_rule_stops_and_keeps_the_best_epoch() -> None:
    """A patience of 2 allows two epochs after the first."""
    assert epochs_without_improvement(appearing_frames(16), at_most=20) == [1, 2, 3]


@pytest.mark.parametrize(("regions", "epochs"), [(1, 4), (2, 3), (16, 3)])
def test_members_whose_cubes_are_all_of_one_region_train_for_all_epochs(regions: int, epochs: int) -> None:
    """Where there are more regions, one is left for the stopping rule, which a patience of 2 lets stop after three."""
    examples = replace(appearing_frames(16), groups=[str(k % regions) for k in range(16)])
    assert epochs_without_improvement(examples, at_most=4) == list(range(1, epochs + 1))


def test_few_cubes_get_more_epochs() -> None:
    """Quick makes at least 240 steps of 16 cubes; an epoch of paper has each cube four times."""
    assert QUICK.passes(96) == 40
    assert QUICK.passes(480) == QUICK.epochs
    assert PAPER.steps_per_epoch(100) == 40
    assert PAPER.passes(10) == PAPER.epochs


def test_a_static_clip_counts_as_non_emergence() -> None:
    """A video without change has a low probability, whichever step it repeats."""
    examples = appearing(40)
    network = trained(examples, FEW_STEPS)
    clips = np.stack([np.repeat(examples.inputs(k)[step : step + 1], 8, axis=0) for k in (0, 1) for step in (0, 7)])
    with torch.no_grad():
        p = torch.sigmoid(network(torch.from_numpy(clips)))
    assert p.max() < probabilities(network, examples)[examples.targets > 0.5].min()


def test_the_mean_probability_of_the_training_cubes_is_the_fraction_labelled_emergence() -> None:
    """Whatever fraction of them was replaced by static clips."""
    examples = appearing(40)
    for fraction in (0.1, 0.5):
        recipe = replace(FEW_STEPS, augmentation=replace(QUICK.augmentation, static_clips=fraction))
        assert probabilities(trained(examples, recipe), examples).mean() == pytest.approx(0.5, abs=1e-3)


def test_early_learning_keeps_a_network_from_memorising_wrong_labels() -> None:
    """Six of forty easy videos have wrong labels; the regularisation brings their probabilities closer to the truth."""
    examples = appearing(40)
    wrong = np.arange(0, 36, 6)
    mislabelled = Examples(inputs=examples.inputs, targets=examples.targets.copy(), groups=examples.groups)
    mislabelled.targets[wrong] = 1.0 - mislabelled.targets[wrong]
    errors = []
    for weight in (0.0, 3.0):
        recipe = replace(FEW_STEPS, epochs=30, early_learning=weight, augmentation=Augmentation())
        p = probabilities(trained(mislabelled, recipe), examples)
        errors.append(float(np.abs(p - examples.targets)[wrong].mean()))
    assert errors[1] < errors[0]
