"""Cards of a magnetogram that say the same thing twice: alike they are read, far apart both are named."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from tests.core.archive.sun import Spot, cea_header, header, paint, paint_map, write

from helioloop.archive.fulldisk import FullDisk, read_fulldisk
from helioloop.archive.observation import read_observation
from helioloop.archive.solar_wcs import solar_wcs
from helioloop.errors import MagnetogramError
from helioloop.records.profiles import BUILT_IN

MDI, GONG = BUILT_IN["mdi"], BUILT_IN["gong"]
IDENTITY = {"PC1_1": 1.0, "PC2_2": 1.0}


def read(folder: Path, *, repeated: tuple[tuple[str, Any], ...] = (), **cards: Any) -> FullDisk:
    """Read a small full disk with these cards, or without those that are None; `repeated` ones are added to them."""
    of = header(size=256, scale=8.0)
    image = paint(of, [Spot(lon=of["CRLN_OBS"], lat=10.0, sigma_deg=2.0)], noise=10.0)
    for card, value in cards.items():
        if value is None:
            of.remove(card.replace("__", "-"), ignore_missing=True)
        else:
            of[card.replace("__", "-")] = value
    for card in repeated:
        of.append(card, end=True)
    fits.PrimaryHDU(image, of).writeto(folder / "image.fits", overwrite=True)
    return read_fulldisk(str(folder / "image.fits"), MDI)


def turn(deg: float, *, steps: tuple[float, float] = (1.0, 1.0)) -> dict[str, float]:
    """Return the matrix of a rotation by an angle, for pixels of this width and height."""
    cosine, sine = np.cos(np.radians(deg)), np.sin(np.radians(deg))
    ratio = steps[1] / steps[0]
    return {"1_1": cosine, "1_2": -sine * ratio, "2_1": sine / ratio, "2_2": cosine}


def pc(deg: float, **steps: Any) -> dict[str, float]:
    return {f"PC{name}": value for name, value in turn(deg, **steps).items()}


def cd(deg: float, *, scale: float = 8.0) -> dict[str, float]:
    return {f"CD{name}": value * scale for name, value in turn(deg).items()}


# -- rotation -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cards",
    [
        {**pc(3.1), "CROTA2": 3.1},
        {**pc(3.1), "CROTA2": 363.05},
        {**pc(183.1), "CROTA2": -176.9},
        {**pc(-90.0), "CROTA2": 270.0},
        {**pc(25.0, steps=(8.0, -8.0)), "CROTA2": 25.0, "CDELT2": -8.0},
        {**pc(25.0, steps=(-8.0, 8.0)), "CROTA2": 25.0, "CDELT1": -8.0},
        {**IDENTITY, "CROTA2": 0.0},
        {**cd(3.1), "CROTA2": 3.1},
        {**cd(183.1), "CROTA2": 183.1, "CDELT1": None, "CDELT2": None},
        {"CROTA2": 3.1, "CROTA1": 3.1},
        {"CROTA2": 3.1, "CROTA1": 0.0},  # by the custom that the angle is that of the second axis
        {**pc(3.1), "CROTA2": None, "CROTA1": 0.0},
        {"CROTA2": 3.1, "CROTA1": "unknown"},
        {"CROTA2": None, "CROTA1": 3.1},
    ],
)
def test_a_rotation_that_is_given_twice_alike_is_no_doubt(tmp_path: Path, cards: dict[str, Any]) -> None:
    assert read(tmp_path, **cards).solar_wcs.assumed == ()


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ({**IDENTITY, "CROTA2": 183.1}, r"PC1_1 1, PC2_2 1, which is a rotation by 0.00°, and CROTA2 is 183.10°"),
        ({**pc(3.1), "CROTA2": 0.0}, r"a rotation by 3.10°, and CROTA2 is 0.00°"),
        ({**pc(3.1), "CROTA2": -3.1}, r"a rotation by 3.10°, and CROTA2 is -3.10°"),
        ({**cd(180.0), "CROTA2": 0.0}, r"a rotation by -?180.00°, and CROTA2 is 0.00°"),
        ({"CROTA2": 0.0, "CROTA1": 3.1}, r"CROTA2 is 0.00°, and CROTA1 is 3.10°; they must be the same: remove"),
        ({"CROTA2": None, "CROTA1": 0.0, "CROTA": 180.0}, r"CROTA1 is 0.00°, and CROTA is 180.00°"),
    ],
)
def test_rotations_that_contradict_each_other_are_refused(tmp_path: Path, cards: dict[str, Any], reason: str) -> None:
    """A matrix of a program's default beside CROTA2 = 183.1 put south up, in silence."""
    with pytest.raises(MagnetogramError, match=reason):
        read(tmp_path, **cards)


