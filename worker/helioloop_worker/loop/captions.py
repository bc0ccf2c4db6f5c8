"""Draws what is written on a video: UTC, frame number, place on the disk, orientation and a scale bar.

The letters are those of Pillow's built-in font, so a video looks the same on every machine.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from helioloop.data.cube_facts import CubeFacts

BAND_FRACTION = 0.06
"""Height of the band above and of the band below the picture, as a fraction of its width."""
NARROWEST_PX = 360
"""Videos with captions are at least this wide, so that the letters can be read."""

_LETTER_FRACTION = 0.76  # of the height of a band
_BAR_FRACTION = 0.2  # of the width, at most
_BAR_MM = (1, 2, 5, 10, 20, 50, 100, 200)
_MM_PER_DEGREE = math.pi * 695.7 / 180.0
_UPPER_TEXT = "north up, white = positive"
_INK, _PAPER = 235, 16  # white on black in limited-range video

Luma = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Captions:
    """What is written on each frame of a video.

    Parameters
    ----------
    left : tuple of str
        Text at the left of the lower band for each frame: UTC and distance from the central meridian.
    off_disk : tuple of bool
        True for each frame without disk, which says so.
    patch_deg : float
        Width of the picture in heliographic degrees, for the scale bar.
    """

    left: tuple[str, ...]
    off_disk: tuple[bool, ...]
    patch_deg: float


def captions_of(facts: CubeFacts, *, patch_deg: float) -> Captions:
    """Return the captions of a cube's video."""
    return Captions(
        left=tuple(
            "   ".join(text for text in (_time(facts, frame), meridian_text(facts, frame)) if text)
            for frame in range(facts.n_frames)
        ),
        off_disk=facts.off_disk,
        patch_deg=patch_deg,
    )


def meridian_text(facts: CubeFacts, frame: int) -> str:
    """Return the distance from the central meridian in a frame as text, such as ``"CM 42° E"``; "" where unknown."""
    if facts.meridian_deg is None:
        return ""
    distance = facts.meridian_deg[frame]
    about = "" if (facts.meridian_uncertainty_deg or 0.0) < 1.0 else "~"
    side = "" if round(distance) == 0 else (" W" if distance > 0 else " E")
    return f"CM {about}{abs(round(distance))}°{side}"


def band_px(width_px: int) -> int:
    """Return the height of a band of a picture: an even number, as H.264 needs it."""
    return max(2, round(width_px * BAND_FRACTION / 2.0) * 2)


class Bands:
    """Draws the two bands of each frame, and the sentence on frames without disk.

    Parameters
    ----------
    captions : Captions
        What to write.
    width_px : int
        Width of the picture.
    picture_px : int
        Width of the picture that shows `Captions.patch_deg`.
    """

    def __init__(self, captions: Captions, *, width_px: int, picture_px: int) -> None:
        self._captions = captions
        self._size = (width_px, band_px(width_px))
        self._margin = self._size[1] // 4
        self._font = _font(self._size[1] * _LETTER_FRACTION)
        longest = max(self._font.getlength(f"{text}  {self._number(0)}") for text in {*captions.left, _UPPER_TEXT})
        room = width_px - 2 * self._margin
        if longest > room:
            self._font = _font(self._font.size * room / longest)
        self._upper = self._draw_upper(picture_px)

    def upper(self) -> Luma:
        """Return the band above the picture, equal for all frames: orientation, polarity and scale bar."""
        return self._upper

    def lower(self, frame: int) -> Luma:
        """Return the band below the picture: UTC, central-meridian distance, and the frame number counted from 1."""
        image, pen = self._empty()
        middle = self._size[1] / 2.0
        pen.text((self._margin, middle), self._captions.left[frame], fill=_INK, font=self._font, anchor="lm")
        right = self._size[0] - self._margin
        pen.text((right, middle), self._number(frame), fill=_INK, font=self._font, anchor="rm")
        return np.asarray(image, dtype=np.uint8)

    def mark(self, picture: Luma, frame: int) -> None:
        """Write "off the disk" into the middle of a picture without disk, in place."""
        if not self._captions.off_disk[frame]:
            return
        image = Image.fromarray(picture)
        place = (picture.shape[1] / 2.0, picture.shape[0] / 2.0)
        ImageDraw.Draw(image).text(place, "off the disk", fill=_INK, font=self._font, anchor="mm")
        picture[:] = np.asarray(image)

    def _number(self, frame: int) -> str:
        return f"{frame + 1:{len(str(len(self._captions.left)))}d} / {len(self._captions.left)}"

    def _empty(self) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        image = Image.new("L", self._size, _PAPER)
        return image, ImageDraw.Draw(image)

    def _draw_upper(self, picture_px: int) -> Luma:
        image, pen = self._empty()
        width, middle = self._size[0], self._size[1] / 2.0
        pen.text((self._margin, middle), _UPPER_TEXT, fill=_INK, font=self._font, anchor="lm")
        per_mm = picture_px / (self._captions.patch_deg * _MM_PER_DEGREE)
        length = max([mm for mm in _BAR_MM if mm * per_mm <= _BAR_FRACTION * width], default=_BAR_MM[0])
        text = f"{length} Mm"
        right = width - self._margin
        left = right - length * per_mm
        pen.line((left, middle, right, middle), fill=_INK, width=2)
        for end in (left, right):
            pen.line((end, middle - 4, end, middle + 4), fill=_INK, width=2)
        pen.text((left - self._margin, middle), text, fill=_INK, font=self._font, anchor="rm")
        return np.asarray(image, dtype=np.uint8)


def _font(size_px: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType; install its wheel from the package index")
    return font


def _time(facts: CubeFacts, frame: int) -> str:
    """Return the UTC of a frame to the minute; without one, the time since frame 1."""
    if facts.times is not None:
        return facts.times[frame][:16].replace("T", " ") + " UTC"
    return f"{frame * facts.cadence_seconds / 86400.0:.2f} d"
