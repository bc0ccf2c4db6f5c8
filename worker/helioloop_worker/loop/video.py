"""Renders gridded cubes as H.264 videos for annotators, one video frame per grid frame.

Label Studio computes the frame from time × declared rate, so the rate is constant and the first frame is at time 0. A
file is decoded and its frames are counted before it gets its name.
"""

from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from helioloop.errors import VideoError
from helioloop.files import atomic
from helioloop.labelstudio.config import FPS
from helioloop_worker.loop.captions import NARROWEST_PX, Bands, Captions, band_px

SATURATED_FRACTION = 0.4
"""Fields beyond this fraction of the clip are black or white: 400 G for MDI, where spots begin."""
KNEE_FRACTION = 0.1
"""Grey is linear in the field up to about this fraction (100 G) and logarithmic beyond: arcsinh(B / knee)."""

SCALE = 5
"""Video pixels per pixel: 90 px are 450."""
LARGEST_SIDE_PX = 1080
"""Videos are not enlarged beyond this side; browsers play larger ones with pauses."""
GOP_FRAMES = 25
"""Frames between two key frames; a browser decodes at most this many to show one frame."""
QUALITY_CRF = 23

_BLACK, _WHITE = 16, 235  # of limited-range video, which all browsers show alike
_OFF_DISK_YUV = (44, 140, 122)  # slate: dark, and bluish where the Sun is grey
_LEVELS = 4096

Luma = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """Number and rate of the decoded frames of a video, and their size."""

    n_frames: int
    fps: int
    width_px: int
    height_px: int


