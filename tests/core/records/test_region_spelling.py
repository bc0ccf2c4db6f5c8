"""Spellings of a region's name."""

import pytest

from helioloop.records.cubes import CubeInfo
from helioloop.records.region_spelling import one_spelling, region_key, spellings


@pytest.mark.parametrize(
    "name", ["NOAA 8800", "NOAA8800", "AR8800", "ar 8800", "noaa_08800", "NOAA AR 8800", "AR#8800"]
)
def test_every_spelling_of_a_noaa_region_is_the_same(name: str) -> None:
    assert one_spelling(name) == "noaa 8800"


@pytest.mark.parametrize(
    ("cube", "table", "same"),
    [
        ("NOAA 8800", "8800", True),
        ("8800", "NOAA 8800", True),
        ("HARP 377", "377", True),
        ("HARP 377", "0377", True),
        ("NOAA 8398", "08398", True),
        ("08398", "8398.0", True),
        ("0398", "398", True),  # a spreadsheet takes leading zeros away
        ("NOAA 12673", "2673", True),  # SRS files have four digits
        ("NOAA 12673", "AR 2673", True),
        ("HARP 377", "NOAA 377", False),
        ("NOAA 2673", "NOAA 12673", False),
        ("spot", "SPOT", True),
        ("spot", "spot 1", False),
        ("", "", False),
    ],
)
def test_a_cube_finds_its_region_in_a_table_that_spells_it_otherwise(cube: str, table: str, same: bool) -> None:
    assert (one_spelling(table) in spellings(cube)) == same


def test_harps_and_noaa_regions_of_one_number_are_different_regions() -> None:
    assert len({region_key(name) for name in ("HARP377", "harp 0377", "NOAA 377", "377", "TARP_377")}) == 3


def test_cubes_of_one_region_in_two_spellings_have_one_key() -> None:
    """As cubes of an archive whose table wrote NOAA9393 have it beside others whose header has the number."""
    keys = {
        CubeInfo(release="r", name="c", sha256="0" * 64, region=region).region_key
        for region in ("NOAA9393", "NOAA 9393", "AR9393", "noaa09393", "9393")
    }
    assert keys == {"noaa 9393"}
    assert CubeInfo(release="r", name="c", sha256="0" * 64).region_key is None
