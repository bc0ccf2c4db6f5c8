"""Files of any instrument: its own profile, the one that was chosen and said, or refused with what to do."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits
from tests.core.archive.sun import Spot, cea_header, header, paint, paint_map, times, write

from helioloop.archive.cutouts import make_cutouts
from helioloop.archive.fulldisk import profile_for, read_fulldisk
from helioloop.archive.making import find_files
from helioloop.archive.regions import Region
from helioloop.archive.release import MadeRelease
from helioloop.archive.series import extend_release, series_profile
from helioloop.archive.stack import make_stack
from helioloop.data.instrument_cards import instrument_of
from helioloop.errors import MagnetogramError, ReleaseError
from helioloop.records.profiles import BUILT_IN, Profile

MDI, HMI, GONG = (BUILT_IN[name] for name in ("mdi", "hmi", "gong"))
FIRST = "2001-03-07T00:00:00"  # the central meridian is at 81.3°
REGION = Region(name="A", lon_deg=81.0, lat_deg=10.0)
FMG: dict[str, Any] = {"TELESCOP": "ASO-S", "INSTRUME": "FMG"}
NAMELESS: dict[str, Any] = {"TELESCOP": None, "INSTRUME": None}


def own_profile(instrument: str, *, factor: float = 1.0) -> Profile:
    grid = replace(MDI.instrument, name=instrument)
    return replace(MDI, name="own", instrument=grid, to_mdi_factor=factor, to_mdi_source="our comparison")


def disks(folder: Path, *cards: dict[str, Any]) -> Path:
    """Write a full disk per set of cards, 96 minutes apart; None removes a card."""
    folder.mkdir()
    for number, (tai, own) in enumerate(zip(times(FIRST, hours=1.6, n=len(cards)), cards, strict=True)):
        of = header(tai, size=256, scale=8.0, **own)
        image = paint(of, [Spot(lon=81.0, lat=10.0, sigma_deg=2.0)], noise=10.0, seed=number)
        write(folder / f"{number}.fits", of, image)
    return folder


def maps(folder: Path, *cards: dict[str, Any]) -> Path:
    """Write a map of HARP 377 per set of cards, 96 minutes apart."""
    folder.mkdir()
    for number, (tai, own) in enumerate(zip(times("2011-02-12T00:00:00", hours=1.6, n=len(cards)), cards, strict=True)):
        of = cea_header(tai, lon=34.9, lat=-20.0, shape=(150, 220))
        for card, value in own.items():
            if value is None:
                of.remove(card)
            else:
                of[card] = value
        write(folder / f"{number}.fits", of, paint_map(of, [Spot(lon=34.9, lat=-20.0, gauss=500.0)]))
    return folder


def cut(folder: Path, profile: Profile | None = None) -> MadeRelease:
    return make_cutouts([str(folder)], [REGION], folder.parent / "release", profile=profile, processes=1)


def reasons(folder: Path, command: str = "cutouts") -> dict[str, str]:
    with (folder.parent / "release" / f"{command}-excluded.csv").open(newline="") as file:
        return {Path(row["file"]).name: row["reason"] for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("cards", "name"),
    [
        ({"TELESCOP": "SOHO", "INSTRUME": "MDI"}, "MDI"),
        ({"TELESCOP": "soho/mdi"}, "MDI"),
        ({"TELESCOP": "SOHO", "CAMERA": "MDI"}, "MDI"),  # as JSOC writes mdi.fd_M_96m_lev182
        ({"TELESCOP": "SOHO"}, "MDI"),
        ({"TELESCOP": "SOHO", "INSTRUME": "Michelson Doppler Imager"}, "MDI"),
        ({"TELESCOP": "SDO/HMI", "INSTRUME": "HMI_COMBINED", "CAMERA": 3}, "HMI"),
        ({"TELESCOP": "SDO", "INSTRUME": "hmi_front2"}, "HMI"),
        ({"TELESCOP": "sdo", "INSTRUME": "N/A"}, "HMI"),
        ({"TELESCOP": "NSO-GONG"}, "GONG"),
        ({"INSTRUME": "gong"}, "GONG"),
        ({"TELESCOP": "SOLIS", "INSTRUME": "SOLIS/VSM"}, "SOLIS/VSM"),
        ({"TELESCOP": "NSO-KPVT"}, "NSO-KPVT"),
        ({"TELESCOP": "ASO-S", "INSTRUME": "FMG", "CAMERA": 2}, "ASO-S FMG"),
        ({"INSTRUME": "FMG"}, "FMG"),
        ({"TELESCOP": "SOHO", "INSTRUME": "EIT"}, "SOHO EIT"),
        ({"TELESCOP": "", "INSTRUME": "N/A", "CAMERA": 3}, None),
        ({}, None),
    ],
)
def test_an_instrument_is_known_by_any_spelling_and_another_keeps_its_name(
    cards: dict[str, Any], name: str | None
) -> None:
    assert instrument_of(fits.Header(cards)) == name


@pytest.mark.parametrize("cards", [{"TELESCOP": "SOLIS", "INSTRUME": "VSM"}, {"TELESCOP": "NSO-KPVT"}, FMG])
def test_files_of_an_instrument_without_a_profile_need_one_to_be_chosen(tmp_path: Path, cards: dict[str, Any]) -> None:
    """They counted as MDI's, in silence; chosen, the profile and the instrument are said, in the cube, too."""
    folder = disks(tmp_path / "in", *[{"INSTRUME": None, **cards}] * 2)
    name = " ".join(cards.values())
    with pytest.raises(ReleaseError, match=rf"0.fits is from {name}, and there is no profile for its scale.*--profile"):
        cut(folder)
    made = cut(folder, GONG)
    said = f"it is from {name} and was taken on the scale of profile 'gong', factor 2.05 (2 files)"
    assert said in made.assumed
    (cube,) = made.cubes
    assert said in "".join(fits.getheader(made.folder / f"{cube}.fits")["HISTORY"])


