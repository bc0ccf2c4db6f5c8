"""Whether a header's observer is where the Earth is at its time: else time or observer is wrong."""

from astropy import units
from astropy.io import fits
from astropy.time import Time
from sunpy.coordinates.sun import B0, L0

from helioloop.archive.header_cards import number_or_none
from helioloop.errors import MagnetogramError

_LONGITUDE_CARDS = ("CRLN_OBS", "L0", "SOLAR_L0", "OBS_L0")  # degrees; JSOC, GONG, MDI
_LATITUDE_CARDS = ("CRLT_OBS", "HGLT_OBS", "OBS_B0")
_NEAR_EARTH_DEG = 2.0  # SOHO and SDO stay within 0.3°; the Sun turns this much in under four hours


def check_observer(longitude_deg: float, latitude_deg: float, time: Time) -> None:
    """Refuse an observer who is not where the Earth is at that time.

    Parameters
    ----------
    longitude_deg, latitude_deg : float
        Carrington coordinates of the observer.
    time : Time
        Of the observation.

    Raises
    ------
    MagnetogramError
        If they differ by more than 2° from the Earth's.
    """
    for name, said, expected in zip(
        ("longitude", "latitude"), (longitude_deg, latitude_deg), _earth_deg(time), strict=True
    ):
        if _differ(said, expected):
            raise MagnetogramError(
                f"its observer is at Carrington {name} {said:.2f}° and the Earth was at {expected:.2f}° at "
                f"{time.utc.isot}; they must agree within {_NEAR_EARTH_DEG:g}°: correct the time or the observer's "
                "cards"
            )


def check_observer_cards(header: fits.Header, time: Time) -> None:
    """Refuse a card of the central meridian's longitude or the disk centre's latitude that contradicts the time.

    The observer may be given by other cards or be assumed, so that its own place contradicts nothing.

    Raises
    ------
    MagnetogramError
        If one differs by more than 2° from what the Earth saw.
    """
    longitude_deg, latitude_deg = _earth_deg(time)
    stonyhurst = [("HGLN_OBS", "Stonyhurst longitude of the Earth", 0.0)]
    meridian = [(card, "central meridian seen from the Earth", longitude_deg) for card in _LONGITUDE_CARDS]
    centre = [(card, "latitude of the disk's centre seen from the Earth", latitude_deg) for card in _LATITUDE_CARDS]
    for card, what, expected in (*stonyhurst, *meridian, *centre):
        said = number_or_none(header, card)
        if said is not None and _differ(said, expected):
            raise MagnetogramError(
                f"{card} is {said:.2f}° and the {what} was at {expected:.2f}° at {time.utc.isot}; they must agree "
                f"within {_NEAR_EARTH_DEG:g}°: correct the time or {card}"
            )


def _earth_deg(time: Time) -> tuple[float, float]:
    """Return Carrington longitude and latitude of the Earth."""
    return float(L0(time).to_value(units.deg)), float(B0(time).to_value(units.deg))


def _differ(said_deg: float, expected_deg: float) -> bool:
    """Return True where two angles, which may be whole turns apart, differ too much."""
    return abs((said_deg - expected_deg + 180.0) % 360.0 - 180.0) > _NEAR_EARTH_DEG
