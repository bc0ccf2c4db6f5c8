"""Field statistics of gridded cubes of known noise and field."""

import numpy as np
import pytest

from helioloop.data.field_statistics import field_statistics

CLIP = 1000.0


def gridded(field_gauss: np.ndarray) -> np.ndarray:
    """Scale a field as `to_grid` does, in the precision of the cache."""
    return (0.5 + 0.5 * field_gauss / CLIP).astype(np.float16)


def noise(sigma: float, shape: tuple[int, ...] = (20, 60, 60)) -> np.ndarray:
    return np.random.default_rng(1).normal(0.0, sigma, shape)


@pytest.mark.parametrize("sigma", [5.0, 20.0, 40.0])
def test_the_noise_is_its_standard_deviation(sigma: float) -> None:
    """The median of |B| is 0.6745 standard deviations."""
    found = field_statistics(gridded(noise(sigma)), clip_gauss=CLIP)
    assert found is not None
    assert found.noise_gauss == pytest.approx(sigma, rel=0.06)
    assert found.typical_gauss == pytest.approx(0.6745 * sigma, rel=0.06)


def test_the_peaks_are_those_of_the_network() -> None:
    """Elements of 100 G and three pixels, every twelve pixels; the noise stays the same."""
    field = noise(20.0)
    quiet = field_statistics(gridded(field), clip_gauss=CLIP)
    for shift in range(3):
        field[:, 5 + shift :: 12, 5::12] += 100.0
    network = field_statistics(gridded(field), clip_gauss=CLIP)
    assert quiet is not None
    assert network is not None
    assert network.noise_gauss == pytest.approx(quiet.noise_gauss, rel=0.15)
    assert quiet.peak_gauss < 30.0
    assert network.peak_gauss == pytest.approx(105.0, rel=0.1)


def test_one_active_region_changes_neither_noise_nor_peaks() -> None:
    """A bipole of 600 G on a ninth of the patch."""
    field = noise(20.0)
    quiet = field_statistics(gridded(field), clip_gauss=CLIP)
    field[:, 20:40, 20:30] += 600.0
    field[:, 20:40, 30:40] -= 600.0
    active = field_statistics(gridded(field), clip_gauss=CLIP)
    assert quiet is not None
    assert active is not None
    assert active.noise_gauss == pytest.approx(quiet.noise_gauss, rel=0.05)
    assert active.peak_gauss == pytest.approx(quiet.peak_gauss, rel=0.2)


def test_pixels_off_the_disk_do_not_count() -> None:
    """Half of each frame is off-disk; the other half is as before."""
    field = noise(20.0)
    field[:, :, 30:] = np.nan
    found = field_statistics(gridded(field), clip_gauss=CLIP)
    assert found is not None
    assert found.noise_gauss == pytest.approx(20.0, rel=0.05)
    assert field_statistics(gridded(np.full((20, 60, 60), np.nan)), clip_gauss=CLIP) is None


@pytest.mark.parametrize("every", [2, 5])
def test_interpolated_and_repeated_frames_do_not_lower_the_noise(every: int) -> None:
    """Observations in every second or fifth frame, interpolated linearly, and none in the last third."""
    observed, frames = noise(20.0, (61, 60, 60)), np.arange(0, 61, every)
    before = np.minimum(np.arange(90) // every, len(frames) - 1)
    after = np.minimum(before + 1, len(frames) - 1)
    weight = ((np.arange(90) - frames[before]) / every).clip(0.0, 1.0)[:, None, None]
    between = (1.0 - weight) * observed[before] + weight * observed[after]
    found = field_statistics(gridded(between), clip_gauss=CLIP)
    assert found is not None
    assert found.noise_gauss == pytest.approx(20.0, rel=0.06)


def test_a_constant_field_has_no_noise() -> None:
    found = field_statistics(gridded(np.full((20, 60, 60), 100.0)), clip_gauss=CLIP)
    assert found is not None
    assert (found.noise_gauss, found.typical_gauss) == (0.0, pytest.approx(100.0, abs=1.0))


def test_a_field_scaled_by_two_has_twice_the_statistics() -> None:
    one, two = (field_statistics(gridded(k * noise(15.0)), clip_gauss=CLIP) for k in (1.0, 2.0))
    assert one is not None
    assert two is not None
    for name, value in one.as_dict().items():
        assert two.as_dict()[name] == pytest.approx(2.0 * value, rel=0.05)
