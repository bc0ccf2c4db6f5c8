import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray
from tests.core.archive.sun import Spot, header, paint, write

from helioloop.archive.fulldisk import FullDisk, profile_for, read_fulldisk
from helioloop.archive.observation import read_observation
from helioloop.errors import MagnetogramError
from helioloop.records.profiles import BUILT_IN

MDI, HMI, GONG = (BUILT_IN[name] for name in ("mdi", "hmi", "gong"))

SMALL = {"size": 256, "scale": 8.0}

AXES = tuple(f"{card}{axis}" for card in ("CTYPE", "CUNIT", "CRPIX", "CRVAL", "CDELT") for axis in (1, 2))


def image_of(of: fits.Header) -> NDArray[np.float32]:
    l0 = of.get("CRLN_OBS", 0.0)
    return paint(of, [Spot(lon=l0, lat=10.0, sigma_deg=2.0)], noise=10.0) if "CRLN_OBS" in of else np.empty((0, 0))


def made(folder: Path, **cards: Any) -> str:
    """Write a small full-disk image whose header has these cards too, or lacks them where they are None."""
    of = header(**{**SMALL, **{k: v for k, v in cards.items() if k in {"size", "scale", "tai", "instrument"}}})
    image = image_of(of)
    for card, value in cards.items():
        if card not in {"size", "scale", "tai", "instrument"}:
            if value is None:
                of.remove(card.replace("__", "-"), ignore_missing=True)
            else:
                of[card.replace("__", "-")] = value
    return str(write(folder / "image.fits", of, image))


def read(folder: Path, profile: Any = MDI, **cards: Any) -> FullDisk:
    return read_fulldisk(made(folder, **cards), profile)


def test_a_magnetogram_is_read_with_time_and_place(tmp_path: Path) -> None:
    disk = read(tmp_path)
    assert disk.time.isot == "2001-03-07T00:00:00.000"
    assert disk.time_card == "T_OBS 2001.03.07_00:00:00_TAI"
    assert disk.assumed == ()
    assert disk.solar_wcs.rsun_arcsec == pytest.approx(967.0, abs=2.0)
    assert disk.solar_wcs.observer_carrington_deg[1] == pytest.approx(-7.25, abs=0.02)


@pytest.mark.parametrize(
    ("bunit", "factor"), [("Gauss", 1.0), ("Mx/cm^2", 1.0), ("kG", 1000.0), ("T", 1e4), ("mT", 10.0)]
)
def test_every_unit_of_flux_density_becomes_gauss(tmp_path: Path, bunit: str, factor: float) -> None:
    of = header(**SMALL, BUNIT=bunit)
    image = image_of(of)
    place = write(tmp_path / "i.fits", of, image / np.float32(factor))
    np.testing.assert_allclose(read_fulldisk(str(place), MDI).field_gauss, image, rtol=1e-5)


def test_hmi_is_brought_to_the_scale_of_mdi(tmp_path: Path) -> None:
    of = header(**SMALL, instrument="HMI")
    image = image_of(of)
    place = write(tmp_path / "i.fits", of, image)
    np.testing.assert_allclose(read_fulldisk(str(place), HMI).field_gauss, 1.40 * image, rtol=1e-5)


def test_a_missing_unit_is_assumed_and_said(tmp_path: Path) -> None:
    assert read(tmp_path, BUNIT=None).assumed == ("BUNIT is missing, gauss was assumed",)


