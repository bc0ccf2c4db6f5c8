"""Training of several members at the same time on one GPU, from inputs that stay in its memory.

Each member has a network, an optimiser, a stream and random generators of its own, so it becomes the same network
whichever other members train beside it. Members are not merged into one network with grouped convolutions: see
docs/performance.md for the times of both ways::

    CPU     member 1  replay … replay        member 2  replay … replay        …     a few microseconds each
    GPU     stream 1  step step step …
            stream 2  step step step …       steps of different members run at the same time

A step (take the batch, forward, backward, optimiser) is recorded as a CUDA graph after a few ordinary steps and then
replayed: to launch its 280 kernels one by one takes five times as long. What differs between steps is in
tables on the device, and a counter on the device selects the row. On a CPU the same steps run without streams and
graphs; production trains members one after another there. Needs torch (extra ``worker``).
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from helioloop.model.architecture import AnyArchitecture, Architecture, ResidentInputs
from helioloop.model.device import Device
from helioloop.model.inputs import FloatArray
from helioloop.model.one_cycle_adamw import OneCycleAdamW
from helioloop.model.recipes import Recipe
from helioloop.model.training import EPOCHS, Examples, TrainingRun, new_network
from helioloop.progress import Report
from helioloop.records.instrument import Instrument

ORDINARY_STEPS = 3
"""Steps before the first recording: libraries choose their kernels and allocate memory in them."""
STEPS_PER_TURN = 8
"""Steps of one member that are launched before those of the next one."""
_VIDEOS_PER_BATCH = 128
"""Videos of one forward pass without gradients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JointMember:
    """A member to train.

    Parameters
    ----------
    name : str
        Its name in the plan.
    seed : int
        Seed of weights, order, symmetry transforms and dropout.
    dropout : float
        Its dropout rate.
    chosen : ndarray of int, shape (n,)
        Numbers of its training examples among the resident inputs.
    targets : ndarray, shape (n,)
        P(emergence) that the network is to learn, as in `helioloop.model.training.Examples`.
    groups : sequence of str
        Region of each example.
    """

    name: str
    seed: int
    dropout: float
    chosen: npt.NDArray[np.int64]
    targets: FloatArray
    groups: Sequence[str]


def can_train_together(recipe: Recipe, architecture: AnyArchitecture) -> bool:
    """Return whether members of a recipe can train together.

    Their architecture needs resident inputs. Static clips, additive mixing and early-learning regularisation are drawn
    on the CPU for each batch, so recipes that have them cannot.
    """
    how = recipe.augmentation
    keeps = type(architecture).resident_inputs is not Architecture.resident_inputs
    return keeps and not (how.static_clips or how.additive_mixing or recipe.early_learning)


def train_together(
    members: Sequence[JointMember],
    inputs: ResidentInputs[Any],
    *,
    architecture: AnyArchitecture,
    recipe: Recipe,
    instrument: Instrument,
    device: Device,
    report: Report,
    on_trained: Callable[[str, nn.Module], None],
) -> None:
    """Train members at the same time.

    Parameters
    ----------
    members : sequence of JointMember
        The members.
    inputs : ResidentInputs
        The inputs of all their training examples, on `device`.
    architecture : Architecture
        The one that the recipe names.
    recipe : Recipe
        One for which `can_train_together` is true.
    instrument : Instrument
        The grid.
    device : Device
        Where to train.
    report : Report
        Called after each epoch of a member with the number of epochs of all members.
    on_trained : callable
        Called with the name and the network of each member when it is trained, in evaluation mode.
    """
    with device.deterministic():
        trainings = [
            _Training(member, inputs, architecture=architecture, recipe=recipe, instrument=instrument, device=device)
            for member in members
        ]
        if device.kind == "cuda":
            torch.cuda.synchronize()  # before other streams use what was made on this one
        total = sum(training.n_epochs for training in trainings)
        left = [(training, training.turns()) for training in trainings]
        while left:
            for training, turns in list(left):
                with training.stream():
                    if next(turns, None) is not None:
                        continue
                    on_trained(training.name, training.network.eval())
                left.remove((training, turns))
                training.release()
            report(min(total, sum(training.epochs_done for training in trainings)), total, EPOCHS)
        # A member that stops early leaves epochs out.
        report(total, total, EPOCHS)