def test_rotations_that_differ_by_half_a_degree_are_read_and_said(tmp_path: Path) -> None:
    (said,) = read(tmp_path, **pc(3.1), CROTA2=2.6).solar_wcs.assumed
    assert said.endswith("which is a rotation by 3.10°, and CROTA2 is 2.60°; the former was used")


def test_a_map_whose_rotation_contradicts_itself_is_refused(tmp_path: Path) -> None:
    of = cea_header("2011-02-12T00:00:00", lon=34.9, lat=-20.0, shape=(150, 220))
    of.update({**IDENTITY, "CROTA2": 90.0})
    with pytest.raises(MagnetogramError, match=r"CROTA2 is 90.00°"):
        solar_wcs(read_observation(str(write(tmp_path / "map.fits", of, paint_map(of, [])))))


# -- time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "date", ["2009-09-05T00:00:00", "2009-09-05T00:00:00.000", "2009/09/05 00:00", "20090905_000000"]
)
def test_midnight_beside_a_time_of_day_is_a_day(real: Path, tmp_path: Path, date: str) -> None:
    """A real GONG image whose day was written as a date and time: it was read as of midnight, 5° of longitude off."""
    with fits.open(real / "tdbqa090905t0924.fits.fz") as hdus:
        hdus[1].header["DATE-OBS"] = date
        fits.PrimaryHDU(hdus[1].data, hdus[1].header).writeto(tmp_path / "gong.fits")
    assert read_fulldisk(str(tmp_path / "gong.fits"), GONG).time.isot == "2009-09-05T09:24:35.000"


@pytest.mark.parametrize(
    ("cards", "tai"),
    [
        ({"T_OBS": None, "DATE__OBS": "2001-03-07T00:00:00Z", "TIME__OBS": "00:40:00"}, "2001-03-07T00:40:32.000"),
        ({"T_OBS": None, "DATE__OBS": "2001-03-07T00:00:00", "TIME": "00:00:00"}, "2001-03-07T00:00:32.000"),
        # midnight is a day where another card is later on it
        (
            {"T_OBS": None, "DATE__OBS": "2001-03-07T00:00:00", "T_REC": "2001.03.07_02:00:00"},
            "2001-03-07T02:00:00.000",
        ),
        ({"T_OBS": "2001.03.07_02:00:00_TAI", "DATE__OBS": "2001-03-07T00:00:00"}, "2001-03-07T02:00:00.000"),
        ({"T_OBS": "2001.03.07_02:00:00_TAI", "DATE__OBS": "2001-03-07"}, "2001-03-07T02:00:00.000"),
        # and the time where another one is minutes after it
        (
            {"T_OBS": None, "DATE__OBS": "2001-03-07T00:00:00", "T_REC": "2001.03.07_00:03:00"},
            "2001-03-07T00:00:32.000",
        ),
        # JSOC's slot at midnight is a time
        ({"TIME__OBS": "23:59:28", "T_REC": "2001.03.07_00:00:00_TAI"}, "2001-03-07T00:00:00.000"),
        # slot, start and middle are minutes apart
        ({"T_REC": "2001.03.07_00:48:00_TAI", "DATE__BEG": "2001-03-06T23:40:00"}, "2001-03-07T00:00:00.000"),
        ({"DATE__AVG": "to be filled", "T_REC": "-4712.01.01_11:59:28_TAI"}, "2001-03-07T00:00:00.000"),
    ],
)
def test_times_of_one_observation_are_read_without_a_word(tmp_path: Path, cards: dict[str, Any], tai: str) -> None:
    disk = read(tmp_path, **cards)
    assert (disk.time.isot, disk.assumed) == (tai, ())


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        (
            {"T_OBS": "2001.03.07_03:00:00_TAI"},
            r"T_OBS is '.*03:00:00_TAI' and DATE-OBS is '.*', 3.0 h apart; the times",
        ),
        ({"T_REC": "2001.03.10_00:00:00_TAI"}, r"and T_REC is '2001.03.10_00:00:00_TAI', 72.0 h apart"),
        ({"DATE_OBS": "2001-03-06"}, None),
        ({"DATE_OBS": "2001-03-09"}, r"and DATE_OBS is '2001-03-09', 48.0 h apart"),
        ({"DATE__OBS": "2001-03-02T00:00:00"}, r"and DATE-OBS is '2001-03-02T00:00:00', 96.0 h apart"),
        ({"TIME__OBS": "12:00:00"}, r"T_OBS is .* and TIME-OBS is '12:00:00', 12.0 h apart"),
    ],
)
def test_times_that_contradict_each_other_are_refused(
    tmp_path: Path, cards: dict[str, Any], reason: str | None
) -> None:
    if reason is None:
        assert read(tmp_path, **cards).assumed == ()
    else:
        with pytest.raises(MagnetogramError, match=reason):
            read(tmp_path, **cards)


