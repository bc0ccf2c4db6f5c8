"""Patches against images painted from known Carrington positions by sunpy, without helioloop's own coordinates."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray
from tests.core.archive.sun import Spot, header, paint

from helioloop.archive.observation import Observation
from helioloop.archive.observation_time import observation_time
from helioloop.archive.patches import cut_patches, grid_for
from helioloop.archive.regions import Region
from helioloop.archive.solar_wcs import SolarWcs, solar_wcs
from helioloop.records.profiles import BUILT_IN

PROFILE = BUILT_IN["mdi"]
NORTH_TIPPED, SOUTH_TIPPED, LEVEL = "2000-09-07T12:00:00", "2001-03-07T00:00:00", "2000-06-07T00:00:00"
"""Times when B0 is +7.2°, −7.2° and 0."""
SIZES = {"MDI": (1024, 1.98), "HMI": (4096, 0.504)}
PLACES = ((-62.0, 20.0), (-30.0, -25.0), (0.0, 8.0), (35.0, 33.0), (60.0, -12.0))
"""Longitude from the central meridian and latitude of regions."""


def place_of(of: fits.Header, field: NDArray[np.float32]) -> SolarWcs:
    time, card, _ = observation_time(of, instrument=None)
    return solar_wcs(
        Observation(
            name="", field_gauss=field, header=of, time=time, time_card=card, quality=None, instrument=None, assumed=()
        )
    )


@dataclass(frozen=True)
class Bipole:
    """A region with a positive spot in its north-east and a negative one in its south-west."""

    region: Region
    spots: tuple[Spot, Spot]


def bipoles(l0: float, sigma_deg: float = 0.4) -> list[Bipole]:
    made = []
    for number, (from_meridian, lat) in enumerate(PLACES):
        lon = l0 + from_meridian
        made.append(
            Bipole(
                Region(name=str(number), lon_deg=lon % 360.0, lat_deg=lat),
                (
                    Spot(lon=lon - 2.1, lat=lat + 1.3, gauss=800.0, sigma_deg=sigma_deg),
                    Spot(lon=lon + 2.4, lat=lat - 1.7, gauss=-800.0, sigma_deg=sigma_deg),
                ),
            )
        )
    return made


def expected_px(spot: Spot, region: Region) -> tuple[float, float]:
    """Return column and row where a spot must be: 6 px per degree from (44.5, 44.5), east and south first."""
    east_west = (spot.lon - region.lon_deg + 180.0) % 360.0 - 180.0
    return 44.5 + 6.0 * east_west, 44.5 + 6.0 * (spot.lat - region.lat_deg)


def measured(patch: NDArray[np.float32], spot: Spot, region: Region) -> tuple[float, float]:
    """Return how far the centroid of a spot is from its place in pixels, and its flux over the painted flux."""
    column, row = expected_px(spot, region)
    rows, columns = np.mgrid[:90, :90]
    lat = region.lat_deg + (rows - 44.5) / 6.0
    near = np.hypot((columns - column) * np.cos(np.radians(spot.lat)), rows - row) < 27.0 * spot.sigma_deg
    weight = np.where(near, np.nan_to_num(patch) * np.sign(spot.gauss), 0.0)
    off = np.hypot((weight * columns).sum() / weight.sum() - column, (weight * rows).sum() / weight.sum() - row)
    flux = (weight * np.cos(np.radians(lat))).sum() / 36.0
    return float(off), float(flux / (2.0 * np.pi * spot.sigma_deg**2 * abs(spot.gauss)))


@pytest.mark.parametrize("instrument", ["MDI", "HMI"])
@pytest.mark.parametrize("crota2", [0.0, 3.1, 26.3, 180.0])
@pytest.mark.parametrize("tai", [NORTH_TIPPED, SOUTH_TIPPED, LEVEL])
def test_spots_come_back_at_their_place_with_their_flux(instrument: str, crota2: float, tai: str) -> None:
    """Within 0.3 px in the mean and 0.5 px at worst, and within 3 % in flux, whatever the roll and tilt."""
    size, scale = SIZES[instrument]
    of = header(tai, size=size, scale=scale, crota2=crota2, instrument=instrument)
    painted = bipoles(of["CRLN_OBS"])
    field = paint(of, [spot for bipole in painted for spot in bipole.spots])
    patches = cut_patches(field, place_of(of, field), [bipole.region for bipole in painted], PROFILE)
    off, flux = zip(
        *(measured(patches[b.region.name], spot, b.region) for b in painted for spot in b.spots), strict=True
    )
    assert np.mean(off) < 0.3
    assert max(off) < 0.5
    assert max(abs(np.array(flux) - 1.0)) < 0.03


@pytest.mark.parametrize("instrument", ["MDI", "HMI"])
def test_narrow_spots_are_neither_lost_nor_counted_twice(instrument: str) -> None:
    """A spot that is narrower than a pixel of the patch keeps its flux within 3 %."""
    size, scale = SIZES[instrument]
    of = header(LEVEL, size=size, scale=scale, instrument=instrument)
    painted = bipoles(of["CRLN_OBS"], sigma_deg=0.15)[1:4]
    field = paint(of, [spot for bipole in painted for spot in bipole.spots])
    patches = cut_patches(field, place_of(of, field), [bipole.region for bipole in painted], PROFILE)
    for bipole in painted:
        for spot in bipole.spots:
            off, flux = measured(patches[bipole.region.name], spot, bipole.region)
            assert off < 0.3
            assert flux == pytest.approx(1.0, abs=0.03)


def test_north_is_up_and_east_is_left_even_when_the_image_is_not() -> None:
    """In an image turned by 180° the north-eastern spot still comes to the upper rows and the first columns."""
    of = header(LEVEL, crota2=180.0)
    (bipole,) = [b for b in bipoles(of["CRLN_OBS"]) if b.region.lat_deg == 8.0]
    field = paint(of, bipole.spots)
    patch = cut_patches(field, place_of(of, field), [bipole.region], PROFILE)[bipole.region.name]
    row, column = np.unravel_index(np.nanargmax(patch), patch.shape)
    assert row > 44.5 > column
    row, column = np.unravel_index(np.nanargmin(patch), patch.shape)
    assert row < 44.5 < column


MIRRORED = {"CDELT1": -1.98}
MATRIX = {"CROTA2": None, "PC1_1": -1.0, "PC1_2": 0.0, "PC2_1": 0.0, "PC2_2": -1.0}


IN_DEGREES = {"CUNIT1": "deg", "CUNIT2": "deg", "CDELT1": 5.5e-4, "CDELT2": 5.5e-4}


@pytest.mark.parametrize("cards", [MIRRORED, MATRIX, IN_DEGREES])
def test_signs_units_and_matrices_are_obeyed(cards: dict[str, Any]) -> None:
    """A mirrored image, a PC matrix and degrees instead of arcseconds give spots at the same places."""
    of = header(LEVEL, **cards)
    (bipole,) = [b for b in bipoles(of["CRLN_OBS"]) if b.region.lat_deg == 33.0]
    field = paint(of, bipole.spots)
    patch = cut_patches(field, place_of(of, field), [bipole.region], PROFILE)[bipole.region.name]
    for spot in bipole.spots:
        off, _ = measured(patch, spot, bipole.region)
        assert off < 0.3


def test_the_far_side_is_nan_and_the_limb_is_where_the_sun_ends() -> None:
    """A patch centred on the east limb has field in its western half only, and a far one is left out."""
    of = header(LEVEL)
    field = paint(of, [], noise=10.0)
    l0 = of["CRLN_OBS"]
    limb = Region(name="limb", lon_deg=(l0 - 90.0) % 360.0, lat_deg=0.0)
    far = Region(name="far", lon_deg=(l0 + 180.0) % 360.0, lat_deg=0.0)
    patches = cut_patches(field, place_of(of, field), [limb, far], PROFILE)
    assert list(patches) == ["limb"]
    known = np.isfinite(patches["limb"])
    assert not known[:, :44].any()
    assert known[:, 68:].all()  # within 3.6° of the limb, a pixel of the image is partly off the disk


def test_a_hole_in_the_image_is_a_hole_in_the_patch() -> None:
    """Unknown pixels do not spread: a missing square of 14 px at the disk centre leaves about 10 px unknown."""
    of = header(LEVEL, centre=(0.0, 0.0))
    field = paint(of, [], noise=10.0)
    field[505:519, 505:519] = np.nan
    region = Region(name="r", lon_deg=of["CRLN_OBS"], lat_deg=of["CRLT_OBS"])
    patch = cut_patches(field, place_of(of, field), [region], PROFILE)["r"]
    lost = ~np.isfinite(patch)
    assert 80 <= lost.sum() <= 130
    assert lost[40:50, 40:50].all()


def test_no_pixel_of_the_image_is_passed_over() -> None:
    """Single bright pixels of an HMI image, each a sixth of a patch's pixel wide, keep their flux within 3 % in all."""
    of = header(LEVEL, size=4096, scale=0.504, centre=(0.0, 0.0))
    field = np.zeros((4096, 4096), dtype=np.float32)
    field[1950:2150:13, 1950:2150:13] = 1000.0  # 13 is no multiple of the bins: all phases occur
    region = Region(name="r", lon_deg=of["CRLN_OBS"], lat_deg=of["CRLT_OBS"])
    place = place_of(of, field)
    assert grid_for(place, PROFILE).binning == 2
    total = float(cut_patches(field, place, [region], PROFILE)["r"].sum())
    arcsec_per_px = np.degrees(np.radians(1 / 6) * 6.96e8 / (of["DSUN_OBS"] - 6.96e8)) * 3600.0
    assert total == pytest.approx(16 * 16 * 1000.0 * (0.504 / arcsec_per_px) ** 2, rel=0.03)
