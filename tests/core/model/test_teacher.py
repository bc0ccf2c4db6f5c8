"""Targets with a teacher: verified labels stay, crude ones are mixed with what knows none of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests.core.model.test_growth_odds_of_a_plan import GRID, PROFILE, growing_by_half
from torch import nn

from helioloop.model import members
from helioloop.model.device import CPU
from helioloop.model.input_cache import InputCache
from helioloop.model.logit_shift import shift_to_mean
from helioloop.model.members import train_member
from helioloop.model.plan import make_plan
from helioloop.model.recipes import QUICK, RECIPES, Recipe
from helioloop.model.runtime import Runtime
from helioloop.model.teacher import ask_teacher, labels_as_targets, mixed_targets
from helioloop.model.training import Examples
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import Label


def cube(number: int, label: Label, *, verified: bool = False) -> CubeInfo:
    """Return a cube of a region of its own."""
    return CubeInfo(
        release="r",
        name=f"cube{number:02d}",
        sha256=f"{number:064x}",
        start=f"2001-{1 + number % 12:02d}-01T00:00:00",
        region=f"region{number}",
        label=label,
        verified=verified,
    )


def test_a_verified_label_is_the_target_and_a_crude_one_a_quarter_of_it() -> None:
    """The teacher is sure that something emerges in all four cubes."""
    cubes = [
        cube(0, Label.NON_EMERGENCE, verified=True),
        cube(1, Label.NON_EMERGENCE),
        cube(2, Label.EMERGENCE),
        cube(3, Label.EMERGENCE, verified=True),
    ]
    targets = mixed_targets(cubes, [1.0, 0.8, 0.8, 0.4], crude_label_weight=0.25)
    assert targets.dtype == np.float32
    assert targets.tolist() == pytest.approx([0.0, 0.6, 0.85, 1.0])


def test_with_a_weight_of_one_targets_are_the_labels() -> None:
    """As before there was a teacher."""
    cubes = [cube(0, Label.NON_EMERGENCE), cube(1, Label.EMERGENCE)]
    assert mixed_targets(cubes, [0.9, 0.1], crude_label_weight=1.0).tolist() == [0.0, 1.0]
    assert labels_as_targets(cubes).tolist() == [0.0, 1.0]


def test_logits_are_shifted_so_that_their_mean_probability_is_the_wanted_one() -> None:
    """A network that says 1/2 of each cube, in an archive of which a tenth emerges: the log odds are ln(1/9)."""
    assert shift_to_mean(np.zeros(3), 0.1) == pytest.approx(-np.log(9.0))
    assert shift_to_mean(np.array([-40.0, 40.0]), 0.5) == pytest.approx(0.0, abs=1e-6)


def test_the_teacher_says_emergence_as_often_as_labels_do_where_no_growth_is_known() -> None:
    """Its order is that of the network."""
    taught = ask_teacher([3.0, 1.0, 2.0, 0.0], [np.nan] * 4, fraction_emergence=0.25)
    assert taught.mean() == pytest.approx(0.25, abs=1e-3)
    assert np.argsort(taught).tolist() == [3, 1, 2, 0]


def test_what_grows_is_an_emergence_to_a_teacher_whose_network_is_undecided() -> None:
    """One cube in twenty grows to four times its field; quiet ones hardly grow."""
    growths = [1.3] * 19 + [4.0]
    taught = ask_teacher(np.zeros(20), growths, fraction_emergence=0.5)
    assert taught[-1] > 0.9
    assert (taught[:-1] < 0.2).all()


def test_a_recipe_without_pretrained_weights_has_no_teacher() -> None:
    """The authors' CNN learns labels, as they describe it; so does a version of an earlier helioloop."""
    assert [name for name, recipe in RECIPES.items() if recipe.has_teacher] == ["quick", "accurate"]
    assert not replace(QUICK, pretrained=None).has_teacher
    earlier = QUICK.as_dict()
    del earlier["crude_label_weight"]
    assert not Recipe.from_dict(earlier).has_teacher


def test_a_member_asks_its_teacher_about_its_own_cubes_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a fold enters the members that score it. Verified labels are learned as they are."""
    recipe = replace(QUICK, folds=2, dropouts=(0.2,))
    cubes = [
        cube(k, Label.EMERGENCE if k % 2 else Label.NON_EMERGENCE, verified=k in {2, 3}) for k in range(24) if k != 5
    ]
    plan = make_plan(cubes, recipe=recipe, instrument=GRID, seed=0, parent=None, reason="test", profile=PROFILE)
    asked: list[str] = []
    seen: dict[str, float] = {}

    def load(one: CubeInfo) -> npt.NDArray[np.float16]:
        asked.append(one.name)
        return growing_by_half(one)

    def training(examples: Examples, **_: object) -> nn.Module:
        seen.update(zip([one.name for one in plan.training_cubes(member)], examples.targets.tolist(), strict=True))
        return nn.Linear(1, 1)

    monkeypatch.setattr(members, "train", training)
    runtime = Runtime(instrument=GRID, load=load, device=CPU, inputs=None)  # type: ignore[arg-type]
    for member in plan.members:
        asked.clear()
        train_member(plan, member.name, tmp_path, runtime)
        assert set(asked) == {one.name for one in plan.training_cubes(member)}
    assert (seen["cube02"], seen["cube03"]) == (0.0, 1.0)
    crude = {name: target for name, target in seen.items() if name not in {"cube02", "cube03"}}
    # All cubes are alike to the teacher, so that targets differ by the weight of their labels.
    emergence, other = (
        {crude[one.name] for one in cubes if one.name in crude and one.label is label} for label in Label
    )
    assert max(emergence) - min(other) == pytest.approx(0.25, abs=0.02)
    assert all(0.0 < target < 1.0 for target in crude.values())


def test_targets_are_the_same_whoever_asks() -> None:
    """The same plan gives the same targets, so that a round can be continued by another process."""
    cubes = [cube(k, Label.EMERGENCE if k % 2 else Label.NON_EMERGENCE) for k in range(24) if k != 5]
    plan = make_plan(cubes, recipe=QUICK, instrument=GRID, seed=0, parent=None, reason="test", profile=PROFILE)
    runtime = Runtime(instrument=GRID, load=growing_by_half, device=CPU, inputs=None)  # type: ignore[arg-type]
    prepared = InputCache.of(plan, runtime)
    first, again = (members._targets(plan, cubes[:6], lambda k: prepared(cubes[k]), runtime) for _ in range(2))
    assert torch.equal(torch.from_numpy(first), torch.from_numpy(again))