def render_video(
    gridded: NDArray[np.floating],
    path: Path,
    *,
    fps: int = FPS,
    scale: int | None = None,
    captions: Captions | None = None,
) -> None:
    """Render a gridded cube as a magnetogram video: positive field white, negative black, north up, west right.

    Parameters
    ----------
    gridded : array, shape (n_frames, height, width)
        Scaled to [0, 1], 0.5 being 0 G, NaN off-disk; row 0 south, column 0 east.
    path : Path
        ``….mp4``; written completely or not at all.
    fps : int
        Frames per second; must equal ``framerate`` in the labelling configuration.
    scale : int or None
        Video pixels per pixel; an odd size loses its last row or column, because H.264 has only even sizes. None takes
        `SCALE`, or less where the video would be larger than `LARGEST_SIDE_PX`.
    captions : Captions or None
        What is written in a band above and a band below the picture; such a video is enlarged to at least
        `NARROWEST_PX`. None makes no bands.

    Raises
    ------
    VideoError
        If the file does not decode to one frame per grid frame, with the first at time 0.
    OSError
        If the file cannot be written.
    """
    if scale is None:
        scale = max(1, min(SCALE, LARGEST_SIDE_PX // max(gridded.shape[1:])))
        if captions is not None:
            scale = max(scale, -(-NARROWEST_PX // gridded.shape[2]))
    with atomic.replacing(path) as made:
        _encode(gridded, made, fps=fps, scale=scale, captions=captions)
        info = check_video(made)
        if (info.n_frames, info.fps) != (len(gridded), fps):
            raise VideoError(
                f"{path.name} decodes to {info.n_frames} frames at {info.fps} per second, not to the {len(gridded)} "
                f"at {fps} that were rendered; the H.264 encoder of this machine is broken: reinstall the package av"
            )


def still(frame: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return a gridded frame, shape (height, width), in the tones of the video: 0 black to 255 white, north up."""
    luma, off_disk = _tones(frame[None])
    grey = np.rint((luma[0].astype(np.float64) - _BLACK) * (255.0 / (_WHITE - _BLACK)))
    return np.where(off_disk[0], _OFF_DISK_YUV[0], grey).astype(np.uint8)


def check_video(path: Path) -> VideoInfo:
    """Decode a video and return its properties.

    Raises
    ------
    VideoError
        If it cannot be decoded, its first frame is not at 0, or its frames are not evenly spaced.
    """
    try:
        with av.open(path, "r") as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            rate, unit = _fraction(stream.average_rate), _fraction(stream.time_base)
            stamps = [frame.pts for frame in container.decode(stream)]
            width, height = stream.codec_context.width, stream.codec_context.height
    except (FFmpegError, IndexError) as error:
        raise VideoError(f"{path.name} is not a complete video ({error}); delete it, it is rendered again") from error
    if rate is None or unit is None or rate.denominator != 1 or not stamps:
        raise VideoError(f"{path.name} has {len(stamps)} frames at the rate {rate}, not a whole number; delete it")
    if any(stamp is None or stamp * unit * rate != index for index, stamp in enumerate(stamps)):
        raise VideoError(f"{path.name} does not have its frames at 0, 1/{rate}, 2/{rate}, … s; delete it")
    return VideoInfo(n_frames=len(stamps), fps=int(rate), width_px=width, height_px=height)


def _fraction(value: Rational | None) -> Fraction | None:
    """Return a rate or a unit of time as a fraction; av 19 has a type of its own, which no integer is made from."""
    return None if value is None else Fraction(int(value.numerator), int(value.denominator))


def _encode(gridded: NDArray[np.floating], path: Path, *, fps: int, scale: int, captions: Captions | None) -> None:
    luma, off_disk = _tones(gridded)
    height, width = (size * scale // 2 * 2 for size in gridded.shape[1:])
    bands = None if captions is None else Bands(captions, width_px=width, picture_px=gridded.shape[2] * scale)
    enlarge = VideoReformatter()  # one for all frames: making its filter takes as long as using it
    with av.open(path, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height + (2 * band_px(width) if bands else 0), "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        stream.codec_context.gop_size = GOP_FRAMES
        stream.codec_context.max_b_frames = 0  # decoding order is display order, so the first frame is at 0
        stream.codec_context.thread_count = 1  # cubes are rendered in parallel, not frames
        stream.codec_context.color_range = ColorRange.MPEG
        stream.options = {"preset": "superfast", "crf": str(QUALITY_CRF), "sc_threshold": "0"}
        for index, (small, off) in enumerate(zip(luma, off_disk, strict=True)):
            grey = enlarge.reformat(
                VideoFrame.from_ndarray(small, format="gray"), width, height, interpolation=Interpolation.BICUBIC
            )
            planes = _planes(np.asarray(grey.to_ndarray(), dtype=np.uint8), off if off.any() else None, scale=scale)
            if bands is not None:
                bands.mark(planes[0], index)
                planes = _with_bands(planes, bands.upper(), bands.lower(index))
            frame = _frame(*planes)
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _tones(gridded: NDArray[np.floating]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return luma and off-disk mask, north up; off-disk pixels have the luma of 0 G, which keeps the limb sharp."""
    field = np.linspace(-1.0, 1.0, _LEVELS)
    grey = np.arcsinh(field / KNEE_FRACTION) / np.arcsinh(SATURATED_FRACTION / KNEE_FRACTION)
    table = np.rint(_BLACK + (_WHITE - _BLACK) * (0.5 + 0.5 * np.clip(grey, -1.0, 1.0))).astype(np.uint8)
    north_up = np.asarray(gridded[:, ::-1], dtype=np.float32)
    off_disk = np.isnan(north_up)
    levels = np.where(off_disk, np.float32(0.5), north_up) * np.float32(_LEVELS - 1)
    return table[np.rint(levels).astype(np.int16)], off_disk


def _planes(grey: Luma, off_disk: NDArray[np.bool_] | None, *, scale: int) -> tuple[Luma, Luma]:
    """Return luma, shape (height, width), and chroma, shape (2, height / 2, width / 2), off-disk pixels in colour."""
    height, width = grey.shape
    luma, chroma = np.array(grey), np.full((2, height // 2, width // 2), 128, dtype=np.uint8)
    if off_disk is not None:
        y, u, v = _OFF_DISK_YUV
        enlarged = np.repeat(np.repeat(off_disk, scale, axis=0), scale, axis=1)[:height, :width]
        luma[enlarged] = y
        chroma[0][enlarged[::2, ::2]] = u
        chroma[1][enlarged[::2, ::2]] = v
    return luma, chroma


def _with_bands(planes: tuple[Luma, Luma], upper: Luma, lower: Luma) -> tuple[Luma, Luma]:
    luma, chroma = planes
    return np.concatenate((upper, luma, lower)), np.pad(
        chroma, ((0, 0), (len(upper) // 2, len(lower) // 2), (0, 0)), constant_values=128
    )


def _frame(luma: Luma, chroma: Luma) -> VideoFrame:
    """Return a yuv420p frame."""
    return VideoFrame.from_ndarray(
        np.concatenate((luma, chroma.reshape(len(luma) // 2, luma.shape[1]))), format="yuv420p"
    )
