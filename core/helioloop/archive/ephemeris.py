"""Whether a header's observer is where the Earth is at its time: else time or observer is wrong."""

import math

from astropy import units
from astropy.io import fits
from astropy.time import Time
from sunpy.coordinates.sun import L0

from helioloop.errors import MagnetogramError

_LONGITUDE_CARDS = ("L0", "SOLAR_L0", "OBS_L0")  # degrees; GONG, MDI
_NEAR_EARTH_DEG = 2.0  # SOHO and SDO stay within 0.3°; the Sun turns this much in under four hours


def check_ephemeris(observer_longitude_deg: float, time: Time) -> None:
    """Refuse an observer who is not where the Earth is at that time.

    Raises
    ------
    MagnetogramError
        If their Carrington longitudes differ by more than 2°.
    """
    expected = float(L0(time).to_value(units.deg))
    difference = (observer_longitude_deg - expected + 180.0) % 360.0 - 180.0
    if abs(difference) > _NEAR_EARTH_DEG:
        raise MagnetogramError(
            f"its observer is at Carrington longitude {observer_longitude_deg:.2f}° and the Earth was at "
            f"{expected:.2f}° at {time.utc.isot}; they must agree within {_NEAR_EARTH_DEG:g}°: correct the time or "
            "the observer's cards"
        )


def check_longitude_card(header: fits.Header, time: Time) -> None:
    """Refuse a card of the central meridian's Carrington longitude that contradicts the time, which is then wrong.

    Where no card gives the observer, the Earth is assumed at that time, so its own place contradicts nothing.
    """
    for card in _LONGITUDE_CARDS:
        try:
            said = float(header[card])
        except (KeyError, TypeError, ValueError):
            continue
        expected = float(L0(time).to_value(units.deg))
        if math.isfinite(said) and abs((said - expected + 180.0) % 360.0 - 180.0) > _NEAR_EARTH_DEG:
            raise MagnetogramError(
                f"{card} is {said:.2f}° and the central meridian seen from the Earth was at {expected:.2f}° at "
                f"{time.utc.isot}; they must agree within {_NEAR_EARTH_DEG:g}°: correct the time or {card}"
            )
