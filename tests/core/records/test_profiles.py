import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helioloop.data.release_profile import read_release_profile, write_release_profile
from helioloop.errors import HelioloopError, SettingsError, WrongUsage
from helioloop.records.instrument import MDI, Instrument
from helioloop.records.profiles import BUILT_IN, find_profile, profile_from_table

COARSE = """
name = "coarse"
patch_deg = 20.0
projection = "CAR"
grid_tolerance_seconds = 600
to_mdi_factor = 1.4
to_mdi_source = "a table of ours, \\"calibration\\""
bad_quality_bits = 0x80000200

[instrument]
name = "HMI"
cadence_seconds = 10800
n_frames = 100
size_px = 40
clip_gauss = 1500.0
frozen_frames = 12
"""


def coarse() -> dict[str, Any]:
    return tomllib.loads(COARSE)


def test_mdi_is_the_grid_of_the_published_method() -> None:
    profile = find_profile("mdi")
    assert profile.instrument == MDI
    assert (profile.patch_deg, profile.degrees_per_px, profile.to_mdi_factor) == (15.0, 15.0 / 90, 1.0)


def test_normal_mdi_quality_is_accepted_and_a_missing_image_is_not() -> None:
    """QUALITY 512 is set in every normal 96-minute magnetogram; the top bit means that there is no image."""
    bits = find_profile("mdi").bad_quality_bits
    assert not 512 & bits
    assert 0x80000000 & bits
    assert 0x10 & bits  # more than a tenth of the image is missing


def test_hmi_quality_excludes_eclipses_and_accepts_what_needs_care_only() -> None:
    bits = find_profile("hmi").bad_quality_bits
    assert 0x200 & bits
    assert 0x80000000 & bits
    assert not 0x400 & bits  # cosmic-ray lists could not be read: set in all near-real-time images


@pytest.mark.parametrize("name", ["hmi", "gong"])
def test_hmi_and_gong_share_the_grid_of_mdi(name: str) -> None:
    profile = find_profile(name)
    assert profile.instrument == Instrument(**{**MDI.as_dict(), "name": name.upper()})
    assert profile.patch_deg == 15.0
    assert "doi:10.1007/s11207-0" in profile.to_mdi_source


def test_a_profile_is_read_from_toml(tmp_path: Path) -> None:
    """A file of the user's own may differ in cadence, frames, size and degrees."""
    (tmp_path / "coarse.toml").write_text(COARSE)
    profile = find_profile(tmp_path / "coarse.toml")
    assert profile.instrument == Instrument(
        name="HMI", cadence_seconds=10800.0, n_frames=100, size_px=40, clip_gauss=1500.0, frozen_frames=12
    )
    assert (profile.patch_deg, profile.degrees_per_px, profile.bad_quality_bits) == (20.0, 0.5, 0x80000200)


def change(**changes: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {**coarse(), **changes}


def change_grid(**changes: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {**coarse(), "instrument": {**coarse()["instrument"], **changes}}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (change(cadence=1), "'cadence' is unknown.*remove it or correct its spelling"),
        (change(projection="CEA"), "projection is 'CEA'.*write 'CAR'"),
        (change(patch_deg=0), "patch_deg is 0; it must be a number from 0.1 to 60"),
        (change(patch_deg="15"), "patch_deg is '15'"),
        (change(grid_tolerance_seconds=6000), "grid_tolerance_seconds is 6000.*to 5400"),
        (change(to_mdi_factor=float("nan")), "to_mdi_factor is nan"),
        (change(bad_quality_bits=-1), "bad_quality_bits is -1.*from 0 to 4294967295"),
        (change(name=" "), "name is ' '"),
        (change(instrument="HMI"), r"instrument is 'HMI'; it must be a table \[instrument\]"),
        (change_grid(n_frames=1.5), "n_frames is 1.5; it must be a whole number"),
        (change_grid(frozen_frames=100), "frozen_frames is 100.*from 0 to 99"),
        (change_grid(size=1), r"\[instrument\]: the key 'size' is unknown"),
        (change_grid(n_frames=True), "n_frames is True"),
    ],
)
def test_each_key_is_checked_and_named(table: Callable[[], dict[str, Any]], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        profile_from_table(table(), where="mine.toml")


@pytest.mark.parametrize("key", ["patch_deg", "instrument"])
def test_a_missing_key_is_named(key: str) -> None:
    table = coarse()
    del table[key]
    with pytest.raises(SettingsError, match=f"mine.toml: the key '{key}' is missing"):
        profile_from_table(table, where="mine.toml")


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(WrongUsage, match="'aia' is not a profile; it must be mdi, hmi, gong or the path of a TOML"):
        find_profile("aia")


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("name: mine")
    with pytest.raises(SettingsError, match="is not TOML"):
        find_profile(tmp_path / "p.toml")


def test_a_release_without_a_profile_file_is_mdi(tmp_path: Path) -> None:
    assert read_release_profile(tmp_path) == BUILT_IN["mdi"]


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_a_release_names_a_built_in_profile(tmp_path: Path, name: str) -> None:
    write_release_profile(tmp_path, BUILT_IN[name])
    assert (tmp_path / "release.toml").read_text() == f'profile = "{name}"\n'
    assert read_release_profile(tmp_path) == BUILT_IN[name]


def test_a_byte_order_mark_is_not_part_of_a_release_file(tmp_path: Path) -> None:
    """Some editors write it."""
    (tmp_path / "release.toml").write_text('\ufeffprofile = "hmi"\n', encoding="utf-8")
    assert read_release_profile(tmp_path) == BUILT_IN["hmi"]


def test_a_release_keeps_a_profile_of_the_users_own(tmp_path: Path) -> None:
    """The whole profile is written, so that the release can be read without the user's file."""
    profile = profile_from_table(coarse(), where="mine.toml")
    write_release_profile(tmp_path, profile)
    assert read_release_profile(tmp_path) == profile


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('profile = "aia"', "profile is 'aia'"),
        ('profile = "mdi"\ncadence = 1', "keys profile, cadence"),
        ("", "keys none"),
        ('profile = ["mdi"]', r"profile is \['mdi'\]"),
        ("profile", "cannot be read as TOML"),
        ("[profile]\nname = 'x'", "is missing"),
    ],
)
def test_a_wrong_release_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "release.toml").write_text(text)
    with pytest.raises(HelioloopError, match=said):
        read_release_profile(tmp_path)
