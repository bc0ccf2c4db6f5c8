"""Cubes compressed with loss, as by fpack: off-disk codes that it changes are said."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray
from tests.core.data.passing import CARRINGTON, PROFILE, write_passing

from helioloop.data.inspection import inspect_cube
from helioloop.data.lossy_compression import rounding

NO_DITHER, DITHER, DITHER_NOT_ZERO = -1, 1, 2
CHANGED = "because the file was compressed with loss"


def packed(folder: Path, code: float, kind: int, *, level: float = 4.0) -> list[str]:
    """Return the doubts about a cube whose off-disk pixels have a code, after it was compressed."""
    path = write_passing(folder / "A_20010307.fits", emerges_at=-20.0, cards=CARRINGTON)
    with fits.open(path) as hdus:
        field = np.array(hdus[0].data, dtype=np.float32)
        field[np.isnan(field)] = code
        header = hdus[0].header.copy()
        times = hdus[1].copy()
    for card in ("BSCALE", "BZERO", "BLANK"):
        header.remove(card, ignore_missing=True)
    method = "RICE_1" if level else "GZIP_2"
    image = fits.CompImageHDU(
        field, header, compression_type=method, quantize_level=level, quantize_method=kind, dither_seed=1
    )
    fits.HDUList([fits.PrimaryHDU(), image, times]).writeto(path, overwrite=True)
    return [reason for reason in inspect_cube(path, PROFILE.instrument, PROFILE).reasons if CHANGED in reason]


@pytest.mark.parametrize(
    ("code", "kind"),
    [(0.0, DITHER), (-1000.0, NO_DITHER), (-1000.0, DITHER), (-1000.0, DITHER_NOT_ZERO)],
)
def test_codes_that_compression_changed_are_said(tmp_path: Path, code: float, kind: int) -> None:
    """A cube lost four in ten of its off-disk pixels to the field, and was called ok."""
    (said,) = packed(tmp_path, code, kind)
    assert "of its pixels were coded as off-disk by 0 or -1000 G and are read as field" in said
    assert "compress it without loss (fpack -g -q 0), or code them as NaN" in said


@pytest.mark.parametrize(
    ("code", "kind", "level"),
    [
        *((np.nan, kind, 4.0) for kind in (NO_DITHER, DITHER, DITHER_NOT_ZERO)),
        (0.0, NO_DITHER, 4.0),
        (0.0, DITHER_NOT_ZERO, 4.0),
        (-32768.0, DITHER, 4.0),
        (0.0, DITHER, 0.0),
        (-1000.0, DITHER, 0.0),
    ],
)
def test_codes_that_compression_keeps_are_no_doubt(tmp_path: Path, code: float, kind: int, level: float) -> None:
    assert packed(tmp_path, code, kind, level=level) == []


@pytest.mark.parametrize("tiles", [None, (2, 7, 13), (3, 20, 30)])
def test_no_pixel_is_off_by_more_than_half_a_step_of_its_tile(tmp_path: Path, tiles: tuple[int, ...] | None) -> None:
    path = tmp_path / "i.fits"
    values: NDArray[np.float32] = np.random.default_rng(0).normal(0.0, 10.0, (3, 20, 30)).astype(np.float32)
    values *= np.linspace(1.0, 9.0, 20, dtype=np.float32)[:, None]
    image = fits.CompImageHDU(values, quantize_level=4.0, quantize_method=DITHER, dither_seed=1, tile_shape=tiles)
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(path)
    half_step = rounding(path.read_bytes(), 1)
    assert half_step is not None
    off = np.abs(fits.getdata(path, 1) - values)
    assert (off <= 1.001 * half_step).all()
    assert (off > 0.8 * half_step).any()


def test_an_image_without_loss_is_not_rounded(tmp_path: Path) -> None:
    path = tmp_path / "i.fits"
    whole = fits.CompImageHDU(np.arange(600, dtype=np.int16).reshape(20, 30))
    fits.HDUList([fits.PrimaryHDU(np.zeros((20, 30), dtype=np.float32)), whole]).writeto(path)
    assert rounding(path.read_bytes(), 0) is None
    assert rounding(path.read_bytes(), 1) is None
