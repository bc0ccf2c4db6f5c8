"""Small FITS files of cubes, written for a test, and what reading them gives."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from helioloop.data.cubes import Cube, CubeHeader, read_cube, read_cube_header
from helioloop.data.times import COMPANION_SUFFIX
from helioloop.errors import CubeError

FIELD = np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 12.0

TIMES = np.array([0.0, 5760.0])


def image_hdu(field: np.ndarray = FIELD, **cards: object) -> fits.PrimaryHDU:
    image = fits.PrimaryHDU(field)
    image.header.update({key.replace("_", "-") if key.startswith("DATE") else key: card for key, card in cards.items()})
    return image


def table_hdu(
    name: str, values: object, *, kind: str = "D", unit: str | None = None, **cards: object
) -> fits.BinTableHDU:
    table = fits.BinTableHDU.from_columns([fits.Column(name, kind, unit=unit, array=values)])
    table.header.update(cards)
    return table


def write_hdus(folder: Path, *hdus: object, name: str = "C") -> Path:
    path = folder / f"{name}.fits"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of these files break the FITS standard on purpose
        fits.HDUList(list(hdus)).writeto(path)
    return path


def write_pair(
    folder: Path, image: fits.PrimaryHDU | None = None, times: np.ndarray = TIMES, *, name: str = "C"
) -> Path:
    path = write_hdus(folder, image or image_hdu(), name=name)
    fits.PrimaryHDU(times).writeto(folder / f"{name}{COMPANION_SUFFIX}")
    return path


def read_checked(path: Path) -> Cube:
    """Read a cube, and check that reading its header alone gives the same name, start and region."""
    cube = read_cube(path)
    header = CubeHeader(name=cube.name, start=cube.start, start_scale=cube.start_scale, region=cube.region)
    assert read_cube_header(path) == header
    return cube


def refusal(path: Path) -> str:
    """Return the message with which a cube is refused."""
    with pytest.raises(CubeError) as refused:
        read_cube(path)
    message = str(refused.value)
    assert message.startswith(path.name)
    assert "\n" not in message
    return message