@pytest.mark.parametrize(
    ("cards", "tai"),
    [
        ({}, "2001-03-07T00:00:00.000"),
        ({"T_OBS": "-4712.01.01_11:59:28_TAI"}, "2001-03-07T00:00:00.000"),  # JSOC's null: DATE-OBS counts
        ({"T_OBS": "1977.01.01_00:00:00_TAI"}, "2001-03-07T00:00:00.000"),  # JSOC's zero
        ({"T_OBS": None, "DATE__OBS": "", "DATE_OBS": "2001-03-07T00:01:00"}, "2001-03-07T00:01:32.000"),
        ({"T_OBS": None, "DATE__OBS": "2001-03-07T00:01:00"}, "2001-03-07T00:01:32.000"),  # UTC, 32 leap seconds
        ({"T_OBS": None, "DATE__OBS": "2001/03/07", "TIME__OBS": "00:02:03.5"}, "2001-03-07T00:02:35.500"),
        ({"T_OBS": None, "DATE__OBS": "2001-03-07T00:01:00", "TIMESYS": "TAI"}, "2001-03-07T00:01:00.000"),
        ({"T_OBS": None, "DATE__OBS": None, "T_REC": "2001.03.07_00:00:00_TAI"}, "2001-03-07T00:00:00.000"),
        ({"T_OBS": "2001.03.07_00:00:30_UTC"}, "2001-03-07T00:01:02.000"),
        ({"T_OBS": "2001.03.07_00:00:30"}, "2001-03-07T00:00:30.000"),  # JSOC counts in TAI
        ({"T_OBS": None, "DATE__AVG": "2001-03-07T00:03:00"}, "2001-03-07T00:03:32.000"),  # before DATE-OBS
        # of two cards of a kind the one with a time of day, and the time of day in other cards
        ({"T_OBS": None, "DATE__OBS": "2001-03-07", "DATE_OBS": "2001-03-07T00:01:00Z"}, "2001-03-07T00:01:32.000"),
        *(
            ({"T_OBS": None, "DATE__OBS": "2001/03/07", card: "00:01:00"}, "2001-03-07T00:01:32.000")
            for card in ("TIME_OBS", "TIME", "UTC", "UT")
        ),
        ({"T_OBS": None, "DATE__OBS": "2001-03-07", "TIME": "N/A", "UT": "00:01:00"}, "2001-03-07T00:01:32.000"),
    ],
)
def test_the_observation_time_is_found(tmp_path: Path, cards: dict[str, Any], tai: str) -> None:
    assert read(tmp_path, **cards).time.isot == tai


def test_the_date_of_processing_is_never_taken(tmp_path: Path) -> None:
    with pytest.raises(MagnetogramError, match="no card gives its observation time"):
        read(tmp_path, T_OBS=None, DATE__OBS=None, DATE="2012-02-28T02:08:00")


def test_a_time_at_which_the_observer_was_elsewhere_is_refused(tmp_path: Path) -> None:
    """A day more turns the Sun by 13°: the header's longitude does not fit it."""
    with pytest.raises(MagnetogramError, match=r"Carrington longitude 81.33° and the Earth was at 68"):
        read(tmp_path, T_OBS="2001.03.08_00:00:00_TAI", DATE__OBS=None)


def test_a_day_without_a_time_of_day_is_named(tmp_path: Path) -> None:
    with pytest.raises(MagnetogramError, match="DATE-OBS is '2001-03-07', a day without a time of day; one of"):
        read(tmp_path, T_OBS=None, DATE__OBS="2001-03-07")


@pytest.mark.parametrize("radius", [695700.0, 6.957e10, 959.63, 1.0])
def test_a_radius_of_the_sun_in_another_unit_is_refused(tmp_path: Path, radius: float) -> None:
    """In kilometres it put all regions at the middle of the disk, where the file does not mark pixels off the disk."""
    with pytest.raises(MagnetogramError, match=r"RSUN_REF is .*; it must be the radius of the Sun in metres"):
        read(tmp_path, RSUN_REF=radius)


@pytest.mark.parametrize("radius", [6.955e8, 6.957e8, "6.9599E8", 0.0, None])
def test_radii_of_the_sun_in_use_are_read_and_a_missing_one_is_assumed(tmp_path: Path, radius: Any) -> None:
    expected = float(radius) if radius else 6.96e8
    assert read(tmp_path, RSUN_REF=radius).solar_wcs.rsun_m == pytest.approx(expected)


