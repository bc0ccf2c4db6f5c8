"""Profiles: what one archive's magnetograms are, how large its patches are, and how its cubes are gridded.

`find_profile` returns a built-in profile by name, or reads a TOML file.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from helioloop.errors import SettingsError, WrongUsage
from helioloop.records.instrument import MDI, Instrument

PROJECTION = "CAR"
"""The one projection of patches: plate carrée in Carrington longitude and latitude."""

LARGEST_PATCH_DEG = 60.0
"""Largest side of a patch; beyond it, coordinates inside the patch are no longer interpolated exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """An archive's magnetograms and the grid on which its regions are followed.

    Parameters
    ----------
    name : str
        Short name, written into ``release.toml`` and into headers.
    instrument : Instrument
        Cadence, number of frames, frame size, clip and frozen frames of the grid.
    patch_deg : float
        Side of a patch in heliographic degrees, both in longitude and in latitude.
    projection : str
        Always ``"CAR"``: plate carrée in Carrington longitude and latitude.
    grid_tolerance_seconds : float
        How much earlier than a slot's nominal time an observation may be and still belong to that slot.
    to_mdi_factor : float
        Field of this archive × factor = field on the scale of SOHO/MDI level 1.8.2.
    to_mdi_source : str
        Where the factor comes from.
    bad_quality_bits : int
        Bits of the header card QUALITY, unsigned 32-bit, that exclude an observation.
    """

    name: str
    instrument: Instrument
    patch_deg: float
    projection: str
    grid_tolerance_seconds: float
    to_mdi_factor: float
    to_mdi_source: str
    bad_quality_bits: int

    @property
    def degrees_per_px(self) -> float:
        """Side of a pixel in heliographic degrees."""
        return self.patch_deg / self.instrument.size_px

    def record(self) -> dict[str, Any]:
        """Return what a model's plan and card record: name, instrument, factor to the MDI scale and size of a patch."""
        return {
            "name": self.name,
            "instrument": self.instrument.name,
            "to_mdi_factor": self.to_mdi_factor,
            "patch_deg": self.patch_deg,
        }

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as the table of a TOML or JSON file; `profile_from_table` reads them back."""
        return asdict(self)


# MDI's standard quality bits: http://soi.stanford.edu/production/QUALITY/DATASWtable.html; top bit:
# http://soi.stanford.edu/mdi/observables. Bit 9 (512, "not in PRIME 60") is set in normal 96-minute images.
_MDI_BAD = 0x80000000 | 0x2 | 0x70 | 0x80  # no image, record missing, > 10 % of the pixels missing, on-board error

# HMI's level-1.5 bits: http://jsoc.stanford.edu/doc/data/hmi/Quality_Bits/QUALITY.txt. Bits 17 to 31 say that no
# observable could be made; 0x200 is an eclipse in the 720 s series. Bits below only say "with care" and are accepted.
_HMI_BAD = 0xFFFE0000 | 0x200

_HMI_SOURCE = "MDI = 1.40 x HMI, Liu et al. 2012, Solar Phys. 279, 295, doi:10.1007/s11207-012-9976-x"
_GONG_SOURCE = (
    "HMI = 1.438 x GONG and HMI = 0.701 x MDI, so MDI = 2.05 x GONG, Liu et al. 2025, Solar Phys. 300, 8, "
    "doi:10.1007/s11207-025-02523-y"
)


def _like_mdi(name: str) -> Instrument:
    """Return MDI's grid under another name: a model trained on MDI can be used on its cubes."""
    return Instrument(**{**MDI.as_dict(), "name": name})


BUILT_IN: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="mdi",
            instrument=MDI,
            patch_deg=15.0,
            projection=PROJECTION,
            grid_tolerance_seconds=300.0,
            to_mdi_factor=1.0,
            to_mdi_source="the scale itself: MDI level 1.8.2",
            bad_quality_bits=_MDI_BAD,
        ),
        Profile(
            name="hmi",
            instrument=_like_mdi("HMI"),
            patch_deg=15.0,
            projection=PROJECTION,
            grid_tolerance_seconds=300.0,
            to_mdi_factor=1.40,
            to_mdi_source=_HMI_SOURCE,
            bad_quality_bits=_HMI_BAD,
        ),
        Profile(
            name="gong",
            instrument=_like_mdi("GONG"),
            patch_deg=15.0,
            projection=PROJECTION,
            grid_tolerance_seconds=300.0,
            to_mdi_factor=2.05,
            to_mdi_source=_GONG_SOURCE,
            bad_quality_bits=0,  # GONG's files carry no QUALITY
        ),
    )
}


def built_in_profile(instrument: Instrument) -> Profile | None:
    """Return the built-in profile with this grid and this instrument's name; None if there is none."""
    return next((profile for profile in BUILT_IN.values() if profile.instrument == instrument), None)


def profile_record(profile: Profile | None, instrument: Instrument) -> dict[str, Any]:
    """Return a profile's record; without a profile, that of an instrument on the MDI scale with patches of 15°."""
    if profile is not None:
        return profile.record()
    name = "mdi" if instrument == MDI else instrument.name
    return {"name": name, "instrument": instrument.name, "to_mdi_factor": 1.0, "patch_deg": 15.0}


