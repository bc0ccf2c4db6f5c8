"""Releases of synthetic cubes on disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from helioloop.errors import ReleaseError
from helioloop.records.instrument import MDI
from helioloop.synthetic import Generator, make_cube, make_release
from helioloop.synthetic.making import draw


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


@pytest.mark.parametrize("generator", list(Generator))
@pytest.mark.parametrize("days", [1, 3, 5])
def test_a_grid_of_a_few_days_is_refused_because_no_region_comes_onto_the_disk(
    tmp_path: Path, generator: Generator, days: int
) -> None:
    few_days = replace(MDI, n_frames=15 * days)
    with pytest.raises(ReleaseError, match=rf"{15 * days} frames, {days}\.0 days, is too short .* at least 6 days"):
        make_release(tmp_path / "release", n=2, seed=5, instrument=few_days, generator=generator)
    assert not (tmp_path / "release").exists()


@pytest.mark.parametrize("generator", list(Generator))
def test_on_the_shortest_grid_every_kind_of_cube_is_drawn(generator: Generator) -> None:
    six_days = replace(MDI, n_frames=90)
    kinds = {draw(generator, 5, index, six_days).truth.kind for index in range(120)}
    assert kinds == {draw(generator, 5, index, MDI).truth.kind for index in range(120)}
