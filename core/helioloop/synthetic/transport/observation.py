"""Observation: what a magnetograph records of the radial field of a passage.

The patch is remapped from an image of the disk. Towards the limb an instrument pixel covers several columns, so field
and noise are smeared from east to west there, and fewer pixels are averaged.
"""

import math

import numpy as np
from numpy.typing import NDArray

from helioloop.records.instrument import Instrument
from helioloop.synthetic.flow import MARGIN_PX, Floats
from helioloop.synthetic.scenario import PATCH_DEG, Purpose, stream
from helioloop.synthetic.transport.passage import Passage

_LIMB_COSINE = 0.15
_SATURATION_GAUSS = 2200.0  # MDI measures less than the true field in umbrae
_OFFSET_GAUSS = 1.2  # standard deviation of the zero level from frame to frame
_WAVE_PX = 2.5  # size of what granulation and oscillations leave
_SPIKE_FRACTION = 0.01
_SPOILT_FRAMES = 1.5  # mean number per cube


def observe(radial_gauss: Floats, passage: Passage, instrument: Instrument) -> tuple[Floats, NDArray[np.float64]]:
    """Return observed frames and their times.

    Parameters
    ----------
    radial_gauss : array of float32, shape (n_frames, box_px, box_px)
        As from `surface.radial_field`.
    passage : Passage
        Gives tracking and magnetograph.
    instrument : Instrument
        Grid.

    Returns
    -------
    observed_gauss : array of float32, shape (n_obs, size_px, size_px)
        Line-of-sight field on MDI's scale; NaN off-disk and for lost data.
    seconds : array of float64, shape (n_obs,)
        Time since grid frame 0.

    Notes
    -----
    With μ the cosine of the angle from disk centre, the field is ::

        factor · μ · B / √(1 + (B / 2200 G)²) + noise · (1 + growth · (1 − μ)) + waves + offset,

    B blurred by optics and pixels. The noise of n averaged instrument pixels is that of one over √n.
    """
    rng = stream(passage.seed, passage.index, Purpose.OBSERVATION)
    meter, size = passage.magnetograph, instrument.size_px
    frames = np.asarray(passage.tracking.observed)
    patch_px_deg = PATCH_DEG / size
    cosine = _cosine(passage, instrument, frames)
    foreshortened = np.clip(np.cos(np.radians(passage.tracking.longitude(frames.astype(np.float64)))), 0.12, 1.0)
    # blur by half a patch pixel, optics and instrument pixels; the latter two are wider in longitude near the limb
    own = meter.pixel_deg / patch_px_deg
    optics = own * math.hypot(meter.blur_px, 0.3)
    box = radial_gauss.shape[-1]
    saturated = radial_gauss[frames] / np.sqrt(1.0 + (radial_gauss[frames] / _SATURATION_GAUSS) ** 2)
    blurred = _blur(saturated, np.hypot(0.5, optics / foreshortened), math.hypot(0.5, optics))
    inside = slice(MARGIN_PX, MARGIN_PX + size)
    factor = meter.scale * meter.to_mdi * rng.lognormal(0.0, meter.scale_error)
    field = factor * np.maximum(cosine, 0.0) * blurred[:, inside, inside]
    averaged = np.maximum((patch_px_deg / meter.pixel_deg) ** 2 * foreshortened, 1.0)
    sigma = rng.choice(meter.noise_gauss, frames.size) * meter.to_mdi / np.sqrt(averaged)
    noise = rng.standard_normal((frames.size, box, box), dtype=np.float32)
    noise = _normalised(_blur(noise, np.hypot(0.3, 0.5 * own / foreshortened), math.hypot(0.3, 0.5 * own)))
    waves = _normalised(
        _blur(rng.standard_normal(noise.shape, dtype=np.float32), np.full(frames.size, _WAVE_PX), _WAVE_PX)
    )
    tilt = 1.0 + passage.tracking.noise_tilt * np.sin(np.radians(passage.tracking.longitude(frames.astype(np.float64))))
    growth = 1.0 + meter.limb_growth * (1.0 - np.clip(cosine, 0.0, 1.0))
    field = field + (sigma * tilt)[:, None, None] * growth * noise[:, inside, inside]
    field += meter.wave_gauss * (1.5 - 0.5 * cosine) * waves[:, inside, inside]
    field += rng.normal(0.0, _OFFSET_GAUSS, frames.size)[:, None, None]
    field = field.astype(np.float32)
    _spoil(rng, field)
    field[cosine < _LIMB_COSINE] = np.nan
    seconds = frames * instrument.cadence_seconds + rng.uniform(0.0, 150.0, frames.size).round()
    return field, seconds


def _cosine(passage: Passage, instrument: Instrument, frames: NDArray[np.int64]) -> Floats:
    """Return μ of each pixel, shape (n_obs, size_px, size_px); negative beyond the limb."""
    size = instrument.size_px
    offset = np.radians((np.arange(size) - 0.5 * (size - 1)) * PATCH_DEG / size)
    columns = np.radians(passage.tracking.longitude(frames.astype(np.float64)))[:, None] + offset
    rows, b0 = math.radians(passage.latitude_deg) + offset, math.radians(passage.tracking.b0_deg)
    return np.asarray(
        (math.sin(b0) * np.sin(rows))[None, :, None]
        + (math.cos(b0) * np.cos(rows))[None, :, None] * np.cos(columns)[:, None, :],
        dtype=np.float32,
    )


def _blur(field: Floats, width_x_px: NDArray[np.float64], width_y_px: float) -> Floats:
    """Return frames smoothed by periodic Gaussians; `width_x_px` has one value per frame."""
    box = field.shape[-1]
    k_x = 2.0 * np.pi * np.fft.rfftfreq(box)
    k_y = 2.0 * np.pi * np.fft.fftfreq(box)
    along = np.exp(-0.5 * (width_x_px[:, None] * k_x) ** 2).astype(np.float32)
    across = np.exp(-0.5 * (width_y_px * k_y) ** 2).astype(np.float32)
    spectrum = np.fft.rfft2(field) * along[:, None, :] * across[None, :, None]
    return np.asarray(np.fft.irfft2(spectrum, s=(box, box)), dtype=np.float32)


def _normalised(noise: Floats) -> Floats:
    """Return noise with standard deviation 1 in each frame."""
    return np.asarray(noise / noise.std(axis=(1, 2), keepdims=True), dtype=np.float32)


def _spoil(rng: np.random.Generator, field: Floats) -> None:
    """Spoil a few frames, in place: lost rows, a shifted pointing, or spikes of energetic particles."""
    n, size = field.shape[:2]
    for frame in rng.choice(n, min(int(rng.poisson(_SPOILT_FRAMES)), n), replace=False):
        match int(rng.integers(3)):
            case 0:
                first = int(rng.integers(size))
                field[frame, first : first + max(1, size // 4)] = np.nan
            case 1:
                field[frame] = np.roll(field[frame], rng.integers(-size // 10, size // 10 + 1, 2), axis=(0, 1))
            case _:
                hit = rng.random((size, size)) < _SPIKE_FRACTION
                field[frame][hit] += rng.normal(0.0, 600.0, int(hit.sum())).astype(np.float32)