def test_the_time_of_a_map_is_compared_with_its_other_cards_and_with_its_observer(real: Path, tmp_path: Path) -> None:
    """A real SHARP three days late by T_OBS: beside T_REC and DATE-OBS, and with its CRLN_OBS alone."""
    source = real / "hmi.sharp_cea_720s.377.20110215_020000_TAI.magnetogram.fits"
    for removed, reason in (
        ((), "T_OBS is .* 72.0 h apart"),
        (("T_REC", "DATE-OBS"), "longitude 21.73° and the Earth"),
    ):
        shutil.copy(source, tmp_path / "late.fits")
        with fits.open(tmp_path / "late.fits", mode="update", output_verify="silentfix") as hdus:
            hdus[1].header["T_OBS"] = "2011.02.18_01:59:54_TAI"
            for card in removed:
                del hdus[1].header[card]
        with pytest.raises(MagnetogramError, match=reason):
            solar_wcs(read_observation(str(tmp_path / "late.fits")))


# -- observer -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        (
            {"DSUN_OBS": None, "CRLN_OBS": 90.0},
            r"CRLN_OBS is 90.00° and the central meridian seen from the Earth was at 81",
        ),
        ({"HGLN_OBS": 90.0}, r"HGLN_OBS is 90.00° and the Stonyhurst longitude of the Earth was at 0.00°"),
        ({"CRLT_OBS": 7.25}, r"its observer is at Carrington latitude 7.25° and the Earth was at -7.25°"),
        (
            {"HGLT_OBS": 7.25},
            r"HGLT_OBS is 7.25° and the latitude of the disk's centre seen from the Earth was at -7.25°",
        ),
        ({"HGLN_OBS": 0.1, "HGLT_OBS": -7.2, "OBS_B0": -7.25, "OBS_L0": 81.3}, None),
        ({"HGLN_OBS": "unknown", "B0": 0.1}, None),
    ],
)
def test_an_observer_who_is_not_where_the_earth_is_is_refused(
    tmp_path: Path, cards: dict[str, Any], reason: str | None
) -> None:
    if reason is None:
        assert read(tmp_path, **cards).assumed == ()
    else:
        with pytest.raises(MagnetogramError, match=reason):
            read(tmp_path, **cards)


# -- the same card twice ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "card",
    [
        ("CRPIX1", 132.2),
        ("CRPIX1", "132.20"),
        ("CUNIT1", "ARCSEC"),
        ("T_OBS", "2001.03.07_00:00:00_TAI"),
        ("OBSERVER", "X"),
    ],
)
def test_a_card_that_is_there_twice_alike_is_no_doubt(tmp_path: Path, card: tuple[str, Any]) -> None:
    assert read(tmp_path, repeated=(card, card), OBSERVER="Y").assumed == ()


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        (("CRPIX1", 100.0), r"CRPIX1 is there twice, 132.2 and 100.0, and a header has each card once: remove"),
        (("CROTA2", 180.0), r"CROTA2 is there twice, 0.0 and 180.0"),
        (("CUNIT1", "deg"), r"CUNIT1 is there twice, 'arcsec' and 'deg'"),
        (("CRLN_OBS", 11.0), r"CRLN_OBS is there twice"),
        (("BUNIT", "kG"), r"BUNIT is there twice, 'Gauss' and 'kG'"),
        (("T_OBS", "2001.03.08_00:00:00_TAI"), r"T_OBS is .* and T_OBS is '2001.03.08_00:00:00_TAI', 24.0 h apart"),
    ],
)
def test_a_card_that_is_there_twice_with_other_values_is_refused(
    tmp_path: Path, card: tuple[str, Any], reason: str
) -> None:
    """FITS does not say which one holds, and one was used in silence."""
    with pytest.raises(MagnetogramError, match=reason):
        read(tmp_path, repeated=(card,))


def test_times_that_are_there_twice_minutes_apart_are_read_and_said(tmp_path: Path) -> None:
    (said,) = read(tmp_path, repeated=(("T_OBS", "2001.03.07_00:05:00_TAI"),)).assumed
    assert said == (
        "T_OBS is '2001.03.07_00:00:00_TAI' and T_OBS is '2001.03.07_00:05:00_TAI', and the former was used: remove one"
    )


def test_a_card_that_is_twice_in_the_primary_header_is_refused_for_the_image_beside_it(tmp_path: Path) -> None:
    of = header(size=256, scale=8.0)
    image = paint(of, [Spot(lon=of["CRLN_OBS"], lat=10.0, sigma_deg=2.0)], noise=10.0)
    of.append(("CRPIX1", 100.0), end=True)
    fits.HDUList([fits.PrimaryHDU(header=of), fits.ImageHDU(image)]).writeto(tmp_path / "split.fits")
    with pytest.raises(MagnetogramError, match=r"CRPIX1 is there twice, 132.2 and 100.0"):
        read_observation(str(tmp_path / "split.fits"))