@pytest.mark.parametrize("unit", ["ARCSEC", "arcsecs", "Arcseconds", " arcsec "])
def test_the_unit_of_the_axes_may_be_written_otherwise(tmp_path: Path, unit: str) -> None:
    assert read(tmp_path, CUNIT1=unit, CUNIT2=unit).solar_wcs.arcsec_per_px == pytest.approx(SMALL["scale"])


NO_OBSERVER: dict[str, Any] = {"CRLN_OBS": None, "CRLT_OBS": None, "DSUN_OBS": None}


@pytest.mark.parametrize("card", ["L0", "SOLAR_L0", "OBS_L0"])
def test_without_an_observer_a_card_of_the_longitude_contradicts_a_wrong_time(tmp_path: Path, card: str) -> None:
    """The Earth is assumed then, at that time, so nothing else would contradict it. GONG writes L0."""
    assert read(tmp_path, **NO_OBSERVER, **{card: 81.3}).solar_wcs.assumed
    (tmp_path / "wrong").mkdir()
    with pytest.raises(MagnetogramError, match=rf"{card} is 81\.30° and the central meridian .* was at 68\.1.°"):
        read(tmp_path / "wrong", **NO_OBSERVER, **{card: 81.3}, T_OBS="2001.03.08_00:00:00_TAI", DATE__OBS=None)


@pytest.mark.parametrize("value", ["unknown", "", 441.3])
def test_a_longitude_that_is_no_number_or_a_turn_farther_contradicts_nothing(tmp_path: Path, value: Any) -> None:
    assert read(tmp_path, **NO_OBSERVER, L0=value)


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (512, None),
        (0, None),
        (-2147483648, "0x80000000 of it"),
        ("0x80000200", "QUALITY is 0x80000200"),
        ("nan", None),
        (2147483648.0, "0x80000000 of it"),
        (512.0, None),
    ],
)
def test_quality_excludes_by_the_bits_of_the_profile(tmp_path: Path, quality: Any, reason: str | None) -> None:
    if reason is None:
        assert read(tmp_path, QUALITY=quality)
    else:
        with pytest.raises(MagnetogramError, match=reason):
            read(tmp_path, QUALITY=quality)


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ({"BUNIT": "m/s"}, "BUNIT is 'm/s', a velocity"),
        ({"BUNIT": "deg"}, "BUNIT is 'deg', an angle"),
        ({"BUNIT": "DN/s"}, "BUNIT is 'DN/s'"),
        ({"CONTENT": "DOPPLERGRAM"}, "CONTENT is 'DOPPLERGRAM', so it is not a line-of-sight magnetogram"),
        ({"CONTENT": "Line-of-sight velocity"}, "CONTENT is 'Line-of-sight velocity'"),
        ({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}, "CTYPE1 and CTYPE2 are 'RA---TAN'"),
        ({"CDELT1": 0.0}, "CDELT1 is 0"),
        ({"CRPIX2": None}, "CRPIX2 is None; it must be a number"),
        (
            {"DSUN_OBS": 1.0},
            r"DSUN_OBS is 1; it must be the distance from the Sun's centre in metres, from 0.2 to 2 au",
        ),
        ({"DSUN_OBS": -1.5e11}, r"DSUN_OBS is -1.5e\+11; it must be the distance"),
        ({"DSUN_OBS": 1.5e8}, r"DSUN_OBS is 1.5e\+08; it must be the distance"),
        ({"CRPIX1": "nan"}, "CRPIX1 is 'nan'"),
        (
            {"CRPIX1": 400.0},
            r"ends at 120.9 px around \(132.2, 126.2\), and .* 120.9 px around \(400.0",
        ),
        ({"CDELT1": 2.0, "CDELT2": 2.0}, r"puts the limb at 483.5 px around .*: correct CRPIX, CRVAL, CDELT"),
        ({"CDELT1": 12.0, "CDELT2": 12.0}, r"puts the limb at 80.6 px around"),
        (
            {"CUNIT1": "deg", "CUNIT2": "deg"},
            r"are 2.88e\+04 arcsec wide by CDELT1 8 and CUNIT1 'deg'; .*: correct CUNIT",
        ),
        ({"CDELT1": 2.2e-3, "CDELT2": 2.2e-3}, r"are 0.0022 arcsec wide by CDELT1 0.0022 and CUNIT1 'arcsec'"),
        (
            {"TELESCOP": "SDO/HMI", "INSTRUME": "HMI_SIDE1"},
            "it is from HMI and profile 'mdi' is for MDI.*--profile hmi",
        ),
    ],
)
def test_what_is_no_full_disk_magnetogram_is_refused(tmp_path: Path, cards: dict[str, Any], reason: str) -> None:
    with pytest.raises(MagnetogramError, match=reason):
        read(tmp_path, **cards)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda field: (field > 50).astype(np.float32), "are 1 different whole numbers of one sign, as in a mask"),
        (np.abs, "have one sign only"),
        (lambda field: field * 1000.0, "half of its values are beyond"),
        (lambda field: np.random.default_rng(0).normal(0.0, 200.0, field.shape), "scatter by .* such as a velocity"),
        (
            lambda field: np.random.default_rng(0).normal(0.0, 0.02, field.shape),
            "strongest field is 0.0.*correct BUNIT or BSCALE",
        ),
        (lambda field: field * np.nan, "all its pixels are NaN or blank"),
        (lambda field: field * 0.0, "no pixel holds a field"),
        (
            lambda field: np.stack([field] * 3),
            r"the shape \(3, 256, 256\).*: write the plane of the line-of-sight field",
        ),
        (
            lambda field: np.stack([field] * 3, axis=2),
            r"the shape \(256, 256, 3\).*: write the plane of the line-of-sight",
        ),
        (
            lambda field: np.stack([field] * 20),
            r"the shape \(20, 256, 256\); .* two axes: a finished cube belongs into a",
        ),
    ],
)
def test_values_that_are_not_a_line_of_sight_field_are_refused(
    tmp_path: Path, change: Callable[[Any], Any], reason: str
) -> None:
    of = header(**SMALL)
    fits.PrimaryHDU(change(image_of(of)), of).writeto(tmp_path / "i.fits")
    with pytest.raises(MagnetogramError, match=reason):
        read_fulldisk(str(tmp_path / "i.fits"), MDI)


