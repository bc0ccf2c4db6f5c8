"""Observation: what a magnetograph records of a radial field, with noise, gaps and bad frames.

The instrument's pixels are fixed on the disk. Near the limb one of them covers several columns of the patch, so noise
and features are smeared from east to west there.
"""

import math

import numpy as np
from numpy.typing import NDArray

from helioloop.records.instrument import Instrument
from helioloop.synthetic.flow import MARGIN_PX, Floats
from helioloop.synthetic.scenario import PATCH_DEG, Purpose, Scenario, stream

_DISK_PX_DEG = 0.118  # a pixel of MDI's full disk, in degrees at disk centre
_STEEPEST = 4.0  # largest ratio of horizontal to vertical component of the line of sight
_MAX_GAUSS = 2800.0
_LIMB_COSINE = 0.17
_FIVE_MINUTE_NOISE = 0.55  # noise of a five-minute magnetogram relative to a one-minute one


def line_of_sight(deposit_gauss: Floats, scenario: Scenario, instrument: Instrument) -> Floats:
    """Return the line-of-sight field of a radial deposit, without noise.

    Parameters
    ----------
    deposit_gauss : array of float32, shape (n_frames, box_px, box_px)
        As from `surface.radial_deposit`.
    scenario : Scenario
        Gives latitude and longitude of the patch.
    instrument : Instrument
        Grid.

    Returns
    -------
    array of float32, shape (n_frames, size_px, size_px)
        Gauss; row 0 south, column 0 east; 0 beyond the limb.

    Notes
    -----
    Let B_r be the blurred radial field, and μ, μ·w and μ·n the upward, westward and northward component of the line of
    sight. The line-of-sight field is ::

        gain · μ · clip(B_r + horizontal_fraction · (w · B_x + n · B_y), ± _MAX_GAUSS),

    where the horizontal field is that of the potential field above B_r, in Fourier space B_x = −i (k_x / |k|) B_r and
    B_y = −i (k_y / |k|) B_r (Alissandrakis 1981). Near the limb it appears as a false polarity beside each spot.
    Finally the columns are averaged with Gaussian weights in the distance on the disk, in instrument pixels.
    """
    size = instrument.size_px
    constants = scenario.constants
    cosine, west, north = _directions(scenario, instrument)
    box = deposit_gauss.shape[-1]
    k_x = 2.0 * np.pi * np.fft.rfftfreq(box).astype(np.float32)
    k_y = 2.0 * np.pi * np.fft.fftfreq(box).astype(np.float32)[:, None]
    k = np.sqrt(k_x**2 + k_y**2)
    k[0, 0] = np.inf
    blur = np.exp(-0.5 * constants.blur_px**2 * (k_x**2 + k_y**2)).astype(np.float32)
    spectrum = np.fft.rfft2(deposit_gauss)
    tangent = (k_x / k) * west[:, None, None] + (k_y / k) * north[:, None, None]
    spectrum *= blur * (1.0 - 1j * np.float32(constants.horizontal_fraction) * tangent).astype(np.complex64)
    inclined = np.fft.irfft2(spectrum, s=(box, box))[:, MARGIN_PX : MARGIN_PX + size, MARGIN_PX : MARGIN_PX + size]
    field = np.clip(inclined, -_MAX_GAUSS, _MAX_GAUSS) * np.maximum(cosine, 0.0) * np.float32(constants.gain)
    columns = _disk_columns(scenario, instrument)
    weight = np.exp(-0.5 * ((columns[:, :, None] - columns[:, None, :]) / constants.disk_blur_px) ** 2)
    # A column is weighted by the width it has on the disk, which is 0 beyond the limb.
    weight *= np.maximum(np.gradient(columns, axis=1), 1e-6)[:, :, None]
    weight /= weight.sum(1, keepdims=True)
    return np.asarray(np.matmul(field, weight), dtype=np.float32)


def observe(clean_gauss: Floats, scenario: Scenario, instrument: Instrument) -> tuple[Floats, NDArray[np.float64]]:
    """Return observed frames and their times, with noise, off-disk codes, bad frames and gaps.

    Parameters
    ----------
    clean_gauss : array of float32, shape (n_frames, size_px, size_px)
        As from `line_of_sight`; overwritten.
    scenario : Scenario
        Gives the tracking.
    instrument : Instrument
        Grid.

    Returns
    -------
    observed_gauss : array of float32, shape (n_obs, size_px, size_px)
        Gauss; off-disk pixels coded as in the scenario, NaN for lost data.
    seconds : array of float64, shape (n_obs,)
        Time since grid frame 0.
    """
    rng = stream(scenario.seed, scenario.index, Purpose.OBSERVATION)
    frames = np.asarray(scenario.tracking.observed)
    field = clean_gauss
    field += _noise(rng, scenario, instrument)
    cosine, _, _ = _directions(scenario, instrument)
    _add_faults(rng, field, frames)
    field[cosine < _LIMB_COSINE] = scenario.tracking.off_disk_gauss
    seconds = frames * instrument.cadence_seconds + rng.uniform(0.0, 120.0, size=frames.size).round()
    return field[frames], seconds


def _offsets_deg(instrument: Instrument) -> NDArray[np.float64]:
    """Return the distance of each column or row from the centre of the patch in degrees, shape (size_px,)."""
    return (np.arange(instrument.size_px) - 0.5 * (instrument.size_px - 1)) * PATCH_DEG / instrument.size_px


