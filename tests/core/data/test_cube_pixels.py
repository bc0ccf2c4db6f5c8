"""Pixels of cubes: the values in the files are returned unchanged, in gauss, and codes of missing ones as NaN."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from tests.core.data.cube_files import FIELD, TIMES, image_hdu, read_checked, refusal, table_hdu, write_hdus, write_pair

from helioloop.data.cubes import CubeFiles, hash_cube
from helioloop.errors import CubeError


def test_scaled_integers(tmp_path: Path) -> None:
    """BSCALE, BZERO and BLANK are applied."""
    image = image_hdu(np.array([[[1, 2], [-32768, 4]]], dtype=np.int16))
    image.header.update({"BSCALE": 0.5, "BZERO": 10.0, "BLANK": -32768})
    cube = read_checked(write_pair(tmp_path, image, np.array([0.0])))
    np.testing.assert_array_equal(cube.observed_gauss, [[[10.5, 11.0], [np.nan, 12.0]]])


@pytest.mark.parametrize(
    ("card", "value", "reason"),
    [
        ("BSCALE", "0.1", "BSCALE is '0.1'; it must be a number, without quotes: correct it"),
        ("BZERO", "5", "BZERO is '5'; it must be a number"),
        ("BSCALE", None, "BSCALE is ''; it must be a number"),
        ("BSCALE", 0.0, "BSCALE is 0, with which no pixel has a field"),
    ],
)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_scale_that_is_no_number_is_named(tmp_path: Path, card: str, value: object, reason: str, dtype: type) -> None:
    """Such a file was said to be damaged, with a sentence of numpy's, and to be fetched again."""
    image = image_hdu(FIELD.astype(dtype))
    image.header[card] = value
    assert reason in refusal(write_pair(tmp_path, image))


def test_compressed_files(tmp_path: Path) -> None:
    """Files compressed by gzip or Rice give the same frames as the uncompressed file, and another hash."""
    field = (np.arange(2 * 90 * 90).reshape(2, 90, 90) % 100 - 50).astype(np.int16)  # compresses well
    plain = write_pair(tmp_path, image_hdu(field), name="plain")
    packed = tmp_path / "packed.fits"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    (tmp_path / "packed.dt.fits").write_bytes(gzip.compress((tmp_path / "plain.dt.fits").read_bytes()))
    rice = write_hdus(tmp_path, fits.PrimaryHDU(), fits.CompImageHDU(field), table_hdu("SECONDS", TIMES), name="rice")
    for path in (packed, rice):
        np.testing.assert_array_equal(read_checked(path).observed_gauss, field)
        assert hash_cube(path) != hash_cube(plain)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        *(("Gauss", 1), ("G", 1), ("gauss", 1), ("kG", 1e3), ("T", 1e4), ("mT", 10), ("Mx/cm^2", 1), ("GAUSS", 1)),
        *(("KGAUSS", 1e3), ("kilogauss", 1e3), ("Tesla", 1e4), ("milliTesla", 10), ("Mx cm^-2", 1), ("MX/CM^2", 1)),
        *(("[G]", 1), ("G (LOS)", 1), ("gauss (line of sight)", 1), ("Gs", 1), ("0.1 G", 0.1)),
    ],
)
def test_units(tmp_path: Path, unit: str, factor: float) -> None:
    """Any unit of magnetic flux density is converted to gauss."""
    cube = read_checked(write_pair(tmp_path, image_hdu(FIELD / 10.0, BUNIT=unit)))
    np.testing.assert_allclose(cube.observed_gauss, FIELD / 10.0 * factor, rtol=1e-6)


def test_cards_of_the_first_hdu_count_for_an_image_in_another_one(tmp_path: Path) -> None:
    """Unit, rotation and content; the image's own cards count more."""
    field = np.random.default_rng(0).normal(0.0, 20.0, (2, 30, 30)).astype(np.float32)
    first = fits.PrimaryHDU()
    first.header.update({"BUNIT": "kG", "CDELT2": -1.0, "CDELT1": 1.0})
    path = write_hdus(tmp_path, first, fits.ImageHDU(field / 1000.0), table_hdu("SECONDS", TIMES), name="first")
    cube, origin = CubeFiles.read(path).cube_and_origin()
    np.testing.assert_allclose(cube.observed_gauss, field[:, ::-1], rtol=1e-5)
    assert origin.unit_source == "BUNIT"
    own = fits.ImageHDU(field, header=fits.Header({"BUNIT": "G", "CDELT1": 1.0, "CDELT2": 1.0}))
    cube = read_checked(write_hdus(tmp_path, first, own, table_hdu("SECONDS", TIMES), name="own"))
    np.testing.assert_allclose(cube.observed_gauss, field, rtol=1e-5)
    first.header["CONTENT"] = "DOPPLERGRAM"
    with pytest.raises(CubeError, match="CONTENT is 'DOPPLERGRAM'"):
        read_checked(write_hdus(tmp_path, first, own, table_hdu("SECONDS", TIMES), name="content"))


