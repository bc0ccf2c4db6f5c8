"""Cards that a header has several times, with different values: FITS does not say which one holds."""

import math

from astropy.io import fits

from helioloop.archive.primary_cards import group
from helioloop.errors import MagnetogramError

_OF_THE_VALUES = frozenset({"BSCALE", "BZERO", "BLANK", "BUNIT", "SKYVALUE", "RSUN_REF", "QUALITY"})
_ROUNDING = 1e-3  # the same number with fewer digits


def check_repeated(header: fits.Header) -> None:
    """Refuse a header in which a card of the axes, the observer or the pixels' values contradicts itself.

    Times are compared with all others, see `observation_time`.

    Raises
    ------
    MagnetogramError
        If there is such a card.

    References
    ----------
    FITS standard 4.0, section 4.1.2.3: the value of a keyword that is repeated is indeterminate.
    """
    counts: dict[str, int] = {}
    for keyword in header:
        counts[keyword] = counts.get(keyword, 0) + 1
    for keyword, count in counts.items():
        if count == 1 or not (group(keyword) in {"axes", "observer"} or keyword in _OF_THE_VALUES):
            continue
        values = [header[(keyword, number)] for number in range(count)]
        other = next((value for value in values[1:] if not _is_same(values[0], value)), None)
        if other is not None:
            raise MagnetogramError(
                f"{keyword} is there twice, {values[0]!r} and {other!r}, and a header has each card once: remove the "
                "wrong one"
            )


def _is_same(one: object, other: object) -> bool:
    try:
        return math.isclose(float(str(one)), float(str(other)), rel_tol=_ROUNDING)
    except ValueError:
        return str(one).strip().casefold() == str(other).strip().casefold()
