"""The emergence frame refined by the flux, on cubes whose flux one can draw by hand."""

from dataclasses import replace

import numpy as np
import pytest

from helioloop.emergence.flux_onset import refine_by_flux_onset, strongest_rise, window_steps
from helioloop.model.field_video import FieldVideo
from helioloop.records.instrument import Instrument
from helioloop.records.scores import Emergence

SMALL = Instrument(name="small", cadence_seconds=5760.0, n_frames=90, size_px=30, clip_gauss=1000.0, frozen_frames=9)
"""Thirty steps of 5 × 5 cells."""
ROUGHLY = Emergence(frame=50, frame_lo=47, frame_hi=55)
"""The masking curves' emergence of a region that emerged at frame 40."""
WITH_MARGIN = Emergence(frame=50, frame_lo=44, frame_hi=56)
"""The same with six frames before and after it."""


def field(gauss: np.ndarray) -> np.ndarray:
    """A cube of a field in gauss."""
    return (0.5 + 0.5 * gauss / SMALL.clip_gauss).astype(np.float32)


def emerging(*, at: int, within: int, gauss: float = 300.0) -> np.ndarray:
    """Two polarities that grow evenly from frame `at` on, in a quiet patch."""
    strength = gauss * np.clip((np.arange(SMALL.n_frames) - at) / within, 0.0, 1.0)
    patch = np.zeros((SMALL.n_frames, 30, 30))
    patch[:, 12:18, 6:12] = strength[:, None, None]
    patch[:, 12:18, 18:24] = -strength[:, None, None]
    return patch


def test_the_frame_moves_to_a_tenth_of_the_flux_rise() -> None:
    """The flux rises from 40 to 70. The interval contains ten hours, six frames, before 43, and half of the rise."""
    found = refine_by_flux_onset(ROUGHLY, FieldVideo(field(emerging(at=40, within=30)), SMALL))
    assert found.frame == pytest.approx(43, abs=1)
    assert found.frame_lo == found.frame - 6
    assert found.frame_hi == pytest.approx(55, abs=1)


def test_the_interval_of_a_sudden_rise_contains_ten_hours_before_and_after() -> None:
    """At a cadence of 48 minutes, half of MDI's, these are twelve frames."""
    sudden = field(emerging(at=60, within=1))
    at_onset = Emergence(frame=60, frame_lo=60, frame_hi=60)
    for cadence_seconds, margin in ((5760.0, 6), (2880.0, 12)):
        grid = replace(SMALL, cadence_seconds=cadence_seconds)
        found = refine_by_flux_onset(at_onset, FieldVideo(sudden, grid))
        assert found.frame == pytest.approx(60, abs=2)
        assert (found.frame_lo, found.frame_hi) == (found.frame - margin, found.frame + margin)


def test_a_rise_beside_a_stronger_old_region_is_found_at_its_own_place() -> None:
    """The old region decays faster than the new one grows: the patch as a whole loses flux."""
    patch = emerging(at=40, within=12)
    patch[:, 0:6, 0:12] = 900.0 * np.linspace(1.0, 0.2, SMALL.n_frames)[:, None, None]
    assert patch[40].sum() > patch[60].sum()
    assert refine_by_flux_onset(ROUGHLY, FieldVideo(field(patch), SMALL)).frame == pytest.approx(41, abs=2)


@pytest.mark.parametrize("gauss", [np.zeros((90, 30, 30)), emerging(at=40, within=30)[::-1]])
def test_where_no_flux_rises_the_curves_frame_stays(gauss: np.ndarray) -> None:
    """A quiet patch, and a region that decays."""
    assert refine_by_flux_onset(ROUGHLY, FieldVideo(field(gauss), SMALL)) == WITH_MARGIN


def test_a_place_that_is_off_disk_in_the_window_does_not_count() -> None:
    """The limb passing over a region would look like a rise."""
    cube = field(np.full((90, 30, 30), 500.0))
    cube[:45] = np.nan
    assert refine_by_flux_onset(ROUGHLY, FieldVideo(cube, SMALL)) == WITH_MARGIN


def test_a_rise_far_from_the_curves_frame_is_ignored() -> None:
    """Only 2.4 days before and after it are searched; a later rise belongs to another region."""
    flux = np.zeros((75, 5, 5), dtype=np.float32)
    flux[20:, 1, 1] = 10.0
    flux[60:, 3, 3] = 50.0
    near = strongest_rise(flux, 22, start=10, radius=window_steps(SMALL))
    assert near is not None
    assert (near.foot, near.top) == (19, 20)


@pytest.mark.parametrize(
    ("cadence_seconds", "steps"), [(5760.0, 9), (720.0, 72), (3600.0, 14), (86400.0, 1), (45.0, 100)]
)
def test_the_window_is_as_long_at_every_cadence(cadence_seconds: float, steps: int) -> None:
    """1.8 days, in steps of three frames; at least one step, and at most a hundred."""
    assert window_steps(replace(SMALL, cadence_seconds=cadence_seconds)) == steps


def test_an_onset_is_found_at_twice_the_cadence() -> None:
    """The flux rises 40 h after the curves' frame: 50 frames of 48 minutes, beyond 36 frames."""
    fast = replace(SMALL, cadence_seconds=2880.0)
    early = Emergence(frame=20, frame_lo=18, frame_hi=22)
    found = refine_by_flux_onset(early, FieldVideo(field(emerging(at=70, within=6)), fast))
    assert found.frame == pytest.approx(70, abs=2)
    assert refine_by_flux_onset(early, FieldVideo(field(emerging(at=70, within=6)), SMALL)).frame < 60


def test_a_rise_that_began_in_the_frozen_start_means_at_or_before() -> None:
    """The frame is the frozen one at the earliest, and the interval starts at 0."""
    video = FieldVideo(field(emerging(at=0, within=30)), SMALL)
    found = refine_by_flux_onset(Emergence(frame=12, frame_lo=10, frame_hi=14), video)
    assert found.frame >= SMALL.frozen_frames
    assert found.frame_lo == 0