class _Training:
    """The training of one member."""

    def __init__(
        self,
        member: JointMember,
        inputs: ResidentInputs[Any],
        *,
        architecture: AnyArchitecture,
        recipe: Recipe,
        instrument: Instrument,
        device: Device,
    ) -> None:
        self.name, self._inputs, self._recipe, self._device = member.name, inputs, recipe, device
        examples = Examples(inputs=_no_input, targets=member.targets, groups=member.groups)
        self._run = TrainingRun(examples, architecture=architecture, recipe=recipe, device=device, seed=member.seed)
        self._chosen = torch.from_numpy(member.chosen).to(device.kind)
        self._targets = self._run.targets.to(device.kind)
        self._generator = torch.Generator(device.kind).manual_seed(member.seed)
        self._stream = torch.cuda.Stream() if device.kind == "cuda" else None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._ordinary_steps = 0
        self.n_epochs = recipe.passes(len(self._run.trained))
        self.epochs_done = 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(member.seed)  # the weights are those of `train`
            network = new_network(architecture, recipe, instrument, dropout=member.dropout)
        self._dropouts = _replace_dropouts(network)
        self.network = network.to(device.kind)
        if device.kind == "cuda":
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        n_steps = self.n_epochs * recipe.steps_per_epoch(len(self._run.trained))
        self._optimiser = _optimiser(self.network, recipe, n_steps=n_steps, device=device)
        self._step = torch.zeros(1, dtype=torch.long, device=device.kind)
        n_full = recipe.symmetries_per_epoch * len(self._run.trained) // recipe.batch
        # One row per step of an epoch with a whole batch.
        self._batch_table = torch.zeros((n_full, 2, recipe.batch), dtype=torch.long, device=device.kind)
        self._mask_tables: list[Tensor] = []

    def stream(self) -> AbstractContextManager[Any]:
        """Return the context of the member's stream."""
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def release(self) -> None:
        """Free the recorded step and the optimiser's state."""
        self._graph = None
        del self._optimiser, self._mask_tables

    def turns(self) -> Iterator[bool]:
        """Train; yields after every few steps, so that the other members have their turn."""
        recipe, run = self._recipe, self._run
        best: tuple[float, dict[str, Tensor]] = (-1.0, {})
        since_best = 0
        for _ in range(self.n_epochs):
            self.network.train()
            last = self._begin_epoch()
            for step in range(len(self._batch_table)):
                self._whole_step()
                if step % STEPS_PER_TURN == STEPS_PER_TURN - 1:
                    yield True
            if last is not None:
                self._partial_step(*last)
            self.epochs_done += 1
            yield True
            if run.patience is not None:
                accuracy = self._accuracy(run.validation)
                since_best = 0 if accuracy > best[0] else since_best + 1
                if since_best == 0:
                    best = (accuracy, copy.deepcopy(self.network.state_dict()))
                elif since_best >= run.patience:
                    break
        if best[1]:
            self.network.load_state_dict(best[1])
        if recipe.reestimate_norm:
            batches = [some for some in run.trained.split(4 * recipe.batch) if len(some) > 1]
            with self._device.autocast():
                update_bn([self._numbers(some) for some in batches], _WithInputs(self.network, self._inputs))

    def _begin_epoch(self) -> tuple[Tensor, Tensor] | None:
        """Fill the tables of an epoch; return examples and symmetry transforms of a last batch that is smaller."""
        batches = self._run.draw_batches()
        for chosen, _ in batches:
            torch.rand(len(chosen), generator=self._run.generator)  # `train` draws static clips here
        n_full = len(self._batch_table)
        if n_full:
            table = torch.stack([torch.stack(batch) for batch in batches[:n_full]])
            self._batch_table.copy_(table)
            self._step.zero_()
        self._draw_masks(n_full + 1)
        return batches[n_full] if len(batches) > n_full else None

    def _draw_masks(self, n: int) -> None:
        """Draw the dropout masks of `n` steps, 0 or 1, into tables whose address stays."""
        if not self._mask_tables:
            self.network.eval()
            with torch.no_grad(), self._device.autocast():
                self._inputs.logits(self.network, self._chosen[:1])  # the layers note the width of their input
            self.network.train()
            dtype = torch.bfloat16 if self._device.bf16 else torch.float32
            shapes = [(n, self._recipe.batch, *layer.shape) for layer in self._dropouts]
            self._mask_tables = [torch.empty(shape, dtype=dtype, device=self._device.kind) for shape in shapes]
        for table, layer in zip(self._mask_tables, self._dropouts, strict=True):
            table.bernoulli_(1.0 - layer.rate, generator=self._generator)

    # -- one step --------------------------------------------------------------------------------

    def _whole_step(self) -> None:
        """Make the step that the counter selects, from the recording if there is one."""
        if self._graph is not None:
            self._graph.replay()
            return
        if self._stream is None or self._ordinary_steps < ORDINARY_STEPS:
            self._ordinary_steps += 1
            self._selected_step()
            return
        self._optimiser.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            self._selected_step()
        self._graph = graph
        graph.replay()

    def _selected_step(self) -> None:
        chosen, symmetries = self._batch_table.index_select(0, self._step)[0].unbind(0)
        for table, layer in zip(self._mask_tables, self._dropouts, strict=True):
            layer.mask = table.index_select(0, self._step)[0]
        self._learn(chosen, symmetries)
        self._step.add_(1)

    def _partial_step(self, chosen: Tensor, symmetries: Tensor) -> None:
        """Make the step of a smaller batch."""
        for table, layer in zip(self._mask_tables, self._dropouts, strict=True):
            layer.mask = table[-1, : len(chosen)]
        self._learn(chosen.to(self._device.kind), symmetries.to(self._device.kind))

    def _learn(self, chosen: Tensor, symmetries: Tensor) -> None:
        smoothing = self._recipe.label_smoothing
        self._optimiser.zero_grad(set_to_none=True)
        with self._device.autocast():
            logits = self._inputs.logits(self.network, self._chosen.index_select(0, chosen), symmetries)
        targets = self._targets.index_select(0, chosen) * (1.0 - smoothing) + smoothing / 2.0
        functional.binary_cross_entropy_with_logits(logits.float(), targets).backward()
        self._optimiser.step()

    # -- without gradients -----------------------------------------------------------------------

    def _numbers(self, examples: Tensor) -> Tensor:
        return self._chosen.index_select(0, examples.to(self._device.kind))

    def _accuracy(self, examples: Tensor) -> float:
        self.network.eval()
        right = torch.zeros((), dtype=torch.long, device=self._device.kind)
        with torch.inference_mode(), self._device.autocast():
            for some in examples.split(_VIDEOS_PER_BATCH):
                emergence = self._inputs.logits(self.network, self._numbers(some)) >= 0
                right += (emergence == (self._targets[some.to(self._device.kind)] > 0.5)).sum()
        return int(right) / max(1, len(examples))


