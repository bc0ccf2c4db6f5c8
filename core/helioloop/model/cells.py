"""The per-frame network's input, medians of three frames on coarse cells, and the flux of cells. Needs numpy only.

A gridded cube (n_frames, size_px, size_px) becomes an array (n_steps, 3, n_cells, n_cells).
"""

import numpy as np

from helioloop.model.area_means import area_means
from helioloop.model.field_video import GROUP_FRAMES, Field, FieldVideo
from helioloop.model.inputs import FloatArray

CELL_PX = 6
"""Side of a cell: 90 px are 15 cells of one heliographic degree."""
CHANNELS = 3
"""Positive field, negative field, on-disk fraction."""
FIELD_SCALE_GAUSS = 30.0
"""Cell means well below this (about the noise of one MDI pixel) enter linearly, larger ones logarithmically."""
CELL_FORMAT = f"2 {CELL_PX} {GROUP_FRAMES} {FIELD_SCALE_GAUSS}"
"""Identifies what `cell_steps` computes; raise its first number with every change."""


def cell_steps(video: FieldVideo) -> FloatArray:
    """Return the per-frame network's input: medians of three frames, averaged over cells.

    Returns
    -------
    ndarray, shape (n_steps, 3, n_cells, n_cells)
        Channels: arcsinh(B₊ / s), arcsinh(B₋ / s) and the on-disk fraction. B₊ and B₋ are the cell's mean positive and
        mean negative field above the frame's zero level, s is `FIELD_SCALE_GAUSS`. An incomplete last group of frames
        is filled up with its last frame. The last rows and columns are left out if they do not fill a cell.
    """
    return _cells(_whole_cells(video).steps)


def cell_frames(video: FieldVideo) -> FloatArray:
    """Return for each frame the step that `cell_steps` makes of this frame repeated three times."""
    return _cells(_whole_cells(video).frames)


def cell_flux(video: FieldVideo) -> FloatArray:
    """Return the mean unsigned field of each step and cell, (n_steps, n_cells, n_cells): gauss, NaN off-disk.

    Steps and cells are those of the input; a cell is off-disk where most of it is.
    """
    steps = _whole_cells(video).steps
    n_cells = steps.gauss.shape[-1] // CELL_PX
    flux, on_disk = (
        area_means(values, n_cells, side_px=CELL_PX)
        for values in (np.abs(steps.gauss), steps.on_disk.astype(np.float32))
    )
    return np.where(on_disk > 0.5, flux, np.float32(np.nan))


def _whole_cells(video: FieldVideo) -> FieldVideo:
    """Return the video without the last rows and columns that do not fill a cell."""
    return video.cropped(video.instrument.size_px // CELL_PX * CELL_PX)


def _cells(field: Field) -> FloatArray:
    n_cells = field.gauss.shape[-1] // CELL_PX
    channels = (np.maximum(field.gauss, 0.0), np.maximum(-field.gauss, 0.0), field.on_disk.astype(np.float32))
    positive, negative, on_disk = (area_means(channel, n_cells, side_px=CELL_PX) for channel in channels)
    scaled = np.arcsinh(np.stack((positive, negative), 1) / FIELD_SCALE_GAUSS)
    prepared = np.concatenate((scaled, on_disk[:, None]), 1)
    # Rounded to half precision, in which inputs are kept at half the size.
    return np.asarray(prepared.astype(np.float16), dtype=np.float32)