@pytest.mark.parametrize("code", [-999.0, -2000.0, 3000.0, -9999.0, -32768.0, 9999.0, 1e20, -1.7e38])
@pytest.mark.parametrize("said", [True, False])
def test_pixels_off_the_disk_may_have_any_code(tmp_path: Path, code: float, said: bool) -> None:
    """Without SKYVALUE a code of some thousand gauss was averaged into the limb, and a larger one refused the file."""
    of = header(**SMALL, **({"SKYVALUE": code} if said else {}))
    image = image_of(of)
    off_disk = np.isnan(image)
    disk = read_fulldisk(str(write(tmp_path / "coded.fits", of, np.where(off_disk, np.float32(code), image))), MDI)
    known = np.isfinite(disk.field_gauss)
    assert not known[off_disk].any()
    assert known.mean() > 0.95 * (~off_disk).mean()
    np.testing.assert_array_equal(disk.field_gauss[known], image[known])
    assumed = f"{code:g} G in the corners, which many pixels share, was taken for the code of pixels off the disk"
    assert disk.assumed == ((assumed,) if not said and -1e5 < code < 7e3 else ())


@pytest.mark.parametrize("kind", [-1, 1, 2])
def test_zeros_off_the_disk_may_be_compressed_with_loss(tmp_path: Path, kind: int) -> None:
    """As fpack does by itself: its dithering made them weak field, and the limb was said to be elsewhere."""
    of = header(**SMALL)
    image = image_of(of)
    zeros = fits.CompImageHDU(np.nan_to_num(image), of, quantize_level=4.0, quantize_method=kind, dither_seed=1)
    fits.HDUList([fits.PrimaryHDU(), zeros]).writeto(tmp_path / "packed.fits")
    field = read_fulldisk(str(tmp_path / "packed.fits"), MDI).field_gauss
    assert (field[np.isnan(image)] == 0.0).all()
    assert np.nanmax(np.abs(field - image)) < 3.0


