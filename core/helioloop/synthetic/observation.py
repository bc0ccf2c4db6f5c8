"""What a magnetograph makes of a radial field: blur, projection onto the line of sight, noise, gaps, bad frames.

Ninth room of `helioloop.synthetic`. The instrument's pixels are fixed on the disk; near the limb one of them covers
several pixels of the patch, which is why noise and features there are smeared east to west.
"""

import math

import numpy as np
from numpy.typing import NDArray

from helioloop.instrument import Instrument
from helioloop.synthetic.flow import MARGIN_PX, Floats
from helioloop.synthetic.scenario import PATCH_DEG, Scenario, stream

_DISK_PX_DEG = 0.118  # a full-disk MDI pixel, seen at disk centre
_BLUR_PX = 0.95  # standard deviation in patch pixels: optics, remapping and the size of a flux tube
_DISK_BLUR_PX = 0.8
_HORIZONTAL_SHARE = 0.4  # plage stands nearly upright, only penumbrae and canopies lean as in a potential field
_STEEPEST = 4.0
_MAX_GAUSS = 2800.0
_LIMB_COSINE = 0.17
_FIVE_MINUTE_NOISE = 0.55  # noise of a five-minute magnetogram relative to a one-minute one


def line_of_sight(deposit_gauss: Floats, scenario: Scenario, instrument: Instrument) -> Floats:
    """Project a radial deposit onto the line of sight, free of noise.

    Parameters
    ----------
    deposit_gauss : array of float32, shape (n_frames, box, box)
        As from `surface.radial_deposit`.
    scenario : Scenario
        Where the patch is.
    instrument : Instrument
        Grid.

    Returns
    -------
    array of float32, shape (n_frames, size, size)
        Gauss; row 0 south, column 0 east; 0 beyond the limb.

    Notes
    -----
    The horizontal field is that of the potential field above the radial one: B_x = −i k_x/|k| B_r in Fourier space
    (Alissandrakis 1981). Towards the limb it shows as a false polarity beside each spot.
    """
    size = instrument.size_px
    cosine, west, north = _directions(scenario, instrument)
    box = deposit_gauss.shape[-1]
    k_x = 2.0 * np.pi * np.fft.rfftfreq(box).astype(np.float32)
    k_y = 2.0 * np.pi * np.fft.fftfreq(box).astype(np.float32)[:, None]
    k = np.sqrt(k_x**2 + k_y**2)
    k[0, 0] = np.inf
    blur = np.exp(-0.5 * _BLUR_PX**2 * (k_x**2 + k_y**2)).astype(np.float32)
    spectrum = np.fft.rfft2(deposit_gauss)
    tangent = (k_x / k) * west[:, None, None] + (k_y / k) * north[:, None, None]
    spectrum *= blur * (1.0 - 1j * np.float32(_HORIZONTAL_SHARE) * tangent).astype(np.complex64)
    radial = np.fft.irfft2(spectrum, s=(box, box))[:, MARGIN_PX : MARGIN_PX + size, MARGIN_PX : MARGIN_PX + size]
    field = np.clip(radial, -_MAX_GAUSS, _MAX_GAUSS) * np.maximum(cosine, 0.0)
    columns = _disk_columns(scenario, instrument)
    weight = np.exp(-0.5 * ((columns[:, :, None] - columns[:, None, :]) / _DISK_BLUR_PX) ** 2)
    # Columns of the patch count by the share of the disk they cover; those beyond the limb cover none.
    weight *= np.maximum(np.gradient(columns, axis=1), 1e-6)[:, :, None]
    weight /= weight.sum(1, keepdims=True)
    return np.asarray(np.matmul(field, weight), dtype=np.float32)


def observe(clean_gauss: Floats, scenario: Scenario, instrument: Instrument) -> tuple[Floats, NDArray[np.float64]]:
    """Return observed frames and their times: noise, off-disk coding, bad frames, gaps.

    Parameters
    ----------
    clean_gauss : array of float32, shape (n_frames, size, size)
        As from `line_of_sight`; overwritten.
    scenario : Scenario
        How it is watched.
    instrument : Instrument
        Grid.

    Returns
    -------
    observed_gauss : array of float32, shape (n_obs, size, size)
        Gauss; off-disk as the scenario codes it, NaN in bad frames.
    seconds : array of float64, shape (n_obs,)
        Time since grid frame 0.
    """
    rng = stream(scenario.seed, scenario.index, 7)
    field = clean_gauss
    field += _noise(rng, scenario, instrument)
    cosine, _, _ = _directions(scenario, instrument)
    _spoil(rng, field, np.asarray(scenario.watch.observed))
    field[cosine < _LIMB_COSINE] = scenario.watch.off_disk_gauss
    frames = np.asarray(scenario.watch.observed)
    seconds = frames * instrument.cadence_seconds + rng.uniform(0.0, 120.0, size=frames.size).round()
    return field[frames], seconds


