"""From a gridded cube to what a network takes: frozen start, and for the per-frame network steps of coarse cells.

Between the cube cache and the networks. The per-frame input is about a tenth of a per cent of the work of training but
takes a tenth of a second to make, so it can be kept in a folder (`InputCache`) for the members to share.
Needs torch only for the conversion at the end.
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from helioloop import atomic
from helioloop.errors import CubeError, SettingsError
from helioloop.instrument import Instrument
from helioloop.model.networks import CELL_PX, GROUP_FRAMES
from helioloop.model.recipes import Recipe
from helioloop.records import CubeInfo

FloatArray = npt.NDArray[np.float32]
Load = Callable[[CubeInfo], npt.NDArray[np.floating]]
"""Gives a cube on the grid: (n_frames, size_px, size_px), fields scaled to [0, 1], NaN off-disk; raises `CubeError`."""

FORMAT = 2
"""Raised with every change of what is made of a cube; inputs kept under another one are left alone."""
FIELD_SCALE_GAUSS = 30.0
"""Cell means well below this, about the noise of one MDI pixel, enter linearly, those above logarithmically."""
_LEVEL_STEP = 3  # the zero level is a median over thousands of pixels: every third row and column tell it
OFF_DISK_VALUE = 0.5
"""What the frames-as-channels network sees off-disk: a field of 0 G."""


def freeze_start(cube: npt.NDArray[np.floating], instrument: Instrument) -> FloatArray:
    """Return a float32 copy whose first frames all are the frame with index ``frozen_frames``.

    Parameters
    ----------
    cube : ndarray, shape (n_frames, size_px, size_px)
        Gridded cube, NaN off-disk.
    instrument : Instrument
        Says the shape and how many frames are frozen.

    Raises
    ------
    CubeError
        If the cube has another shape.
    """
    shape = (instrument.n_frames, instrument.size_px, instrument.size_px)
    if cube.shape != shape:
        raise CubeError(f"a cube of shape {cube.shape} is not on the grid of {instrument.name}, {shape}; grid it anew")
    frames = cube.astype(np.float32)
    frames[: instrument.frozen_frames] = frames[instrument.frozen_frames]
    return frames


def channel_frames(cube: npt.NDArray[np.floating], instrument: Instrument) -> FloatArray:
    """Return the frames-as-channels network's input: frozen start, off-disk 0.5; shape as `cube`."""
    return np.nan_to_num(freeze_start(cube, instrument), nan=OFF_DISK_VALUE)


def cell_steps(cube: npt.NDArray[np.floating], instrument: Instrument) -> FloatArray:
    """Return the per-frame network's input: medians of three frames on coarse cells.

    Returns
    -------
    ndarray, shape (n_steps, 3, n_cells, n_cells)
        arcsinh of the mean positive and the mean negative field above the frame's zero level, and the on-disk
        fraction. If the frames are no multiple of three, the last one is repeated.
    """
    field, disk = _field_and_disk(freeze_start(cube, instrument), instrument)
    return _cells(_group_medians(field), _group_medians(disk))


def cell_frames(cube: npt.NDArray[np.floating], instrument: Instrument) -> FloatArray:
    """Return every single frame prepared as `cell_steps` prepares a step that consists of this frame three times."""
    return _cells(*_field_and_disk(freeze_start(cube, instrument), instrument))


def _field_and_disk(frames: FloatArray, instrument: Instrument) -> tuple[FloatArray, FloatArray]:
    disk = np.isfinite(frames)
    field = (2.0 * frames - 1.0) * instrument.clip_gauss
    field = np.where(disk, field - zero_level(field)[:, None, None], 0.0)
    return field.astype(np.float32), disk.astype(np.float32)


def zero_level(field_gauss: FloatArray) -> FloatArray:
    """Return what each frame shows where there is no field, shape (n_frames,): gauss, 0 for a frame without disk.

    Magnetographs are off by some gauss from exposure to exposure, and a coarse coding adds to it. Most of a patch is
    quiet, so the median over the disk is that offset; taken off, a uniform haze is not mistaken for flux.

    References
    ----------
    Liu, Zhao & Hoeksema 2004, "Correction of offset in MDI/SOHO magnetograms", Solar Physics 219, 39
    """
    pixels = np.sort(field_gauss[:, ::_LEVEL_STEP, ::_LEVEL_STEP].reshape(len(field_gauss), -1), axis=1)  # NaN last
    n_disk = np.isfinite(pixels).sum(axis=1)
    middle = pixels[np.arange(len(pixels)), np.maximum(n_disk, 1) // 2]
    return np.where(n_disk > 0, middle, 0.0).astype(np.float32)


def _group_medians(frames: FloatArray) -> FloatArray:
    missing = -len(frames) % GROUP_FRAMES
    whole = np.concatenate((frames, np.repeat(frames[-1:], missing, axis=0)))
    a, b, c = whole[0::GROUP_FRAMES], whole[1::GROUP_FRAMES], whole[2::GROUP_FRAMES]
    medians: FloatArray = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    return medians


def _cells(field_gauss: FloatArray, disk: FloatArray) -> FloatArray:
    size_px = field_gauss.shape[-1]
    if size_px % CELL_PX:
        raise SettingsError(f"frames of {size_px} px do not divide into cells of {CELL_PX} px; use the recipe paper")
    n_cells = size_px // CELL_PX
    channels = (np.maximum(field_gauss, 0.0), np.maximum(-field_gauss, 0.0), disk)
    positive, negative, on_disk = (
        c.reshape(-1, n_cells, CELL_PX, n_cells, CELL_PX).mean(axis=(2, 4)) for c in channels
    )
    field = np.arcsinh(np.stack((positive, negative), 1) / FIELD_SCALE_GAUSS)
    prepared = np.concatenate((field, on_disk[:, None]), 1)
    # Rounded as the cache rounds, so that an input is the same whether it was kept or made.
    return np.asarray(prepared.astype(np.float16), dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputCache:
    """Gives each cube's network input, from a folder where it was kept, else from the cube itself.

    Parameters
    ----------
    recipe : Recipe
        Whose network takes the input; only the per-frame network's small input is kept.
    instrument : Instrument
        The grid.
    load : Load
        Gives the cube.
    folder : Path or None
        Where inputs are kept; may be deleted at any time. None keeps nothing.
    """

    recipe: Recipe
    instrument: Instrument
    load: Load
    folder: Path | None = None

    def __call__(self, cube: CubeInfo) -> FloatArray:
        """Return the input of one cube, without the batch axis."""
        if self.recipe.network == "frames-as-channels":
            return channel_frames(self.load(cube), self.instrument)
        path = self._path(cube)
        kept = None if path is None else _read_kept(path)
        if kept is not None:
            return kept
        steps = cell_steps(self.load(cube), self.instrument)
        if path is not None:
            content = io.BytesIO()
            np.save(content, steps.astype(np.float16))
            atomic.write_bytes(path, content.getvalue())
        return steps

    def _path(self, cube: CubeInfo) -> Path | None:
        if self.folder is None:
            return None
        how = f"{FORMAT} {self.instrument.as_dict()} {CELL_PX} {GROUP_FRAMES} {FIELD_SCALE_GAUSS}"
        kind = hashlib.sha256(how.encode()).hexdigest()[:12]
        return self.folder / f"steps-{kind}" / f"{cube.sha256}.npy"


def _read_kept(path: Path) -> FloatArray | None:
    try:
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)
    except (OSError, ValueError, EOFError):
        return None  # not there, or damaged: it is made anew
