"""Releases of synthetic cubes on disk."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from helioloop.synthetic import make_cube, make_release


def test_spikes_are_saturated_so_that_all_cubes_are_stored_in_one_step(tmp_path: Path) -> None:
    """The second cube of seed 5 has a spike of −3310 G, beyond what steps of 0.1 G hold."""
    make_release(tmp_path / "release", n=2, seed=5)
    spiky = make_cube(5, 1)
    path = tmp_path / "release" / f"{spiky.name}.fits"
    assert np.nanmin(spiky.observed_gauss) < -3300.0
    with fits.open(path, do_not_scale_image_data=True) as hdus:
        assert hdus[0].header["BSCALE"] == 0.1
        saturated = hdus[0].data == -32767
    assert np.array_equal(saturated, spiky.observed_gauss < -3276.65)
