"""The edge of the disk in an image: where the field ends says whether the header can be right."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray
from tests.core.archive.sun import header

from helioloop.archive.disk_edge import measure_edge
from helioloop.archive.fulldisk import FullDisk, read_fulldisk
from helioloop.archive.observation import read_observation
from helioloop.archive.solar_wcs import solar_wcs
from helioloop.errors import MagnetogramError
from helioloop.records.profiles import BUILT_IN

MDI, GONG = BUILT_IN["mdi"], BUILT_IN["gong"]
Field = NDArray[np.float32]


def disk(radius_px: float, *, column: float = 255.0, row: float = 260.0, size: int = 512) -> Field:
    """Return noise of 10 G in a circle, and NaN around it."""
    rows, columns = np.mgrid[:size, :size]
    noise = np.random.default_rng(0).normal(0.0, 10.0, (size, size))
    return np.where(np.hypot(columns - column, rows - row) <= radius_px, noise, np.nan).astype(np.float32)


def with_zeros(field: Field) -> Field:
    return np.nan_to_num(field)


def with_lost_blocks(field: Field) -> Field:
    changed = field.copy()
    changed[:120, :256] = np.nan  # a telemetry block over the southern limb
    changed[300:340, 400:] = np.nan
    return changed


def with_lost_pixels(field: Field) -> Field:
    return np.where(np.random.default_rng(1).random(field.shape) < 0.2, np.float32(np.nan), field)


def with_hot_pixels(field: Field) -> Field:
    changed = field.copy()
    changed[[3, 100, 260, 500], [500, 4, 2, 255]] = 400.0
    return changed


@pytest.mark.parametrize("change", [np.copy, with_zeros, with_lost_blocks, with_lost_pixels, with_hot_pixels])
def test_the_edge_is_found_in_spite_of_gaps(change: Callable[[Field], Field]) -> None:
    edge = measure_edge(change(disk(200.0)))
    assert edge is not None
    assert (edge.column, edge.row, edge.radius_px) == pytest.approx((255.0, 260.0, 200.0), abs=0.8)


@pytest.mark.parametrize(
    "field",
    [
        np.nan_to_num(disk(200.0)) + np.float32(1e-3),  # pixels off the disk are not marked
        disk(200.0)[:, 300:],  # less than half of the limb
        np.where(np.arange(512) < 300, disk(400.0), np.float32(np.nan)),
        np.full((512, 512), np.nan, dtype=np.float32),
        np.where(np.random.default_rng(1).random((512, 512)) < 0.3, np.float32(5.0), np.float32(np.nan)),
    ],
    ids=["unmarked", "part", "cut off", "nothing", "scattered"],
)
def test_where_the_field_does_not_end_in_a_circle_there_is_no_edge(field: Field) -> None:
    assert measure_edge(field) is None


def read(folder: Path, field: Field, **cards: Any) -> FullDisk:
    """Read a disk under a header with the limb at 200 px around (256, 261), or with other cards."""
    of = header(size=512, CRPIX1=256.0, CRPIX2=261.0)
    scale = solar_wcs(_observed(folder, field, of)).rsun_arcsec / 200.0
    of.update({"CDELT1": scale, "CDELT2": scale, "R_SUN": 200.0})
    for card, value in cards.items():
        if value is None:
            of.remove(card)
        else:
            of[card] = value(of[card]) if callable(value) else value
    fits.PrimaryHDU(field, of).writeto(folder / "image.fits", overwrite=True)
    return read_fulldisk(str(folder / "image.fits"), MDI)


def _observed(folder: Path, field: Field, of: fits.Header) -> Any:
    fits.PrimaryHDU(field, of).writeto(folder / "image.fits", overwrite=True)
    return read_observation(str(folder / "image.fits"))


def by(factor: float) -> dict[str, Any]:
    return {card: lambda value: value * factor for card in ("CDELT1", "CDELT2")}


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        (
            {"CRPIX1": 263.0},
            r"ends at 200.* px around \(256.0, 261.0\), .* limb at 200.0 px around \(263.0, 261.0\);",
        ),
        ({"CRPIX2": 100.0}, r"limb at 200.0 px around \(256.0, 100.0\)"),
        ({"CRVAL1": 40.0}, r"limb at 200.0 px around \(247.7, 261.0\); .*: correct CRPIX, CRVAL"),
        (by(1.05), r"limb at 190.5 px"),
        (by(1.08), r"limb at 185.2 px"),
        (by(0.95), r"limb at 210.5 px"),
        ({**by(0.5), "R_SUN": None}, r"limb at 400.0 px"),
        ({"DSUN_OBS": lambda value: value * 1.05, "R_SUN": None}, r"limb at 190.5 px"),
    ],
)
def test_a_header_whose_limb_is_more_than_three_per_cent_off_is_refused(
    tmp_path: Path, cards: dict[str, Any], reason: str
) -> None:
    """Up to 8 % were read in silence, and beyond, an image of the whole disk was said to show a part."""
    with pytest.raises(MagnetogramError, match=reason):
        read(tmp_path, disk(200.0), **cards)


@pytest.mark.parametrize(
    ("field", "cards", "said"),
    [
        (disk(200.0), {}, None),
        (disk(198.0), {}, None),  # as GONG's
        (disk(201.5), {"CRPIX1": 257.5}, None),
        (disk(200.0), {"CRPIX1": 260.5}, r"limb at 200.0 px around \(260.5, 261.0\); the header was used"),
        (disk(200.0), by(1.02), r"limb at 196.1 px around \(256.0, 261.0\); the header was used"),
        (disk(180.0), {}, r"ends at 180.* px .*, as if it were masked; the header was used"),  # beyond 64°
        (disk(200.0), {**by(0.95), "R_SUN": None}, r"limb at 210.5 px .*, as if it were masked; the header was used"),
        (disk(200.0), {"R_SUN": 400.0}, None),  # as before the image was binned
        (np.nan_to_num(disk(200.0)) + 1e-3, {"R_SUN": 400.0}, r"R_SUN is 400.0 px, and CDELT and .* 200.0 px, which"),
    ],
)
def test_a_header_whose_limb_is_nearly_right_is_read_and_said_from_one_and_a_half_per_cent_on(
    tmp_path: Path, field: Field, cards: dict[str, Any], said: str | None
) -> None:
    assumed = read(tmp_path, field.astype(np.float32), **cards).assumed
    assert len(assumed) == (said is not None)
    if said is not None:
        assert re.search(said, assumed[0])


@pytest.mark.parametrize(
    ("factor", "said"),
    [(1.0, None), (1.01, None), (1.02, "said"), (1.05, "refused"), (2.7e-4, None)],
)
def test_the_radius_in_arcseconds_is_compared_with_the_distance(
    tmp_path: Path, factor: float, said: str | None
) -> None:
    """A radius in degrees is another quantity."""
    observed = _observed(tmp_path, disk(200.0), header(size=512))
    rsun = solar_wcs(observed).rsun_arcsec
    if said == "refused":
        with pytest.raises(MagnetogramError, match=r"RSUN_OBS is 1015.* arcsec, and DSUN_OBS and RSUN_REF give 96"):
            read(tmp_path, disk(200.0), RSUN_OBS=rsun * factor)
    else:
        assumed = read(tmp_path, disk(200.0), RSUN_OBS=rsun * factor).assumed
        assert [one.startswith("RSUN_OBS is 986") for one in assumed] == ([True] if said else [])


# -- real files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fraction"),
    [
        ("mdi.fd_M_96m_lev182.19991211_173600_TAI.data.fits", 1e-3),
        ("mdi.fd_M_96m_lev182.20110401_000000_TAI.data.fits", 1e-3),
        ("tdbqa090905t0924.fits.fz", 6e-3),
    ],
)
def test_real_images_end_where_their_headers_put_the_limb(real: Path, name: str, fraction: float) -> None:
    """The bounds for a doubt are wider: 1.5 %."""
    observation = read_observation(str(real / name))
    place, edge = solar_wcs(observation), measure_edge(observation.field_gauss)
    assert edge is not None
    radius_px = place.rsun_arcsec / place.arcsec_per_px
    assert edge.radius_px == pytest.approx(radius_px, rel=fraction)
    column, row = place.wcs.wcs_world2pix(0.0, 0.0, 0)
    assert (edge.column, edge.row) == pytest.approx((float(column), float(row)), abs=0.1)


@pytest.mark.parametrize("cards", [{"CRPIX1": 542.3}, {"CRVAL1": 40.0}, {"CDELT1": 2.085, "CDELT2": 2.085}])
def test_a_real_image_with_a_wrong_centre_or_scale_is_refused(
    real: Path, tmp_path: Path, cards: dict[str, float]
) -> None:
    with fits.open(real / "mdi.fd_M_96m_lev182.20110401_000000_TAI.data.fits") as hdus:
        hdus[1].header.update(cards)
        fits.PrimaryHDU(hdus[1].data, hdus[1].header).writeto(tmp_path / "i.fits", output_verify="silentfix")
    with pytest.raises(MagnetogramError, match=r"its field ends at 487.8 px around \(512.3, 512.5\)"):
        read_fulldisk(str(tmp_path / "i.fits"), MDI)
