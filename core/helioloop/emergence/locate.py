"""From a scored cube to its emergence frame: masking curves, the curve's onset, the flux onset near it.

Needs torch (extra ``worker``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from helioloop.emergence.curve_onset import locate_emergence
from helioloop.emergence.flux_onset import date_by_flux
from helioloop.emergence.masking import masking_curves
from helioloop.model.device import Device
from helioloop.model.ensemble import Ensemble, SetAside, each_cube
from helioloop.model.inputs import Load
from helioloop.progress import Report
from helioloop.records import CubeRef, CubeScore, Label, PlannedCube


def locate_cube(ensemble: Ensemble, cube: PlannedCube | CubeRef, score: CubeScore, load: Load) -> CubeScore:
    """Return `score` with masking curve, emergence frame and interval of the members that spoke."""
    ref = cube.ref if isinstance(cube, PlannedCube) else cube
    networks, instrument = [ensemble.networks[name] for name in score.members], ensemble.plan.instrument
    gridded = load(ref)
    with ensemble.device.deterministic():
        curves = masking_curves(networks, gridded, instrument=instrument, device=ensemble.device)
    found = locate_emergence(curves, start=instrument.frozen_frames)
    if found is not None:
        found = date_by_flux(found, gridded, instrument=instrument)
    return replace(
        score,
        frame=None if found is None else found.frame,
        frame_lo=None if found is None else found.frame_lo,
        frame_hi=None if found is None else found.frame_hi,
        curve=tuple(round(float(p), 5) for p in curves.mean(axis=0)),
    )


def needs_time(score: CubeScore, label: Label | None) -> bool:
    """Tell whether a time is wanted: where the ensemble or the current label says emergence."""
    return score.predicted is Label.EMERGENCE or label is Label.EMERGENCE


def locate(
    folder: Path,
    cubes: Sequence[PlannedCube | CubeRef],
    scores: Sequence[CubeScore],
    load: Load,
    *,
    labels: Mapping[str, Label | None],
    device: Device,
    report: Report,
    set_aside: SetAside | None = None,
) -> list[CubeScore]:
    """Add masking curve, frame and interval to scores, where the ensemble or the current label says emergence.

    Parameters
    ----------
    folder, load, device, report, set_aside
        As for `score_cubes`.
    cubes : sequence of PlannedCube or CubeRef
        The cubes of `scores`, in any order; more do not matter.
    scores : sequence of CubeScore
        What `score_cubes` gave. Those that have a curve already are kept.
    labels : mapping
        Current label by cube name.

    Returns
    -------
    list of CubeScore
        In the order of `scores`; frames are None where the curve does not rise. A cube set aside keeps its score.
    """
    refs = {ref.cube: ref for ref in (cube.ref if isinstance(cube, PlannedCube) else cube for cube in cubes)}
    wanted = [score for score in scores if score.curve is None and needs_time(score, labels.get(score.cube))]
    if not wanted:
        return list(scores)
    ensemble = Ensemble.open(folder, device=device)
    by_name = {score.cube: score for score in wanted}
    located = each_cube(
        [refs[score.cube] for score in wanted],
        lambda cube: locate_cube(ensemble, cube, by_name[_name(cube)], load),
        report,
        what="locating emergences",
        set_aside=set_aside,
    )
    found = {score.cube: score for score in located}
    return [found.get(score.cube, score) for score in scores]


def _name(cube: PlannedCube | CubeRef) -> str:
    return cube.ref.cube if isinstance(cube, PlannedCube) else cube.cube
