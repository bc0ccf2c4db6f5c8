"""The region of a cube: every way to write its number gives one name, and codes of missing numbers give none."""

import pytest
from astropy.io import fits

from helioloop.data.region import read_region

NONE = (None, None, ())


def _read(*cards: tuple[str, object], start: str | None = None, cube: str = "C") -> tuple[str | None, ...]:
    header = fits.Header()
    for card in cards:
        header.append(card)
    return read_region([header], cube, start)


@pytest.mark.parametrize(
    "value",
    [8398, 8398.0, "8398", "8398.0", "08398", "AR 8398", "AR8398", "NOAA 8398", "NOAA AR8398", "8.398E3", " 8398 "],
)
@pytest.mark.parametrize("card", ["NOAA_AR", "NOAA_ARS"])
def test_every_notation_of_a_number_gives_one_name(card: str, value: object) -> None:
    assert _read((card, value)) == ("NOAA 8398", card, ())


@pytest.mark.parametrize(
    "value",
    ["nan", "-nan", "+NaN", "nan(0x8)", "inf", "-inf", "Infinity", "NA", "<NA>", "--", "...", "?", "0,0", "-1", -1.0, 0,
     377.5, True, 99999999, 2147483647, 65535, -2147483648, "MISSING", "Invalid KeyLink", "", None],
)  # fmt: skip
@pytest.mark.parametrize("card", ["NOAA_AR", "HARPNUM", "TARPNUM", "NOAA_ARS"])
def test_codes_of_missing_numbers_are_no_region(card: str, value: object) -> None:
    assert _read((card, value)) == NONE
    assert _read((card, value), cube="AR8398_19981206") == ("AR8398", "file name", ())


@pytest.mark.parametrize(
    "value", ["nan", "-nan", "inf", "1e999", "--", "0", "000", "-1", 0.0, "UNDEFINED", "NOAA nan", "AR -"]
)
def test_codes_of_missing_values_are_no_name(value: object) -> None:
    assert _read(("REGION", value)) == NONE


@pytest.mark.parametrize(("value", "name"), [("377_1", "377_1"), ("8398.0", "8398"), ("007", "007"), ("AR", "AR")])
def test_a_name_is_read_as_it_is_and_a_whole_number_without_decimals(value: str, name: str) -> None:
    """Python reads 377_1 as 3771, another region."""
    assert _read(("REGION", value)) == (name, "REGION", ())


def test_the_number_of_regions_is_not_a_region() -> None:
    """NOAA_NUM of SHARP and SMARP counts the NOAA regions in a patch, mostly 1."""
    assert _read(("NOAA_NUM", 1), ("NOAA_AR", 0), ("HARPNUM", 377)) == ("HARP 377", "HARPNUM", ())


def test_the_patches_of_hmi_and_mdi_have_a_name_each() -> None:
    assert _read(("HARPNUM", 377)) != _read(("TARPNUM", 377))


@pytest.mark.parametrize(
    ("value", "region"),
    [
        ("11158,11159", "NOAA 11158,11159"),
        ("11159, 11158", "NOAA 11158,11159"),
        ("11158,0", "NOAA 11158"),
        ("nan, 11158", "NOAA 11158"),
        ("x y", "NOAA x y"),
    ],
)
def test_a_list_of_regions_is_one_name(value: str, region: str) -> None:
    assert _read(("NOAA_ARS", value))[0] == region


def test_a_keyword_may_be_there_twice() -> None:
    assert _read(("REGION", ""), ("REGION", "R1")) == ("R1", "REGION", ())


def test_four_digits_after_june_2002_stand_for_five() -> None:
    region, _, notes = _read(("NOAA_AR", "0069"), start="2002-08-15T00:00:00")
    assert region == "NOAA 10069"
    assert "10,000" in notes[0]
    assert _read(("NOAA_AR", 10069), start="2002-08-15T00:00:00") == ("NOAA 10069", "NOAA_AR", ())


@pytest.mark.parametrize(
    ("card", "start"), [("NOAA_AR", "1998-12-06T00:00:00"), ("NOAA_AR", None), ("HARPNUM", "2011-02-15T00:00:00")]
)
def test_other_numbers_of_four_digits_stay(card: str, start: str | None) -> None:
    region, _, notes = _read((card, 377), start=start)
    assert region is not None
    assert (region.split()[1], notes) == ("377", ())
