"""The profile of a model folder: ``profile.json``, the grid and the scale of all cubes of its project.

The first import of cubes or the first training writes it. A folder without it has the profile ``mdi``: it is older, or
nothing is in it yet.
"""

import json
from pathlib import Path
from typing import Any, Final

from helioloop.errors import RegistryError, SettingsError
from helioloop.files import atomic
from helioloop.files.access import denied_reading
from helioloop.records.instrument import Instrument
from helioloop.records.profiles import (
    BUILT_IN,
    Profile,
    cube_values,
    differences,
    profile_from_table,
    profile_record,
)
from helioloop.registry.card import Card
from helioloop.registry.folder_format import check_format, ensure_format
from helioloop.registry.versions import Registry

FILE_NAME: Final = "profile.json"


def read_project_profile(model_dir: Path) -> Profile:
    """Return the profile of a model folder; ``mdi`` where none is written.

    Raises
    ------
    RegistryError
        If the file is damaged, or the folder has another format.
    """
    return find_project_profile(model_dir) or BUILT_IN["mdi"]


def find_project_profile(model_dir: Path) -> Profile | None:
    """Return the profile that is written in a model folder; None where none is.

    Raises
    ------
    RegistryError
        If the file is damaged or may not be read, or the folder has another format.
    """
    check_format(model_dir)
    path = model_dir / FILE_NAME
    try:
        return profile_from_table(json.loads(path.read_text(encoding="utf-8"))["profile"], where=FILE_NAME)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise RegistryError(denied_reading(path, error)) from error
    except (OSError, ValueError, KeyError, TypeError, SettingsError) as error:
        raise RegistryError(
            f"{path} is not a profile ({error}); restore it from a backup, or write the profile of the project's "
            'releases there as {"profile": {…}}'
        ) from None


def write_project_profile(model_dir: Path, profile: Profile) -> None:
    """Write the profile of a model folder in one step; all of it, because built-in profiles may change.

    Raises
    ------
    RegistryError
        If the folder has another format.
    """
    ensure_format(model_dir)
    atomic.write_json(model_dir / FILE_NAME, {"profile": profile.as_dict()})


def profile_conflict(registry: Registry, profile: Profile, *, has_cubes: bool) -> str | None:
    """Return why cubes of this profile cannot join a model folder, as a clause; None where they can.

    Parameters
    ----------
    registry : Registry
        The model folder.
    profile : Profile
        Profile of the cubes.
    has_cubes : bool
        True where the project of the folder has cubes. Without ``profile.json`` these are ``mdi``, unless versions were
        trained on another profile.

    Returns
    -------
    str or None
        Such as ``"profile 'mdi' (instrument 'HMI' instead of 'MDI')"``: what the folder has, and what differs.

    Raises
    ------
    RegistryError
        If the file or a version's card is damaged, or the folder has another format.
    """
    given = cube_values(profile.record(), profile.instrument)
    written, versions = find_project_profile(registry.root), registry.versions()
    known: dict[str, dict[str, Any]] = {}
    if written is not None:
        known["profile"] = cube_values(written.record(), written.instrument)
    elif versions:
        known = {f"version {version} of profile": _card_values(registry.card(version)) for version in versions}
    elif has_cubes:
        known["profile"] = cube_values(BUILT_IN["mdi"].record(), BUILT_IN["mdi"].instrument)
    for owner, values in known.items():
        if different := differences(given, values):
            return f"{owner} {values['name']!r} ({different})"
    return None


def _card_values(card: Card) -> dict[str, Any]:
    """Return the `cube_values` that a version was trained on."""
    try:
        instrument = Instrument(**card.instrument)
    except TypeError as error:
        raise RegistryError(
            f"the card of {card.version} does not describe a grid ({error}); restore it or delete that version's folder"
        ) from None
    return cube_values({**profile_record(None, instrument), **card.profile}, instrument)
