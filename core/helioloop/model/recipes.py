"""Recipes: everything that decides how a member is built and trained. Written into each version's card. No torch."""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from helioloop.errors import SettingsError

N_SYMMETRIES = 4
"""Symmetry transforms of a cube: none; polarity inverted; flipped east–west; both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """What is varied at random in training. The defaults vary only the symmetries.

    Parameters
    ----------
    symmetries : {"random", "all"}
        Polarity inversion and east–west flip: one transform drawn per cube and epoch, or all four in every epoch.
    mirror_latitude : bool
        Whether half the cubes are also flipped north–south.
    shift_steps : int
        Largest shift in time, in steps of the network's input.
    shift_cells : int
        Largest shift in space, in cells of the network's input.
    freeze_steps : int
        Longest run of steps that repeats its first step, like a gap in the observations.
    truncation : float
        Fraction of cubes that end in their last two fifths; their last step is repeated.
    temporal_subsampling : float
        Fraction of cubes of which only every second to sixth step is kept. The steps between are interpolated, like
        the frames of a rarely observed cube on the grid.
    gain : float
        Largest factor by which the field is made stronger or weaker, at least 1. A large one keeps a network from
        learning that large regions have rotated in.
    noise : float
        Standard deviation of the noise added to the prepared field channels.
    static_clips : float
        Fraction of cubes replaced by a repetition of one of their steps, like a masked video. Nothing emerges in it,
        so its target is non-emergence whatever the label.
    additive_mixing : float
        Fraction of cubes to which the field of a cube labelled non-emergence is added. Line-of-sight fields add, and
        an older region does not undo an emergence beside or inside it, so the label stays. Crude labels are wrong most
        often in such crowded patches; these copies show them with a correct label.
    additive_mixing_cells : int
        Largest shift of the added field, in cells.
    """

    symmetries: Literal["random", "all"] = "random"
    mirror_latitude: bool = False
    shift_steps: int = 0
    shift_cells: int = 0
    freeze_steps: int = 0
    truncation: float = 0.0
    temporal_subsampling: float = 0.0
    gain: float = 1.0
    noise: float = 0.0
    static_clips: float = 0.0
    additive_mixing: float = 0.0
    additive_mixing_cells: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the members of a version are built and trained.

    Parameters
    ----------
    name : str
        The value of ``--recipe``.
    network : str
        Name of the architecture (see `helioloop.model.architectures`).
    dropouts : tuple of float
        Dropout rates; each fold has one member per rate.
    filters : tuple of int
        Widths of the network's convolutions.
    dense : int
        Width of the network's hidden dense layers.
    folds : int
        Number of folds that the labelled cubes are divided into.
    epochs, batch : int
        Passes over the training cubes, and cubes per optimiser step.
    min_steps : int
        Least number of optimiser steps; few cubes get more epochs. A hundred cubes in 12 epochs leave the network
        undertrained.
    optimiser : {"adamw-one-cycle", "sgd-nesterov"}
        AdamW with a one-cycle schedule, or SGD with Nesterov momentum 0.9 at a constant rate.
    learning_rate, weight_decay : float
        Peak (one-cycle) or constant rate; decoupled weight decay.
    label_smoothing : float
        Targets are ``label_smoothing / 2`` and ``1 - label_smoothing / 2``.
    early_learning : float
        Weight of early-learning regularisation at the end of the training; 0 for none. It grows linearly from 0. See
        `helioloop.model.training`.
    patience : int or None
        Number of epochs without a better validation accuracy after which the training stops; the best epoch is kept.
        Validation regions are taken from the *training* folds: the wrong labels of the held-out fold must not choose
        the weights that agree with them. None trains for all epochs on all training cubes; so do members whose training
        cubes are all of one region.
    reestimate_norm : bool
        Whether batch-norm statistics are re-estimated on the training cubes at the end. After a short training the
        running averages lag behind the weights and shift every probability to one side.
    augmentation : Augmentation
        What is varied at random.
    pretrained : str or None
        The weights that members begin from, see `helioloop.model.pretrained`; None begins from random ones.
    crude_label_weight : float
        Weight of a label that nobody has verified in the target of its cube, from 0 to 1; the rest is what the
        pretrained network and the local growth say, see `helioloop.model.teacher`. Without pretrained weights labels
        are taken as they are.
    local_growth : bool
        Whether the probabilities of the networks are combined with the local growth; see
        `helioloop.model.local_growth`.
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
    pretrained: str | None = None
    crude_label_weight: float = 1.0
    local_growth: bool = False

    @property
    def has_teacher(self) -> bool:
        """Whether the targets of cubes whose label nobody has verified are taught; see `helioloop.model.teacher`."""
        return self.pretrained is not None and self.crude_label_weight < 1.0

    @property
    def symmetries_per_epoch(self) -> int:
        """In how many symmetry transforms an epoch shows each cube."""
        return N_SYMMETRIES if self.augmentation.symmetries == "all" else 1

    def steps_per_epoch(self, n_cubes: int) -> int:
        """Return the optimiser steps of one epoch over `n_cubes` training cubes."""
        return math.ceil(self.symmetries_per_epoch * n_cubes / self.batch)

    def passes(self, n_cubes: int) -> int:
        """Return the number of epochs for `n_cubes` training cubes."""
        return max(self.epochs, math.ceil(self.min_steps / self.steps_per_epoch(n_cubes)))

    def in_epochs(self, epochs: int | None) -> Self:
        """Return this recipe with exactly `epochs` epochs, however few the cubes; None returns it unchanged."""
        return self if epochs is None else replace(self, epochs=epochs, min_steps=0)

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return asdict(self) | {"dropouts": list(self.dropouts), "filters": list(self.filters)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the recipe that `as_dict` wrote."""
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
    learning_rate=1e-3,
    weight_decay=0.02,
    label_smoothing=0.08,
    early_learning=2.0,
    reestimate_norm=True,
    augmentation=Augmentation(
        mirror_latitude=True,
        shift_steps=5,
        shift_cells=1,
        freeze_steps=8,
        truncation=0.2,
        temporal_subsampling=0.2,
        gain=3.3,
        noise=0.03,
        static_clips=0.15,
        additive_mixing=0.5,
        additive_mixing_cells=3,
    ),
    pretrained="quick",
    crude_label_weight=0.25,
    local_growth=True,
)
"""The per-frame network, two members per fold: trains in minutes on a CPU."""

PAPER = Recipe(
    name="paper",
    network="frames-as-channels",
    # The authors train with two dropout rates. Their text gives 0.5; 0.3 is our choice.
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
"""The authors' CNN, trained in a third of the epochs and with re-estimated batch-norm statistics."""

ACCURATE = replace(
    QUICK, name="accurate", dropouts=(0.2, 0.2, 0.3), filters=(32, 64, 64), dense=64, epochs=24, pretrained="accurate"
)
"""The per-frame network, wider, trained for longer, with three members per fold: for a GPU."""

RECIPES = {recipe.name: recipe for recipe in (QUICK, ACCURATE, PAPER, PAPER_ADAMW)}
"""All recipes by name."""
AUTO = "auto"
"""Stands for `QUICK` on a CPU and for `ACCURATE` on a GPU."""


def find_recipe(name: str, *, gpu: bool) -> Recipe:
    """Return the recipe called `name`; `AUTO` gives the one for the device.

    Raises
    ------
    SettingsError
        If no recipe has that name.
    """
    try:
        return RECIPES[("accurate" if gpu else "quick") if name == AUTO else name]
    except KeyError:
        raise SettingsError(f"recipe {name!r} is unknown; choose one of: {AUTO}, {', '.join(RECIPES)}") from None
