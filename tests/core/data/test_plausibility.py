"""Content that is not a magnetogram in gauss is refused; fields that the Sun has are not."""

from collections.abc import Callable

import numpy as np
import pytest
from astropy.io import fits

from helioloop.data.plausibility import refuse_other_content
from helioloop.errors import CubeError

SHAPE = (9, 30, 30)
LATE = np.arange(9)[:, None, None] >= 6
UNIFORM = np.random.default_rng(1).uniform(-1.0, 1.0, SHAPE).astype(np.float32)
NOISE = np.random.default_rng(0).normal(0.0, 1.0, SHAPE).astype(np.float32)


def _umbra(noise: np.ndarray) -> np.ndarray:
    """Return a strong spot of one polarity on a third of the patch."""
    field = 20.0 * noise
    field[:, :10] -= 2500.0
    return field


def _active(noise: np.ndarray, factor: float) -> np.ndarray:
    """Return noise with two spots of 1500 G, all values multiplied."""
    field = 2.0 * noise
    field[:, 10:12, 5:9] += 1500.0
    field[:, 20, 20] -= 1500.0
    return factor * field


def _coded(value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that codes 27 of 30 rows as off-disk."""
    return lambda noise: np.where(np.arange(30)[:, None] < 27, value, 20.0 * noise)


def _coded_with_stray(code: float, stray: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that codes 27 of 30 rows as off-disk, except for one pixel of another value."""

    def field(noise: np.ndarray) -> np.ndarray:
        values = _coded(code)(noise)
        values[0, 0, 0] = stray
        return values

    return field


@pytest.mark.parametrize(
    "field",
    [
        lambda noise: 5.0 * noise,
        lambda noise: 80.0 * noise,
        lambda noise: 20.0 * noise + 60.0,
        _umbra,
        _coded(-32768.0),
        _coded(0.0),
        _coded(np.nan),
        _coded_with_stray(-2000.0, -3087.9),
        _coded_with_stray(5000.0, 5500.0),
        lambda noise: np.clip(_umbra(noise), -1000.0, 1000.0),
        lambda noise: np.rint(20.0 * noise),
        lambda noise: np.rint(20.0 * noise / 7.8) * 7.8,
        lambda noise: 3.0 * noise,
        lambda noise: np.where(np.arange(9)[:, None, None] == 4, 30000.0 * noise, 20.0 * noise),
        lambda noise: np.where(np.arange(30) < 3, 6000.0, 20.0 * noise),
    ],
    ids=[
        *(
            "5 G",
            "80 G",
            "plage",
            "umbra",
            "-32768",
            "zero",
            "NaN",
            "lower",
            "higher",
            "clipped",
            "whole gauss",
            "8 bits",
            "GONG",
        ),
        *("one frame of noise", "saturated"),
    ],
)
def test_magnetograms_are_accepted(field: Callable[[np.ndarray], np.ndarray]) -> None:
    refuse_other_content([fits.Header()], field(NOISE).astype(np.float32))


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (lambda noise: 45000.0 + 2000.0 * noise, "100% of its values are beyond 7000 G"),
        (lambda noise: 1.0 + 0.05 * noise, "one sign only"),
        (lambda noise: 6000.0 + 100.0 * noise, "one sign only"),
        (lambda noise: 20.0 + np.abs(noise), "one sign only"),
        (lambda noise: (np.abs(noise) // 1).clip(0, 4), "bitmap"),
        (lambda noise: -np.abs(np.rint(10.0 * noise)), "bitmap"),
        (lambda noise: 500.0 * noise, "half of its values"),
        (lambda noise: 300.0 * noise - 400.0, "another quantity"),
        (lambda noise: 0.02 * noise, "BUNIT or BSCALE"),
        (lambda noise: 200.0 * noise, "such as a velocity"),
        (lambda noise: _active(10.0 * noise, 10.0).clip(-7e3, 7e3), "such as a velocity"),
        (
            lambda noise: np.where(LATE, _active(4.0 * noise, 10.0), 80.0 * noise),
            "33% of its frames have values beyond",
        ),
        (lambda noise: _active(20.0 * noise, 1.0) - 32768.0, "beyond 7000 G"),
        (lambda noise: (_active(20.0 * noise, 1.0) + 32768.0).round(), "beyond 7000 G"),
        (lambda noise: 1500.0 * np.linspace(-1.0, 1.0, 9)[:, None, None] + 50.0 * noise, "another quantity"),
        (lambda noise: 180.0 * UNIFORM + 0.0 * noise, "another quantity"),
        (lambda noise: 90.0 * UNIFORM + 0.0 * noise, "such as an azimuth"),
        (lambda noise: 3.14 * UNIFORM + 0.0 * noise, "BUNIT or BSCALE"),
        (lambda noise: 34.0 * np.sign(noise) * (np.abs(noise) > 2.2), "besides 0 it has 2 values, as a bitmap"),
        (lambda noise: 1.0 * (np.abs(noise) > 2.2), "besides 0 it has 1 value, as a bitmap"),
    ],
    ids=[
        *("continuum", "normalised", "weak continuum", "errors", "bitmap", "codes", "velocity", "red shift", "kG"),
        *(
            "granulation",
            "BSCALE lost",
            "BSCALE lost, low noise",
            "BZERO lost",
            "unsigned",
            "rotation",
            "azimuth ± 180",
        ),
        *("azimuth ± 90", "radians", "signed mask", "mask"),
    ],
)
def test_other_quantities_are_refused(field: Callable[[np.ndarray], np.ndarray], message: str) -> None:
    with pytest.raises(CubeError, match=message):
        refuse_other_content([fits.Header()], field(NOISE).astype(np.float32))


@pytest.mark.parametrize("card", ["CONTENT", "BTYPE", "EXTNAME"])
@pytest.mark.parametrize(
    "text", ["DOPPLERGRAM", "Continuum Intensity", "bitmap", "conf_disambig", "magnetic error", "field_err", "AZIMUTH"]
)
def test_a_card_that_names_another_quantity_is_refused(card: str, text: str) -> None:
    with pytest.raises(CubeError, match=f"{card} is '{text}'"):
        refuse_other_content([fits.Header(), fits.Header({card: text})], 20.0 * NOISE)


def test_a_file_name_of_jsoc_that_names_another_quantity_is_refused() -> None:
    with pytest.raises(CubeError, match="its name has the part 'br'"):
        refuse_other_content([fits.Header()], 20.0 * NOISE, file_name="hmi.sharp_cea_720s.377.Br.fits")


@pytest.mark.parametrize(("noise", "doubtful"), [(0.2, True), (0.5, False), (30.0, False), (70.0, True)])
def test_unusual_noise_is_doubtful(noise: float, doubtful: bool) -> None:
    """Below that of any instrument, as where BSCALE was applied twice, or far above it."""
    doubts = refuse_other_content([fits.Header()], _active(noise * NOISE / 2.0, 1.0))
    assert len(doubts) == doubtful
    assert all("its weak pixels scatter by" in doubt for doubt in doubts)


@pytest.mark.parametrize("text", ["HMI observable", "MDI Full Disk 96m Magnetogram", "MAGNETOGRAM", "TERRA", "", None])
def test_a_card_that_names_no_other_quantity_is_accepted(text: str | None) -> None:
    refuse_other_content([fits.Header({"CONTENT": text})], 20.0 * NOISE)


def test_few_values_are_not_judged() -> None:
    refuse_other_content([fits.Header()], np.full((3, 4, 4), 7.0, dtype=np.float32))
