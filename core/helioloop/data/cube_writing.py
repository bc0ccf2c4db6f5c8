"""Writes cubes as FITS files that `helioloop.data.cubes` reads back."""

import io
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from helioloop.data.time_units import Floats
from helioloop.files import atomic
from helioloop.records.instrument import Instrument

log = logging.getLogger(__name__)

STORED_STEPS_GAUSS = (0.1, 0.2, 0.5)
"""Steps of the integers that `write_cube` stores, of which the first that is enough is used; small against MDI's noise
of 20 G. 0.1 G is enough for 3276.7 G, as most cubes are; an umbra of HMI or GONG reaches 5000 G on the scale of MDI."""

_LARGEST_INTEGER = 32767
_BLANK = -32768
_LARGEST_GAUSS = _LARGEST_INTEGER * STORED_STEPS_GAUSS[-1]  # sunspots reach 6e3 G, on the scale of MDI twice as much


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
    """Write a cube as one FITS file: 16-bit images in one of `STORED_STEPS_GAUSS`, times in a table.

    Parameters
    ----------
    path : Path
        ``<cube>.fits``; replaced in one step.
    observed_gauss : array, shape (n_obs, ny, nx)
        Gauss; NaN is written as BLANK. So is what is beyond ± 16383.5, which is a code or a fault and no field, and it
        does not count for the step; a HISTORY card and a warning in the log say how many pixels that are.
    seconds : array, shape (n_obs,)
        Time since grid frame 0.
    start : str or None
        Absolute time of grid frame 0, ISO 8601 without zone, UTC.
    region : str or None
        Region that the cube follows. Headers are ASCII: another name is not written, and is read from the file's name,
        ``<region>_yyyymmdd.fits``.
    instrument : Instrument
        Its name, cadence and number of grid frames are written to the header.
    header : mapping, optional
        Further header cards.
    """
    field = np.asarray(observed_gauss, dtype=np.float32)
    strength = np.abs(field)
    stored = strength <= _LARGEST_GAUSS  # False for NaN
    step = _smallest_step(strength.max(where=stored, initial=np.float32(0.0)))
    steps = np.rint(np.where(stored, field, np.float32(np.nan)) * _per_gauss(step))
    image = fits.PrimaryHDU(np.nan_to_num(steps, copy=False, nan=_BLANK).astype(np.int16))
    cards: list[tuple[str, str | float, str]] = [
        ("BSCALE", step, "[G] quantum"),
        ("BZERO", 0.0, ""),
        ("BLANK", _BLANK, "no value"),
        ("BUNIT", "Gauss", "line-of-sight field"),
        ("TIMESYS", "UTC", ""),
        ("INSTRUME", instrument.name, ""),
        ("CADENCE", instrument.cadence_seconds, "[s] grid step"),
        ("NGRID", instrument.n_frames, "grid length (frames)"),
        *([("DATE-BEG", start, "grid frame 0")] if start else []),
        *([("REGION", region, "region it follows")] if region and region.isascii() else []),
    ]
    image.header.update([*cards, *((key, value) for key, value in (header or {}).items())])
    n_beyond = int(np.count_nonzero(strength > _LARGEST_GAUSS))
    if n_beyond:
        said = f"{n_beyond} pixels beyond {_LARGEST_GAUSS:g} G, which no field reaches, are stored as no value"
        image.header.add_history(said)
        log.warning("%s: %s", path.name, said)
    times = fits.BinTableHDU.from_columns([fits.Column("SECONDS", "D", unit="s", array=seconds)], name="TIMES")
    file = io.BytesIO()
    fits.HDUList([image, times]).writeto(file)
    atomic.write_bytes(path, file.getvalue())


def _smallest_step(strongest_gauss: np.float32) -> float:
    """Return the smallest step in which a field up to `strongest_gauss`, at most 16383.5, can be stored."""
    # in single precision, as the field is divided: what rounds up there must not become the integer that is BLANK
    return next(step for step in STORED_STEPS_GAUSS if np.rint(strongest_gauss * _per_gauss(step)) <= _LARGEST_INTEGER)


def _per_gauss(step_gauss: float) -> np.float32:
    """Return how many steps a gauss has."""
    return np.float32(1.0 / step_gauss)
