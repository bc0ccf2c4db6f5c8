"""Which disk passages of a growing series are over, so that nothing is missing in their cubes."""

from collections.abc import Sequence

from astropy.time import Time

from helioloop.archive.passages import Ephemeris, slot_of, tai_seconds
from helioloop.archive.release import Passage
from helioloop.archive.spool import SpooledFile
from helioloop.records.profiles import Profile

_FILES_AFTER = 2  # so many times are hardly wrong by chance


def ended_passages(
    usable: Sequence[SpooledFile], passages: Sequence[Passage], profile: Profile, *, ended: bool
) -> list[Passage]:
    """Return the passages that are over: `_FILES_AFTER` files were taken after them.

    One file whose time is wrong would end all passages, and a cube that is made is not changed. A time in the future is
    wrong.
    """
    if ended or not usable:
        return list(passages)
    now = tai_seconds(Time.now())
    taken = sorted((file.seconds for file in usable if file.seconds <= now), reverse=True)
    if len(taken) < _FILES_AFTER:
        return []
    after = slot_of(taken[_FILES_AFTER - 1], profile)
    return [passage for passage in passages if after > last_slot(passage, profile)]


def last_slot(passage: Passage, profile: Profile) -> int:
    """Return the last slot of a passage that is in view and on the grid."""
    seconds = passage.files[0].seconds
    in_view = Ephemeris.covering(seconds, seconds).last_slot(passage.region, passage.rotation, profile)
    return min(in_view, passage.first_slot + profile.instrument.n_frames - 1)
