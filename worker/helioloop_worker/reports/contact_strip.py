"""Contact strips: some frames of a cube side by side, as an image inside of the page."""

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FRAMES: Final = 8
FRAME_PX: Final = 90
GAP_PX: Final = 2
_SATURATED, _KNEE = 0.4, 0.1  # the tones of the videos: black or white beyond 400 G, logarithmic beyond 100 G, for MDI
_OFF_DISK = (33, 45, 61)
_GAP = (0, 0, 0)  # frames of a quiet Sun are grey
_QUALITY = 85


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactStrip:
    """Some frames of a cube.

    Parameters
    ----------
    frames : tuple of int
        The frames, 0-based.
    width_px, height_px : int
        Size of the image.
    uri : str
        The image as ``data:`` URI.
    """

    frames: tuple[int, ...]
    width_px: int
    height_px: int
    uri: str


def contact_strip(gridded: NDArray[np.floating]) -> ContactStrip:
    """Return evenly spaced frames of a cube, positive field white, negative black, north up, west right.

    Frames before the patch comes onto the disk and after it has left are passed over.

    Parameters
    ----------
    gridded : array, shape (n_frames, height, width)
        Scaled to [0, 1], 0.5 being 0 G, NaN off-disk; row 0 south, column 0 east.
    """
    on_disk = np.flatnonzero(~np.isnan(gridded).all(axis=(1, 2)))
    first, last = (int(on_disk[0]), int(on_disk[-1])) if on_disk.size else (0, len(gridded) - 1)
    count = min(FRAMES, last - first + 1)
    frames = tuple(int(k) for k in np.linspace(first, last, count).round())
    strip = Image.new("RGB", (count * (FRAME_PX + GAP_PX) - GAP_PX, FRAME_PX), _GAP)
    for place, frame in enumerate(frames):
        image = Image.fromarray(_tones(np.asarray(gridded[frame], dtype=np.float32)))
        strip.paste(image.resize((FRAME_PX, FRAME_PX), Image.Resampling.BILINEAR), (place * (FRAME_PX + GAP_PX), 0))
    written = BytesIO()
    strip.save(written, format="JPEG", quality=_QUALITY)
    uri = f"data:image/jpeg;base64,{b64encode(written.getvalue()).decode()}"
    return ContactStrip(frames=frames, width_px=strip.width, height_px=strip.height, uri=uri)


def _tones(frame: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return a frame as colours, shape (height, width, 3), north up."""
    north_up = frame[::-1]
    off_disk = np.isnan(north_up)
    field = np.where(off_disk, 0.0, 2.0 * north_up - 1.0)
    grey = np.clip(np.arcsinh(field / _KNEE) / np.arcsinh(_SATURATED / _KNEE), -1.0, 1.0)
    colours = np.repeat(np.rint(127.5 + 127.5 * grey).astype(np.uint8)[..., None], 3, axis=2)
    colours[off_disk] = _OFF_DISK
    return colours
