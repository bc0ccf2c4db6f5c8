"""The profile of a model folder: written whole, read back equal, and what may not join it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cards import FINGERPRINT, bare_card

from helioloop.errors import RegistryError
from helioloop.records.instrument import MDI
from helioloop.records.profiles import BUILT_IN, Profile, profile_record
from helioloop.registry.project_profile import (
    find_project_profile,
    profile_conflict,
    read_project_profile,
    write_project_profile,
)
from helioloop.registry.versions import Registry

HMI = BUILT_IN["hmi"]
OWN = replace(
    HMI,
    name="own",
    patch_deg=20.0,
    bad_quality_bits=0xFFFFFFFF,
    to_mdi_source='a "table" of ours',
    instrument=replace(HMI.instrument, cadence_seconds=720.5, n_frames=100, size_px=41, frozen_frames=0),
)


def admit(registry: Registry, instrument: dict[str, Any], profile: dict[str, Any]) -> None:
    """Add a version that was trained on a grid and a profile."""
    registry.admit(registry.staging(FINGERPRINT), bare_card(instrument=instrument, profile=profile))


@pytest.mark.parametrize("profile", [*BUILT_IN.values(), OWN], ids=lambda profile: profile.name)
def test_a_profile_is_read_back_as_it_was_written(tmp_path: Path, profile: Profile) -> None:
    """All of it is in the file, built-in profiles too; the folder gets its format number."""
    write_project_profile(tmp_path / "models", profile)
    assert read_project_profile(tmp_path / "models") == profile
    assert json.loads((tmp_path / "models" / "profile.json").read_text())["profile"] == profile.as_dict()
    assert (tmp_path / "models" / "format.json").exists()


def test_a_folder_without_the_file_is_mdi(tmp_path: Path) -> None:
    """Whether it exists or not."""
    for folder in (tmp_path, tmp_path / "absent"):
        assert find_project_profile(folder) is None
        assert read_project_profile(folder) == BUILT_IN["mdi"]


def test_anything_can_join_an_unused_folder(tmp_path: Path) -> None:
    """It has no file, no version and no cube."""
    assert profile_conflict(Registry(tmp_path), OWN, has_cubes=False) is None


def test_only_its_own_profile_can_join_a_folder_with_the_file(tmp_path: Path) -> None:
    """The clause has what differs, and nothing else."""
    registry = Registry(tmp_path)
    write_project_profile(tmp_path, HMI)
    assert profile_conflict(registry, HMI, has_cubes=True) is None
    assert profile_conflict(registry, BUILT_IN["gong"], has_cubes=True) == (
        "profile 'hmi' (name 'gong' instead of 'hmi', instrument 'GONG' instead of 'HMI', "
        "to_mdi_factor 2.05 instead of 1.4)"
    )
    finer = replace(HMI, instrument=replace(HMI.instrument, size_px=180))
    assert profile_conflict(registry, finer, has_cubes=False) == "profile 'hmi' (size_px 180 instead of 90)"


def test_without_the_file_the_versions_decide(tmp_path: Path) -> None:
    """Every one of them; a card from before profiles is on the MDI scale, one without the patch has 15 degrees."""
    registry = Registry(tmp_path)
    admit(registry, MDI.as_dict(), {})
    assert profile_conflict(registry, BUILT_IN["mdi"], has_cubes=False) is None
    conflict = profile_conflict(registry, HMI, has_cubes=False)
    assert str(conflict).startswith("version v0001 of profile 'mdi' (name 'hmi' instead of 'mdi', ")
    shorter = {key: value for key, value in HMI.record().items() if key != "patch_deg"}
    admit(registry, HMI.instrument.as_dict(), shorter)
    assert str(profile_conflict(registry, BUILT_IN["mdi"], has_cubes=False)).startswith(
        "version v0002 of profile 'hmi'"
    )
    assert profile_record(None, MDI) == BUILT_IN["mdi"].record()


def test_without_file_and_versions_cubes_are_mdi(tmp_path: Path) -> None:
    """They were imported before projects had profiles."""
    assert profile_conflict(Registry(tmp_path), BUILT_IN["mdi"], has_cubes=True) is None
    assert str(profile_conflict(Registry(tmp_path), HMI, has_cubes=True)).startswith("profile 'mdi' (")


def test_a_card_without_a_grid_is_an_error(tmp_path: Path) -> None:
    """The sentence names the version and the remedy."""
    registry = Registry(tmp_path)
    admit(registry, {"n_frames": 225}, {})
    with pytest.raises(RegistryError, match="the card of v0001 does not describe a grid"):
        profile_conflict(registry, HMI, has_cubes=False)
