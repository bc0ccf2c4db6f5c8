"""Recipes: everything that decides how a member is built and trained, written into each version's card.

Above the ground floor, below networks and training; no torch here.
"""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from helioloop.errors import SettingsError

FORMS = 4
"""The forms of a cube: as it is; polarity inverted; east–west flipped; both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """What is varied at random while training. The defaults vary nothing but the symmetries.

    Parameters
    ----------
    symmetries : {"random", "all"}
        Polarity inversion and east–west flip: drawn per cube and epoch, or every cube in all four forms per epoch.
    mirror_latitude : bool
        Whether half the cubes are flipped north–south too.
    shift_steps : int
        Largest shift in time, in steps of the network's input.
    shift_cells : int
        Largest shift in space, in cells of the network's input.
    freeze_steps : int
        Longest stretch of steps that repeats its first one, as a lost stretch of observations may.
    ends_early : float
        Share of cubes that break off in their last two fifths and repeat their last step.
    thin : float
        Share of cubes of which only every second to sixth step is kept and the others are interpolated, as the grid
        does with a cube that was seldom observed.
    gain : float
        Largest factor by which the field is made stronger or weaker, at least 1. A wide one keeps a network from
        learning that what is large has rotated in.
    noise : float
        Standard deviation of noise added to the prepared field channels.
    stills : float
        Share of cubes shown as a still of one of their steps, as a mask does; nothing emerges in it, so it counts as
        non-emergence whatever the label.
    overlay : float
        Share of cubes to whose field that of a cube labelled non-emergence is added. Line-of-sight fields add, and a
        region that is there already does not undo an emergence beside or inside it, so the label stays. Crude labels
        are wrong most often in just such crowded patches; these copies show what they look like with the label right.
    overlay_cells : int
        How far the added field is moved at most, in cells.
    """

    symmetries: Literal["random", "all"] = "random"
    mirror_latitude: bool = False
    shift_steps: int = 0
    shift_cells: int = 0
    freeze_steps: int = 0
    ends_early: float = 0.0
    thin: float = 0.0
    gain: float = 1.0
    noise: float = 0.0
    stills: float = 0.0
    overlay: float = 0.0
    overlay_cells: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the members of a version are built and trained.

    Parameters
    ----------
    name : str
        What ``--recipe`` calls it.
    network : str
        Name of the architecture (see `helioloop.model.architectures`).
    dropouts : tuple of float
        One member per fold and entry, with this dropout rate.
    filters : tuple of int
        Widths of the network's stages.
    dense : int
        Width of the layers before the answer.
    folds : int
        Into how many folds the labelled cubes are divided.
    epochs, batch : int
        Passes over the training cubes, and cubes per optimiser step.
    min_steps : int
        More passes are made over few cubes, until at least so many optimiser steps are: a hundred cubes in 12 passes
        leave the network half trained.
    optimiser : {"adamw-one-cycle", "sgd-nesterov"}
        AdamW under a one-cycle schedule, or SGD with Nesterov momentum 0.9 at a constant rate.
    learning_rate, weight_decay : float
        Peak (one-cycle) or constant rate; decoupled weight decay.
    label_smoothing : float
        Targets are ``label_smoothing / 2`` and ``1 - label_smoothing / 2``.
    early_learning : float
        Weight of early-learning regularisation, to which it grows linearly over the epochs; 0 leaves it out. A
        network learns what most labels say before it learns the wrong ones by heart. So each cube's probability is
        remembered, averaged over epochs, and departing from it costs: λ log(1 − <p, remembered p>) is added to the loss
        (Liu et al. 2020, NeurIPS 33, 20331).
    patience : int or None
        Stop after so many epochs without better accuracy on regions set aside from the *training* folds, and keep the
        best epoch; None trains all epochs. The held-out fold is never looked at, or its wrong labels would choose the
        weights that excuse them.
    reestimate_norm : bool
        Whether batch-norm statistics are measured anew on the training cubes after the last step; after a short
        training the running averages are stale and push every probability to one side.
    augmentation : Augmentation
        What is varied at random.
    """

    name: str
    network: str
    dropouts: tuple[float, ...]
    filters: tuple[int, ...]
    dense: int
    folds: int = 5
    epochs: int
    batch: int
    min_steps: int = 0
    optimiser: Literal["adamw-one-cycle", "sgd-nesterov"]
    learning_rate: float
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    early_learning: float = 0.0
    patience: int | None = None
    reestimate_norm: bool = False
    augmentation: Augmentation = field(default_factory=Augmentation)

    @property
    def forms(self) -> int:
        """In how many forms an epoch shows each cube."""
        return FORMS if self.augmentation.symmetries == "all" else 1

    def steps_per_epoch(self, n_cubes: int) -> int:
        """Return the optimiser steps of one pass over `n_cubes` training cubes."""
        return math.ceil(self.forms * n_cubes / self.batch)

    def passes(self, n_cubes: int) -> int:
        """Return how many epochs `n_cubes` training cubes get."""
        return max(self.epochs, math.ceil(self.min_steps / self.steps_per_epoch(n_cubes)))

    def in_epochs(self, epochs: int | None) -> Self:
        """Return this recipe with exactly so many epochs, however few cubes there are; None leaves it as it is."""
        return self if epochs is None else replace(self, epochs=epochs, min_steps=0)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return asdict(self) | {"dropouts": list(self.dropouts), "filters": list(self.filters)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what `as_dict` wrote."""
        return cls(
            **{
                **values,
                "dropouts": tuple(values["dropouts"]),
                "filters": tuple(values["filters"]),
                "augmentation": Augmentation(**values["augmentation"]),
            }
        )


QUICK = Recipe(
    name="quick",
    network="per-frame",
    dropouts=(0.2, 0.2),
    filters=(20, 32, 32),
    dense=32,
    epochs=12,
    batch=16,
    min_steps=240,
    optimiser="adamw-one-cycle",
    learning_rate=4e-3,
    weight_decay=0.02,
    label_smoothing=0.08,
    early_learning=2.0,
    reestimate_norm=True,
    augmentation=Augmentation(
        mirror_latitude=True,
        shift_steps=5,
        shift_cells=1,
        freeze_steps=8,
        ends_early=0.2,
        thin=0.2,
        gain=3.3,
        noise=0.03,
        stills=0.15,
        overlay=0.5,
        overlay_cells=3,
    ),
)
"""The per-frame network, two seeds per fold: minutes on a CPU."""

PAPER = Recipe(
    name="paper",
    network="frames-as-channels",
    # The authors' two dropout settings; the text names 0.5, the other one is ours.
    dropouts=(0.5, 0.3),
    filters=(32, 64, 128, 256, 512),
    dense=512,
    epochs=20,
    batch=10,
    optimiser="sgd-nesterov",
    learning_rate=1e-4,
    patience=5,
    augmentation=Augmentation(symmetries="all"),
)
"""The authors' CNN with their optimiser, augmentation and stopping rule (Chatterjee et al. 2022)."""

PAPER_ADAMW = replace(
    PAPER,
    name="paper-adamw",
    epochs=6,
    optimiser="adamw-one-cycle",
    learning_rate=3e-4,
    weight_decay=0.01,
    patience=None,
    reestimate_norm=True,
)
"""The authors' CNN, trained in a third of the epochs and with batch-norm statistics measured anew."""

ACCURATE = replace(QUICK, name="accurate", dropouts=(0.2, 0.2, 0.3), filters=(32, 64, 64), dense=64, epochs=24)
"""The per-frame network, wider, longer and three members per fold: for a GPU."""

RECIPES = {recipe.name: recipe for recipe in (QUICK, ACCURATE, PAPER, PAPER_ADAMW)}
"""All recipes by name."""
AUTO = "auto"
"""In place of a name: `QUICK` on a CPU, `ACCURATE` on a GPU."""


def find_recipe(name: str, *, gpu: bool) -> Recipe:
    """Return the recipe called `name`, or say which there are; `AUTO` is the one that suits the device."""
    try:
        return RECIPES[("accurate" if gpu else "quick") if name == AUTO else name]
    except KeyError:
        raise SettingsError(f"recipe {name!r} is unknown; choose one of: {AUTO}, {', '.join(RECIPES)}") from None