@pytest.mark.parametrize(("kind", "lowest"), [("i2", -32768), ("i4", -(2**31)), ("i8", -(2**63))])
@pytest.mark.parametrize("cards", [{}, {"BSCALE": 0.1, "BZERO": 0.0}, {"BSCALE": 2.0, "BZERO": 5.0}])
def test_the_lowest_integer_is_missing_without_blank(tmp_path: Path, kind: str, lowest: int, cards: Any) -> None:
    """No field has that value, and archives write it where BLANK belongs; the report says so."""
    field = np.random.default_rng(0).normal(0.0, 20.0, (2, 30, 30)).round()
    image = image_hdu(np.where(np.arange(30) == 4, lowest, field).astype(kind))
    image.header.update(cards)
    cube, origin = CubeFiles.read(write_pair(tmp_path, image)).cube_and_origin()
    assert np.isnan(cube.observed_gauss).nonzero()[2].tolist() == [4] * 60
    expected = field * cards.get("BSCALE", 1.0) + cards.get("BZERO", 0.0)
    np.testing.assert_allclose(np.delete(cube.observed_gauss, 4, axis=2), np.delete(expected, 4, axis=2), rtol=1e-6)
    assert origin.notes == (f"BLANK is missing, and 60 pixels with the lowest integer {lowest} were read as missing",)
    assert origin.doubts == ()


def test_unsigned_integers_have_no_missing_value(tmp_path: Path) -> None:
    """BZERO of 32768 declares them; their lowest value is 0."""
    field = np.random.default_rng(0).normal(0.0, 20.0, (2, 30, 30)).round() + 32768.0
    image = image_hdu(field.astype(np.uint16))
    with pytest.raises(CubeError, match="beyond 7000 G"):
        CubeFiles.read(write_pair(tmp_path, image)).cube()


@pytest.mark.parametrize("code", [32767.0, 9999.0, 1e6, 1e30, -1e6])
def test_codes_beyond_any_field_become_nan(tmp_path: Path, code: float) -> None:
    """A value beyond ± the strongest field of the Sun that many pixels share is the code of pixels off the disk."""
    field = np.random.default_rng(0).normal(0.0, 20.0, (2, 30, 30)).astype(np.float32)
    coded = field.copy()
    coded[:, :8] = code
    read = read_checked(write_pair(tmp_path, image_hdu(coded))).observed_gauss
    assert np.isnan(read[:, :8]).all()
    np.testing.assert_array_equal(read[:, 8:], field[:, 8:])


@pytest.mark.parametrize("value", [6000.0, -32768.0, -2000.0])
def test_strong_fields_and_usual_codes_are_unchanged(tmp_path: Path, value: float) -> None:
    """A saturated umbra, and the negative codes that gridding finds at the corners, keep their values."""
    field = np.random.default_rng(0).normal(0.0, 20.0, (2, 30, 30)).astype(np.float32)
    field[:, :8] = value
    np.testing.assert_array_equal(read_checked(write_pair(tmp_path, image_hdu(field))).observed_gauss, field)


def test_a_few_hot_pixels_are_unchanged(tmp_path: Path) -> None:
    field = np.random.default_rng(0).normal(0.0, 20.0, (2, 30, 30)).astype(np.float32)
    field[:, 4, :3] = 9000.0
    np.testing.assert_array_equal(read_checked(write_pair(tmp_path, image_hdu(field))).observed_gauss, field)


def test_infinite_values_become_nan(tmp_path: Path) -> None:
    """Infinite pixels are returned as NaN."""
    field = FIELD.copy()
    field[0, 0, :2] = np.inf, -np.inf
    assert np.isnan(read_checked(write_pair(tmp_path, image_hdu(field))).observed_gauss[0, 0, :2]).all()
