"""Cubes are stored in integers whose step is as small as their strongest field allows."""

import logging
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from helioloop.data.cube_writing import write_cube
from helioloop.data.cubes import read_cube
from helioloop.records.instrument import MDI


def written(folder: Path, *values: float) -> Path:
    """Write a cube of two frames of 3 × 3 px with these values, and 10.04 G elsewhere."""
    field = np.full((2, 3, 3), 10.04)
    field.flat[4 : 4 + len(values)] = values
    path = folder / "C.fits"
    write_cube(path, field, np.array([0.0, 5760.0]), start=None, region=None, instrument=MDI)
    return path


def integers(path: Path) -> list[int]:
    """Return the integers that are stored, from the first value on."""
    with fits.open(path, do_not_scale_image_data=True) as hdus:
        return [int(value) for value in hdus[0].data.flat[4:]]


@pytest.mark.parametrize(
    ("gauss", "step", "integer"),
    [
        (0.0, 0.1, 0),
        (3276.7, 0.1, 32767),
        (-3276.74, 0.1, -32767),
        (3276.76, 0.2, 16384),
        (-5000.0, 0.2, -25000),
        (6553.4, 0.2, 32767),
        (-6553.6, 0.5, -13107),
        (16383.5, 0.5, 32767),
    ],
)
def test_the_step_is_the_smallest_that_holds_the_strongest_field(
    tmp_path: Path, gauss: float, step: float, integer: int
) -> None:
    path = written(tmp_path, gauss)
    assert fits.getval(path, "BSCALE") == step
    assert integers(path)[:2] == [integer, round(10.04 / step)]
    assert "HISTORY" not in fits.getheader(path)
    assert read_cube(path).observed_gauss.flat[4] == pytest.approx(gauss, abs=0.51 * step)


def test_no_field_between_two_steps_becomes_the_integer_of_missing_values(tmp_path: Path) -> None:
    """In single precision numbers beside 3276.75 and 6553.5 G may round up."""
    for limit in (3276.75, 6553.5):
        below, above = np.nextafter(np.float32(limit), np.float32([0.0, 1e4]))
        for gauss in (below, np.float32(limit), above):
            assert read_cube(written(tmp_path, gauss, -gauss)).observed_gauss.flat[4:6] == pytest.approx(
                [gauss, -gauss], abs=0.11
            )


@pytest.mark.parametrize("code", [np.nan, np.inf, -np.inf, -32768.0, 1e30, -16384.0])
def test_codes_and_infinities_are_stored_as_no_value_and_leave_the_step(tmp_path: Path, code: float) -> None:
    path = written(tmp_path, code, 5000.0)
    assert fits.getval(path, "BSCALE") == 0.2
    assert integers(path)[:3] == [-32768, 25000, 50]
    assert np.isnan(read_cube(path).observed_gauss.flat[4])


def test_how_many_pixels_are_beyond_any_field_is_said_in_header_and_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """NaN is no such pixel."""
    said = "2 pixels beyond 16383.5 G, which no field reaches, are stored as no value"
    with caplog.at_level(logging.WARNING):
        path = written(tmp_path, 1e6, -np.inf, np.nan)
    assert said in "".join(fits.getheader(path)["HISTORY"])
    assert caplog.messages == [f"C.fits: {said}"]


def test_a_cube_without_a_value_can_be_written(tmp_path: Path) -> None:
    path = written(tmp_path, *[np.nan] * 14)
    assert integers(path) == [-32768] * 14


@pytest.mark.parametrize("region", ["AR 8800", "AR β800", "Fleck Ä β"])
def test_a_region_whose_name_no_header_can_hold_is_read_from_the_name_of_the_file(tmp_path: Path, region: str) -> None:
    """Headers are ASCII; a name that is ASCII stands there."""
    path = tmp_path / f"{region}_20010307.fits"
    write_cube(path, np.ones((2, 3, 3)), np.array([0.0, 5760.0]), start=None, region=region, instrument=MDI)
    assert ("REGION" in fits.getheader(path)) == region.isascii()
    assert read_cube(path).region == region
