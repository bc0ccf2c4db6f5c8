"""Real full-disk files of MDI, HMI and GONG: read as what they are, and others refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from helioloop.archive.fulldisk import read_fulldisk
from helioloop.archive.observation import read_observation
from helioloop.archive.patches import cut_patches
from helioloop.archive.regions import Region
from helioloop.errors import MagnetogramError
from helioloop.records.profiles import BUILT_IN

MDI, HMI, GONG = (BUILT_IN[name] for name in ("mdi", "hmi", "gong"))


@pytest.mark.parametrize(
    ("name", "tai", "card"),
    [
        (
            "mdi.fd_M_96m_lev182.19991211_173600_TAI.data.fits",
            "1999-12-11T17:35:30.000",
            "T_OBS 1999.12.11_17:35:30_TAI",
        ),
        (
            "mdi.fd_M_96m_lev182.20110401_000000_TAI.data.fits",
            "2011-04-01T00:03:30.000",
            "T_OBS 2011.04.01_00:03:30_TAI",
        ),
    ],
)
def test_real_mdi_images_are_read(real: Path, name: str, tai: str, card: str) -> None:
    """Time is the middle of the exposure, and the limb lies where the archive's own R_SUN puts it."""
    disk = read_fulldisk(str(real / name), MDI)
    assert (disk.time.isot, disk.time_card, disk.assumed) == (tai, card, ())
    r_sun = fits.getheader(real / name, 1)["R_SUN"]
    assert disk.solar_wcs.rsun_arcsec / disk.solar_wcs.arcsec_per_px == pytest.approx(r_sun, abs=0.01)


def test_real_mdi_images_are_cut_at_three_positions(real: Path) -> None:
    """AR 8800's neighbourhood of 11 December 1999: field in the middle, limb at the edges of the disk."""
    disk = read_fulldisk(str(real / "mdi.fd_M_96m_lev182.19991211_173600_TAI.data.fits"), MDI)
    l0 = disk.solar_wcs.observer_carrington_deg[0]
    regions = [
        Region(name=name, lon_deg=(l0 + lon) % 360.0, lat_deg=lat)
        for name, lon, lat in (("east", -90.0, 10.0), ("middle", 0.0, 18.0), ("west", 90.0, -15.0))
    ]
    patches = cut_patches(disk.field_gauss, disk.solar_wcs, regions, MDI)
    assert np.isfinite(patches["middle"]).all()
    assert np.nanmax(np.abs(patches["middle"])) > 500.0
    east, west = np.isfinite(patches["east"]), np.isfinite(patches["west"])
    assert not east[:, :40].any()
    assert east[:, 70:].all()
    assert not west[:, 50:].any()
    assert west[:, :20].all()


def test_the_real_gong_image_is_read_from_its_fitted_limb(real: Path) -> None:
    """No WCS and no BUNIT: centre and scale are those of the limb fit, GPS time becomes TAI, −2000 becomes NaN."""
    disk = read_fulldisk(str(real / "tdbqa090905t0924.fits.fz"), GONG)
    assert disk.time.isot == "2009-09-05T09:24:35.000"
    assert disk.time_card == "DATE-OBS 2009/09/05 09:24:16.000024"
    assert disk.solar_wcs.rsun_arcsec / disk.solar_wcs.arcsec_per_px == pytest.approx(375.5, abs=0.3)
    assert np.nanmin(disk.field_gauss) > -1000.0
    assert len(disk.assumed) == 3
    with pytest.raises(MagnetogramError, match="--profile gong"):
        read_fulldisk(str(real / "tdbqa090905t0924.fits.fz"), MDI)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("*sharp*magnetogram.fits", "Carrington coordinates and not the full disk: run `helioloop stack`"),
        ("*smarp*magnetogram.fits", "run `helioloop stack`"),
        ("*bitmap.fits", "its name says 'bitmap'"),
        ("*conf_disambig.fits", "a confidence map of the disambiguation"),
    ],
)
def test_other_real_files_are_refused_with_what_they_are(real: Path, pattern: str, reason: str) -> None:
    places = sorted(real.glob(pattern))
    assert places
    for place in places:
        with pytest.raises(MagnetogramError, match=reason):
            read_fulldisk(str(place), MDI)


@pytest.mark.parametrize("pattern", ["*bitmap.fits", "*conf_disambig.fits"])
def test_masks_are_recognised_without_their_name(real: Path, tmp_path: Path, pattern: str) -> None:
    for number, place in enumerate(sorted(real.glob(pattern))):
        copy = tmp_path / f"{number}.fits"
        shutil.copy(place, copy)
        with pytest.raises(
            MagnetogramError, match="different whole numbers of one sign, as in a mask or a map of codes"
        ):
            read_observation(str(copy))


def test_real_headers_over_made_up_pixels_are_read(real: Path, tmp_path: Path) -> None:
    """A 64 × 64 px MDI image of 2010 is full disk; a SHARP in CCD coordinates, turned by 180°, is a part of it."""
    for name, said in {
        "mdi.fd_M_96m_lev182.20101015_191200_TAI.data.header": None,
        "hmi_sharp_magnetogram.header": "a part of the disk of an active region",
    }.items():
        of = fits.Header.fromstring((real / name).read_text(), sep="\n")
        shape = (of["NAXIS2"], of["NAXIS1"])
        for card in ("XTENSION", "PCOUNT", "GCOUNT", "BLANK"):
            of.remove(card, ignore_missing=True)
        field = np.random.default_rng(1).normal(0.0, 10.0, shape).astype(np.float32)
        fits.PrimaryHDU(field, of).writeto(tmp_path / "i.fits", overwrite=True, output_verify="silentfix")
        profile = HMI if "hmi" in name else MDI
        if said is None:
            assert read_fulldisk(str(tmp_path / "i.fits"), profile).time.isot == "2010-10-15T19:15:30.000"
        else:
            with pytest.raises(MagnetogramError, match=said):
                read_fulldisk(str(tmp_path / "i.fits"), profile)