def test_a_patch_at_the_limb_may_have_a_code_in_some_corners(tmp_path: Path) -> None:
    of = header(**SMALL)
    field = np.random.default_rng(0).normal(0.0, 10.0, (256, 256)).astype(np.float32)
    field[:, :40] = -2000.0
    found = read_observation(str(write(tmp_path / "limb.fits", of, field))).field_gauss
    assert np.isnan(found[:, :40]).all()
    np.testing.assert_array_equal(found[:, 42:], field[:, 42:])


def test_a_sunspot_in_a_corner_is_field(tmp_path: Path) -> None:
    """Its pixels are saturated at one value, and fewer than those off a disk."""
    of = header(**SMALL)
    field = np.random.default_rng(0).normal(0.0, 10.0, (256, 256)).astype(np.float32)
    field[:40, :40] = -2000.0
    found = read_observation(str(write(tmp_path / "spot.fits", of, field)))
    np.testing.assert_array_equal(found.field_gauss, field)
    assert found.assumed == ()


@pytest.mark.parametrize("segment", ["bitmap", "conf_disambig", "Br", "Bp_err", "inclination", "Dopplergram"])
def test_another_segment_of_a_series_is_refused_by_its_name(tmp_path: Path, segment: str) -> None:
    place = tmp_path / f"hmi.sharp_cea_720s.377.20110215_020000_TAI.{segment}.fits"
    shutil.copy(made(tmp_path), place)
    with pytest.raises(MagnetogramError, match=f"its name says '{segment.lower()}'"):
        read_observation(str(place))


@pytest.mark.parametrize("ending", [".fits.gz", ".fts", ".fts.gz"])
def test_packed_files_are_read(tmp_path: Path, ending: str) -> None:
    plain = Path(made(tmp_path))
    packed = tmp_path / f"packed{ending}"
    packed.write_bytes(gzip.compress(plain.read_bytes()) if ending.endswith(".gz") else plain.read_bytes())
    np.testing.assert_array_equal(
        read_fulldisk(str(packed), MDI).field_gauss, read_fulldisk(str(plain), MDI).field_gauss
    )


@pytest.mark.parametrize("stored", [np.float32, np.int32])
def test_a_file_exported_without_keywords_is_told_from_one_without_a_time(tmp_path: Path, stored: Any) -> None:
    """As JSOC's `as-is`, also where the values cannot be gauss: they were said to have lost BSCALE or BUNIT."""
    image = np.nan_to_num(image_of(header(**SMALL)))
    bare = fits.CompImageHDU((image * np.float32(100.0)).astype(stored), fits.Header({"DATE": "2020-01-01"}))
    fits.HDUList([fits.PrimaryHDU(), bare]).writeto(tmp_path / "data.fits")
    with pytest.raises(MagnetogramError, match=r"as in files that JSOC exports as-is: export .* protocol=\"fits\""):
        read_observation(str(tmp_path / "data.fits"))
    named = fits.PrimaryHDU(image, fits.Header({"TELESCOP": "SOHO", "INSTRUME": "MDI"}))
    named.writeto(tmp_path / "named.fits")
    with pytest.raises(MagnetogramError, match="no card gives its observation time"):
        read_observation(str(tmp_path / "named.fits"))


def test_damaged_and_absent_files_are_refused(tmp_path: Path) -> None:
    plain = Path(made(tmp_path))
    (tmp_path / "cut.fits").write_bytes(plain.read_bytes()[:9000])
    (tmp_path / "text.fits").write_text("<html>not found</html>")
    for name, reason in {
        "cut.fits": "its FITS structure is damaged",
        "text.fits": "it begins with b'<html>",
        "absent.fits": "cannot be read",
    }.items():
        with pytest.raises(MagnetogramError, match=reason):
            read_fulldisk(str(tmp_path / name), MDI)


