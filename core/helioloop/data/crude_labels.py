"""Crude labels by the mission's rule: the place on the disk where a region was first detected decides.

A region first detected away from the east limb emerged there; one first detected near the east limb rotated into view.
The first detection comes from a table of regions, else from the cube itself.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from astropy.time import Time, TimeDelta
from erfa import ErfaWarning
from numpy.typing import NDArray

from helioloop.data.cube_opening import read_cube_files
from helioloop.data.cubes import Cube, CubeHeader
from helioloop.data.first_detection import FARTHEST_DEG, FRAMES_IN_A_ROW, first_detection, usable_observations
from helioloop.data.meridian_distance import (
    DAY_SECONDS,
    MeridianDistances,
    Place,
    from_carrington,
    from_limb,
    place_of,
    rotations,
)
from helioloop.data.start_day import day_only_doubts
from helioloop.data.time_text import isot
from helioloop.errors import CubeError
from helioloop.records.labels import Label
from helioloop.records.profiles import Profile
from helioloop.records.region_spelling import one_spelling, spellings

DETECTION_TIME_DEG = 19.0
"""Rotation in a day and a half: how far a region may turn from where it could be seen until it is detected, because of
missing frames and projection."""

FIRST_FOUND_EAST_OF_DEG = DETECTION_TIME_DEG - FARTHEST_DEG
"""A region first found east of this central-meridian distance, −56°, is labelled as having rotated in."""

_BEHIND_LIMB_DEG = 100.0
_FARTHEST_ROW_DEG = 5.0
_HALF_PASSAGE_SECONDS = 7.5 * DAY_SECONDS


class Rule(StrEnum):
    """Where a first detection comes from."""

    FIRST_SEEN = "first_seen"
    PIXELS = "pixels"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRegion:
    """What a table of regions has about a region.

    Parameters
    ----------
    lon_deg, lat_deg : float
        Its Carrington coordinates.
    first_seen_tai : str or None
        When it was first seen, ISO 8601, TAI.
    """

    lon_deg: float
    lat_deg: float
    first_seen_tai: str | None

    @property
    def place(self) -> Place:
        """Its coordinates, from the table."""
        return Place(lon_deg=self.lon_deg, lat_deg=self.lat_deg, source="regions table")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrudeLabel:
    """A crude label and the first detection that it follows from; None where something is unknown.

    Parameters
    ----------
    cube : str
        Name.
    region : str or None
        Region that the cube follows.
    label : Label or None
        None if the rule gives no label.
    rule : Rule or None
        Where the first detection comes from.
    longitude_deg : float or None
        Central-meridian distance at the first detection, west positive.
    uncertainty_deg : float or None
        Largest error of `longitude_deg` to expect.
    longitude_source : str
        See `MeridianDistances`; empty without a longitude.
    seconds : float or None
        Time of the first detection since grid frame 0.
    frame : int or None
        Its grid frame; outside of the grid for a first detection before or after the cube.
    utc, tai : str
        Time of the first detection, ISO 8601 without zone; empty if the cube has no start.
    reason : str
        Why there is no label, or what is doubtful; else empty.
    """

    cube: str
    region: str | None = None
    label: Label | None = None
    rule: Rule | None = None
    longitude_deg: float | None = None
    uncertainty_deg: float | None = None
    longitude_source: str = ""
    seconds: float | None = None
    frame: int | None = None
    utc: str = ""
    tai: str = ""
    reason: str = ""


def label_by_longitude(longitude_deg: float, *, threshold_deg: float = FIRST_FOUND_EAST_OF_DEG) -> Label:
    """Return the label of a region first detected at this central-meridian distance, west positive."""
    return Label.NON_EMERGENCE if longitude_deg < threshold_deg else Label.EMERGENCE


def label_cube(
    path: Path,
    profile: Profile,
    *,
    regions: Mapping[str, KnownRegion] | None = None,
    threshold_deg: float = FIRST_FOUND_EAST_OF_DEG,
) -> CrudeLabel:
    """Return the crude label of the cube at `path`; a cube that has none is returned with the reason.

    Parameters
    ----------
    path : Path
        ``<cube>.fits``.
    profile : Profile
        Grid and side of the patch.
    regions : mapping of str to KnownRegion, optional
        Regions of a table, by name of the region, in any spelling, or of the cube. The first_seen of the cube's region
        counts, where it has one; else the region is detected in the cube.
    threshold_deg : float
        See `label_by_longitude`.
    """
    found = CrudeLabel(cube=path.name.removesuffix(".fits"))
    try:
        files = read_cube_files(path)
        header = files.header()
        only_day = day_only_doubts(files)
        if only_day:  # as the day in a name it is not precise enough: the Sun turns by 13° in it
            header = replace(header, start_scale=None)
        found = replace(found, region=header.region)
        known = _known(regions or {}, header)
        place = place_of(files)
        if known is not None:
            _check_place(place, known)
            if known.first_seen_tai is not None:
                return _by_first_seen(
                    found, header, known.place, known.first_seen_tai,
                    cadence_seconds=profile.instrument.cadence_seconds, threshold_deg=threshold_deg,
                )  # fmt: skip
            place = place or known.place
        cube = replace(files.cube(profile), start_scale=header.start_scale)
        try:
            return _by_pixels(found, cube, place, profile, threshold_deg=threshold_deg)
        except CubeError as error:
            raise CubeError("; ".join((str(error), *only_day))) from None
    except CubeError as error:
        return replace(found, reason=str(error).removeprefix(f"{path.name}: ").removeprefix(f"{found.cube}: "))
    except Exception as error:  # noqa: BLE001 - whatever one cube does, the others are labelled
        said = str(error).split("\n", 1)[0]
        return replace(found, reason=f"it could not be read ({type(error).__name__}: {said}): make the file again")


def _known(regions: Mapping[str, KnownRegion], header: CubeHeader) -> KnownRegion | None:
    """Return the region of a table that a cube follows, or that has the name of the cube."""
    spelt = {one_spelling(name): region for name, region in regions.items()}
    names = [*spellings(header.region or ""), one_spelling(header.name)]
    return next((spelt[name] for name in names if name in spelt), None)


def _check_place(place: Place | None, region: KnownRegion) -> None:
    """Refuse a row of the table whose region is not where the patch is."""
    if place is None:
        return
    apart = abs((place.lon_deg - region.lon_deg + 180.0) % 360.0 - 180.0)
    if apart > _FARTHEST_ROW_DEG or abs(place.lat_deg - region.lat_deg) > _FARTHEST_ROW_DEG:
        raise CubeError(
            f"its patch is centred on Carrington longitude {place.lon_deg:.1f}° and latitude {place.lat_deg:.1f}°, and "
            f"the regions table has its region at {region.lon_deg:.1f}° and {region.lat_deg:.1f}°; they "
            f"must agree within {_FARTHEST_ROW_DEG:g}°: correct the table"
        )


def _by_first_seen(
    found: CrudeLabel,
    header: CubeHeader,
    place: Place,
    first_seen_tai: str,
    *,
    cadence_seconds: float,
    threshold_deg: float,
) -> CrudeLabel:
    """Return the label by the time at which a table says the region was first seen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ErfaWarning)
        time = Time(first_seen_tai, scale="tai")
        start = None if header.start is None else Time(header.start, scale="utc")
        utc = isot(time.utc)
    crossing = 1.0 - place.lon_deg / 360.0
    at = float(rotations(time))
    passage = round(at - crossing)
    longitude = 360.0 * (at - passage - crossing)
    found = replace(
        found,
        rule=Rule.FIRST_SEEN,
        longitude_deg=longitude,
        uncertainty_deg=0.0,
        longitude_source=place.source,
        utc=utc,
        tai=isot(time),
    )
    if abs(longitude) > _BEHIND_LIMB_DEG:
        return replace(
            found,
            reason=f"its region was {longitude:+.0f}° from the central meridian at its first_seen, behind the limb; a "
            "region is first seen on the disk: correct first_seen or carrington_lon",
        )
    if start is None:
        return replace(
            found,
            label=label_by_longitude(longitude, threshold_deg=threshold_deg),
            reason="the cube has no start, so it is assumed to show the passage of its first_seen",
        )
    if header.start_scale is not None:
        seconds = float((time - start).sec)
        found = replace(found, seconds=seconds, frame=math.floor(seconds / cadence_seconds))
    # A passage begins at the east limb, so the middle of a cube is near the central meridian.
    own = round(float(rotations(start + TimeDelta(_HALF_PASSAGE_SECONDS, format="sec"))) - crossing)
    if passage < own:
        return replace(
            found,
            label=Label.NON_EMERGENCE,
            reason=f"it was first seen {_rotations(own - passage)} before the cube, so it rotated in again",
        )
    if passage > own:
        return replace(
            found,
            reason=f"it was first seen {_rotations(passage - own)} after the cube, which shows the place before: "
            "correct first_seen, or leave the cube out",
        )
    return replace(found, label=label_by_longitude(longitude, threshold_deg=threshold_deg))


