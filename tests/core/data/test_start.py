"""The start of a cube: of several cards the right one is used, and its scale may be in another header."""

import pytest
from astropy.io import fits

from helioloop.data.start import start_from_headers
from helioloop.errors import CubeError

MIDNIGHT = "1998-12-06T00:00:00"


def _header(*cards: tuple[str, object]) -> fits.Header:
    header = fits.Header()
    for card in cards:
        header.append(card)
    return header


@pytest.mark.parametrize(
    "headers",
    [
        [_header(("DATE-OBS", "1998-12-06T00:00:31")), _header(("TIMESYS", "TAI"))],
        [_header(("TIMESYS", "TAI")), _header(("DATE-OBS", "1998-12-06T00:00:31"))],
        [_header(("DATE-OBS", "1998-12-06T00:00:31"), ("TIMESYS", "TAI")), _header(("TIMESYS", "UTC"))],
        [_header(("DATE-OBS", "1998-12-06T00:00:31"), ("TIMESYS", None)), _header(("TIMESYS", "TAI(NIST)"))],
    ],
    ids=["next header", "header before", "own header first", "undefined here"],
)
def test_the_time_scale_may_be_in_another_header(headers: list[fits.Header]) -> None:
    start = start_from_headers(*headers)
    assert start is not None
    assert (start.utc, start.scale, start.source) == (MIDNIGHT, "tai", "DATE-OBS")


@pytest.mark.parametrize(
    "cards",
    [
        [("DATE-OBS", ""), ("DATE_OBS", MIDNIGHT)],
        [("DATE-OBS", ""), ("DATE-OBS", MIDNIGHT)],
        [("DATE-OBS", "MISSING"), ("DATE_OBS", MIDNIGHT)],
        [("DATE-OBS", "1970-01-01T00:00:00"), ("T_REC", "1998.12.06_00:00:31_TAI")],
        [("DATE-OBS", "06/12/98"), ("DATE_OBS", MIDNIGHT)],
        [("DATE-OBS", "06/12/98"), ("TIME-OBS", "00:00:00")],
        [("DATE-OBS", "1998-12-06"), ("UT", "00:00:00")],
        [("DATE_OBS", "98/12/06"), ("TIME_OBS", "0:00:00.000")],
        [("MJD-OBS", 51153.0)],
        [("MJD-OBS", 51153.0), ("DATE-OBS", MIDNIGHT), ("DATE", "2015-01-01T00:00:00")],
    ],
)
def test_the_card_with_a_value_and_a_time_of_day_is_used(cards: list[tuple[str, object]]) -> None:
    start = start_from_headers(_header(*cards))
    assert start is not None
    assert (start.utc, start.doubts) == (MIDNIGHT, ())


@pytest.mark.parametrize(
    ("cards", "utc"),
    [
        ([("DATE-OBS", MIDNIGHT), ("TIME-OBS", "01:36:00")], "1998-12-06T01:36:00"),
        ([("DATE_OBS", f"{MIDNIGHT}.000Z"), ("TIME_OBS", "01:36")], "1998-12-06T01:36:00"),
        ([("DATE-BEG", "1998-12-06 00:00"), ("TIME-BEG", "01:36:00")], "1998-12-06T01:36:00"),
        ([("DATE-OBS", "1998-12-06T00:00:01"), ("TIME-OBS", "01:36:00")], "1998-12-06T00:00:01"),
        ([("T_REC", "1998.12.06_00:00:31_TAI"), ("TIME-OBS", "01:36:00")], MIDNIGHT),
        ([("T_REC", "1998.12.06_00:00:00_TAI"), ("TIME-OBS", "01:36:00")], "1998-12-05T23:59:29"),
    ],
)
def test_midnight_in_a_card_of_the_date_is_a_day_beside_a_time_of_day(
    cards: list[tuple[str, object]], utc: str
) -> None:
    """The slot of an archive is a time at midnight, too."""
    start = start_from_headers(_header(*cards))
    assert start is not None
    assert start.utc == utc


@pytest.mark.parametrize("second", ["DATE-OBS", "DATE_OBS"])
def test_cards_of_one_kind_that_differ_are_said(second: str) -> None:
    start = start_from_headers(_header(("DATE-OBS", MIDNIGHT), (second, "1998-12-07T00:00:00")))
    assert start is not None
    assert start.utc == MIDNIGHT
    assert f"{second} gives 1998-12-07T00:00:00; the first was used" in start.doubts[0]


@pytest.mark.parametrize("cards", [[("DATE", MIDNIGHT)], [("DATE-END", MIDNIGHT)], [("DATE-OBS", None)], []])
def test_other_cards_are_no_start(cards: list[tuple[str, object]]) -> None:
    assert start_from_headers(_header(*cards)) is None


@pytest.mark.parametrize("value", [2451153.5, "soon", 51.0])
def test_a_card_of_days_outside_the_years_of_magnetograms_is_refused(value: object) -> None:
    with pytest.raises(CubeError, match="modified Julian date of 1950 to 2100"):
        start_from_headers(_header(("MJD-OBS", value)))
