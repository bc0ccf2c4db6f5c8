"""Content that is not a magnetogram in gauss is refused; fields that the Sun has are not."""

from collections.abc import Callable

import numpy as np
import pytest
from astropy.io import fits

from helioloop.data.plausibility import refuse_other_content
from helioloop.errors import CubeError

SHAPE = (9, 30, 30)
NOISE = np.random.default_rng(0).normal(0.0, 1.0, SHAPE).astype(np.float32)


def _umbra(noise: np.ndarray) -> np.ndarray:
    """Return a strong spot of one polarity on a third of the patch."""
    field = 20.0 * noise
    field[:, :10] -= 2500.0
    return field


def _coded(value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that codes 29 of 30 rows as off-disk."""
    return lambda noise: np.where(np.arange(30)[:, None] < 27, value, 20.0 * noise)


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
        lambda noise: np.clip(_umbra(noise), -1000.0, 1000.0),
        lambda noise: np.rint(20.0 * noise),
    ],
    ids=["5 G", "80 G", "plage", "umbra", "-32768", "zero", "NaN", "clipped", "whole gauss"],
)
def test_magnetograms_are_accepted(field: Callable[[np.ndarray], np.ndarray]) -> None:
    refuse_other_content(fits.Header(), field(NOISE).astype(np.float32))


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
    ],
    ids=["continuum", "normalised", "weak continuum", "errors", "bitmap", "codes", "velocity", "red shift", "kG"],
)
def test_other_quantities_are_refused(field: Callable[[np.ndarray], np.ndarray], message: str) -> None:
    with pytest.raises(CubeError, match=message):
        refuse_other_content(fits.Header(), field(NOISE).astype(np.float32))


@pytest.mark.parametrize("card", ["CONTENT", "BTYPE", "EXTNAME"])
@pytest.mark.parametrize(
    "text", ["DOPPLERGRAM", "Continuum Intensity", "bitmap", "conf_disambig", "magnetic error", "field_err", "AZIMUTH"]
)
def test_a_card_that_names_another_quantity_is_refused(card: str, text: str) -> None:
    with pytest.raises(CubeError, match=f"{card} is '{text}'"):
        refuse_other_content(fits.Header({card: text}), 20.0 * NOISE)


@pytest.mark.parametrize("text", ["HMI observable", "MDI Full Disk 96m Magnetogram", "MAGNETOGRAM", "TERRA", "", None])
def test_a_card_that_names_no_other_quantity_is_accepted(text: str | None) -> None:
    refuse_other_content(fits.Header({"CONTENT": text}), 20.0 * NOISE)


def test_few_values_are_not_judged() -> None:
    refuse_other_content(fits.Header(), np.full((3, 4, 4), 7.0, dtype=np.float32))
