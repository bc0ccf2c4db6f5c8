"""Training of one member: a loop over batches under a recipe. The same seed on the same machine gives the same result.

Needs torch (extra ``worker``).
"""

import copy
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from helioloop.errors import TrainingError
from helioloop.model.ahead import one_ahead
from helioloop.model.architecture import AnyArchitecture
from helioloop.model.device import Device
from helioloop.model.early_learning import EarlyLearning
from helioloop.model.inputs import FloatArray
from helioloop.model.logit_shift import shift_to_mean
from helioloop.model.pretrained import load_pretrained
from helioloop.model.recipes import N_SYMMETRIES, Recipe
from helioloop.progress import Report
from helioloop.records.instrument import Instrument

EPOCHS = "epochs of all members"
"""What the progress of training several members counts."""
VALIDATION_FRACTION = 0.1
"""Fraction of the training regions that the stopping rule takes for validation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """What a member is trained on.

    Parameters
    ----------
    inputs : callable
        Returns the network input of example k, without the batch axis; called again in each epoch.
    targets : ndarray, shape (n,)
        P(emergence) that the network is to learn: 1 and 0 for labels, see `helioloop.model.teacher`.
    groups : sequence of str
        Region of each example: a region is either trained on or used for validation.
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
    what: str = "epochs",
) -> nn.Module:
    """Return a network trained on `examples`, in evaluation mode, on `device`.

    Parameters
    ----------
    examples : Examples
        Inputs and targets.
    architecture : Architecture
        The one that the recipe names.
    recipe : Recipe
        Network, optimiser, schedule and augmentation.
    instrument : Instrument
        The grid.
    seed : int
        Seed of weights, unless these are pretrained, and of order, dropout and augmentation.
    dropout : float
        The member's dropout rate.
    device : Device
        Where to train.
    report : Report
        Called after each epoch.
    what : str
        Passed on to `report`.

    Raises
    ------
    TrainingError
        If the training of a recipe with static clips diverges. Weights of others that are not finite are refused by
        `load_member`.
    """
    with device.deterministic(), torch.random.fork_rng(devices=[0] if device.kind == "cuda" else []):
        torch.manual_seed(seed)
        run = TrainingRun(examples, architecture=architecture, recipe=recipe, device=device, seed=seed)
        network = new_network(architecture, recipe, instrument, dropout=dropout).to(device.kind)
        run.fit(network, report=report, what=what)
        return network.eval()


def new_network(architecture: AnyArchitecture, recipe: Recipe, instrument: Instrument, *, dropout: float) -> nn.Module:
    """Return a network to be trained: pretrained, or with weights drawn from torch's global generator."""
    network: nn.Module = architecture.build(recipe, instrument, dropout=dropout)
    if recipe.pretrained is not None:
        load_pretrained(network, recipe.pretrained)
    return network


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """One batch of an epoch: indices of its examples, which are static clips, their input after augmentation."""

    chosen: Tensor
    static: Tensor
    inputs: Tensor
    ends_epoch: bool