@pytest.mark.parametrize("profile", [None, MDI])
@pytest.mark.parametrize("odd", [0, 1, 2])
def test_a_file_of_another_instrument_is_excluded_and_both_are_named(
    tmp_path: Path, profile: Profile | None, odd: int
) -> None:
    """Wherever it is in the series, and whether or not the profile was chosen."""
    folder = disks(tmp_path / "in", *(FMG if number == odd else {} for number in range(3)))
    made = cut(folder, profile)
    assert (made.profile, list(made.cubes.values())) == (MDI, [2])
    (reason,) = reasons(folder).values()
    assert reason.startswith("it is from ASO-S FMG and the release is made of files from MDI; the scale")
    assert made.assumed == ()


def test_of_two_instruments_on_a_profile_of_ones_own_the_one_with_most_files_is_used(tmp_path: Path) -> None:
    folder = disks(tmp_path / "in", {"instrument": "HMI"}, FMG, {**FMG, "INSTRUME": "fmg"})
    assert list(cut(folder, own_profile("MINE", factor=1.7)).cubes.values()) == [2]
    assert list(reasons(folder)) == ["0.fits"]


def test_a_profile_that_names_the_instrument_is_its_own(tmp_path: Path) -> None:
    """Two cameras of one telescope are its instrument, too."""
    folder = disks(
        tmp_path / "in",
        {"TELESCOP": "NSO-KPVT", "INSTRUME": "SPMG"},
        {"TELESCOP": "nso/kpvt", "INSTRUME": "512-channel"},
    )
    made = cut(folder, own_profile("KPVT", factor=1.3))
    assert (list(made.cubes.values()), made.assumed) == ([2], ())


