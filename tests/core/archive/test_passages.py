from dataclasses import replace

import pytest
from astropy.time import Time

from helioloop.archive.passages import (
    Ephemeris,
    first_seen_passages,
    off_middle_seconds,
    passage_of,
    rotations_at,
    slot_of,
    slot_start,
    tai_seconds,
    time_of,
)
from helioloop.archive.regions import Region
from helioloop.errors import ReleaseError
from helioloop.records.profiles import BUILT_IN

MDI = BUILT_IN["mdi"]
HOUR, DAY = 3600.0, 86400.0


def seconds(tai: str) -> float:
    return tai_seconds(Time(tai, scale="tai"))


def test_seconds_count_in_tai_from_jsocs_epoch() -> None:
    assert seconds("1993-01-02T00:00:00") == DAY
    assert time_of(DAY).isot == "1993-01-02T00:00:00.000"


@pytest.mark.parametrize(
    ("tai", "slot"),
    [
        ("1993-01-01T00:00:00", 0),
        ("1992-12-31T23:59:00", 0),  # a minute early still belongs to the slot
        ("1992-12-31T23:54:00", -1),
        ("1993-01-01T01:30:00", 0),
        ("1993-01-01T01:35:30", 1),
        ("1993-01-02T00:00:00", 15),
    ],
)
def test_slots_of_96_minutes_begin_five_minutes_early(tai: str, slot: int) -> None:
    assert slot_of(seconds(tai), MDI) == slot
    assert slot_start(slot, MDI) <= seconds(tai) < slot_start(slot + 1, MDI)


def test_the_distance_from_the_middle_of_a_slot() -> None:
    """The middle of slot 0 is at 43 minutes: half of 96, less five."""
    assert off_middle_seconds(43 * 60.0, MDI) == 0.0
    assert off_middle_seconds(0.0, MDI) == 43 * 60.0


def test_a_region_crosses_the_meridian_in_the_rotation_that_is_nearest() -> None:
    """On 2001-03-07 the central meridian was at 81.3° of rotation 1973: 90° east of it is 351.3°, still to come."""
    now = rotations_at(Time("2001-03-07T00:00:00", scale="tai"))
    assert now == pytest.approx(1973 + (360.0 - 81.33) / 360.0, abs=1e-3)
    assert passage_of(81.0, now) == 1973
    assert passage_of(351.3, now) == 1974
    assert passage_of(171.3, now) == 1973


@pytest.mark.parametrize(("lon", "lat"), [(81.33, 0.0), (10.0, 30.0), (350.0, -25.0)])
def test_the_first_and_last_slot_have_a_pixel_on_the_disk(lon: float, lat: float) -> None:
    """At the equator that is 97.5° from the central meridian, 7.4 days; the patch leaves before frame 225."""
    time = Time("2001-03-07T00:00:00", scale="tai")
    ephemeris = Ephemeris.covering(tai_seconds(time), tai_seconds(time))
    region = Region(name="r", lon_deg=lon, lat_deg=lat)
    rotation = passage_of(lon, rotations_at(time))
    first = ephemeris.first_slot(region, rotation, MDI)
    at_start = rotations_at(time_of(slot_start(first, MDI) + MDI.instrument.cadence_seconds / 2))
    east = 360.0 * (rotation + 1.0 - lon / 360.0 - at_start)
    assert east == pytest.approx(97.5, abs=1.0) if lat == 0.0 else 90.0 < east < 105.0
    in_view = ephemeris.last_slot(region, rotation, MDI)
    at_end = rotations_at(time_of(slot_start(in_view, MDI) + MDI.instrument.cadence_seconds / 2))
    west = 360.0 * (at_end - (rotation + 1.0 - lon / 360.0))
    assert west == pytest.approx(97.5, abs=1.0) if lat == 0.0 else 90.0 < west < 105.0
    last = rotations_at(time_of(slot_start(first + 225, MDI)))
    assert 360.0 * (last - (rotation + 1.0 - lon / 360.0)) > 97.5 if lat == 0.0 else True


def test_first_seen_names_the_passage() -> None:
    regions = (
        Region(name="a", lon_deg=81.0, lat_deg=5.0, first_seen_tai="2001-03-04T00:00:00"),
        Region(name="b", lon_deg=81.0, lat_deg=5.0),
    )
    assert first_seen_passages(regions) == {"a": 1973}
    with pytest.raises(ReleaseError, match=r"region 'a' was .*° from the central meridian at its first_seen"):
        first_seen_passages((replace(regions[0], first_seen_tai="2001-03-19T00:00:00"),))
