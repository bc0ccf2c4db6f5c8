"""Random variations of training input that leave the label as it is.

Used by `training` alone. All draws come from one generator per member, so a member is the same on every run. Needs
torch (extra ``worker``).
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from helioloop.model.recipes import Augmentation

_EARLIEST_END = 0.6
_WIDEST_GAP_STEPS = 6


class CellAugmenter:
    """Varies batches of the per-frame network's input, (batch, steps, 3, cells, cells)."""

    def __init__(self, settings: Augmentation, generator: torch.Generator) -> None:
        self._settings = settings
        self._generator = generator

    def __call__(self, steps: Tensor, forms: Tensor, others: Tensor | None = None) -> Tensor:
        """Return the batch, each cube in its form (batch,) and otherwise varied at random.

        Parameters
        ----------
        steps : Tensor, shape (batch, steps, 3, cells, cells)
            Prepared input.
        forms : Tensor of int, shape (batch,)
            Form of each cube: bit 0 inverts the polarity, bit 1 flips east and west.
        others : Tensor or None
            Input like `steps`, of cubes labelled non-emergence, to lay over a share of the batch.
        """
        if others is not None and self._settings.overlay:
            steps = self._overlay(steps, others)
        steps = self._move(steps, forms)
        positive, negative, disk = steps.unbind(2)
        inverted = _each(forms % 2 == 1, positive)
        positive, negative = torch.where(inverted, negative, positive), torch.where(inverted, positive, negative)
        field = self._strengthen(_gauss(torch.stack((positive, negative), 2)))
        return torch.cat((field, disk[:, :, None]), 2)

    def _overlay(self, steps: Tensor, others: Tensor) -> Tensor:
        """Add the others' field, in gauss, where it stands above their quiet Sun and both are on the disk."""
        batch, n_cells, reach = len(steps), steps.shape[-1], self._settings.overlay_cells
        rows, columns = (torch.arange(n_cells) + self._integers(0, 2 * reach, batch) for _ in "yx")
        inverted = self._some(batch, 0.5)
        laid = torch.nonzero(self._some(batch, self._settings.overlay))[:, 0]
        other, under = (cubes[laid.to(steps.device)] for cubes in (others[:, :, :2], steps))
        other = _gauss(other)
        # The quiet Sun and the noise of a patch count once: what fills half its cells is taken off.
        other = (other - other.flatten(-2).median(-1).values[..., None, None]).clamp(min=0.0)
        other = _shifted(functional.pad(other, (reach,) * 4), rows[laid], columns[laid])
        other = torch.where(_each(inverted[laid], other), other.flip(2), other)
        disk = under[:, :, 2:]
        over = _arcsinh(torch.where(disk > 0, _gauss(under[:, :, :2]) + other, _gauss(under[:, :, :2])))
        return steps.index_copy(0, laid.to(steps.device), torch.cat((over, disk), 2))

    def _move(self, steps: Tensor, forms: Tensor) -> Tensor:
        """Shift in time and space, repeating the edge; freeze a stretch of steps, break off, thin out; flip."""
        batch, n_steps, _, n_cells, _ = steps.shape
        how = self._settings
        when = torch.arange(n_steps).expand(batch, n_steps)
        if how.freeze_steps:
            length = self._integers(0, how.freeze_steps, batch)
            first = self._integers(0, n_steps - 1, batch)
            when = torch.where((when >= first) & (when < first + length), first, when)
        if how.ends_early:
            last = self._integers(int(_EARLIEST_END * n_steps), n_steps - 1, batch)
            when = torch.where(self._some(batch, how.ends_early)[:, None], torch.minimum(when, last), when)
        if how.shift_steps:
            when = (when + self._integers(-how.shift_steps, how.shift_steps, batch)).clamp(0, n_steps - 1)
        place = torch.arange(n_cells).expand(batch, n_cells)
        rows, columns = (
            (place + self._integers(-how.shift_cells, how.shift_cells, batch)).clamp(0, n_cells - 1) for _ in "yx"
        )
        steps = self._thinned(steps, when) if how.thin else _at(steps, when)
        columns = torch.where((forms // 2 % 2 == 1)[:, None], columns.flip(1), columns)
        if how.mirror_latitude:
            rows = torch.where(self._some(batch, 0.5)[:, None], rows.flip(1), rows)
        return _shifted(steps, rows, columns)

    def _thinned(self, steps: Tensor, when: Tensor) -> Tensor:
        """Take the steps `when`; of some cubes only every so many-th is kept, and those between are interpolated."""
        batch, n_steps = when.shape
        gap = self._integers(2, _WIDEST_GAP_STEPS, batch)
        thin = torch.nonzero(self._some(batch, self._settings.thin))[:, 0]
        taken, thin_on_device = _at(steps, when), thin.to(steps.device)
        when, gap = when[thin], gap[thin]
        kept = when // gap * gap
        share = ((when - kept) / gap).to(steps.device)[:, :, None, None, None]
        cubes = steps[thin_on_device]
        # The grid interpolates the field, not its arcsinh.
        cubes = torch.cat((_gauss(cubes[:, :, :2]), cubes[:, :, 2:]), 2)
        between = torch.lerp(_at(cubes, kept), _at(cubes, (kept + gap).clamp(max=n_steps - 1)), share)
        between = torch.cat((_arcsinh(between[:, :, :2]), between[:, :, 2:]), 2)
        return taken.index_copy(0, thin_on_device, between)

    def _strengthen(self, field_gauss: Tensor) -> Tensor:
        """Change the field's strength, prepare it as `inputs` does, then add noise."""
        how = self._settings
        if how.gain > 1.0:
            exponent = 2.0 * torch.rand(len(field_gauss), generator=self._generator) - 1.0
            gain = torch.exp(math.log(how.gain) * exponent)
            field_gauss = field_gauss * gain.to(field_gauss.device)[:, None, None, None, None]
        field = _arcsinh(field_gauss)
        if how.noise:
            field = field + how.noise * torch.randn(field.shape, generator=self._generator).to(field.device)
        return field

    def _some(self, n: int, share: float) -> Tensor:
        """Draw which of `n` cubes, each with probability `share`."""
        return torch.rand(n, generator=self._generator) < share

    def _integers(self, low: int, high: int, n: int) -> Tensor:
        return torch.randint(low, high + 1, (n, 1), generator=self._generator)


def _at(steps: Tensor, when: Tensor) -> Tensor:
    """Take of each cube the steps `when`, (batch, n)."""
    batch, n_steps = steps.shape[:2]
    flat = (torch.arange(batch)[:, None] * n_steps + when).flatten().to(steps.device)
    return steps.flatten(0, 1).index_select(0, flat).reshape(*when.shape, *steps.shape[2:])


def _shifted(steps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Take of each cube the cells in `rows` and `columns`, each (batch, n_cells), in every step and channel alike."""
    n_cells = rows.shape[1]
    place = (rows[:, :, None] * steps.shape[-1] + columns[:, None, :]).flatten(1).to(steps.device)
    place = place[:, None, None].expand(*steps.shape[:3], n_cells * n_cells)
    return steps.flatten(-2).gather(-1, place).reshape(*steps.shape[:3], n_cells, n_cells)


def _gauss(prepared: Tensor) -> Tensor:
    """Undo the arcsinh; in units of the field scale of `inputs`."""
    return torch.sinh(prepared)


def _arcsinh(field: Tensor) -> Tensor:
    """Return arcsinh of a field that is not negative; three times as fast as torch's on a CPU."""
    return torch.log(field + torch.sqrt(field * field + 1.0))


def _each(condition: Tensor, like: Tensor) -> Tensor:
    """Shape a condition per cube so that it broadcasts over `like`."""
    return condition.to(like.device).reshape(-1, *([1] * (like.ndim - 1)))