def cube_values(record: Mapping[str, Any], instrument: Instrument) -> dict[str, Any]:
    """Return what decides how cubes are gridded and read: a profile's record and its grid, as plain values.

    The selection of observations (tolerance of the grid, QUALITY bits) and the source of the factor are not among them.
    """
    return {**instrument.as_dict(), **record}


def differences(given: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """Return how profiles differ, such as ``"n_frames 120 instead of 225"``, from their `cube_values`; "" if alike."""
    return ", ".join(
        f"{key} {_shown(given.get(key))} instead of {_shown(known.get(key))}"
        for key in {**known, **given}
        if given.get(key) != known.get(key)
    )


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)


def find_profile(name_or_path: str | Path) -> Profile:
    """Return the built-in profile of this name, or the one in the TOML file at this path.

    Raises
    ------
    WrongUsage
        If it is neither a built-in name nor a readable file.
    SettingsError
        If the file is not TOML, or a key is missing, unknown or breaks its rule; the text names file, key and rule.
    """
    if str(name_or_path) in BUILT_IN:
        return BUILT_IN[str(name_or_path)]
    path = Path(name_or_path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError:
        raise WrongUsage(
            f"{str(name_or_path)!r} is not a profile; it must be {', '.join(BUILT_IN)} or the path of a TOML file: "
            "correct it"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML ({error}); write the profile as `key = value` lines") from None
    return profile_from_table(table, where=str(path))


def profile_from_table(table: Mapping[str, Any], *, where: str) -> Profile:
    """Return the profile that a TOML table describes; every key of `Profile` must be there, and no other.

    Parameters
    ----------
    table : mapping
        Keys as the fields of `Profile`; ``instrument`` is a table with the keys of `Instrument`.
    where : str
        What error messages call the table: a file name.

    Raises
    ------
    SettingsError
        If a key is missing, unknown or breaks its rule.
    """
    _check_keys(table, [field.name for field in fields(Profile)], where=where)
    if not isinstance(table["instrument"], Mapping):
        raise SettingsError(f"{where}: instrument is {table['instrument']!r}; it must be a table [instrument]")
    grid = table["instrument"]
    _check_keys(grid, [field.name for field in fields(Instrument)], where=f"{where}, [instrument]")
    n_frames = _whole(grid, "n_frames", low=2, high=10_000, where=where)
    cadence = _number(grid, "cadence_seconds", low=1.0, high=864_000.0, where=where)
    instrument = Instrument(
        name=_text(grid, "name", where=where),
        cadence_seconds=cadence,
        n_frames=n_frames,
        size_px=_whole(grid, "size_px", low=8, high=4096, where=where),
        clip_gauss=_number(grid, "clip_gauss", low=1.0, high=100_000.0, where=where),
        frozen_frames=_whole(grid, "frozen_frames", low=0, high=n_frames - 1, where=where),
    )
    if table["projection"] != PROJECTION:
        raise SettingsError(
            f"{where}: projection is {table['projection']!r}; patches are plate carrée only: write {PROJECTION!r}"
        )
    return Profile(
        name=_text(table, "name", where=where),
        instrument=instrument,
        patch_deg=_number(table, "patch_deg", low=0.1, high=LARGEST_PATCH_DEG, where=where),
        projection=PROJECTION,
        grid_tolerance_seconds=_number(table, "grid_tolerance_seconds", low=0.0, high=cadence / 2.0, where=where),
        to_mdi_factor=_number(table, "to_mdi_factor", low=1e-3, high=1e3, where=where),
        to_mdi_source=_text(table, "to_mdi_source", where=where),
        bad_quality_bits=_whole(table, "bad_quality_bits", low=0, high=0xFFFFFFFF, where=where),
    )


def _check_keys(table: Mapping[str, Any], allowed: list[str], *, where: str) -> None:
    unknown = [key for key in table if key not in allowed]
    if unknown:
        raise SettingsError(
            f"{where}: the key {unknown[0]!r} is unknown; a profile has the keys {', '.join(allowed)}: remove it or "
            "correct its spelling"
        )
    absent = [key for key in allowed if key not in table]
    if absent:
        raise SettingsError(f"{where}: the key {absent[0]!r} is missing; a profile has {', '.join(allowed)}: add it")


def _text(table: Mapping[str, Any], key: str, *, where: str) -> str:
    value = table[key]
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or not value.isascii():
        raise SettingsError(f"{where}: {key} is {value!r}; it must be a line of ASCII text: correct it")
    return value


def _number(table: Mapping[str, Any], key: str, *, low: float, high: float, where: str) -> float:
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise SettingsError(f"{where}: {key} is {value!r}; it must be a number from {low:g} to {high:g}: correct it")
    return float(value)


def _whole(table: Mapping[str, Any], key: str, *, low: int, high: int, where: str) -> int:
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SettingsError(f"{where}: {key} is {value!r}; it must be a whole number from {low} to {high}: correct it")
    return value
