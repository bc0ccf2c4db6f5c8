"""The detector of bipolar regions, on fields that one can check by hand: 15° × 15° at half a degree per pixel."""

import numpy as np
import pytest
from numpy.typing import NDArray

from helioloop.data.first_detection import Detection, first_detection

DEG_PER_PX = 0.5
N_OBS = 6


def noise(gauss: float = 10.0, seed: int = 0) -> NDArray[np.float32]:
    """Return frames without a region."""
    return (gauss * np.random.default_rng(seed).standard_normal((N_OBS, 30, 30))).astype(np.float32)


def add_pole(field: NDArray[np.float32], *, row: int, column: int, gauss: float, side: int = 4) -> None:
    """Add a square of constant field; with side 4 it has 4 square degrees."""
    field[..., row : row + side, column : column + side] += gauss


def detect(field: NDArray[np.float32], longitude: float | NDArray[np.float64] = 0.0) -> Detection | None:
    """Run the detector; by default the patch stays on the central meridian."""
    places = np.broadcast_to(np.asarray(longitude, dtype=np.float64), (len(field),))
    return first_detection(field, places, latitude_deg=0.0, degrees_per_px=DEG_PER_PX)


def bipole_from(index: int, gauss: float = 200.0, *, column: int = 10) -> NDArray[np.float32]:
    """Return frames with a bipole from the observation `index` on, its poles 3° apart."""
    field = noise()
    add_pole(field[index:], row=12, column=column, gauss=gauss)
    add_pole(field[index:], row=12, column=column + 6, gauss=-gauss)
    return field


@pytest.mark.parametrize("index", [0, 1, 3])
def test_a_bipole_is_found_in_its_first_frame_and_at_its_place(index: int) -> None:
    """Columns 10 to 19 are centred on the patch's centre, column 14.5; eight columns farther west is 4°."""
    for column, offset_deg in ((10, 0.0), (18, 4.0)):
        found = detect(bipole_from(index, column=column))
        assert found == Detection(index=index, offset_deg=pytest.approx(offset_deg, abs=DEG_PER_PX))


def test_noise_one_polarity_and_far_poles_are_no_region() -> None:
    """Of 200 frames of noise none is a region; nor is a single pole, nor poles in opposite corners."""
    drawn = np.concatenate([noise(30.0, seed) for seed in range(34)])
    assert detect(drawn) is None
    unipolar = noise()
    add_pole(unipolar, row=12, column=12, gauss=300.0, side=6)
    assert detect(unipolar) is None
    corners = noise()
    add_pole(corners, row=0, column=0, gauss=300.0)
    add_pole(corners, row=26, column=26, gauss=-300.0)
    assert detect(corners) is None


def test_a_region_in_one_frame_only_is_not_one() -> None:
    """A frame of cosmic rays, or a wrong pointing, does not count; neither does a region in the last frame alone."""
    field = noise()
    field[2] = bipole_from(0)[2]
    assert detect(field) is None
    assert detect(bipole_from(N_OBS - 1)) is None


def test_smaller_or_weaker_poles_than_of_an_active_region_are_not_found() -> None:
    """Poles of a square degree, or of 40 G, are the network's or an ephemeral region's."""
    small = noise()
    add_pole(small, row=12, column=10, gauss=200.0, side=1)
    add_pole(small, row=12, column=16, gauss=-200.0, side=1)
    assert detect(small) is None
    assert detect(bipole_from(0, gauss=40.0)) is None
    assert detect(bipole_from(0, gauss=70.0)) is not None


def test_the_bound_on_the_field_follows_the_projection_and_the_noise() -> None:
    """At 60° half the radial field is seen: 40 G there are 80 G; under noise of 40 G they are lost."""
    assert detect(bipole_from(0, gauss=40.0), 60.0) is not None
    buried = bipole_from(0, gauss=40.0) + noise(40.0, seed=1)
    assert detect(buried, 60.0) is None


def test_nothing_is_found_beyond_75_degrees() -> None:
    """The patch turns by 4° per frame; its bipole at the centre is found in the second frame closer than 75°."""
    longitude = np.array([-88.0, -84.0, -80.0, -76.0, -72.0, -68.0])
    found = detect(bipole_from(0), longitude)
    assert found is not None
    assert found.index == 4


def test_a_region_that_covers_most_of_the_patch_is_found() -> None:
    """Noise is measured on the quietest quarter of the pixels."""
    field = noise()
    add_pole(field, row=5, column=3, gauss=400.0, side=12)
    add_pole(field, row=5, column=15, gauss=-400.0, side=12)
    found = detect(field)
    assert found is not None
    assert found.index == 0


def test_pixels_off_disk_and_an_offset_of_the_zero_level_do_no_harm() -> None:
    field = bipole_from(2) + np.float32(15.0)
    field[:, :, :6] = np.nan
    found = detect(field)
    assert found is not None
    assert found.index == 2