def test_damaged_data_whose_sum_is_in_the_header_are_said(tmp_path: Path) -> None:
    path = tmp_path / "summed.fits"
    with fits.open(made(tmp_path)) as hdus:  # gzipped tiles have a sum of their own
        fits.ImageHDU(hdus[1].data, hdus[1].header).writeto(path, checksum=True)
    assert read_observation(str(path)).assumed == ()
    content = bytearray(path.read_bytes())
    content[-40_000] ^= 1
    path.write_bytes(content)
    (doubt,) = read_observation(str(path)).assumed
    assert "not those of which DATASUM is the sum" in doubt


@pytest.mark.parametrize("inherit", [None, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_cards_in_the_primary_header_are_those_of_the_only_image(
    tmp_path: Path, inherit: bool | None, compressed: bool
) -> None:
    """As several writers leave them; it is said where the image does not say so itself by INHERIT."""
    of = header(**SMALL)
    image = image_of(of)
    own = fits.Header({"BUNIT": "kG", **({} if inherit is None else {"INHERIT": inherit})})
    bare = (fits.CompImageHDU if compressed else fits.ImageHDU)(image / np.float32(1000.0), own)
    fits.HDUList([fits.PrimaryHDU(header=of), bare]).writeto(tmp_path / "split.fits")
    whole = read_fulldisk(str(write(tmp_path / "whole.fits", of, image)), MDI)
    split = read_fulldisk(str(tmp_path / "split.fits"), MDI)
    np.testing.assert_allclose(split.field_gauss, whole.field_gauss, atol=5.0 if compressed else 1e-3)
    assert split.time_card == whole.time_card
    assert split.solar_wcs.observer_carrington_deg == whole.solar_wcs.observer_carrington_deg
    said = [doubt for doubt in split.assumed if "read from the file's primary header" in doubt]
    assert len(said) == (inherit is None)
    assert not said or " lacks T_OBS, DATE-OBS, TELESCOP, INSTRUME, CONTENT and " in said[0]


def test_an_image_that_does_not_inherit_has_its_own_cards_only(tmp_path: Path) -> None:
    of = header(**SMALL)
    own = fits.Header({"BUNIT": "Gauss", "INHERIT": False})
    fits.HDUList([fits.PrimaryHDU(header=of), fits.ImageHDU(image_of(of), own)]).writeto(tmp_path / "own.fits")
    with pytest.raises(MagnetogramError, match="its header has no card of time, coordinates or instrument"):
        read_fulldisk(str(tmp_path / "own.fits"), MDI)


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (AXES, {"CROTA2": 180.0}),
        (AXES, {"CD1_1": -9.0}),
        (("DATE-OBS",), {"T_OBS": "1999.01.01_00:00:00_TAI"}),
        (("CRLN_OBS", "CRLT_OBS", "DSUN_OBS"), {"OBS_L0": 17.0, "L0": 17.0}),
    ],
    ids=["rotation", "matrix", "time", "observer"],
)
def test_axes_time_and_observer_are_not_mixed_from_two_headers(
    tmp_path: Path, own: tuple[str, ...], other: dict[str, Any]
) -> None:
    """An image that has some of these cards is read as if the primary header had none of them."""
    of = header(**SMALL, CROTA2=None)
    image = image_of(of)
    primary = of.copy()
    for card in own:
        del primary[card]
    primary.update(other)
    alone = primary.copy()
    for card in other:
        alone.remove(card)
    for name, cards in (("mixed", primary), ("alone", alone)):
        bare = fits.ImageHDU(image, fits.Header({card: of[card] for card in own}))
        fits.HDUList([fits.PrimaryHDU(header=cards), bare]).writeto(tmp_path / f"{name}.fits")
    if own == ("DATE-OBS",):
        assert read_fulldisk(str(tmp_path / "mixed.fits"), MDI).time_card.startswith("DATE-OBS")
        return
    mixed, expected = (read_fulldisk(str(tmp_path / f"{name}.fits"), MDI).solar_wcs for name in ("mixed", "alone"))
    assert mixed.observer_carrington_deg == expected.observer_carrington_deg
    np.testing.assert_array_equal(mixed.wcs.pixel_scale_matrix, expected.wcs.pixel_scale_matrix)


