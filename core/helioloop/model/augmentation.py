"""Random variations of the per-frame network's training input that do not change the label.

All random numbers come from one generator per member, so a member is the same in every run. Needs torch (extra
``worker``).
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from helioloop.model.recipes import Augmentation

_EARLIEST_END = 0.6  # fraction of the steps
_LARGEST_SUBSAMPLING = 6


class CellAugmenter:
    """Augments batches of the per-frame network's input, (batch, steps, 3, cells, cells).

    Parameters
    ----------
    settings : Augmentation
        What is varied, and by how much.
    generator : torch.Generator
        The source of all random numbers; on the CPU, so that they are the same on every device.
    """

    def __init__(self, settings: Augmentation, generator: torch.Generator) -> None:
        self._settings = settings
        self._generator = generator

    def __call__(self, steps: Tensor, symmetries: Tensor, others: Tensor | None = None) -> Tensor:
        """Return the augmented batch.

        Parameters
        ----------
        steps : Tensor, shape (batch, steps, 3, cells, cells)
            Prepared input.
        symmetries : Tensor of int, shape (batch,)
            Symmetry transform of each cube: bit 0 inverts the polarity, bit 1 flips east and west.
        others : Tensor or None
            Input like `steps`, of cubes labelled non-emergence, for additive mixing.
        """
        if others is not None and self._settings.additive_mixing:
            steps = self._mix(steps, others)
        steps = self._move(steps, symmetries)
        field, disk = steps[:, :, :2].contiguous(), steps[:, :, 2:]
        inverted = torch.nonzero(symmetries % 2 == 1)[:, 0].to(steps.device)
        field.index_copy_(0, inverted, field[inverted].flip(2))
        return torch.cat((self._scale(_gauss(field)), disk), 2)

    def _mix(self, steps: Tensor, others: Tensor) -> Tensor:
        """Add the other cubes' field above their quiet Sun, in gauss, on the disk, to a fraction of the batch."""
        batch, n_cells, shift = len(steps), steps.shape[-1], self._settings.additive_mixing_cells
        rows, columns = (torch.arange(n_cells) + self._integers(0, 2 * shift, batch) for _ in "yx")
        inverted = self._choose(batch, 0.5)
        mixed = torch.nonzero(self._choose(batch, self._settings.additive_mixing))[:, 0]
        other, own = (cubes[mixed.to(steps.device)] for cubes in (others[:, :, :2], steps))
        other = _gauss(other)
        # The median over the cells is quiet Sun and noise, which `own` contains already.
        other = (other - _median(other.flatten(-2))[..., None, None]).clamp_(min=0.0)
        other = _take_cells(functional.pad(other, (shift,) * 4), rows[mixed], columns[mixed])
        other = torch.where(_per_cube(inverted[mixed], other), other.flip(2), other)
        field, disk = _gauss(own[:, :, :2]), own[:, :, 2:]
        total = _arcsinh(torch.where(disk > 0, field + other, field))
        return steps.index_copy(0, mixed.to(steps.device), torch.cat((total, disk), 2))

    def _move(self, steps: Tensor, symmetries: Tensor) -> Tensor:
        """Freeze, truncate, shift and subsample in time; shift in space, repeating the edge; flip."""
        batch, n_steps, _, n_cells, _ = steps.shape
        how = self._settings
        times = torch.arange(n_steps).expand(batch, n_steps)
        if how.freeze_steps:
            length = self._integers(0, how.freeze_steps, batch)
            first = self._integers(0, n_steps - 1, batch)
            times = torch.where((times >= first) & (times < first + length), first, times)
        if how.truncation:
            last = self._integers(int(_EARLIEST_END * n_steps), n_steps - 1, batch)
            times = torch.where(self._choose(batch, how.truncation)[:, None], torch.minimum(times, last), times)
        if how.shift_steps:
            times = (times + self._integers(-how.shift_steps, how.shift_steps, batch)).clamp(0, n_steps - 1)
        cells = torch.arange(n_cells).expand(batch, n_cells)
        rows, columns = (
            (cells + self._integers(-how.shift_cells, how.shift_cells, batch)).clamp(0, n_cells - 1) for _ in "yx"
        )
        steps = self._subsample(steps, times) if how.temporal_subsampling else _take_steps(steps, times)
        columns = torch.where((symmetries // 2 % 2 == 1)[:, None], columns.flip(1), columns)
        if how.mirror_latitude:
            rows = torch.where(self._choose(batch, 0.5)[:, None], rows.flip(1), rows)
        return _take_cells(steps, rows, columns)

    def _subsample(self, steps: Tensor, times: Tensor) -> Tensor:
        """Take the steps `times` (batch, n); in a fraction of the cubes interpolate between every k-th step."""
        batch, n_steps = times.shape
        interval = self._integers(2, _LARGEST_SUBSAMPLING, batch)
        subsampled = torch.nonzero(self._choose(batch, self._settings.temporal_subsampling))[:, 0]
        taken, on_device = _take_steps(steps, times), subsampled.to(steps.device)
        times, interval = times[subsampled], interval[subsampled]
        before = times // interval * interval
        fraction = ((times - before) / interval).to(steps.device)[:, :, None, None, None]
        cubes = steps[on_device]
        # The grid interpolates the field, not its arcsinh.
        cubes = torch.cat((_gauss(cubes[:, :, :2]), cubes[:, :, 2:]), 2)
        after = (before + interval).clamp(max=n_steps - 1)
        between = torch.lerp(_take_steps(cubes, before), _take_steps(cubes, after), fraction)
        between = torch.cat((_arcsinh(between[:, :, :2]), between[:, :, 2:]), 2)
        return taken.index_copy(0, on_device, between)

    def _scale(self, field_gauss: Tensor) -> Tensor:
        """Multiply the field by a random gain, in place; return its arcsinh with noise."""
        how = self._settings
        if how.gain > 1.0:
            exponent = 2.0 * torch.rand(len(field_gauss), generator=self._generator) - 1.0
            gain = torch.exp(math.log(how.gain) * exponent)
            field_gauss.mul_(gain.to(field_gauss.device)[:, None, None, None, None])
        field = _arcsinh(field_gauss)
        if how.noise:
            noise = torch.randn(field.shape, generator=self._generator).mul_(how.noise)
            field.add_(noise.to(field.device))
        return field

    def _choose(self, n: int, fraction: float) -> Tensor:
        """Draw which of `n` cubes are chosen, each with probability `fraction`: bool, shape (n,)."""
        return torch.rand(n, generator=self._generator) < fraction

    def _integers(self, low: int, high: int, n: int) -> Tensor:
        return torch.randint(low, high + 1, (n, 1), generator=self._generator)


def _take_steps(steps: Tensor, times: Tensor) -> Tensor:
    """Return the steps `times` (batch, n) of each cube."""
    batch, n_steps = steps.shape[:2]
    flat = (torch.arange(batch)[:, None] * n_steps + times).flatten().to(steps.device)
    return steps.flatten(0, 1).index_select(0, flat).reshape(*times.shape, *steps.shape[2:])


def _take_cells(steps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the cells at `rows` and `columns`, each (batch, n_cells), of each cube, in all steps and channels."""
    n_cells = rows.shape[1]
    index = (rows[:, :, None] * steps.shape[-1] + columns[:, None, :]).flatten(1).to(steps.device)
    index = index[:, None, None].expand(*steps.shape[:3], n_cells * n_cells)
    return steps.flatten(-2).gather(-1, index).reshape(*steps.shape[:3], n_cells, n_cells)


def _gauss(prepared: Tensor) -> Tensor:
    """Undo the arcsinh; the result is in units of ``FIELD_SCALE_GAUSS``."""
    return torch.sinh(prepared)


def _arcsinh(field: Tensor) -> Tensor:
    """Return the arcsinh of a field ≥ 0; three times as fast as torch's on a CPU."""
    return (field * field).add_(1.0).sqrt_().add_(field).log_()


def _median(cells: Tensor) -> Tensor:
    """Return the lower median along the last axis; on a CPU by numpy's sort, ten times as fast as torch's median."""
    middle = (cells.shape[-1] - 1) // 2
    if cells.is_cuda:  # torch's median of a GPU is not deterministic, and says so for each member
        return cells.sort(-1).values[..., middle]
    return torch.from_numpy(np.sort(cells.numpy(), axis=-1)[..., middle])


def _per_cube(condition: Tensor, like: Tensor) -> Tensor:
    """Return a condition (batch,) in a shape that broadcasts over `like`."""
    return condition.to(like.device).reshape(-1, *([1] * (like.ndim - 1)))
