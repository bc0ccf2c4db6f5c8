"""Emergence frames of scored cubes: masking curves, the onset of their mean, then the flux onset near it.

The curves are combined with the local growth of the masked videos, like the probabilities. Where the mean curve does
not rise, both polarities may: then the frame is that of the bipolar rise.

Needs torch (extra ``worker``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from helioloop.emergence.bipolar_rise import rise_onset
from helioloop.emergence.curve_onset import curve_onset
from helioloop.emergence.flux_onset import refine_by_flux_onset
from helioloop.emergence.masking import masking_curves
from helioloop.model.ensemble import Ensemble, each_cube
from helioloop.model.field_video import FieldVideo
from helioloop.model.local_growth import masked_growth
from helioloop.model.runtime import Runtime
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import Label
from helioloop.records.member_curves import MemberCurves
from helioloop.records.scores import CubeScore

LEAST_PROBABILITY = 0.3
"""A crude label that is emergence does not count where P(emergence) is below this: the ensemble takes it for wrong."""


def needs_emergence_frame(score: CubeScore, label: Label | None, *, verified: bool) -> bool:
    """Return whether the ensemble or the current label is emergence.

    A label that is not verified counts only where P(emergence) is at least `LEAST_PROBABILITY`.
    """
    believed = label is Label.EMERGENCE and (verified or score.p_emergence >= LEAST_PROBABILITY)
    return score.predicted is Label.EMERGENCE or believed


def locate(ensemble: Ensemble, cube: CubeInfo, score: CubeScore, runtime: Runtime) -> CubeScore:
    """Return `score` with mean and spread of the masking curves, and the emergence frame, of its members.

    Where the mean masking curve does not rise, the emergence is that of the bipolar rise; None where neither rises.
    """
    networks = [ensemble.networks[name] for name in score.members]
    instrument, patch_deg = ensemble.plan.instrument, ensemble.plan.patch_deg
    video = FieldVideo(runtime.load(cube), instrument)
    with ensemble.device.deterministic():
        curves = masking_curves(ensemble.architecture, networks, video, device=ensemble.device)
        if ensemble.plan.recipe.local_growth:
            growth = masked_growth(video, patch_deg=patch_deg)
            curves = ensemble.growth_odds.combine(curves, growth).astype(np.float32)
        found = curve_onset(curves, start=instrument.frozen_frames)
        found = refine_by_flux_onset(found, video) if found is not None else rise_onset(video, patch_deg=patch_deg)
    return replace(
        score,
        emergence=found,
        curve=tuple(round(float(p), 5) for p in curves.mean(axis=0)),
        curve_spread=tuple(round(float(p), 3) for p in curves.std(axis=0)) if len(curves) > 1 else None,
        member_curves=MemberCurves.pack(curves.tolist()),
    )


def locate_emergences(
    ensemble: Ensemble,
    cubes: Sequence[CubeInfo],
    scores: Sequence[CubeScore],
    runtime: Runtime,
    *,
    labels: Mapping[str, Label | None],
) -> list[CubeScore]:
    """Return the scores, with curve and emergence frame where `needs_emergence_frame`.

    Parameters
    ----------
    ensemble : Ensemble
        The ensemble that made the scores.
    cubes : sequence of CubeInfo
        The cubes of `scores`, in any order; other cubes are ignored. Of each, only its files and whether a human set
        its label matter.
    scores : sequence of CubeScore
        From `score_cubes`. A score that has a curve already is returned unchanged.
    runtime : Runtime
        Its report is called after each cube, its `on_excluded` for each cube that cannot be read.
    labels : mapping
        Current label by cube name.

    Returns
    -------
    list of CubeScore
        In the order of `scores`. The score of an excluded cube is unchanged.
    """
    by_name = {cube.name: cube for cube in cubes}
    wanted = {
        score.cube: score
        for score in scores
        if score.curve is None
        and needs_emergence_frame(score, labels.get(score.cube), verified=by_name[score.cube].verified)
    }
    located = each_cube(
        [by_name[name] for name in wanted],
        lambda cube: locate(ensemble, cube, wanted[cube.name], runtime),
        runtime,
        what="locating emergences",
    )
    found = {score.cube: score for score in located}
    return [found.get(score.cube, score) for score in scores]
