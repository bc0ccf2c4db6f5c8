"""Cubes whose cards name another instrument than the profile are read, and this is said."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helioloop.data.cube_report import Verdict
from helioloop.data.cubes import write_cube
from helioloop.data.inspection import inspect_cube
from helioloop.records.instrument import Instrument
from helioloop.records.profiles import BUILT_IN, Profile

GRID = Instrument(name="MDI", cadence_seconds=100.0, n_frames=5, size_px=8, clip_gauss=1000.0, frozen_frames=1)
MDI = replace(BUILT_IN["mdi"], instrument=GRID)


def of(profile: Profile, instrument: str) -> Profile:
    """Return a profile on the small grid, for another instrument."""
    return replace(profile, instrument=replace(GRID, name=instrument))


def write(path: Path, **cards: Any) -> Path:
    """Write a cube of noise with further or other cards, and return its path."""
    seed = sum(path.name.encode())
    field = np.random.default_rng(seed).normal(0.0, 20.0, (3, 8, 8))
    write_cube(
        path,
        field,
        np.array([0.0, 200.0, 400.0]),
        start="2011-02-15T00:00:00",
        region="A",
        instrument=GRID,
        header=cards,
    )
    return path


@pytest.mark.parametrize(
    ("cards", "profile", "named"),
    [
        ({"INSTRUME": "HMI"}, MDI, "HMI"),
        ({"TELESCOP": "SDO/HMI", "INSTRUME": "HMI_SIDE1"}, MDI, "HMI"),
        ({"TELESCOP": "NSO-GONG", "INSTRUME": "GONG"}, of(BUILT_IN["hmi"], "HMI"), "GONG"),
        ({"TELESCOP": "SOHO", "INSTRUME": "MDI"}, of(BUILT_IN["hmi"], "hmi"), "MDI"),
        ({"TELESCOP": "SOHO", "INSTRUME": "MDI"}, MDI, None),
        ({"TELESCOP": "SOLIS", "INSTRUME": "VSM"}, MDI, None),
        ({"INSTRUME": "SIMULATION"}, MDI, None),
        ({"INSTRUME": "HMI-like simulation"}, MDI, None),
        ({"TELESCOP": "SDO/HMI", "INSTRUME": "scaled to MDI"}, MDI, None),
        ({"INSTRUME": "HMI"}, of(BUILT_IN["mdi"], "MINE"), None),
    ],
)
def test_a_cube_of_another_instrument_than_the_profile_is_read_with_a_warning(
    tmp_path: Path, cards: dict[str, str], profile: Profile, named: str | None
) -> None:
    """Names that no built-in profile has, and profiles of one's own, are left to their user."""
    report = inspect_cube(write(tmp_path / "A.fits", **cards), profile.instrument, profile)
    doubts = [reason for reason in report.reasons if "it is from" in reason]
    if named is None:
        assert (report.verdict, doubts) == (Verdict.OK, [])
        return
    assert report.verdict is Verdict.WARNED
    assert len(doubts) == 1
    assert doubts[0].startswith(f"it is from {named}, and profile {profile.name!r} is for {profile.instrument.name},")
    assert f'`profile = "{named.lower()}"` in its release.toml' in doubts[0]


def test_a_profile_of_one_s_own_is_not_told_to_take_the_built_in_one(tmp_path: Path) -> None:
    """Which has another grid than the release."""
    own = replace(of(MDI, "HMI"), name="hmi-4h")
    (doubt,) = [
        reason for reason in inspect_cube(write(tmp_path / "A.fits"), GRID, own).reasons if "it is from" in reason
    ]
    assert doubt.endswith("with a profile for MDI in its release.toml")