def test_who_wrote_a_file_is_no_doubt(tmp_path: Path) -> None:
    """The primary header beside a complete one often has only the date and the program."""
    of = header(**SMALL)
    written = fits.Header({"DATE": "2020-01-01", "ORIGIN": "SOI", "CREATOR": "pipeline 3"})
    fits.HDUList([fits.PrimaryHDU(header=written), fits.ImageHDU(image_of(of), of)]).writeto(tmp_path / "by.fits")
    assert read_fulldisk(str(tmp_path / "by.fits"), MDI).assumed == ()


def test_what_the_primary_header_says_can_refuse_an_image(tmp_path: Path) -> None:
    """Its content, as much as a card of the image itself."""
    of = header(**SMALL, CONTENT="DOPPLERGRAM")
    fits.HDUList([fits.PrimaryHDU(header=of), fits.ImageHDU(image_of(header(**SMALL)))]).writeto(tmp_path / "v.fits")
    with pytest.raises(MagnetogramError, match="not a line-of-sight magnetogram"):
        read_fulldisk(str(tmp_path / "v.fits"), MDI)


def test_two_images_in_a_file_are_refused(tmp_path: Path) -> None:
    of = header(**SMALL)
    image = image_of(of)
    fits.HDUList([fits.PrimaryHDU(image, of), fits.ImageHDU(image, of)]).writeto(tmp_path / "two.fits")
    with pytest.raises(MagnetogramError, match="it has 2 images and one must be the magnetogram"):
        read_fulldisk(str(tmp_path / "two.fits"), MDI)


def test_without_an_observer_the_earth_is_assumed_and_said(tmp_path: Path) -> None:
    with_cards = read(tmp_path).solar_wcs.observer_carrington_deg
    (tmp_path / "image.fits").unlink()
    disk = read(tmp_path, CRLN_OBS=None)
    assert disk.assumed == ("no card gives the observer, so the Earth was assumed",)
    assert disk.solar_wcs.observer_carrington_deg == pytest.approx(with_cards, abs=0.01)


@pytest.mark.parametrize("instrument", ["MDI", "HMI"])
def test_the_profile_follows_from_the_first_full_disk_file(tmp_path: Path, instrument: str) -> None:
    place = made(tmp_path, instrument=instrument)
    assert profile_for([str(tmp_path / "absent.fits"), place]).name == instrument.lower()
    assert profile_for([]).name == "mdi"


@pytest.mark.parametrize(
    ("card", "text", "reason"),
    [
        ("T_OBS", "2001.03.07_00:00:00_TAI", None),
        ("BUNIT", "Gauss", None),
        ("QUALITY", "0x80000000", "QUALITY is 0x80000000"),
        ("CONTENT", "nan", None),
        ("DATE-OBS", "", None),
        ("CROTA2", "nan", "CROTA2 is 'nan'; it must be a number: correct it"),
        ("CRPIX1", "1.2.3", "CRPIX1 is '1.2.3'; it must be a number: correct it"),
    ],
)
def test_cards_without_quotes_or_value_are_read_as_text(
    tmp_path: Path, card: str, text: str, reason: str | None
) -> None:
    """FITS cannot parse them; what they say is clear, or it is refused where it counts."""
    of = header(**SMALL)
    fits.PrimaryHDU(image_of(of), of).writeto(tmp_path / "i.fits")
    content = (tmp_path / "i.fits").read_bytes()
    start = content.index(f"{card:8s}=".encode())
    damaged = content[:start] + f"{card:8s}= {text}".ljust(80).encode() + content[start + 80 :]
    (tmp_path / "i.fits").write_bytes(damaged)
    if reason is None:
        assert read_fulldisk(str(tmp_path / "i.fits"), MDI).time_card == "T_OBS 2001.03.07_00:00:00_TAI"
    else:
        with pytest.raises(MagnetogramError, match=reason):
            read_fulldisk(str(tmp_path / "i.fits"), MDI)
