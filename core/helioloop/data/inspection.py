"""What was read from a cube and how: a verdict, the frames used, and the source of start, unit and region."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from helioloop.data.absent_values import UNCHANGED_FRAMES, AbsentValues
from helioloop.data.cube_report import CubeReport, Verdict
from helioloop.data.cubes import Cube, CubeFiles, CubeOrigin
from helioloop.data.data_sums import data_sum_doubts
from helioloop.data.fits import errors_named_after, open_checked, open_file
from helioloop.data.gridding import FrameUse, frame_use, observed_frames
from helioloop.data.limb import limb_frames
from helioloop.data.lossy_compression import lost_codes_doubts
from helioloop.data.meridian_distance import LIMB_DEG, from_carrington, place_of
from helioloop.data.other_instrument import instrument_doubt, other_instrument
from helioloop.data.start_day import day_only_doubts
from helioloop.errors import CubeError
from helioloop.records.instrument import Instrument
from helioloop.records.profiles import Profile, built_in_profile

_MOST_DROPPED_FRACTION = 0.5
_MOST_IN_ONE_SLOT_FRACTION = 0.5
_MOST_OFF_DISK = 0.25  # always: a patch of 15° rotates onto the disk within a day or so
_MOST_WITHOUT_VALUE = 0.01  # observed and synthetic cubes have none
_MOST_MISSING = 0.05  # synthetic cubes have up to 0.3 %
_MOST_UNCHANGED = 0.05  # 0.1 % in MDI's data, 0.7 % in steps of 16 G
_FEWEST_LIMB_FRAMES = 2
_MAX_LIMB_ERROR_DEG = 20.0  # 1.5 days of rotation; half of it is the range of the limb itself
_NUMBER = re.compile(r"[+-]?\d[\d.,e+-]*")


def inspect_cube(path: Path, instrument: Instrument, profile: Profile | None = None) -> CubeReport:
    """Read and grid the cube at `path`, and return what was read and how; a faulty cube is refused in the report.

    Parameters
    ----------
    path : Path
        ``<cube>.fits``.
    instrument : Instrument
        The grid.
    profile : Profile or None
        As in `CubeFiles.cube_and_origin`; None for the built-in profile of the instrument.
    """
    try:
        files = CubeFiles.read(path)
    except CubeError as error:
        return refused(path.name.removesuffix(".fits"), str(error))
    return inspect_files(files, instrument, profile)[0]


def inspect_files(
    files: CubeFiles, instrument: Instrument, profile: Profile | None = None
) -> tuple[CubeReport, Cube | None]:
    """Return the report of `inspect_cube` for files in memory, and the cube; None instead of a refused one."""
    try:
        cube, origin = files.cube_and_origin(profile or built_in_profile(instrument))
        use = frame_use(cube, instrument)
    except CubeError as error:
        return refused(files.path.name.removesuffix(".fits"), str(error)), None
    doubts = (
        *_instrument_doubts(files, profile or built_in_profile(instrument)),
        *day_only_doubts(files),
        *lost_codes_doubts(files, instrument),
        *data_sum_doubts(files.content),
        *_limb_doubts(files, cube, instrument),
    )
    return _report(cube, replace(origin, doubts=(*origin.doubts, *doubts)), use, instrument), cube


def _report(cube: Cube, origin: CubeOrigin, use: FrameUse, instrument: Instrument) -> CubeReport:
    warnings = _warnings(cube, origin, use, instrument)
    return CubeReport(
        cube=cube.name,
        verdict=Verdict.WARNED if warnings else Verdict.OK,
        reasons=(*warnings, *origin.notes, *_dropped(cube, origin, use)),
        frames_in_file=len(origin.stored_seconds),
        frames_used=len(use.grid_frames),
        start=cube.start,
        start_scale=cube.start_scale,
        start_source=origin.start_source,
        unit=origin.unit,
        unit_source=origin.unit_source,
        region=cube.region,
        region_source=origin.region_source,
    )


def is_video(path: Path) -> bool:
    """Return True if a FITS file has an image with three axes or more; only headers are read.

    Raises
    ------
    CubeError
        If the file cannot be read.
    """
    with open_file(path) as file, errors_named_after(path), open_checked(file) as hdus:
        return any(hdu.is_image and len(hdu.shape) >= 3 for hdu in hdus)


def refused(cube: str, reason: str) -> CubeReport:
    """Return the report of a file that is unusable."""
    return CubeReport(cube=cube, verdict=Verdict.REFUSED, reasons=(reason,))


def copied_content(other: str) -> str:
    """Return that a cube has the content of another one, and the remedy."""
    return f"it has the content of cube {other}, and one video counts once; remove the copy"


def _instrument_doubts(files: CubeFiles, profile: Profile | None) -> tuple[str, ...]:
    named = other_instrument(files, profile)
    return () if named is None or profile is None else (instrument_doubt(named, profile),)


def _limb_doubts(files: CubeFiles, cube: Cube, instrument: Instrument) -> tuple[str, ...]:
    """Return a sentence if the limb crosses the patch where the ephemeris, at the frames' times, does not put it."""
    limb = limb_frames(cube.observed_gauss, code_gauss=instrument.clip_gauss)
    if cube.start is None or len(limb) < _FEWEST_LIMB_FRAMES:
        return ()
    place = place_of(files)
    if place is None:
        return ()
    try:
        longitude_deg = from_carrington(place, cube.start, cube.seconds[limb]).longitude_deg
    except ValueError:  # a start that astropy's ephemeris does not cover
        return ()
    distance = float(np.median(np.abs(longitude_deg)))
    if abs(distance - sum(LIMB_DEG) / 2.0) <= _MAX_LIMB_ERROR_DEG:
        return ()
    return (
        f"its limb crosses the patch {distance:.0f}° from the central meridian by start and Carrington longitude, and "
        f"the limb is {LIMB_DEG[0]:g}° to {LIMB_DEG[1]:g}° away: check the start, its time scale and the longitude",
    )


