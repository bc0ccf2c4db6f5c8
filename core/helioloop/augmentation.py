"""Random variations of training input that leave the label as it is.

Used by `training` alone. All draws come from one generator per member, so a member is the same on every run. Needs
torch (extra ``worker``).
"""

import torch
from torch import Tensor

from helioloop.recipes import Augmentation


class CellAugmenter:
    """Varies batches of the per-frame network's input, (batch, steps, 3, cells, cells)."""

    def __init__(self, settings: Augmentation, generator: torch.Generator) -> None:
        self._settings = settings
        self._generator = generator

    def __call__(self, steps: Tensor, forms: Tensor) -> Tensor:
        """Return the batch, each cube in its form (batch,) and otherwise varied at random."""
        steps = self._move(steps)
        steps = torch.where(_each(forms // 2 % 2 == 1, steps), steps.flip(-1), steps)
        positive, negative, disk = steps.unbind(2)
        inverted = _each(forms % 2 == 1, positive)
        positive, negative = torch.where(inverted, negative, positive), torch.where(inverted, positive, negative)
        field = self._field(torch.stack((positive, negative), 2))
        return torch.cat((field, disk[:, :, None]), 2)

    def _move(self, steps: Tensor) -> Tensor:
        """Shift in time and space, repeating the edge, and freeze a stretch of steps."""
        batch, n_steps, _, n_cells, _ = steps.shape
        how = self._settings
        when = torch.arange(n_steps).expand(batch, n_steps)
        if how.freeze_steps:
            length = self._integers(0, how.freeze_steps, batch)
            first = self._integers(0, n_steps - 1, batch)
            when = torch.where((when >= first) & (when < first + length), first, when)
        if how.shift_steps:
            when = when + self._integers(-how.shift_steps, how.shift_steps, batch)
        where = torch.arange(n_cells).expand(batch, n_cells)
        rows = where + self._integers(-how.shift_cells, how.shift_cells, batch)
        columns = where + self._integers(-how.shift_cells, how.shift_cells, batch)
        when, rows, columns = (index.to(steps.device) for index in (when, rows, columns))
        cube = torch.arange(batch, device=steps.device)
        return steps.permute(0, 1, 3, 4, 2)[
            cube[:, None, None, None],
            when.clamp(0, n_steps - 1)[:, :, None, None],
            rows.clamp(0, n_cells - 1)[:, None, :, None],
            columns.clamp(0, n_cells - 1)[:, None, None, :],
        ].permute(0, 1, 4, 2, 3)

    def _field(self, field: Tensor) -> Tensor:
        """Change the field's strength under the arcsinh, then add noise."""
        how = self._settings
        if how.gain:
            gain = 1.0 + how.gain * (2.0 * torch.rand(len(field), generator=self._generator) - 1.0)
            field = torch.asinh(torch.sinh(field) * gain.to(field.device)[:, None, None, None, None])
        if how.noise:
            field = field + how.noise * torch.randn(field.shape, generator=self._generator).to(field.device)
        return field

    def _integers(self, low: int, high: int, n: int) -> Tensor:
        return torch.randint(low, high + 1, (n, 1), generator=self._generator)


class FrameAugmenter:
    """Varies batches of the frames-as-channels network's input, (batch, n_frames, size_px, size_px): forms only."""

    def __call__(self, frames: Tensor, forms: Tensor) -> Tensor:
        """Return the batch, each cube in its form (batch,)."""
        frames = torch.where(_each(forms // 2 % 2 == 1, frames), frames.flip(-1), frames)
        return torch.where(_each(forms % 2 == 1, frames), 1.0 - frames, frames)


def _each(condition: Tensor, like: Tensor) -> Tensor:
    """Shape a condition per cube so that it broadcasts over `like`."""
    return condition.to(like.device).reshape(-1, *([1] * (like.ndim - 1)))