class TrainingRun:
    """The state of one training. Order and augmentation are drawn from a generator of its own.

    Attributes
    ----------
    generator : torch.Generator
        Source of validation regions, order and augmentation.
    targets : Tensor, shape (n,)
        Target of each example, on the CPU.
    validation, trained : Tensor of int
        Indices of the examples that the stopping rule validates on, and of those trained on.
    patience : int or None
        That of the recipe; None, too, without examples to validate on.
    """

    def __init__(
        self, examples: Examples, *, architecture: AnyArchitecture, recipe: Recipe, device: Device, seed: int
    ) -> None:
        self.architecture, self.recipe, self.device = architecture, recipe, device
        self.generator = torch.Generator().manual_seed(seed)
        self.targets = torch.from_numpy(np.asarray(examples.targets, dtype=np.float32))
        self.early_learning = EarlyLearning(len(self.targets))
        self.inputs = examples.inputs
        none = torch.zeros(0, dtype=torch.long)
        self.validation = none if recipe.patience is None else self._draw_validation(examples.groups)
        self.patience = recipe.patience if len(self.validation) else None
        everything = torch.arange(len(self.targets))
        self.trained = everything[~torch.isin(everything, self.validation)]

    def fit(self, network: nn.Module, *, report: Report, what: str) -> None:
        """Train `network`."""
        recipe = self.recipe
        n_epochs = recipe.passes(len(self.trained))
        optimiser, schedule = self._optimiser(network, n_epochs * recipe.steps_per_epoch(len(self.trained)))
        best: tuple[float, dict[str, Tensor]] = (-1.0, {})
        since_best = 0
        with closing(one_ahead(self._prepared_epochs(n_epochs))) as batches:
            for epoch in range(n_epochs):
                network.train()
                weight = recipe.early_learning * epoch / n_epochs
                for batch in _of_one_epoch(batches):
                    optimiser.zero_grad(set_to_none=True)
                    self._loss(network, batch, early_learning_weight=weight).backward()
                    optimiser.step()
                    if schedule is not None:
                        schedule.step()
                report(epoch + 1, n_epochs, what)
                if self.patience is not None:
                    accuracy = self._validation_accuracy(network)
                    since_best = 0 if accuracy > best[0] else since_best + 1
                    if since_best == 0:
                        best = (accuracy, copy.deepcopy(network.state_dict()))
                    elif since_best >= self.patience:
                        break
        if best[1]:
            network.load_state_dict(best[1])
        if recipe.reestimate_norm:
            self._reestimate_norm(network)
        if recipe.augmentation.static_clips:
            self._balance(network)

    def _draw_validation(self, groups: Sequence[str]) -> Tensor:
        """Return the indices of the examples of `VALIDATION_FRACTION` of the regions: at least one, never all."""
        names = sorted(set(groups))
        order = torch.randperm(len(names), generator=self.generator).tolist()
        drawn = {names[k] for k in order[: min(max(1, round(VALIDATION_FRACTION * len(names))), len(names) - 1)]}
        return torch.tensor([k for k, group in enumerate(groups) if group in drawn], dtype=torch.long)

    def _optimiser(
        self, network: nn.Module, n_steps: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler | None]:
        rate, decay, weights = self.recipe.learning_rate, self.recipe.weight_decay, network.parameters()
        if self.recipe.optimiser == "sgd-nesterov":
            return torch.optim.SGD(weights, lr=rate, momentum=0.9, nesterov=True, weight_decay=decay), None
        optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=decay)
        return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rate, total_steps=n_steps)

    def draw_batches(self) -> list[tuple[Tensor, Tensor]]:
        """Draw the batches of an epoch: indices of examples, and the symmetry transform of each."""
        n, per_epoch = len(self.trained), self.recipe.symmetries_per_epoch
        order = torch.randperm(per_epoch * n, generator=self.generator)
        symmetries = order // n if per_epoch > 1 else torch.randint(0, N_SYMMETRIES, (n,), generator=self.generator)
        size = self.recipe.batch
        batches = zip(self.trained[order % n].split(size), symmetries.split(size), strict=True)
        # Batch norm has no statistics of a single cube, so a last batch of one cube is left out.
        return [(chosen, some) for chosen, some in batches if len(chosen) > 1]

    def _prepared_epochs(self, n_epochs: int) -> Iterator[_Batch]:
        """Yield the prepared batches of all epochs. Another thread draws them; all draws are in the same order."""
        for _ in range(n_epochs):
            batches = self.draw_batches()
            for k, (chosen, symmetries) in enumerate(batches):
                static = torch.rand(len(chosen), generator=self.generator) < self.recipe.augmentation.static_clips
                with self.device.autocast():
                    inputs = self.architecture.augment(
                        self._with_static_clips(chosen, static),
                        symmetries,
                        self._draw_others(len(chosen)),
                        settings=self.recipe.augmentation,
                        generator=self.generator,
                    )
                yield _Batch(chosen=chosen, static=static, inputs=inputs, ends_epoch=k == len(batches) - 1)

    def _loss(self, network: nn.Module, batch: _Batch, *, early_learning_weight: float) -> Tensor:
        smoothing, moving = self.recipe.label_smoothing, ~batch.static
        targets = (self.targets[batch.chosen] * moving).to(self.device.kind) * (1.0 - smoothing) + smoothing / 2.0
        with self.device.autocast():
            logits = network(batch.inputs).float()
        loss = functional.binary_cross_entropy_with_logits(logits, targets)
        if self.recipe.early_learning:
            penalty = self.early_learning.loss(batch.chosen[moving], torch.sigmoid(logits[moving.to(self.device.kind)]))
            loss = loss + early_learning_weight * penalty
        return loss

    def _with_static_clips(self, chosen: Tensor, static: Tensor) -> Tensor:
        """Return the inputs; those where `static` is True repeat one of their steps."""
        inputs = self._stack(chosen)
        if not static.any():
            return inputs
        step = torch.randint(0, inputs.shape[1], (len(chosen),), generator=self.generator).to(inputs.device)
        clips = inputs[torch.arange(len(chosen), device=inputs.device), step][:, None].expand_as(inputs)
        return torch.where(static.to(inputs.device).reshape(-1, *[1] * (inputs.ndim - 1)), clips, inputs)

    def _draw_others(self, n: int) -> Tensor | None:
        """Draw `n` cubes for additive mixing whose target is rather non-emergence; None where the recipe mixes none."""
        quiet = self.trained[self.targets[self.trained] < 0.5]
        if not self.recipe.augmentation.additive_mixing or not len(quiet):
            return None
        return self._stack(quiet[torch.randint(0, len(quiet), (n,), generator=self.generator)])

    def _stack(self, chosen: Tensor) -> Tensor:
        return torch.from_numpy(np.stack([self.inputs(k) for k in chosen.tolist()])).to(self.device.kind)

    def _validation_accuracy(self, network: nn.Module) -> float:
        network.eval()
        right = 0
        with torch.inference_mode(), self.device.autocast():
            for chosen in self.validation.split(self.recipe.batch):
                emergence = network(self._stack(chosen)).cpu() >= 0
                right += int((emergence == (self.targets[chosen] > 0.5)).sum())
        return right / max(1, len(self.validation))

    def _reestimate_norm(self, network: nn.Module) -> None:
        """Set batch-norm statistics to their mean over batches of the training cubes without augmentation."""
        batches = (self._stack(some) for some in self.trained.split(4 * self.recipe.batch) if len(some) > 1)
        with self.device.autocast():
            update_bn(batches, network)

    def _balance(self, network: nn.Module) -> None:
        """Set the logits' bias so that the mean probability of the training cubes is the mean of their targets.

        Static clips have the target non-emergence, so they lower all probabilities.
        """
        network.eval()
        with torch.inference_mode(), self.device.autocast():
            logits = torch.cat([network(self._stack(some)).cpu() for some in self.trained.split(self.recipe.batch)])
        z = logits.double().numpy()
        if not np.isfinite(z).all():
            raise TrainingError(
                f"the training diverged: {int((~np.isfinite(z)).sum())} of {len(z)} logits are not finite; "
                "train with another seed or recipe"
            )
        shift = shift_to_mean(z, float(self.targets[self.trained].mean()))
        with torch.no_grad():
            self.architecture.logit_bias(network).add_(shift)


def _of_one_epoch(batches: Iterator[_Batch]) -> Iterator[_Batch]:
    """Yield the batches up to the next one that ends an epoch."""
    for batch in batches:
        yield batch
        if batch.ends_epoch:
            return


def preload() -> None:
    """Import what torch would import at a process's first optimiser; forked jobs then share these seconds."""
    importlib.import_module("torch._dynamo")