def _directions(scenario: Scenario, instrument: Instrument) -> tuple[Floats, Floats, Floats]:
    """Return μ per pixel, and per frame the westward and northward part of the line of sight over μ."""
    offset = (np.arange(instrument.size_px) - 0.5 * (instrument.size_px - 1)) * PATCH_DEG / instrument.size_px
    longitude = np.radians(scenario.watch.longitude(np.arange(instrument.n_frames, dtype=np.float64)))
    latitude = math.radians(scenario.latitude_deg)
    b0 = math.radians(scenario.watch.b0_deg)
    columns = longitude[:, None] + np.radians(offset)
    rows = latitude + np.radians(offset)
    cosine = (
        np.sin(b0) * np.sin(rows)[None, :, None]
        + np.cos(b0) * np.cos(rows)[None, :, None] * np.cos(columns)[:, None, :]
    )
    upright = math.sin(b0) * math.sin(latitude) + math.cos(b0) * math.cos(latitude) * np.cos(longitude)
    upright = np.maximum(upright, 0.1)
    west = -math.cos(b0) * np.sin(longitude) / upright
    north = (math.sin(b0) * math.cos(latitude) - math.cos(b0) * math.sin(latitude) * np.cos(longitude)) / upright
    steep = np.clip(np.stack([west, north]), -_STEEPEST, _STEEPEST).astype(np.float32)
    return cosine.astype(np.float32), steep[0], steep[1]


def _disk_columns(scenario: Scenario, instrument: Instrument) -> Floats:
    """Return where each column of the patch lies on the disk, in instrument pixels; shape (n_frames, size)."""
    offset = (np.arange(instrument.size_px) - 0.5 * (instrument.size_px - 1)) * PATCH_DEG / instrument.size_px
    longitude = scenario.watch.longitude(np.arange(instrument.n_frames, dtype=np.float64))[:, None] + offset
    seen = np.sin(np.radians(np.clip(longitude, -90.0, 90.0))) * math.cos(math.radians(scenario.latitude_deg))
    return np.asarray(np.degrees(seen) / _DISK_PX_DEG, dtype=np.float32)


def _noise(rng: np.random.Generator, scenario: Scenario, instrument: Instrument) -> Floats:
    """Return noise drawn in the instrument's pixels and interpolated onto the patch as the field is."""
    n_frames, size = instrument.n_frames, instrument.size_px
    columns = _disk_columns(scenario, instrument)
    columns -= columns[:, :1]
    low = columns.astype(np.int64)
    part = columns - low
    drawn = rng.standard_normal((n_frames, size, int(low.max()) + 2), dtype=np.float32)
    # Telescope and remapping let neighbours share a part of what they saw.
    drawn[:, 1:] += 0.4 * drawn[:, :-1]
    drawn[:, :, 1:] += 0.3 * drawn[:, :, :-1]
    smooth = np.take_along_axis(drawn, low[:, None, :], axis=2) * (1.0 - part)[:, None, :]
    smooth += np.take_along_axis(drawn, low[:, None, :] + 1, axis=2) * part[:, None, :]
    longitude = np.radians(scenario.watch.longitude(np.arange(n_frames, dtype=np.float64)))
    cosine = np.clip(np.cos(longitude), 0.1, 1.0)
    growth = 1.0 + 1.1 * (1.0 - cosine) + scenario.watch.noise_tilt * np.sin(longitude)
    # Five-minute and one-minute magnetograms come in runs.
    changes = rng.random(n_frames) < 0.12
    long_exposure = (np.cumsum(changes) + rng.integers(2)) % 2 == 0
    sigma = scenario.watch.noise_gauss * growth * np.where(long_exposure, _FIVE_MINUTE_NOISE, 1.0)
    smooth *= sigma.astype(np.float32)[:, None, None]
    return smooth


def _spoil(rng: np.random.Generator, field: Floats, observed: NDArray[np.int64]) -> None:
    """Spoil some observed frames in place, as real archives hold them."""
    n_frames, size = field.shape[0], field.shape[1]
    for frame in rng.choice(observed, size=min(int(rng.poisson(1.8)), observed.size), replace=False):
        match int(rng.integers(5)):
            case 0:
                field[frame] = np.nan
            case 1:  # cosmic rays
                _hit(rng, field[frame], share=0.01)
            case 2:  # mispointed
                field[frame] = np.roll(field[frame], rng.integers(-12, 13, size=2), axis=(0, 1))
            case 3:  # lost telemetry: a band of rows
                first = int(rng.integers(0, size - 10))
                field[frame, first : first + int(rng.integers(5, size // 2))] = np.nan
            case _:  # stripes
                field[frame] += (rng.normal(0.0, 60.0, size=(size, 1)) * (rng.random((size, 1)) < 0.15)).astype(
                    np.float32
                )
    if rng.random() < 0.04:  # a proton storm lasts a day or two
        first = int(rng.integers(0, n_frames))
        for frame in range(first, min(n_frames, first + int(rng.integers(10, 30)))):
            _hit(rng, field[frame], share=0.02)


def _hit(rng: np.random.Generator, frame: Floats, *, share: float) -> None:
    """Put spikes of either sign on a share of the pixels."""
    hit = rng.random(frame.shape) < share
    frame[hit] += (rng.exponential(500.0, size=int(hit.sum())) * rng.choice([-1.0, 1.0], size=int(hit.sum()))).astype(
        np.float32
    )
