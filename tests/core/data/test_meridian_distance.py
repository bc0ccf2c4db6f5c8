"""Where a patch is on the disk: by Carrington coordinates, checked against sunpy's frames, and by the limb."""

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.time import Time, TimeDelta
from numpy.typing import NDArray
from sunpy.coordinates import HeliographicCarrington, HeliographicStonyhurst

from helioloop.data.meridian_distance import (
    DAY_SECONDS,
    ROTATION_DEG_PER_DAY,
    Place,
    from_carrington,
    from_limb,
    place_from_header,
)
from helioloop.errors import CubeError

PATCH_DEG = 15.0
SIZE_PX = 60


def limb_mask(days: NDArray[np.float64], *, meridian_day: float = 7.0, limb_deg: float = 90.0) -> NDArray[np.bool_]:
    """Return off-disk pixels of a patch that passes the central meridian on `meridian_day`."""
    centre = ROTATION_DEG_PER_DAY * (days - meridian_day)
    columns = centre[:, None] + (np.arange(SIZE_PX) - 0.5 * (SIZE_PX - 1)) * PATCH_DEG / SIZE_PX
    return np.repeat(np.abs(columns)[:, None, :] > limb_deg, SIZE_PX, axis=1)


def test_distances_by_carrington_longitude_are_those_of_sunpy() -> None:
    """Stonyhurst longitude is the distance from the central meridian, also where Carrington longitude wraps."""
    start, seconds = Time("2001-03-07T00:00:00"), np.arange(0.0, 12.0, 3.0) * DAY_SECONDS
    for lon in (5.0, 100.0, 355.0):
        times = start + TimeDelta(seconds * units.s)
        place = SkyCoord(
            np.full(4, lon) * units.deg,
            np.full(4, 10.0) * units.deg,
            frame=HeliographicCarrington(obstime=times, observer="earth"),
        ).transform_to(HeliographicStonyhurst(obstime=times))
        found = from_carrington(Place(lon_deg=lon, lat_deg=10.0, source="WCS"), "2001-03-07T00:00:00", seconds)
        off = (found.longitude_deg - place.lon.to_value(units.deg) + 180.0) % 360.0 - 180.0
        assert np.abs(off).max() < 0.05
        assert np.all(np.diff(found.longitude_deg) > 0.0)


def test_the_place_is_read_from_the_wcs_at_the_centre_of_the_patch() -> None:
    """The reference pixel may be anywhere; another projection's cards, or none, give no place."""
    cards = {
        "NAXIS": 3, "NAXIS1": 90, "NAXIS2": 90, "NAXIS3": 5, "CTYPE1": "CRLN-CAR", "CTYPE2": "CRLT-CAR",
        "CUNIT1": "deg", "CUNIT2": "deg", "CRPIX1": 1.0, "CRPIX2": -50.0, "CRVAL1": 352.6, "CRVAL2": 0.0,
        "CDELT1": 1.0 / 6.0, "CDELT2": 1.0 / 6.0,
    }  # fmt: skip
    found = place_from_header(fits.Header(), fits.Header(cards))
    assert found is not None
    assert found.lon_deg == pytest.approx((352.6 + 44.5 / 6.0) % 360.0)
    assert found.lat_deg == pytest.approx((45.5 + 50.0) / 6.0)
    assert place_from_header(fits.Header({**cards, "CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"})) is None


PATCH_CARDS = {
    "NAXIS": 3, "NAXIS1": 90, "NAXIS2": 90, "NAXIS3": 5, "CTYPE1": "CRLN-CEA", "CTYPE2": "CRLT-CEA", "CUNIT1": "deg",
    "CUNIT2": "deg", "CRPIX1": 45.5, "CRPIX2": 45.5, "CRVAL1": 152.0, "CRVAL2": 17.0, "CDELT1": 0.5, "CDELT2": 0.5,
}  # fmt: skip
"""Of a patch whose centre is at Carrington longitude 152° and latitude 17°."""


