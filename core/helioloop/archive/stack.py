"""Patches of active regions, one FITS file per time, onto the grid of a release: SHARP, SMARP and cutouts of the CCD.

A region's patch is centred on the mean of its frames' centres. HARPNUM or TARPNUM gives the region of a
file, else its folder does (see `helioloop.archive.region_folders`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helioloop.archive.fulldisk import holds_disk
from helioloop.archive.instruments import profile_of, scale_notes, why_no_profile
from helioloop.archive.making import Work, find_files, make_release, spread
from helioloop.archive.observation import Observation, quality_reason, read_observation
from helioloop.archive.passages import rotations_at, tai_seconds
from helioloop.archive.patches import cut_patches
from helioloop.archive.region_folders import region_folder, why_not_regions
from helioloop.archive.regions import Region
from helioloop.archive.release import MadeRelease
from helioloop.archive.solar_wcs import CARRINGTON, SolarWcs, solar_wcs
from helioloop.archive.spool import Patch, SpooledFile
from helioloop.data.fits import card_text
from helioloop.errors import MagnetogramError, ReleaseError
from helioloop.progress import Report, silent
from helioloop.records.profiles import BUILT_IN, Profile
from helioloop.records.region_spelling import region_number

_NUMBERS = (("HARPNUM", "HARP"), ("TARPNUM", "TARP"))
_KNOWN = {profile.instrument.name for profile in BUILT_IN.values()}
_LARGEST_MAP_DEG = 180.0
_FEWEST_NEAR = 0.9  # fraction of a region's frames
_LARGEST_DRIFT_DEG = 20.0  # a box grows and the Sun turns by latitude: HARPs drift some degrees while they are seen


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the first look at a file gives: region, centre and instrument; None where it is unusable.

    `folder` is None where a card gives the region. `reason` is why the file is left out, if that is known by now.
    """

    place: str
    region: str | None = None
    folder: Path | None = None
    centre_deg: tuple[float, float] | None = None
    instrument: str | None = None
    reason: str | None = None


def make_stack(
    folder: Path,
    out: Path,
    *,
    profile: Profile | None = None,
    report: Report = silent,
    processes: int | None = None,
) -> MadeRelease:
    """Stack the patches in a folder into cubes, one per region and disk passage, and write a release.

    Parameters
    ----------
    folder : Path
        Files of one or more regions; subfolders are searched.
    out : Path
        The release's folder: absent, empty, or left by an interrupted run.
    profile : Profile or None
        Grid; None for the built-in profile of the first readable file whose instrument has one. A file of another of
        the built-in instruments is brought to the scale of MDI by that instrument's own factor.
    report : Report
        Called after each file and each cube.
    processes : int or None
        Processes; all cores by default.

    Raises
    ------
    ReleaseError
        If there is no file, no profile follows from the files, `out` holds something else, or no cube could be made.
    """
    if not folder.is_dir():
        raise ReleaseError(f"{folder} is not a folder; name the folder that holds one FITS file per time")
    files = find_files([str(folder)])
    found: dict[str, _Found] = {}
    report(0, len(files), "finding regions")
    for look in spread(_look, files, processes=processes):
        found[look.place] = look
        report(len(found), len(files), "finding regions")
    profile = profile or _profile_of_first([found[place] for place in files])
    unnamed = why_not_regions(look.folder for look in found.values() if look.folder is not None)
    reasons = {look.place: look.reason for look in found.values() if look.reason is not None}
    reasons |= {look.place: unnamed[look.folder] for look in found.values() if look.folder in unnamed}
    regions = _regions([found[place] for place in files if place not in reasons])
    work = [
        Work(
            place=place,
            regions=tuple(region for region in regions if region.name == found[place].region),
            passages={},
            profile=profile,
            reason=reasons.get(place),
        )
        for place in files
    ]
    return make_release(out, work, cut_patch, regions, profile, command="stack", report=report, processes=processes)


