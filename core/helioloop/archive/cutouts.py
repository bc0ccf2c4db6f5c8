"""Full-disk magnetograms and a table of regions in, a release of cubes out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from helioloop.archive.fulldisk import profile_for, read_fulldisk
from helioloop.archive.making import Work, find_files, make_release
from helioloop.archive.passages import first_seen_passages, passage_of, rotations_at, tai_seconds
from helioloop.archive.patches import cut_patches
from helioloop.archive.regions import Region
from helioloop.archive.release import MadeRelease
from helioloop.archive.spool import Patch, SpooledFile
from helioloop.errors import MagnetogramError
from helioloop.progress import Report, silent
from helioloop.records.profiles import Profile


def make_cutouts(
    places: Sequence[str],
    regions: Sequence[Region],
    out: Path,
    *,
    profile: Profile | None = None,
    report: Report = silent,
    processes: int | None = None,
) -> MadeRelease:
    """Cut all regions out of full-disk magnetograms and write a release.

    A region with ``first_seen`` gets one cube, of the passage in which it was first seen; one without it gets a cube
    for each passage that the files show.

    Parameters
    ----------
    places : sequence of str
        Files, folders, glob patterns or fsspec URLs.
    regions : sequence of Region
        Regions to follow.
    out : Path
        The release's folder: absent, empty, or left by an interrupted run.
    profile : Profile or None
        Grid and scale; None for the built-in profile of the first full-disk file's instrument.
    report : Report
        Called after each file and each cube.
    processes : int or None
        Processes; all cores by default.

    Raises
    ------
    ReleaseError
        If there is no file, the folder or the table cannot be used, no profile follows from the files, or no cube could
        be made.
    """
    files = find_files(places)
    profile = profile or profile_for(files)
    passages = first_seen_passages(tuple(regions))
    work = [Work(place=place, regions=tuple(regions), passages=passages, profile=profile) for place in files]
    return make_release(
        out, work, cut_fulldisk, regions, profile, command="cutouts", report=report, processes=processes
    )


def cut_fulldisk(work: Work) -> tuple[SpooledFile, Mapping[str, Patch]]:
    """Read one full-disk magnetogram and cut the regions that it shows.

    Raises
    ------
    MagnetogramError
        If the file cannot be used, or shows none of the regions.
    """
    file, patches = cut_regions(work)
    if not patches:
        raise MagnetogramError("none of the regions is on the disk at its time: nothing to cut")
    return file, patches


def cut_regions(work: Work) -> tuple[SpooledFile, Mapping[str, Patch]]:
    """Read one full-disk magnetogram and cut the regions that it shows, if any.

    Raises
    ------
    MagnetogramError
        If the file cannot be used.
    """
    image = read_fulldisk(work.place, work.profile)
    rotations = rotations_at(image.time)
    now = {region.name: passage_of(region.lon_deg, rotations) for region in work.regions}
    wanted = [region for region in work.regions if work.passages.get(region.name, now[region.name]) == now[region.name]]
    patches = cut_patches(image.field_gauss, image.solar_wcs, wanted, work.profile)
    file = SpooledFile(
        place=work.place,
        key="",
        seconds=tai_seconds(image.time),
        rotations=rotations,
        time_card=image.time_card,
        factor=work.profile.to_mdi_factor,
        instrument=image.instrument,
        assumed=image.assumed,
        regions=tuple(patches),
    )
    return file, patches
