"""The per-frame network's input: medians of three frames on coarse cells. Needs numpy only.

A gridded cube (n_frames, size_px, size_px) becomes an array (n_steps, 3, n_cells, n_cells).
"""

import numpy as np
import numpy.typing as npt

from helioloop.model.inputs import FloatArray, freeze_start
from helioloop.records.instrument import Instrument

CELL_PX = 6
"""Side of a cell: 90 px are 15 cells of one heliographic degree."""
GROUP_FRAMES = 3
"""Grid frames per step: 225 frames are 75 steps."""
CHANNELS = 3
"""Positive field, negative field, on-disk fraction."""
FIELD_SCALE_GAUSS = 30.0
"""Cell means well below this (about the noise of one MDI pixel) enter linearly, larger ones logarithmically."""
CELL_FORMAT = f"2 {CELL_PX} {GROUP_FRAMES} {FIELD_SCALE_GAUSS}"
"""Identifies what `cell_steps` computes; raise its first number with every change."""
_ZERO_LEVEL_STRIDE_PX = 3  # the median of thousands of pixels needs only every third row and column


def cell_steps(cube: npt.NDArray[np.floating], instrument: Instrument) -> FloatArray:
    """Return the per-frame network's input: medians of three frames, averaged over cells.

    Parameters
    ----------
    cube : ndarray, shape (n_frames, size_px, size_px)
        Gridded cube, NaN off-disk.
    instrument : Instrument
        The grid.

    Returns
    -------
    ndarray, shape (n_steps, 3, n_cells, n_cells)
        Channels: arcsinh(B₊ / s), arcsinh(B₋ / s) and the on-disk fraction. B₊ and B₋ are the cell's mean positive and
        mean negative field above the frame's zero level, s is `FIELD_SCALE_GAUSS`. An incomplete last group of frames
        is filled up with its last frame. The last rows and columns are left out if they do not fill a cell.

    Raises
    ------
    CubeError
        If the cube does not have the shape of the grid.
    """
    return _cells(*_median_steps(_whole_cells(freeze_start(cube, instrument)), instrument))


def median_steps(cube: npt.NDArray[np.floating], instrument: Instrument) -> tuple[FloatArray, FloatArray]:
    """Return the field of each step in gauss above its zero level, 0 off-disk, and 1 on the disk, 0 elsewhere.

    Both are medians of three frames, shape (n_steps, size_px, size_px).
    """
    return _median_steps(freeze_start(cube, instrument), instrument)


def cell_frames(cube: npt.NDArray[np.floating], instrument: Instrument) -> FloatArray:
    """Return for each frame the step that `cell_steps` makes of this frame repeated three times."""
    return _cells(*_field_and_disk(_whole_cells(freeze_start(cube, instrument)), instrument))


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


def _whole_cells(frames: FloatArray) -> FloatArray:
    """Return the frames without the last rows and columns that do not fill a cell."""
    side_px = frames.shape[-1] // CELL_PX * CELL_PX
    return frames[:, :side_px, :side_px]


def _median_steps(frames: FloatArray, instrument: Instrument) -> tuple[FloatArray, FloatArray]:
    field, disk = _field_and_disk(frames, instrument)
    return _group_medians(field), _group_medians(disk)


def _field_and_disk(frames: FloatArray, instrument: Instrument) -> tuple[FloatArray, FloatArray]:
    """Return the field above the zero level in gauss, 0 off-disk, and 1 on the disk, 0 elsewhere."""
    disk = np.isfinite(frames)
    field = (2.0 * frames - 1.0) * instrument.clip_gauss
    field = np.where(disk, field - zero_level(field)[:, None, None], 0.0)
    return field.astype(np.float32), disk.astype(np.float32)


def _group_medians(frames: FloatArray) -> FloatArray:
    missing = -len(frames) % GROUP_FRAMES
    whole = np.concatenate((frames, np.repeat(frames[-1:], missing, axis=0)))
    a, b, c = whole[0::GROUP_FRAMES], whole[1::GROUP_FRAMES], whole[2::GROUP_FRAMES]
    medians: FloatArray = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    return medians


def _cells(field_gauss: FloatArray, disk: FloatArray) -> FloatArray:
    n_cells = field_gauss.shape[-1] // CELL_PX
    channels = (np.maximum(field_gauss, 0.0), np.maximum(-field_gauss, 0.0), disk)
    positive, negative, on_disk = (
        c.reshape(-1, n_cells, CELL_PX, n_cells, CELL_PX).mean(axis=(2, 4)) for c in channels
    )
    field = np.arcsinh(np.stack((positive, negative), 1) / FIELD_SCALE_GAUSS)
    prepared = np.concatenate((field, on_disk[:, None]), 1)
    # Rounded to half precision, in which inputs are kept at half the size.
    return np.asarray(prepared.astype(np.float16), dtype=np.float32)
