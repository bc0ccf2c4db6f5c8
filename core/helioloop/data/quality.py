"""QUALITY of a cube's frames: reads the bits that archives set, and finds the frames that a profile excludes."""

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from helioloop.data.fits import card_text, open_checked
from helioloop.data.quality_bits import quality_bits
from helioloop.errors import CubeError
from helioloop.records.profiles import Profile

QUALITY = "QUALITY"

Mask = NDArray[np.bool_]


def bad_quality(
    hdus: fits.HDUList, headers: Iterable[fits.Header], companion: bytes | None, *, n_frames: int, profile: Profile
) -> Mask:
    """Return which frames QUALITY excludes under a profile.

    Parameters
    ----------
    hdus : fits.HDUList
        The cube's file. A table with `n_frames` rows may have a column QUALITY, and an image of that name may have one
        value per frame.
    headers : iterable of fits.Header
        Where a card QUALITY counts for the whole cube if no column gives it per frame.
    companion : bytes or None
        The companion with the times; searched as the cube's file.
    n_frames : int
        Number of frames in the file.
    profile : Profile
        Its `bad_quality_bits` exclude a frame.

    Returns
    -------
    array of bool, shape (n_frames,)
        All False without QUALITY; missing and unreadable values exclude nothing.

    Raises
    ------
    CubeError
        If QUALITY excludes all frames, by a column or by a card.
    """
    per_frame = _per_frame(hdus, n_frames)
    if per_frame is None and companion is not None:
        with open_checked(io.BytesIO(companion)) as others:
            per_frame = _per_frame(others, n_frames)
    if per_frame is not None:
        bad: Mask = (per_frame & profile.bad_quality_bits) != 0
        if bad.all():
            raise CubeError(
                f"QUALITY of all its {n_frames} frames has bits that profile {profile.name!r} excludes (the first has "
                f"0x{per_frame[0]:08X}): leave it out, or use a profile with other bad_quality_bits"
            )
        return bad
    for header in headers:
        quality = quality_bits(card_text(header, QUALITY) or header.get(QUALITY)) or 0
        if quality & profile.bad_quality_bits:
            raise CubeError(
                f"QUALITY is 0x{quality:08X} and profile {profile.name!r} excludes its bits "
                f"0x{quality & profile.bad_quality_bits:08X}; the card counts for all frames: leave the cube out, or "
                "give each frame's QUALITY in a column of the table of times"
            )
    return np.zeros(n_frames, dtype=np.bool_)


def _per_frame(hdus: fits.HDUList, n_frames: int) -> NDArray[np.int64] | None:
    """Return QUALITY of each frame as unsigned 32-bit numbers; None where the file has no such column or image."""
    for hdu in hdus:
        values: Any = None
        if isinstance(hdu, fits.BinTableHDU | fits.TableHDU) and not isinstance(hdu, fits.CompImageHDU):
            column = next((name for name in hdu.columns.names if name.strip().upper() == QUALITY), None)
            values = None if column is None else hdu.data[column]
        elif hdu.is_image and len(hdu.shape) == 1 and hdu.name.upper() == QUALITY:
            values = hdu.data
        # A table may have one row whose cells are vectors, as IDL writes it.
        if values is not None and np.shape(values) in {(n_frames,), (1, n_frames), (n_frames, 1)}:
            return np.array([quality_bits(value) or 0 for value in np.ravel(values).tolist()], dtype=np.int64)
    return None
