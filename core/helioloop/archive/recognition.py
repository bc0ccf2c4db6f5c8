"""FITS files in a folder: which there are, what an image holds, and which command makes cubes from it."""

from pathlib import Path

from helioloop.archive.fulldisk import holds_disk
from helioloop.archive.making import find_files
from helioloop.archive.observation import read_observation
from helioloop.archive.solar_wcs import CARRINGTON, solar_wcs
from helioloop.errors import MagnetogramError, ReleaseError

_LARGEST_MAP_DEG = 180.0


def find_fits_files(folder: Path) -> list[Path]:
    """Return the FITS files in a folder and its subfolders, sorted, without hidden files; empty if there is none."""
    try:
        return [Path(place) for place in find_files([str(folder)])]
    except ReleaseError:
        return []


def describe_image(path: Path) -> str:
    """Return what the image in a file is and what to do with it, in one sentence.

    A line-of-sight magnetogram of the full disk names ``helioloop cutouts``, one of a patch ``helioloop stack``;
    everything else gives the reason why it is neither.
    """
    try:
        observation = read_observation(str(path))
        place = solar_wcs(observation)
    except MagnetogramError as error:
        return str(error)
    width = observation.field_gauss.shape[1]
    if place.kind == CARRINGTON and place.pixel_deg[0] * width > _LARGEST_MAP_DEG:
        return "it is a synoptic map, made from many days, and not a video: leave it out"
    if place.kind != CARRINGTON and holds_disk(observation, place):
        return "it is one magnetogram of the full disk: make cubes of it and others with `helioloop cutouts`"
    return "it is one magnetogram of a patch: make a cube of it and others with `helioloop stack`"