def _longitudes_deg(scenario: Scenario, instrument: Instrument) -> NDArray[np.float64]:
    """Return the longitude of the patch centre at each grid frame in degrees, shape (n_frames,)."""
    return scenario.tracking.longitude(np.arange(instrument.n_frames, dtype=np.float64))


def _directions(scenario: Scenario, instrument: Instrument) -> tuple[Floats, Floats, Floats]:
    """Return the direction of the line of sight.

    Returns
    -------
    cosine : array, shape (n_frames, size_px, size_px)
        μ, the cosine of the angle between line of sight and vertical; negative beyond the limb.
    west, north : array, shape (n_frames,)
        Westward and northward component at the patch centre divided by μ, clipped to ± `_STEEPEST`.

    Notes
    -----
    At longitude l and latitude φ, with the disk centre at latitude b::

        μ = sin b · sin φ + cos b · cos φ · cos l
        west = −cos b · sin l / μ
        north = (sin b · cos φ − cos b · sin φ · cos l) / μ
    """
    offset = np.radians(_offsets_deg(instrument))
    longitude = np.radians(_longitudes_deg(scenario, instrument))
    latitude = math.radians(scenario.latitude_deg)
    b0 = math.radians(scenario.tracking.b0_deg)
    columns = longitude[:, None] + offset
    rows = latitude + offset
    cosine = (
        np.sin(b0) * np.sin(rows)[None, :, None]
        + np.cos(b0) * np.cos(rows)[None, :, None] * np.cos(columns)[:, None, :]
    )
    centre = math.sin(b0) * math.sin(latitude) + math.cos(b0) * math.cos(latitude) * np.cos(longitude)
    centre = np.maximum(centre, 0.1)
    west = -math.cos(b0) * np.sin(longitude) / centre
    north = (math.sin(b0) * math.cos(latitude) - math.cos(b0) * math.sin(latitude) * np.cos(longitude)) / centre
    steep = np.clip(np.stack([west, north]), -_STEEPEST, _STEEPEST).astype(np.float32)
    return cosine.astype(np.float32), steep[0], steep[1]


def _disk_columns(scenario: Scenario, instrument: Instrument) -> Floats:
    """Return how far west of disk centre each column is, in instrument pixels: (n_frames, size_px)."""
    longitude = _longitudes_deg(scenario, instrument)[:, None] + _offsets_deg(instrument)
    west = np.sin(np.radians(np.clip(longitude, -90.0, 90.0))) * math.cos(math.radians(scenario.latitude_deg))
    return np.asarray(np.degrees(west) / _DISK_PX_DEG, dtype=np.float32)


def _noise(rng: np.random.Generator, scenario: Scenario, instrument: Instrument) -> Floats:
    """Return noise in gauss, shape (n_frames, size_px, size_px).

    It is drawn in instrument pixels and interpolated to the columns of the patch.
    """
    n_frames, size = instrument.n_frames, instrument.size_px
    columns = _disk_columns(scenario, instrument)
    columns -= columns[:, :1]
    low = columns.astype(np.int64)
    weight = columns - low
    drawn = rng.standard_normal((n_frames, size, int(low.max()) + 2), dtype=np.float32)
    # Optics and remapping correlate the noise of neighbouring pixels.
    south, east = scenario.constants.noise_correlation
    drawn[:, 1:] += south * drawn[:, :-1]
    drawn[:, :, 1:] += east * drawn[:, :, :-1]
    smooth = np.take_along_axis(drawn, low[:, None, :], axis=2) * (1.0 - weight)[:, None, :]
    smooth += np.take_along_axis(drawn, low[:, None, :] + 1, axis=2) * weight[:, None, :]
    longitude = np.radians(_longitudes_deg(scenario, instrument))
    cosine = np.clip(np.cos(longitude), 0.1, 1.0)
    growth = 1.0 + 1.1 * (1.0 - cosine) + scenario.tracking.noise_tilt * np.sin(longitude)
    # Five-minute and one-minute magnetograms alternate in runs of several frames.
    changes = rng.random(n_frames) < 0.12
    long_exposure = (np.cumsum(changes) + rng.integers(2)) % 2 == 0
    sigma = scenario.tracking.noise_gauss * growth * np.where(long_exposure, _FIVE_MINUTE_NOISE, 1.0)
    smooth *= sigma.astype(np.float32)[:, None, None]
    return smooth


def _add_faults(rng: np.random.Generator, field: Floats, observed: NDArray[np.int64]) -> None:
    """Put faults that occur in real archives into some observed frames of `field`, in place."""
    n_frames, size = field.shape[0], field.shape[1]
    for frame in rng.choice(observed, size=min(int(rng.poisson(1.8)), observed.size), replace=False):
        match int(rng.integers(5)):
            case 0:  # empty frame
                field[frame] = np.nan
            case 1:  # cosmic rays
                _add_spikes(rng, field[frame], fraction=0.01)
            case 2:  # wrong pointing
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
            _add_spikes(rng, field[frame], fraction=0.02)


def _add_spikes(rng: np.random.Generator, frame: Floats, *, fraction: float) -> None:
    """Add spikes of either sign to a fraction of the pixels of `frame`, in place."""
    hit = rng.random(frame.shape) < fraction
    frame[hit] += (rng.exponential(500.0, size=int(hit.sum())) * rng.choice([-1.0, 1.0], size=int(hit.sum()))).astype(
        np.float32
    )
