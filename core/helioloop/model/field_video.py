"""A gridded cube with what several measurements need of it, each computed once. Needs numpy only."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from helioloop.model.inputs import FloatArray, check_shape
from helioloop.records.instrument import Instrument

GROUP_FRAMES = 3
"""Grid frames per step: 225 frames are 75 steps."""
_ZERO_LEVEL_STRIDE_PX = 3  # the median of thousands of pixels needs only every third row and column

Bools = npt.NDArray[np.bool_]
ScalarT = TypeVar("ScalarT", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """The line-of-sight field at a number of times.

    Parameters
    ----------
    gauss : ndarray, shape (n_times, size_px, size_px)
        Field above the zero level of its frame, 0 off-disk.
    on_disk : ndarray of bool, shape (n_times, size_px, size_px)
        Where the disk was observed.
    """

    gauss: FloatArray
    on_disk: Bools


@dataclass(frozen=True, eq=False)
class FieldVideo:
    """A gridded cube, and its field frame by frame and in steps of three frames.

    Parameters
    ----------
    cube : ndarray, shape (n_frames, size_px, size_px)
        Gridded cube, NaN off-disk.
    instrument : Instrument
        The grid.
    last : int or None
        The last frame that is shown; the later ones repeat it. None shows all.

    Raises
    ------
    CubeError
        If the cube does not have the shape of the grid.
    """

    cube: npt.NDArray[np.floating]
    instrument: Instrument
    last: int | None = None

    def __post_init__(self) -> None:
        """Check the shape."""
        check_shape(self.cube, self.instrument)

    @cached_property
    def shown(self) -> npt.NDArray[np.int64]:
        """The number of the cube's frame that each frame shows, shape (n_frames,).

        The first ``frozen_frames`` show the frame that follows them, those after `last` show `last`.
        """
        n_frames, frozen = self.instrument.n_frames, self.instrument.frozen_frames
        last = n_frames - 1 if self.last is None else max(self.last, frozen)
        return np.clip(np.arange(n_frames), frozen, last)

    def masked(self, frame: int) -> "FieldVideo":
        """Return the masked video: all frames after `frame` repeat it."""
        return replace(self, last=frame)

    def scaled(self) -> FloatArray:
        """Return the frames as they are shown, scaled to [0, 1], NaN off-disk, shape (n_frames, size_px, size_px)."""
        return self.cube[self.shown].astype(np.float32)

    @cached_property
    def frames(self) -> Field:
        """The field of each frame that is shown."""
        gauss = self.scaled()
        on_disk = np.isfinite(gauss)
        gauss *= 2.0
        gauss -= 1.0
        gauss *= self.instrument.clip_gauss
        gauss -= zero_level(gauss)[:, None, None]
        np.copyto(gauss, 0.0, where=~on_disk)
        return Field(gauss=gauss, on_disk=on_disk)

    @cached_property
    def steps(self) -> Field:
        """The medians of three frames. An incomplete last group is filled up with its last frame."""
        a, b, c = _groups(self.frames.gauss)
        on_a, on_b, on_c = _groups(self.frames.on_disk)
        medians = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
        return Field(gauss=medians, on_disk=(on_a & on_b) | ((on_a | on_b) & on_c))

    def cropped(self, side_px: int) -> "FieldVideo":
        """Return the video of the first `side_px` rows and columns: this one where there are no others."""
        if side_px == self.instrument.size_px:
            return self
        instrument = replace(self.instrument, size_px=side_px)
        return replace(self, cube=self.cube[:, :side_px, :side_px], instrument=instrument)


def zero_level(field_gauss: FloatArray) -> FloatArray:
    """Return the zero offset of each frame, shape (n_frames,): gauss, 0 for a frame without disk.

    The offset of a magnetograph changes from exposure to exposure by some gauss, and coarse quantisation adds to it.
    Most of a patch is quiet Sun, so the median over the disk is the offset. Without the correction a uniform offset
    would look like flux.

    References
    ----------
    Liu, Zhao & Hoeksema 2004, "Correction of offset in MDI/SOHO magnetograms", Solar Physics 219, 39
    """
    sampled = field_gauss[:, ::_ZERO_LEVEL_STRIDE_PX, ::_ZERO_LEVEL_STRIDE_PX]
    pixels = np.sort(sampled.reshape(len(field_gauss), -1), axis=1)  # NaN last
    n_disk = np.isfinite(pixels).sum(axis=1)
    middle = pixels[np.arange(len(pixels)), np.maximum(n_disk, 1) // 2]
    return np.where(n_disk > 0, middle, 0.0).astype(np.float32)


def _groups(frames: npt.NDArray[ScalarT]) -> tuple[npt.NDArray[ScalarT], ...]:
    """Return the first, second and third frames of all groups."""
    missing = -len(frames) % GROUP_FRAMES
    whole = np.concatenate((frames, np.repeat(frames[-1:], missing, axis=0))) if missing else frames
    return tuple(whole[k::GROUP_FRAMES] for k in range(GROUP_FRAMES))