@pytest.mark.parametrize(("factor", "said"), [(1.40, 0), (1.5, 1)])
def test_a_grid_of_ones_own_on_the_scale_of_the_instrument_is_no_doubt(
    tmp_path: Path, factor: float, said: int
) -> None:
    made = cut(disks(tmp_path / "in", {"instrument": "HMI"}), own_profile("MINE", factor=factor))
    assert len(made.assumed) == said
    assert all("it is from HMI and was taken on the scale of profile 'own', factor 1.5" in one for one in made.assumed)


def test_where_no_card_names_the_instrument_the_scale_is_assumed_and_said(tmp_path: Path) -> None:
    folder = disks(tmp_path / "in", NAMELESS, {"instrument": "HMI"}, NAMELESS)
    made = cut(folder)
    assert (made.profile, list(made.cubes.values())) == (HMI, [3])
    assert made.assumed == ("no card names its instrument, so the scale of profile 'hmi' was assumed (2 files)",)
    alone = str(folder / "0.fits")
    assert profile_for([alone]) == MDI
    assert read_fulldisk(alone, MDI).assumed == (
        "no card names its instrument, so the scale of profile 'mdi' was assumed",
    )


def test_a_file_of_one_archive_under_the_profile_of_another_is_refused(tmp_path: Path) -> None:
    folder = disks(tmp_path / "in", {})
    with pytest.raises(MagnetogramError, match=r"it is from MDI and profile 'hmi' is for HMI.*--profile mdi"):
        read_fulldisk(str(folder / "0.fits"), HMI)


def test_patches_of_an_instrument_without_a_profile_need_one_to_be_chosen(tmp_path: Path) -> None:
    folder = maps(tmp_path / "in", FMG, FMG)
    with pytest.raises(ReleaseError, match=r"0.fits is from ASO-S FMG, and there is no profile for its scale"):
        make_stack(folder, tmp_path / "release", processes=1)
    made = make_stack(folder, tmp_path / "release", profile=HMI, processes=1)
    assert list(made.cubes.values()) == [2]
    assert "it is from ASO-S FMG and was taken on the scale of profile 'hmi', factor 1.4 (2 files)" in made.assumed


def test_a_patch_of_another_instrument_is_excluded_and_both_are_named(tmp_path: Path) -> None:
    """Those of MDI and HMI are brought to the scale of MDI by their own factors, and stay."""
    soho = {"TELESCOP": "SOHO", "INSTRUME": "MDI"}
    folder = maps(tmp_path / "in", FMG, {}, soho, {"TELESCOP": None, "INSTRUME": None})
    made = make_stack(folder, tmp_path / "release", processes=1)
    assert (made.profile, list(made.cubes.values())) == (HMI, [3])
    assert list(reasons(folder, "stack")) == ["0.fits"]
    assert "it is from ASO-S FMG and the release is made of files from HMI" in reasons(folder, "stack")["0.fits"]
    assert "no card names its instrument, so the scale of profile 'hmi' was assumed (1 file)" in made.assumed


def test_a_growing_series_excludes_a_file_of_another_instrument(tmp_path: Path) -> None:
    """Also one that comes later; a series of unknown ones alone needs a profile in its folder."""
    folder, later, out = disks(tmp_path / "in", {}, {}), disks(tmp_path / "later", {}, {}, FMG), tmp_path / "release"
    files = find_files([str(folder)])
    extend_release(files, [REGION], out, profile=series_profile(folder, out, files), processes=1)
    shutil.copy(later / "2.fits", folder)
    extended = extend_release(find_files([str(folder)]), [REGION], out, profile=MDI, ended=True, processes=1)
    assert list(extended.made.values()) == [2]
    ((place, reason),) = extended.excluded.items()
    assert Path(place).name == "2.fits"
    assert "it is from ASO-S FMG and the release is made of files from MDI" in reason
    with pytest.raises(ReleaseError, match=r"2.fits is from ASO-S FMG.* in its release.toml"):
        series_profile(later, tmp_path / "other", [str(folder / "2.fits")])
