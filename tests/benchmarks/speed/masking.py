"""Masking curves of ten members on one cube, against the loop that runs each network on each masked video."""

import numpy as np

from helioloop.emergence.masking import masking_curves
from helioloop.model.device import CPU
from helioloop.model.field_video import FieldVideo
from helioloop.model.recipes import PAPER, QUICK, Recipe
from helioloop.records.instrument import MDI
from tests.benchmarks.speed.timing import Sides
from tests.benchmarks.speed.work import Work, curves_one_by_one, random_networks


def paper(work: Work) -> Sides:
    """Return both sides for the authors' CNN."""
    return _masking(work, PAPER)


def per_frame(work: Work) -> Sides:
    """Return both sides for the per-frame network."""
    return _masking(work, QUICK)


def _masking(work: Work, recipe: Recipe) -> Sides:
    architecture, networks = random_networks(recipe)
    cube = work.gridded(work.cubes[0])
    ours = masking_curves(architecture, networks, FieldVideo(cube, MDI), device=CPU)
    plain = curves_one_by_one(architecture, networks[:1], cube)
    np.testing.assert_allclose(ours[:1, MDI.frozen_frames :], plain, atol=1e-4)
    return Sides(
        ours=lambda: masking_curves(architecture, networks, FieldVideo(cube, MDI), device=CPU),
        reference=lambda: curves_one_by_one(architecture, networks, cube),
        reference_rounds=2,
    )