def _rotations(n: int) -> str:
    return f"{n} rotation{'' if n == 1 else 's'}"


def _by_pixels(
    found: CrudeLabel, cube: Cube, place: Place | None, profile: Profile, *, threshold_deg: float
) -> CrudeLabel:
    """Return the label by the first detection in the cube."""
    usable = usable_observations(cube, profile)
    field, seconds = usable.field_gauss, usable.seconds
    if len(field) < FRAMES_IN_A_ROW:
        raise CubeError(f"only {len(field)} of its frames is usable and a detection needs {FRAMES_IN_A_ROW} in a row")
    distances = _distances(cube, place, field, seconds, profile)
    longitude = distances.longitude_deg
    detection = first_detection(
        field, longitude, latitude_deg=place.lat_deg if place else 0.0, degrees_per_px=profile.degrees_per_px
    )
    if detection is None:
        return replace(
            found,
            rule=Rule.PIXELS,
            longitude_source=distances.source,
            reason="no bipolar region stands out of the noise of its frames",
        )
    first = float(longitude[detection.index] + detection.offset_deg)
    found = replace(
        found,
        rule=Rule.PIXELS,
        longitude_deg=first,
        uncertainty_deg=distances.uncertainty_deg,
        longitude_source=distances.source,
        seconds=float(seconds[detection.index]),
        frame=int(usable.frames[detection.index]),
    )
    if cube.start is not None and cube.start_scale is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ErfaWarning)
            time = Time(cube.start, scale="utc") + TimeDelta(found.seconds, format="sec")
            found = replace(found, utc=isot(time.utc), tai=isot(time.tai))
    label = label_by_longitude(first, threshold_deg=threshold_deg)
    low, high = first - distances.uncertainty_deg, first + distances.uncertainty_deg
    if distances.one_limb and low < threshold_deg <= high:
        return replace(
            found,
            reason=f"it was first detected {low:.0f}° to {high:.0f}° from the central meridian, as far as one limb "
            f"shows, and the threshold of {threshold_deg:g}° is between: label it by hand",
        )
    if label is Label.EMERGENCE:
        before = float(longitude[detection.index - 1] + detection.offset_deg) if detection.index else -np.inf
        if before < threshold_deg and first - before > DETECTION_TIME_DEG:
            return replace(
                found,
                reason=f"it is there in the first frame after a gap, at {first:.0f}°, so where it was first visible is "
                "unknown: label it by hand",
            )
    return replace(found, label=label)


def _distances(
    cube: Cube, place: Place | None, field: NDArray[np.float32], seconds: NDArray[np.float64], profile: Profile
) -> MeridianDistances:
    """Return central-meridian distances from Carrington coordinates where the time is known, else from the limb."""
    if place is not None and cube.start is not None and cube.start_scale is not None:
        return from_carrington(place, cube.start, seconds)
    return from_limb(np.isnan(field), seconds, patch_deg=profile.patch_deg)