def most_frequent(reasons: Mapping[str, str]) -> str:
    """Return the most frequent of the reasons, which are given by cube, with the number of cubes that have it.

    Reasons that differ only in the cube's name or in numbers are counted together; the first is returned.
    """
    groups: dict[str, list[str]] = {}
    for cube, reason in reasons.items():
        groups.setdefault(_NUMBER.sub("#", reason.replace(cube, "")), []).append(reason)
    largest = max(groups.values(), key=len)
    return f"the reason of {len(largest)} of {len(reasons)}: {largest[0]}"


def _warnings(cube: Cube, origin: CubeOrigin, use: FrameUse, instrument: Instrument) -> list[str]:
    """Return what is doubtful about a cube that was read, one sentence each."""
    warnings = list(origin.doubts)
    n_stored, n_used = len(origin.stored_seconds), len(use.grid_frames)
    if origin.n_images > 1:
        warnings.append(
            f"{origin.n_images} images have three axes and {origin.image} was read: "
            "remove the others if it is the magnetogram"
        )
    if n_used == 1:
        warnings.append(f"only 1 of {n_stored} frames is used, so the video does not change: check the times")
    elif use.grid_frames[-1] <= instrument.frozen_frames:
        warnings.append(
            f"the last frame used is grid frame {use.grid_frames[-1]} and the first {instrument.frozen_frames} are "
            "replaced by one frame, so the network sees no change: check times and start"
        )
    if n_used + use.same_slot < (1.0 - _MOST_DROPPED_FRACTION) * n_stored:  # a finer cadence is sampled
        warnings.append(f"only {n_used} of {n_stored} frames are used: check times, start and profile")
    slots, counts = np.unique(observed_frames(cube, instrument), return_counts=True)
    fullest = int(counts.argmax())
    if n_used > 1 and counts[fullest] > max(1.0, _MOST_IN_ONE_SLOT_FRACTION * n_stored):
        warnings.append(
            f"{counts[fullest]} of {n_stored} frames are in grid frame {slots[fullest]}, of which one is used: check "
            "the times and their unit"
        )
    warnings += _absent(use.absent)
    if use.before_grid:
        warnings.append(f"{_frames(use.before_grid)} before the start and dropped: check the start")
    if cube.start is None:
        warnings.append("no start is known, so emergence times have no date: add the card DATE-BEG")
    return warnings


def _absent(absent: AbsentValues) -> list[str]:
    """Return a sentence for each kind of values of which an observed cube does not lack so many."""
    sentences = (
        (
            absent.off_disk >= _MOST_OFF_DISK,
            f"{absent.off_disk:.0%} of its pixels are coded as off-disk in all frames: if the patch lies on the disk, "
            "a part of it is missing; fetch or make the file again",
        ),
        (
            absent.without_value >= _MOST_WITHOUT_VALUE,
            f"{absent.without_value:.0%} of its on-disk pixels have no value in any frame, each is missing or 0, and "
            "they are read as 0 G: fetch or make the file again",
        ),
        (
            absent.missing >= _MOST_MISSING,
            f"{absent.missing:.0%} of its on-disk values are missing and interpolated from other frames: fetch or make "
            "the file again",
        ),
        (
            absent.unchanged >= _MOST_UNCHANGED,
            f"{absent.unchanged:.0%} of its on-disk values stay exactly the same for {UNCHANGED_FRAMES} frames or "
            "more, and noise changes them in an observed video: fetch or make the file again",
        ),
    )
    return [sentence for doubtful, sentence in sentences if doubtful]


def _dropped(cube: Cube, origin: CubeOrigin, use: FrameUse) -> list[str]:
    """Return how many observations were dropped and why, one sentence per reason."""
    n_bad = int(origin.bad_quality.sum())
    n_unknown = int((~np.isfinite(origin.stored_seconds[~origin.bad_quality])).sum())
    n_equal = len(origin.stored_seconds) - n_bad - n_unknown - len(cube.seconds)
    counts = (
        (n_bad, "excluded by QUALITY"),
        (n_unknown, "without a finite time"),
        (n_equal, "at the same time as a later one"),
        (use.after_grid, "after the end of the grid"),
        (use.bad, "bad (empty, constant or noise)"),
        (use.same_slot, "in the same grid frame as a later one"),
    )
    dropped = [f"{_frames(n)} {why} and dropped" for n, why in counts if n]
    if use.early:
        dropped.append(f"{_frames(use.early)} a little before a grid frame begins and counted to it")
    return dropped


def _frames(n: int) -> str:
    return f"{n} frame is" if n == 1 else f"{n} frames are"