class _DrawnDropout(nn.Module):
    """Dropout whose mask is set from outside, because a recorded step cannot draw from a member's generator."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.shape: torch.Size = torch.Size()
        self.mask: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with the masked entries 0 and the others scaled up; unchanged in evaluation mode."""
        self.shape = x.shape[1:]
        if not self.training:
            return x
        return x * self.mask * (1.0 / (1.0 - self.rate))


def _replace_dropouts(network: nn.Module) -> list[_DrawnDropout]:
    """Replace the dropout layers of a network, and return the new ones."""
    drawn = []
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.Dropout):
            parent, _, attribute = name.rpartition(".")
            drawn.append(_DrawnDropout(layer.p))
            setattr(network.get_submodule(parent), attribute, drawn[-1])
    return drawn


class _WithInputs(nn.Module):
    """A network that takes numbers of resident inputs, as `update_bn` needs it."""

    def __init__(self, network: nn.Module, inputs: ResidentInputs[Any]) -> None:
        super().__init__()
        self._network, self._inputs = network, inputs
        for layer in network.modules():
            if isinstance(layer, _DrawnDropout):
                layer.mask = torch.ones((), device=next(network.parameters()).device)  # after all norms: no effect

    def forward(self, numbers: Tensor) -> Tensor:
        """Return the logits of resident inputs."""
        return self._inputs.logits(self._network, numbers)


def _optimiser(network: nn.Module, recipe: Recipe, *, n_steps: int, device: Device) -> torch.optim.Optimizer:
    weights = list(network.parameters())
    if recipe.optimiser == "sgd-nesterov":
        return torch.optim.SGD(
            weights, lr=recipe.learning_rate, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay,
            fused=device.kind == "cuda",
        )  # fmt: skip
    adamw = OneCycleAdamW(weights, rate=recipe.learning_rate, decay=recipe.weight_decay, n_steps=n_steps)
    return cast("torch.optim.Optimizer", adamw)


def _no_input(k: int) -> FloatArray:
    raise AssertionError(f"input {k} is taken from the resident inputs")