def cut_patch(work: Work) -> tuple[SpooledFile, Mapping[str, Patch]]:
    """Read one patch and bring it to its region's grid.

    Raises
    ------
    MagnetogramError
        If the file cannot be used.
    """
    if work.reason is not None:
        raise MagnetogramError(work.reason)
    observation = read_observation(work.place)
    place = _checked_place(observation)
    if not work.regions:
        raise MagnetogramError(
            f"no frame of its folder has its centre on the disk, or they are more than {_LARGEST_DRIFT_DEG:g}° from "
            "their mean centre and not of one region: give each region a folder of its own"
        )
    own = profile_of(observation.instrument)
    expected = work.profile.instrument.name.upper()
    if own is not None and expected in _KNOWN and own.instrument.name != expected:
        scale, instrument = own, None
        factor = f"{own.to_mdi_factor:g}"
        said: tuple[str, ...] = (
            f"it is from {own.instrument.name}, whose own factor {factor} was used for the scale of MDI",
        )
    else:
        scale, instrument = work.profile, observation.instrument
        said = scale_notes(instrument, scale)
    reason = quality_reason(observation, scale)
    if reason:
        raise MagnetogramError(reason)
    field = observation.field_gauss
    field *= np.float32(scale.to_mdi_factor)
    patches = cut_patches(field, place, work.regions, work.profile)
    if not patches:
        raise MagnetogramError("its field does not reach the patch around the mean centre of its region: leave it out")
    file = SpooledFile(
        place=work.place,
        key="",
        seconds=tai_seconds(observation.time),
        rotations=rotations_at(observation.time),
        time_card=observation.time_card,
        factor=scale.to_mdi_factor,
        instrument=instrument,
        assumed=(*observation.assumed, *place.assumed, *said),
        regions=tuple(patches),
    )
    return file, patches


def _look(place: str) -> _Found:
    """Return a file's region and centre; a file that cannot be used gives its reason when it is cut."""
    try:
        observation = read_observation(place)
        where = _checked_place(observation)
    except Exception:  # noqa: BLE001 - whatever one file does, the others go on; its reason is listed when it is cut
        return _Found(place=place)
    height, width = observation.field_gauss.shape
    centre = where.centre_deg((height, width))
    try:
        number = _region_number(observation)
    except MagnetogramError as error:
        return _Found(place=place, reason=str(error))
    folder = None if number is not None else region_folder(place)
    return _Found(
        place=place,
        region=number if folder is None else folder.name,
        folder=folder,
        centre_deg=centre,
        instrument=observation.instrument,
    )


def _checked_place(observation: Observation) -> SolarWcs:
    """Return where a patch is; refuse full disks and maps of the whole Sun."""
    place = solar_wcs(observation)
    if place.kind == CARRINGTON:
        width_deg = place.pixel_deg[0] * observation.field_gauss.shape[1]
        if width_deg > _LARGEST_MAP_DEG:
            raise MagnetogramError("it is a synoptic map, made from many days, and not a patch: leave it out")
    elif holds_disk(observation, place):
        raise MagnetogramError("it shows the full disk and not a patch: run `helioloop cutouts` on it")
    return place


def _region_number(observation: Observation) -> str | None:
    """Return the HARP or TARP number of a patch's region after its catalogue; None where no card gives one.

    A number that cannot be read is refused: without it, the frames of several regions would make one cube.
    """
    for card, prefix in _NUMBERS:
        text = card_text(observation.header, card)
        if not text:
            continue
        number = region_number(text)
        if number is None:
            raise MagnetogramError(f"{card} is {text!r}, and it must be the number of a region: correct it")
        if number > 0:
            return f"{prefix}{number}"
    return None


def _profile_of_first(found: Sequence[_Found]) -> Profile:
    """Return the built-in profile of the first file whose instrument has one; ``mdi`` where none names an instrument.

    Raises
    ------
    ReleaseError
        If files name instruments, and none of them has a profile.
    """
    named = [look for look in found if look.instrument is not None]
    profile = next(filter(None, (profile_of(look.instrument) for look in named)), None)
    if profile is None and named:
        first = named[0]
        raise ReleaseError(why_no_profile(Path(first.place).name, str(first.instrument)))
    return profile or BUILT_IN["mdi"]


def _regions(found: Sequence[_Found]) -> list[Region]:
    """Return the regions, each at the mean of its frames' centres; frames too far apart are not of one region.

    Up to a tenth of a region's frames may be elsewhere: their coordinates are wrong, and they do not reach its patch.
    """
    centres: dict[str, list[tuple[float, float]]] = {}
    for look in found:
        if look.region is not None and look.centre_deg is not None:
            centres.setdefault(look.region, []).append(look.centre_deg)
    regions = []
    for name, places in sorted(centres.items()):
        lon, lat = np.array(places, dtype=np.float64).T
        # Longitudes as distances from the first one, nearer than half a turn, so that they can be averaged.
        away = (lon - lon[0] + 180.0) % 360.0 - 180.0
        near = np.hypot(away - np.median(away), lat - np.median(lat)) <= _LARGEST_DRIFT_DEG
        if near.mean() < _FEWEST_NEAR:
            continue
        mean_lon, mean_lat = float(away[near].mean()), float(lat[near].mean())
        if np.hypot(away[near] - mean_lon, lat[near] - mean_lat).max() <= _LARGEST_DRIFT_DEG:
            regions.append(Region(name=name, lon_deg=(lon[0] + mean_lon) % 360.0, lat_deg=mean_lat))
    return regions
