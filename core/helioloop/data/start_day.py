"""Starts that are only a day: a card gives no time of day, so that midnight is taken for the time of grid frame 0."""

import io

from astropy.io import fits

from helioloop.data.cubes import CubeFiles
from helioloop.data.fits import card_text, errors_named_after, open_checked
from helioloop.data.images import cube_image
from helioloop.data.start import Start
from helioloop.data.time_text import canonical, is_missing_time
from helioloop.data.times import read_times

_DATES = ("DATE-OBS", "DATE-AVG", "T-REC", "T-OBS", "T-START")
"""Cards that are copied from a frame, which has a time of day. DATE-BEG is written for the video, which may begin at
midnight, and so may a modified Julian date."""
_CLOCKS = ("TIME-OBS", "TIME-AVG", "TIME-BEG", "TIME", "TIMEOBS", "UTC", "UT", "UT-OBS", "UTC-OBS", "OBS-TIME")


def day_only_doubts(files: CubeFiles) -> tuple[str, ...]:
    """Return a sentence if the card that gives a cube's start has no time of day, and which other card may have it.

    The emergence is then dated up to a day too early, in which the Sun turns by 13°.

    Raises
    ------
    CubeError
        If the files cannot be read, or their times.
    """
    with errors_named_after(files.path), open_checked(io.BytesIO(files.content)) as hdus:
        image = cube_image(hdus)
        headers = [image.header, hdus[0].header]
        cube = files.path.name.removesuffix(".fits")
        start = read_times(hdus, headers, files.companion, n_frames=image.shape[0], cube=cube).start
        if start is None or not start.only_day or start.kind not in _DATES:
            return ()
        return (_sentence(start, headers),)


def _sentence(start: Start, headers: list[fits.Header]) -> str:
    clock = next((found for header in headers if (found := _unread_clock(header)) is not None), None)
    other = "" if clock is None else f", {clock[0]} {clock[1]!r} is not read as the time of day,"
    return (
        f"{start.source} gives only the day{other} and midnight was taken for the start, so its times may be up to a "
        f"day too early: write day and time into one card, as in {start.utc[:10]}T01:36:00"
    )


def _unread_clock(header: fits.Header) -> tuple[str, str] | None:
    """Return the first card that is named as a time of day, with its text; None without one."""
    for card in header:
        text = card_text(header, card) if canonical(card) in _CLOCKS else ""
        if text and not is_missing_time(text):
            return card, text
    return None
