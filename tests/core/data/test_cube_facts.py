"""Facts about a cube: times, place on the disk, flux. Every number here can be checked by hand."""

from pathlib import Path

import numpy as np
import pytest

from helioloop.data.cube_facts import CubeFacts, cube_facts, unsigned_flux
from helioloop.data.cubes import CubeFiles, write_cube
from helioloop.data.gridding import to_grid
from helioloop.records.instrument import Instrument

GRID = Instrument(name="small", cadence_seconds=5760.0, n_frames=24, size_px=24, clip_gauss=1000.0, frozen_frames=3)
CARRINGTON: dict[str, float | str] = {
    "CTYPE1": "CRLN-CAR",
    "CTYPE2": "CRLT-CAR",
    "CUNIT1": "deg",
    "CUNIT2": "deg",
    "CRPIX1": 12.5,
    "CRPIX2": 12.5 + 20.0 / 0.625,
    "CRVAL1": 200.0,
    "CRVAL2": 0.0,
    "CDELT1": 0.625,
    "CDELT2": 0.625,
}
"""A patch of 15° whose centre is at Carrington longitude 200° and latitude −20°."""


def facts_of(folder: Path, start: str | None = "2001-01-01T00:00:00", **cards: float | str) -> CubeFacts:
    """Write a cube with noise and return its facts."""
    field = np.random.default_rng(0).normal(0.0, 20.0, (GRID.n_frames, GRID.size_px, GRID.size_px))
    path = folder / "A_20010101.fits"
    seconds = np.arange(GRID.n_frames) * GRID.cadence_seconds
    write_cube(path, field, seconds, start=start, region="NOAA 9300", instrument=GRID, header=cards)
    files = CubeFiles.read(path)
    cube = files.cube()
    return cube_facts(files, cube, to_grid(cube, GRID), instrument=GRID, patch_deg=15.0)


def test_the_place_comes_from_the_header(tmp_path: Path) -> None:
    """The distance from the central meridian grows by 13.2° a day, which is 15 frames; west is positive."""
    facts = facts_of(tmp_path, **CARRINGTON)
    assert facts.latitude_deg == pytest.approx(-20.0, abs=0.1)
    assert facts.meridian_deg is not None
    assert facts.meridian_deg[15] - facts.meridian_deg[0] == pytest.approx(13.2, abs=0.2)
    assert facts.meridian_uncertainty_deg is not None
    assert facts.meridian_uncertainty_deg < 1.0


def test_what_is_unknown_is_none(tmp_path: Path) -> None:
    """Without coordinates and limb there is no place; with a day in the name alone there is no time of day."""
    facts = facts_of(tmp_path, start=None)
    assert (facts.latitude_deg, facts.meridian_deg, facts.times) == (None, None, None)
    assert facts.region == "NOAA 9300"


def test_times_are_those_of_the_frames(tmp_path: Path) -> None:
    """Frames are 96 minutes apart."""
    times = facts_of(tmp_path).times
    assert times is not None
    assert times[:2] == ("2001-01-01T00:00:00", "2001-01-01T01:36:00")
    assert len(times) == GRID.n_frames


def test_flux_is_field_times_area() -> None:
    """Two pixels of ±1000 G in a patch of 2 × 2 px of 10°: 2 · 1000 G · (121.4 Mm)² = 2.95e23 Mx at the equator."""
    gridded = np.array([[[1.0, 0.0], [0.5, np.nan]], [[0.5, 0.52], [0.5, 0.5]], [[np.nan, np.nan], [np.nan, np.nan]]])
    side_cm = np.radians(10.0) * 6.957e10
    flux = unsigned_flux(gridded, clip_gauss=1000.0, patch_deg=20.0, latitude_deg=0.0)
    np.testing.assert_allclose(flux, [2.0 * 1000.0 * side_cm**2 / 1e21, 0.0, np.nan])
    assert flux[0] == pytest.approx(295, rel=0.01)
    north = unsigned_flux(gridded, clip_gauss=1000.0, patch_deg=20.0, latitude_deg=60.0)
    assert north[0] == pytest.approx(flux[0] / 2.0)


def test_facts_survive_json(tmp_path: Path) -> None:
    """What `from_dict` reads is what `as_dict` wrote, with lists in place of tuples as JSON has them."""
    facts = facts_of(tmp_path, **CARRINGTON)
    listed = {key: list(value) if isinstance(value, tuple) else value for key, value in facts.as_dict().items()}
    assert CubeFacts.from_dict(listed) == facts
