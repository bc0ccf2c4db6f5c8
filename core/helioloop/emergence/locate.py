"""From a scored cube to its emergence frame: masking curves, the curve's onset, then the flux onset near it.

Needs torch (extra ``worker``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from helioloop.emergence.curve_onset import locate_emergence
from helioloop.emergence.flux_onset import date_by_flux
from helioloop.emergence.masking import masking_curves
from helioloop.model.ensemble import Ensemble, each_cube
from helioloop.model.runtime import Runtime
from helioloop.records import CubeInfo, CubeScore, Label


def needs_emergence_frame(score: CubeScore, label: Label | None) -> bool:
    """Return True where the ensemble or the current label is emergence."""
    return score.predicted is Label.EMERGENCE or label is Label.EMERGENCE


def locate(ensemble: Ensemble, cube: CubeInfo, score: CubeScore, runtime: Runtime) -> CubeScore:
    """Return a score with the masking curve and the emergence frame of the members that made it.

    The emergence stays None where the mean masking curve does not rise.
    """
    networks, instrument = [ensemble.networks[name] for name in score.members], ensemble.plan.instrument
    gridded = runtime.load(cube)
    with ensemble.device.deterministic():
        curves = masking_curves(ensemble.architecture, networks, gridded, instrument=instrument, device=ensemble.device)
    found = locate_emergence(curves, start=instrument.frozen_frames)
    if found is not None:
        found = date_by_flux(found, gridded, instrument=instrument)
    return replace(score, emergence=found, curve=tuple(round(float(p), 5) for p in curves.mean(axis=0)))


def locate_emergences(
    ensemble: Ensemble,
    cubes: Sequence[CubeInfo],
    scores: Sequence[CubeScore],
    runtime: Runtime,
    *,
    labels: Mapping[str, Label | None],
) -> list[CubeScore]:
    """Return scores with masking curve and emergence frame, where the ensemble or the current label is emergence.

    Parameters
    ----------
    ensemble : Ensemble
        The members that made the scores.
    cubes : sequence of CubeInfo
        The cubes of `scores`, in any order; further cubes do no harm.
    scores : sequence of CubeScore
        From `score_cubes`. Those that have a curve already are kept.
    runtime : Runtime
        Its report is called after each cube; its `on_excluded` for cubes that cannot be read.
    labels : mapping
        Current label by cube name.

    Returns
    -------
    list of CubeScore
        In the order of `scores`. An excluded cube keeps its score as it was.
    """
    by_name = {cube.name: cube for cube in cubes}
    wanted = {
        score.cube: score
        for score in scores
        if score.curve is None and needs_emergence_frame(score, labels.get(score.cube))
    }
    located = each_cube(
        [by_name[name] for name in wanted],
        lambda cube: locate(ensemble, cube, wanted[cube.name], runtime),
        runtime,
        what="locating emergences",
    )
    found = {score.cube: score for score in located}
    return [found.get(score.cube, score) for score in scores]
