"""Writes cubes as FITS files that `helioloop.data.cubes` reads back."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from helioloop.data.time_units import Floats
from helioloop.files import atomic
from helioloop.records.instrument import Instrument

STORED_STEP_GAUSS = 0.1
"""Step of the integers that `write_cube` stores; small against MDI's noise of 20 G."""

_BLANK = -32768


def write_cube(
    path: Path,
    observed_gauss: NDArray[np.floating],
    seconds: Floats,
    *,
    start: str | None,
    region: str | None,
    instrument: Instrument,
    header: Mapping[str, str | float] | None = None,
) -> None:
    """Write a cube as one FITS file: 16-bit images in steps of `STORED_STEP_GAUSS`, times in a table.

    Parameters
    ----------
    path : Path
        ``<cube>.fits``; replaced in one step.
    observed_gauss : array, shape (n_obs, ny, nx)
        Gauss; clipped to ± 3276.7, NaN is written as BLANK.
    seconds : array, shape (n_obs,)
        Time since grid frame 0.
    start : str or None
        Absolute time of grid frame 0, ISO 8601 without zone, UTC.
    region : str or None
        Region that the cube follows.
    instrument : Instrument
        Its name, cadence and number of grid frames are written to the header.
    header : mapping, optional
        Further header cards.
    """
    steps = np.rint(np.asarray(observed_gauss, dtype=np.float32) * np.float32(1.0 / STORED_STEP_GAUSS))
    np.clip(steps, -32767, 32767, out=steps)  # NaN stays NaN
    image = fits.PrimaryHDU(np.nan_to_num(steps, copy=False, nan=_BLANK).astype(np.int16))
    cards: list[tuple[str, str | float, str]] = [
        ("BSCALE", STORED_STEP_GAUSS, "[G] quantum"),
        ("BZERO", 0.0, ""),
        ("BLANK", _BLANK, "no value"),
        ("BUNIT", "Gauss", "line-of-sight field"),
        ("TIMESYS", "UTC", ""),
        ("INSTRUME", instrument.name, ""),
        ("CADENCE", instrument.cadence_seconds, "[s] grid step"),
        ("NGRID", instrument.n_frames, "grid length (frames)"),
        *([("DATE-BEG", start, "grid frame 0")] if start else []),
        *([("REGION", region, "region it follows")] if region else []),
    ]
    image.header.update([*cards, *((key, value) for key, value in (header or {}).items())])
    times = fits.BinTableHDU.from_columns([fits.Column("SECONDS", "D", unit="s", array=seconds)], name="TIMES")
    file = io.BytesIO()
    fits.HDUList([image, times]).writeto(file)
    atomic.write_bytes(path, file.getvalue())
