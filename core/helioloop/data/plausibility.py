"""Refuses cubes whose cards or values show that they are not line-of-sight magnetograms in gauss.

What a magnetogram of any instrument looks like, whatever its cards are: most of the Sun is quiet, so the weaker half of
the pixels is noise of a few to some tens of gauss around zero, in both polarities. A few pixels are much stronger, and
none exceeds some thousand gauss. Each figure is a median over frames, so that single bad frames do not decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from helioloop.data.images import other_content, other_segment
from helioloop.errors import CubeError

Floats = NDArray[np.float32]

_FEWEST_VALUES = 1000  # a cube has more than a million; fewer values prove little
_MOST_FRAMES = 20
_MOST_FRAME_VALUES = 1 << 12
_HIGHEST_GAUSS = 7000.0  # sunspots reach 6e3 G; values beyond are codes or not gauss
_MAX_BEYOND_FRACTION = 0.01
_BEYOND_FRAMES_FRACTION = 0.1
_BEYOND_PX = 8  # hot pixels and cosmic rays are fewer
_CODE_GAUSS = 500.0
_CODE_FRACTION = 0.01
_LOWEST_CODE_GAUSS = -1000.0
_MIN_MINORITY_FRACTION = 1e-3
_FEWEST_SHARED = 20
_MAX_DISTINCT = 8  # noise alone covers more steps of 8-bit images
_MAX_OFFSET_GAUSS = 150.0
_MAX_TYPICAL_GAUSS = 300.0
_MIN_STRONGEST_GAUSS = 5.0
# The lower quartile of |B| is 0.32 standard deviations of the noise, and strong fields hardly change it. Measured:
# HMI 720 s 7 G, MDI 14 to 30 G, more near the limb. Granulation alone moves at 200 m/s and more.
_QUARTILE = 0.3186
_MAX_NOISE_GAUSS = 100.0
_DOUBTFUL_NOISE_GAUSS = (0.3, 60.0)
# Angles are spread evenly between two bounds: the strongest half per cent is twice the median. For noise alone it is
# 4.2 times the median, for measured magnetograms 20 to 200 times.
_ANGLES_DEG = ((88.0, 90.5), (177.0, 181.0), (355.0, 361.0))
_MIN_TAIL_RATIO = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    """Figures of a sample of frames, each without NaN, zeros and codes.

    Parameters
    ----------
    beyond_fraction : float
        Fraction of a frame's values beyond ± 7000 G that are not a code; median over frames.
    too_strong_frames : float
        Fraction of the frames with eight or more values above 7000 G that are not a code; 0 for a single frame.
    values : array, shape (n,)
        All values within ± 7000 G.
    offset : float
        Absolute median of a frame; median over frames.
    typical : float
        Median strength of all values.
    distinct : int
        Number of different values in a few thousand.
    noise, tail_ratio : float
        Of the deviation from the frame's median: standard deviation of the noise, from the lower quartile; 99.5th
        percentile over median. Medians over frames.
    """

    beyond_fraction: float
    too_strong_frames: float
    values: Floats
    offset: float
    typical: float
    distinct: int
    noise: float
    tail_ratio: float


def refuse_other_content(
    headers: Sequence[fits.Header], field_gauss: Floats, *, file_name: str = ""
) -> tuple[str, ...]:
    """Refuse a cube that shows another quantity than the line-of-sight field, or has lost its scale.

    Parameters
    ----------
    headers : sequence of fits.Header
        Header of the image, and of the first HDU.
    field_gauss : array, shape (n_obs, ny, nx)
        All frames; NaN where unknown. Zeros and off-disk codes are ignored. Fewer than 1000 pixels are not judged, and
        of fewer than 1000 values only whether they differ.
    file_name : str
        Name of the file; a part such as ``.Br.`` names JSOC's other quantities.

    Returns
    -------
    tuple of str
        What is doubtful, one sentence each.

    Raises
    ------
    CubeError
        If a card or the file name names another quantity, or the values have one polarity only, at most 8 different
        values, a median beyond ± 150 G, a typical strength beyond 300 G, noise beyond 100 G, values beyond 7000 G in
        many frames, a strongest value below 5 G, or an even spread like that of angles.
    """
    content = next(filter(None, map(other_content, headers)), None)
    if content:
        raise CubeError(f"{content}, so it is not a line-of-sight magnetogram: leave it out")
    segment = other_segment(file_name)
    if segment:
        raise CubeError(f"its name has the part {segment[0]!r}, {segment[1]}, and not a magnetogram: leave it out")
    figures = _figures(field_gauss)
    return () if figures is None else _judge(figures)


def _judge(figures: _Figures) -> tuple[str, ...]:
    """Return what is doubtful about the values; raise CubeError for those that no magnetogram has."""
    values = figures.values
    if figures.beyond_fraction > _MAX_BEYOND_FRACTION or figures.too_strong_frames > _BEYOND_FRAMES_FRACTION:
        what = (
            f"{figures.beyond_fraction:.0%} of its values are"
            if figures.beyond_fraction > _MAX_BEYOND_FRACTION
            else f"{figures.too_strong_frames:.0%} of its frames have values"
        )
        raise CubeError(
            f"{what} beyond {_HIGHEST_GAUSS:g} G and the Sun's field stays below: it shows another quantity, or lost "
            "BSCALE, BUNIT or its byte order"
        )
    if values.size >= _FEWEST_SHARED and figures.distinct <= _MAX_DISTINCT:
        raise CubeError(
            f"besides 0 it has {figures.distinct} value{'s' if figures.distinct > 1 else ''}, as a bitmap or a map of "
            "codes has; a magnetogram has many: leave it out"
        )
    if values.size < _FEWEST_VALUES:
        return ()
    negative = float(np.mean(values < 0.0))
    if min(negative, 1.0 - negative) < _MIN_MINORITY_FRACTION:
        whole = bool(np.all(values == np.rint(values))) and np.unique(values).size <= 100
        what = "whole numbers of one sign, as in a bitmap or a map of codes" if whole else "of one sign only"
        raise CubeError(f"its values are {what}; a line-of-sight magnetogram has both polarities: leave it out")
    if figures.offset > _MAX_OFFSET_GAUSS or figures.typical > _MAX_TYPICAL_GAUSS:
        raise CubeError(
            f"its median is ±{figures.offset:.3g} G and half of its values are beyond ±{figures.typical:.3g} G; a "
            f"magnetogram's are within ±{_MAX_OFFSET_GAUSS:g} and ±{_MAX_TYPICAL_GAUSS:g} G: it shows another "
            "quantity, or lost BSCALE"
        )
    if figures.noise > _MAX_NOISE_GAUSS:
        raise CubeError(
            f"its weak pixels scatter by {figures.noise:.3g} G; the noise of a magnetogram is below "
            f"{_MAX_NOISE_GAUSS:g} G: it shows another quantity, such as a velocity, or lost BSCALE or BUNIT"
        )
    strongest = float(np.abs(values).max())
    if strongest < _MIN_STRONGEST_GAUSS:
        raise CubeError(
            f"its strongest field is {strongest:.3g} G; the noise of a magnetogram alone exceeds "
            f"{_MIN_STRONGEST_GAUSS:g} G: correct BUNIT or BSCALE"
        )
    if figures.tail_ratio < _MIN_TAIL_RATIO and any(low <= strongest <= high for low, high in _ANGLES_DEG):
        raise CubeError(
            f"its values are spread evenly up to ±{strongest:.3g}, as angles are; a magnetogram has many weak pixels "
            "and few strong ones: it shows another quantity, such as an azimuth"
        )
    low, high = _DOUBTFUL_NOISE_GAUSS
    if not low <= figures.noise <= high:
        return (
            f"its weak pixels scatter by {figures.noise:.2g} G and the noise of a magnetogram is {low:g} to {high:g} "
            "G: check BUNIT and BSCALE",
        )
    return ()


def _figures(field_gauss: Floats) -> _Figures | None:
    """Return the figures of a sample of frames; None where it has too few pixels or no value."""
    frames, n_px = _sample(field_gauss)
    every = np.concatenate(frames)
    if n_px < _FEWEST_VALUES or not every.size:
        return None
    for code in _codes(every):
        frames = [frame[frame != code] for frame in frames]
    within = [frame[np.abs(frame) <= _HIGHEST_GAUSS] for frame in frames]
    beyond = [1.0 - len(few) / len(frame) for few, frame in zip(within, frames, strict=True) if len(frame)]
    strong = [np.count_nonzero(frame > _HIGHEST_GAUSS) >= _BEYOND_PX for frame in frames]
    rows = [_frame_figures(frame) for frame in within if len(frame)]
    offset, noise, tail_ratio = np.median(rows, axis=0).tolist() if rows else (0.0, 0.0, np.inf)
    values = np.concatenate(within)
    return _Figures(
        beyond_fraction=float(np.median(beyond)) if beyond else 0.0,
        too_strong_frames=float(np.mean(strong)) if sum(strong) > 1 else 0.0,
        values=values,
        offset=offset,
        typical=float(np.median(np.abs(values))) if values.size else 0.0,
        distinct=len(np.unique(values[:: max(1, values.size // _MOST_FRAME_VALUES)])),
        noise=noise,
        tail_ratio=tail_ratio,
    )


def _frame_figures(values: Floats) -> tuple[float, float, float]:
    """Return absolute median, noise and tail ratio of one frame."""
    middle = np.partition(values, len(values) // 2)[len(values) // 2]
    deviation = np.abs(values - middle)
    places = [int(fraction * (len(values) - 1)) for fraction in (0.25, 0.5, 0.995)]
    quartile, half, most = np.partition(deviation, places)[places]
    return float(abs(middle)), float(quartile / _QUARTILE), float(most / half) if half > 0.0 else np.inf


def _sample(field_gauss: Floats) -> tuple[list[Floats], int]:
    """Return the values of at most 20 frames without NaN and zeros, one array per frame; and the number of pixels."""
    n_obs = len(field_gauss)
    chosen = np.unique(np.linspace(0, n_obs - 1, min(n_obs, _MOST_FRAMES)).round().astype(int))
    step = max(1, field_gauss[0].size // _MOST_FRAME_VALUES) | 1  # odd, so that it does not repeat columns
    frames = [field_gauss[k].ravel()[::step] for k in chosen]
    return [frame[np.isfinite(frame) & (frame != 0.0)] for frame in frames], sum(map(len, frames))


def _codes(values: Floats) -> list[float]:
    """Return the values that may be codes: shared by many pixels, or the lowest or highest one below −1000 G."""
    beyond, counts = np.unique(values[np.abs(values) >= _CODE_GAUSS], return_counts=True)
    codes = set(beyond[counts >= _CODE_FRACTION * len(values)].tolist())
    # A stray value below the code, such as a cosmic ray, does not hide it.
    extremes = {float(values.min()), float(values.max())}
    return sorted(codes | {value for value in extremes if value <= _LOWEST_CODE_GAUSS})
