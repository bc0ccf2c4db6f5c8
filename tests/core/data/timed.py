"""Cubes of three frames, in grid frames 0, 1 and 5, whose times are in a table or header of the test's choice."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.time import Time, TimeDelta

from helioloop.data.cubes import Cube, CubeFiles, CubeOrigin
from helioloop.data.gridding import frame_use
from helioloop.records.instrument import MDI
from helioloop.records.profiles import BUILT_IN

START = Time("1998-12-06T00:00:00", scale="utc")
SECONDS = np.array([0.0, 5760.0, 5.0 * 5760.0])
TIMES = START + TimeDelta(SECONDS, format="sec")
FIELD = np.random.default_rng(0).normal(0.0, 20.0, (3, 24, 24)).astype(np.float32)
PROFILE = replace(BUILT_IN["mdi"], name="small", patch_deg=4.0, instrument=replace(MDI, name="SMALL", size_px=24))


def cube_image(**cards: object) -> fits.PrimaryHDU:
    """Three frames; a keyword ``A__B`` is the card ``A-B``."""
    image = fits.PrimaryHDU(FIELD)
    image.header.update({key.replace("__", "-"): value for key, value in cards.items()})
    return image


def text_table(**columns: list[str]) -> fits.BinTableHDU:
    return fits.BinTableHDU.from_columns(
        [fits.Column(name.replace("__", "-"), "40A", array=values) for name, values in columns.items()]
    )


def number_table(name: str, values: object, unit: str | None = None, **cards: object) -> fits.BinTableHDU:
    table = fits.BinTableHDU.from_columns([fits.Column(name, "D", unit=unit, array=values)])
    table.header.update(cards)
    return table


def read(folder: Path, *hdus: object) -> tuple[Cube, CubeOrigin]:
    path = folder / "C.fits"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits.HDUList(list(hdus)).writeto(path)
    return CubeFiles.read(path).cube_and_origin(PROFILE)


def grid_frames_of(cube: Cube) -> list[int]:
    return list(frame_use(cube, PROFILE.instrument).grid_frames)


def jsoc(times: Time) -> list[str]:
    return [time.strftime("%Y.%m.%d_%H:%M:%S_TAI") for time in times.tai]


def check_midnight(folder: Path, *hdus: object) -> None:
    """Check that a file gives frames 0, 1 and 5 since midnight, without doubt."""
    cube, origin = read(folder, *hdus)
    assert (cube.start, grid_frames_of(cube), origin.doubts) == ("1998-12-06T00:00:00", [0, 1, 5], ())
