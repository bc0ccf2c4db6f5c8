"""Random variations of training input that leave the label as it is.

Used by `training` alone. All draws come from one generator per member, so a member is the same on every run. Needs
torch (extra ``worker``).
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from helioloop.recipes import Augmentation

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
        field, disk = _gauss(steps[:, :, :2]), steps[:, :, 2:]
        if others is not None and self._settings.overlay:
            field = self._overlay(field, disk, others)
        steps = self._move(torch.cat((field, disk), 2))
        steps = torch.where(_each(forms // 2 % 2 == 1, steps), steps.flip(-1), steps)
        if self._settings.mirror_latitude:
            steps = torch.where(_each(self._some(len(steps), 0.5), steps), steps.flip(-2), steps)
        positive, negative, disk = steps.unbind(2)
        inverted = _each(forms % 2 == 1, positive)
        positive, negative = torch.where(inverted, negative, positive), torch.where(inverted, positive, negative)
        field = self._strengthen(torch.stack((positive, negative), 2))
        return torch.cat((field, disk[:, :, None]), 2)

    def _overlay(self, field: Tensor, disk: Tensor, others: Tensor) -> Tensor:
        """Add the others' field, in gauss, where it stands above their quiet Sun and both are on the disk."""
        other = _gauss(others[:, :, :2])
        # The quiet Sun and the noise of a patch count once: what fills half its cells is taken off.
        other = (other - other.flatten(-2).median(-1).values[..., None, None]).clamp(min=0.0)
        reach = self._settings.overlay_cells
        n_cells = field.shape[-1]
        wide = functional.pad(other, (reach,) * 4)
        at = torch.arange(n_cells)
        rows, columns = (at + self._integers(0, 2 * reach, len(field)) for _ in "yx")
        cube = torch.arange(len(field), device=field.device)
        other = wide.permute(0, 3, 4, 1, 2)[
            cube[:, None, None], rows.to(field.device)[:, :, None], columns.to(field.device)[:, None, :]
        ].permute(0, 3, 4, 1, 2)
        other = torch.where(_each(self._some(len(field), 0.5), other), other.flip(2), other)
        laid = _each(self._some(len(field), self._settings.overlay), field)
        return torch.where(laid & (disk > 0), field + other, field)

    def _move(self, steps: Tensor) -> Tensor:
        """Shift in time and space, repeating the edge; freeze a stretch of steps, break off, thin out."""
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
            when = when + self._integers(-how.shift_steps, how.shift_steps, batch)
        where = torch.arange(n_cells).expand(batch, n_cells)
        rows = where + self._integers(-how.shift_cells, how.shift_cells, batch)
        columns = where + self._integers(-how.shift_cells, how.shift_cells, batch)
        rows, columns = (index.clamp(0, n_cells - 1).to(steps.device) for index in (rows, columns))
        cube = torch.arange(batch, device=steps.device)
        cells_last = steps.permute(0, 1, 3, 4, 2)

        def taken(at: Tensor) -> Tensor:
            step = at.clamp(0, n_steps - 1).to(steps.device)
            return cells_last[
                cube[:, None, None, None], step[:, :, None, None], rows[:, None, :, None], columns[:, None, None, :]
            ].permute(0, 1, 4, 2, 3)

        if not how.thin:
            return taken(when)
        gap = self._integers(2, _WIDEST_GAP_STEPS, batch)
        gap = torch.where(self._some(batch, how.thin)[:, None], gap, 1)
        when = when.clamp(0, n_steps - 1)
        kept = when // gap * gap
        share = ((when - kept) / gap).to(steps.device)[:, :, None, None, None]
        return torch.lerp(taken(kept), taken(kept + gap), share)

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


class FrameAugmenter:
    """Varies batches of the frames-as-channels network's input, (batch, n_frames, size_px, size_px): forms only."""

    def __call__(self, frames: Tensor, forms: Tensor, _others: Tensor | None = None) -> Tensor:
        """Return the batch, each cube in its form (batch,); nothing is laid over it."""
        frames = torch.where(_each(forms // 2 % 2 == 1, frames), frames.flip(-1), frames)
        return torch.where(_each(forms % 2 == 1, frames), 1.0 - frames, frames)


def _gauss(prepared: Tensor) -> Tensor:
    """Undo the arcsinh; in units of the field scale of `inputs`."""
    return torch.sinh(prepared)


def _arcsinh(field: Tensor) -> Tensor:
    """Return arcsinh of a field that is not negative; three times as fast as torch's on a CPU."""
    return torch.log(field + torch.sqrt(field * field + 1.0))


def _each(condition: Tensor, like: Tensor) -> Tensor:
    """Shape a condition per cube so that it broadcasts over `like`."""
    return condition.to(like.device).reshape(-1, *([1] * (like.ndim - 1)))
