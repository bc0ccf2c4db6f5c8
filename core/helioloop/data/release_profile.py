"""A release's profile: read from its ``release.toml``, or written there."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from helioloop.errors import SettingsError
from helioloop.files import atomic
from helioloop.files.kinds import why_not_a_file
from helioloop.records.profiles import BUILT_IN, Profile, find_profile, profile_from_table

PROFILE_FILE = "release.toml"


def read_release_profile(folder: Path) -> Profile:
    """Return the profile that ``release.toml`` in a release's folder names or describes; ``mdi`` without that file.

    Raises
    ------
    SettingsError
        If it is no file (as a link that leads nowhere), cannot be read as TOML, has other keys than ``profile``, or the
        profile breaks a rule.
    """
    path = folder / PROFILE_FILE
    if not os.path.lexists(path):
        return BUILT_IN["mdi"]
    reason = why_not_a_file(path)
    if reason is not None:
        raise SettingsError(f"{path} {reason}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f'{path} cannot be read as TOML ({error}); write `profile = "mdi"`') from None
    unknown = [key for key in table if key != "profile"]
    if unknown or "profile" not in table:
        raise SettingsError(
            f"{path} has the keys {', '.join(table) or 'none'}; it must have `profile` and no other: correct it"
        )
    profile = table["profile"]
    if isinstance(profile, Mapping):
        return profile_from_table(profile, where=f"{path}, [profile]")
    if not isinstance(profile, str) or profile not in BUILT_IN:
        raise SettingsError(
            f"{path}: profile is {profile!r}; it must be {', '.join(BUILT_IN)} or a table [profile]: correct it"
        )
    return find_profile(profile)


def write_release_profile(folder: Path, profile: Profile) -> None:
    """Write ``release.toml`` in one step: the profile's name where it is built in, else the whole profile."""
    if BUILT_IN.get(profile.name) == profile:
        text = f'profile = "{profile.name}"\n'
    else:
        values = profile.as_dict()
        grid = values.pop("instrument")
        text = "\n".join(["[profile]", *_lines(values), "", "[profile.instrument]", *_lines(grid), ""])
    atomic.write_text(folder / PROFILE_FILE, text)


def _lines(values: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in values.items()]


def _toml(value: str | float) -> str:
    """Return a value in TOML's spelling; texts of a profile are printable ASCII."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
