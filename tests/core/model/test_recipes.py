"""Recipes and how they are chosen."""

import pytest

from helioloop.errors import SettingsError
from helioloop.model.architectures import find_architecture
from helioloop.model.recipes import ACCURATE, QUICK, RECIPES, Recipe, find_recipe


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_a_recipe_survives_its_card(recipe: Recipe) -> None:
    """The recipe read from a card is the one written, and its architecture exists."""
    assert Recipe.from_dict(recipe.as_dict()) == recipe
    assert find_recipe(recipe.name, gpu=False) is recipe
    assert find_architecture(recipe.network).name == recipe.network


def test_auto_is_the_recipe_that_suits_the_device() -> None:
    """Quick on a CPU, accurate on a GPU; an unknown name is refused, and the known names are listed."""
    assert find_recipe("auto", gpu=False) is QUICK
    assert find_recipe("auto", gpu=True) is ACCURATE
    with pytest.raises(SettingsError, match="'fast' is unknown; choose one of: auto, quick, accurate"):
        find_recipe("fast", gpu=False)


def test_a_recipe_of_a_version_trained_before_the_local_growth_has_none() -> None:
    """Its card lacks the entry, so its probabilities remain those of the networks; the authors' CNN has none either.

    Nor were its members pretrained.
    """
    older = {name: value for name, value in QUICK.as_dict().items() if name not in {"local_growth", "pretrained"}}
    assert not Recipe.from_dict(older).local_growth
    assert Recipe.from_dict(older).pretrained is None
    assert [recipe.name for recipe in RECIPES.values() if recipe.local_growth] == ["quick", "accurate"]