@pytest.mark.parametrize(
    "cards",
    [
        *({"CUNIT1": unit, "CUNIT2": unit} for unit in ("degree", "Degree", "degrees", "DEG", "")),
        {"CTYPE1": "crln-cea", "CTYPE2": "crlt-cea"},
        {"CRVAL1": "152.0", "CRVAL2": "17.0", "CRPIX1": "45.5"},
        {"CD1_1": 0.5, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.5},
        {"PC1_1": 1.0, "PC2_2": 1.0, "CROTA2": 0.0},
        {"CTYPE1": "CRLT-CAR", "CTYPE2": "CRLN-CAR", "CRVAL1": 17.0, "CRVAL2": 152.0},
        {"CTYPE3": "TIME", "CUNIT3": "frames", "CDELT3": 0.0},
        {"DATE-OBS": "2001.03.07_TAI", "MJD-OBS": "unknown"},
    ],
)
def test_the_place_is_read_however_archives_and_tools_spell_the_cards(cards: dict[str, object]) -> None:
    """JSOC's SHARPs have the unit `degree`; IDL writes CD beside CDELT; numbers may stand there as text."""
    found = place_from_header(fits.Header({**PATCH_CARDS, **cards}))
    assert found is not None
    assert (found.lon_deg, found.lat_deg) == (pytest.approx(152.0), pytest.approx(17.0))


@pytest.mark.parametrize(
    "cards",
    [
        {"CRVAL1": "unknown"},
        {"CRVAL1": None},
        {"CDELT2": None},
        {"CDELT1": 0.0},
        {"CUNIT1": "pixels of mine"},
        {"CUNIT1": "m"},
        {"CTYPE2": "CRLN-CEA"},
    ],
)
def test_cards_that_give_no_place_are_not_taken_for_zero(cards: dict[str, object]) -> None:
    header = {key: value for key, value in {**PATCH_CARDS, **cards}.items() if value is not None}
    assert place_from_header(fits.Header(header)) is None


def test_the_first_header_of_a_file_gives_the_place_of_an_image_in_another_one() -> None:
    """As it gives the start, the region and the unit; the size is that of the image."""
    image = fits.Header({"NAXIS": 3, "NAXIS1": 90, "NAXIS2": 90, "NAXIS3": 5})
    first = fits.Header({key: value for key, value in PATCH_CARDS.items() if not key.startswith("NAXIS")})
    assert place_from_header(image, first) == place_from_header(fits.Header(PATCH_CARDS))
    assert place_from_header(first) is None


@pytest.mark.parametrize("limb_deg", [80.0, 90.0])
def test_both_limbs_give_the_distance_wherever_the_disk_ends(limb_deg: float) -> None:
    days = np.arange(0.0, 15.0, 0.1)
    found = from_limb(limb_mask(days, limb_deg=limb_deg), days * DAY_SECONDS, patch_deg=PATCH_DEG)
    assert found.source == "both limbs"
    assert found.longitude_deg == pytest.approx(ROTATION_DEG_PER_DAY * (days - 7.0), abs=0.2)


def test_one_limb_gives_the_distance_within_its_uncertainty() -> None:
    days = np.arange(0.0, 15.0, 0.1)
    true = ROTATION_DEG_PER_DAY * (days - 7.0)
    for limb_deg in (76.0, 92.0):
        off = limb_mask(days, limb_deg=limb_deg)
        for part, source in ((days < 9.0, "east limb"), (days > 5.0, "west limb")):
            found = from_limb(off[part], days[part] * DAY_SECONDS, patch_deg=PATCH_DEG)
            assert (found.source, found.one_limb) == (source, True)
            assert np.abs(found.longitude_deg - true[part]).max() <= found.uncertainty_deg


def test_without_a_limb_or_with_one_that_stays_there_is_no_distance() -> None:
    """A margin without values, as around a small patch, is no limb."""
    days = np.arange(4.0, 10.0, 0.1)
    with pytest.raises(CubeError, match="no limb crosses its patch"):
        from_limb(limb_mask(days), days * DAY_SECONDS, patch_deg=PATCH_DEG)
    margin = np.zeros((len(days), SIZE_PX, SIZE_PX), dtype=bool)
    margin[:, :, :10] = True
    with pytest.raises(CubeError, match="do not move as the limb does"):
        from_limb(margin, days * DAY_SECONDS, patch_deg=PATCH_DEG)


def test_a_cube_with_column_0_in_the_west_is_refused() -> None:
    """Its limb moves the wrong way; with few frames it appears in the west first, then in the east."""
    for days in (np.arange(0.0, 15.0, 0.1), np.array([0.0, 5.0, 9.0, 14.0])):
        with pytest.raises(CubeError, match="check the times, and that column 0 is east"):
            from_limb(limb_mask(days)[:, :, ::-1], days * DAY_SECONDS, patch_deg=PATCH_DEG)
