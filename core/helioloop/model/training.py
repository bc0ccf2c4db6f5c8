"""Training one member: a loop over batches under a recipe, the same result for the same seed on the same machine.

Above networks and inputs, below the ensemble. Needs torch (extra ``worker``).
"""

import copy
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize, special
from torch import Tensor, nn
from torch.nn import functional

from helioloop.errors import TrainingError
from helioloop.instrument import Instrument
from helioloop.model.architecture import AnyArchitecture
from helioloop.model.device import Device
from helioloop.model.inputs import FloatArray
from helioloop.model.recipes import FORMS, Recipe
from helioloop.progress import Report

WATCHED_SHARE = 0.1
"""Share of the training regions that the stopping rule watches instead of training on them."""
_REMEMBERED = 0.7
"""Weight of the earlier epochs in the probability that early-learning regularisation remembers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """What a member learns from.

    Parameters
    ----------
    inputs : callable
        Gives the network input of example k, without the batch axis. Called again in each epoch.
    targets : ndarray, shape (n,)
        1 for emergence, 0 for non-emergence.
    groups : sequence of str
        What each example shows (its region): the stopping rule sets whole groups aside.
    """

    inputs: Callable[[int], FloatArray]
    targets: FloatArray
    groups: Sequence[str]


def train(
    examples: Examples,
    *,
    architecture: AnyArchitecture,
    recipe: Recipe,
    instrument: Instrument,
    seed: int,
    dropout: float,
    device: Device,
    report: Report,
    what: str = "training",
) -> nn.Module:
    """Return a network trained on `examples`, in evaluation mode, on `device`.

    Parameters
    ----------
    examples : Examples
        Input and targets.
    architecture : Architecture
        The one that the recipe names.
    recipe : Recipe
        Network, optimiser, schedule and augmentation.
    instrument : Instrument
        The grid.
    seed : int
        Seed of weights, order, dropout and augmentation.
    dropout : float
        The member's dropout rate.
    device : Device
        Where to train.
    report : Report
        Called after each epoch.
    what : str
        What `report` is told.
    """
    with device.deterministic(), torch.random.fork_rng(devices=[0] if device.kind == "cuda" else []):
        torch.manual_seed(seed)
        run = _Run(examples, architecture=architecture, recipe=recipe, device=device, seed=seed)
        network: nn.Module = architecture.build(recipe, instrument, dropout=dropout).to(device.kind)
        run.fit(network, report=report, what=what)
        return network.eval()


class _Run:
    """The state of one training: order and augmentation drawn from a generator of its own."""

    def __init__(
        self, examples: Examples, *, architecture: AnyArchitecture, recipe: Recipe, device: Device, seed: int
    ) -> None:
        self.architecture, self.recipe, self.device = architecture, recipe, device
        self.generator = torch.Generator().manual_seed(seed)
        self.targets = torch.from_numpy(np.asarray(examples.targets, dtype=np.float32))
        self.remembered = torch.full_like(self.targets, 0.5)
        self.inputs = examples.inputs
        watched = self._watched(examples.groups) if recipe.patience is not None else torch.zeros(0, dtype=torch.long)
        everything = torch.arange(len(self.targets))
        self.watched, self.trained = watched, everything[~torch.isin(everything, watched)]

    def fit(self, network: nn.Module, *, report: Report, what: str) -> None:
        recipe = self.recipe
        n_epochs = recipe.passes(len(self.trained))
        optimiser, schedule = self._optimiser(network, n_epochs * recipe.steps_per_epoch(len(self.trained)))
        best: tuple[float, dict[str, Tensor]] = (-1.0, {})
        since_best = 0
        for epoch in range(n_epochs):
            network.train()
            # At first nothing is learned that is worth keeping, and to keep it would be to keep a guess.
            keep = recipe.early_learning * epoch / n_epochs
            for chosen, form in self._batches():
                optimiser.zero_grad(set_to_none=True)
                self._loss(network, chosen, form, keep=keep).backward()
                optimiser.step()
                if schedule is not None:
                    schedule.step()
            report(epoch + 1, n_epochs, what)
            if recipe.patience is not None:
                accuracy = self._accuracy(network)
                since_best = 0 if accuracy > best[0] else since_best + 1
                if since_best == 0:
                    best = (accuracy, copy.deepcopy(network.state_dict()))
                elif since_best >= recipe.patience:
                    break
        if best[1]:
            network.load_state_dict(best[1])
        if recipe.reestimate_norm:
            self._reestimate_norm(network)
        if recipe.augmentation.stills:
            self._balance(network)

    def _watched(self, groups: Sequence[str]) -> Tensor:
        names = sorted(set(groups))
        order = torch.randperm(len(names), generator=self.generator).tolist()
        aside = {names[k] for k in order[: max(1, round(WATCHED_SHARE * len(names)))]}
        return torch.tensor([k for k, group in enumerate(groups) if group in aside], dtype=torch.long)

    def _optimiser(
        self, network: nn.Module, n_steps: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler | None]:
        recipe = self.recipe
        if recipe.optimiser == "sgd-nesterov":
            return (
                torch.optim.SGD(
                    network.parameters(),
                    lr=recipe.learning_rate,
                    momentum=0.9,
                    nesterov=True,
                    weight_decay=recipe.weight_decay,
                ),
                None,
            )
        optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        return optimiser, torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=recipe.learning_rate, total_steps=n_steps
        )

    def _batches(self) -> list[tuple[Tensor, Tensor]]:
        """Draw an epoch's order: example numbers and the form each is shown in."""
        n, forms = len(self.trained), self.recipe.forms
        order = torch.randperm(forms * n, generator=self.generator)
        shown = order // n if forms > 1 else torch.randint(0, FORMS, (n,), generator=self.generator)
        batches = zip(self.trained[order % n].split(self.recipe.batch), shown.split(self.recipe.batch), strict=True)
        # Batch norm has no statistics of a single cube: a last batch of one is left out of the epoch.
        return [(chosen, form) for chosen, form in batches if len(chosen) > 1]

    def _loss(self, network: nn.Module, chosen: Tensor, form: Tensor, *, keep: float) -> Tensor:
        smooth = self.recipe.label_smoothing
        still = torch.rand(len(chosen), generator=self.generator) < self.recipe.augmentation.stills
        targets = (self.targets[chosen] * ~still).to(self.device.kind) * (1.0 - smooth) + smooth / 2.0
        with self.device.autocast():
            logits = network(self._augmented(chosen, still, form)).float()
        loss = functional.binary_cross_entropy_with_logits(logits, targets)
        if self.recipe.early_learning:
            moving = (~still).to(self.device.kind)
            loss = loss + keep * self._departure(chosen[~still], torch.sigmoid(logits[moving]))
        return loss

    def _augmented(self, chosen: Tensor, still: Tensor, form: Tensor) -> Tensor:
        return self.architecture.augment(
            self._shown(chosen, still),
            form,
            self._others(len(chosen)),
            settings=self.recipe.augmentation,
            generator=self.generator,
        )

    def _shown(self, chosen: Tensor, still: Tensor) -> Tensor:
        """Return the inputs, those of `still` frozen to one step."""
        inputs = self._stack(chosen)
        if not still.any():
            return inputs
        at = torch.randint(0, inputs.shape[1], (len(chosen),), generator=self.generator).to(inputs.device)
        frozen = inputs[torch.arange(len(chosen), device=inputs.device), at][:, None].expand_as(inputs)
        return torch.where(still.to(inputs.device).reshape(-1, *[1] * (inputs.ndim - 1)), frozen, inputs)

    def _departure(self, chosen: Tensor, p: Tensor) -> Tensor:
        """Return the cost of departing from what was learned early, and remember the new probabilities."""
        early = _REMEMBERED * self.remembered[chosen] + (1.0 - _REMEMBERED) * p.detach().cpu()
        self.remembered[chosen] = early
        early = early.to(p.device)
        same = p * early + (1.0 - p) * (1.0 - early)
        return torch.log((1.0 - same).clamp(min=1e-4)).sum() / max(1, len(p))

    def _others(self, n: int) -> Tensor | None:
        """Draw `n` cubes labelled non-emergence to lay over a batch; None where the recipe lays none."""
        quiet = self.trained[self.targets[self.trained] < 0.5]
        if not self.recipe.augmentation.overlay or not len(quiet):
            return None
        return self._stack(quiet[torch.randint(0, len(quiet), (n,), generator=self.generator)])

    def _stack(self, chosen: Tensor) -> Tensor:
        return torch.from_numpy(np.stack([self.inputs(k) for k in chosen.tolist()])).to(self.device.kind)

    def _accuracy(self, network: nn.Module) -> float:
        network.eval()
        right = 0
        with torch.inference_mode(), self.device.autocast():
            for chosen in self.watched.split(self.recipe.batch):
                emergence = network(self._stack(chosen)).cpu() >= 0
                right += int((emergence == (self.targets[chosen] > 0.5)).sum())
        return right / max(1, len(self.watched))

    def _reestimate_norm(self, network: nn.Module) -> None:
        """Measure batch-norm statistics on the training cubes as they are, each batch counting alike."""
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # cumulative average
        network.train()
        with torch.no_grad(), self.device.autocast():
            for chosen in self.trained.split(4 * self.recipe.batch):
                if len(chosen) > 1:
                    network(self._stack(chosen))

    def _balance(self, network: nn.Module) -> None:
        """Set the answer's bias so that the mean probability of the training cubes is the share labelled emergence.

        Stills count as non-emergence and so make emergence seem rarer than it is. This is the bias that maximises the
        likelihood of the labels with all other weights as they are.
        """
        network.eval()
        with torch.inference_mode(), self.device.autocast():
            logits = torch.cat([network(self._stack(some)).cpu() for some in self.trained.split(self.recipe.batch)])
        z = logits.double().numpy()
        if not np.isfinite(z).all():
            raise TrainingError(
                f"the training diverged: {int((~np.isfinite(z)).sum())} of {len(z)} answers are not finite; "
                "train with another seed or recipe"
            )
        share = float(self.targets[self.trained].mean())
        shift = optimize.brentq(lambda bias: float(special.expit(z + bias).mean()) - share, -60.0, 60.0)
        with torch.no_grad():
            self.architecture.logit_bias(network).add_(shift)


def preload() -> None:
    """Import what torch would otherwise import at a process's first optimiser: seconds that forked jobs then share."""
    importlib.import_module("torch._dynamo")
