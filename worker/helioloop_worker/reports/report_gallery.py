"""The gallery of the report: the cubes that disagree most, with some frames and the masking curve."""

from collections.abc import Collection
from typing import Any

from helioloop.errors import CubeError
from helioloop.model.runtime import CubeLoader
from helioloop.progress import Report
from helioloop.records.labels import CurrentLabel, Label
from helioloop.records.scores import CubeScore
from helioloop.words import count
from helioloop_worker.labelstudio.project import ProjectState
from helioloop_worker.reports import figures
from helioloop_worker.reports.contact_strip import contact_strip
from helioloop_worker.reports.page import figure
from helioloop_worker.reports.scored import Scored

GALLERY_CUBES = 12


def gallery_section(
    state: ProjectState,
    scored: Scored | None,
    load: CubeLoader,
    *,
    blind: Collection[str],
    report: Report,
) -> dict[str, Any]:
    """Return the most disagreeing cubes that have a label and a score.

    Parameters
    ----------
    state : ProjectState
        The project.
    scored : Scored or None
        The published version; None before the first.
    load : CubeLoader
        Returns the frames of a cube; one that cannot be read is shown without frames.
    blind : collection of str
        Cubes that are left out.
    report : Report
        Called with the number of cubes drawn.
    """
    if scored is None:
        return {"sentences": ["No version yet, so nothing disagrees."], "cubes": []}
    found = []
    for name, task in state.tasks.items():
        label, score = state.label(name), scored.scores.get(task.cube.key)
        if label.label is not None and score is not None and name not in blind:
            found.append((1.0 - score.agreement(label.label), name, score, label))
    found.sort(key=lambda entry: (-entry[0], entry[1]))
    cubes = []
    for place, (disagreement, _, score, label) in enumerate(found[:GALLERY_CUBES]):
        report(place, min(len(found), GALLERY_CUBES), "drawing cubes")
        cubes.append(_gallery_cube(state, score, label, load, place=place, disagreement=disagreement))
    sentences = [
        "Disagreement is 1 − P(current label), by members that were not trained on the cube. The curve is P(emergence) "
        "as a function of the frames that the model has seen; the band is the interval of the emergence frame, a "
        "dotted line the frame of a human."
    ]
    if blind:
        sentences.append(
            f"Left out: {count(len(blind), 'cube')} for random checks, which humans answer without the model."
        )
    if not cubes:
        sentences = ["No cube has a label and a score yet."]
    return {"sentences": sentences, "cubes": cubes}


def _gallery_cube(
    state: ProjectState, score: CubeScore, label: CurrentLabel, load: CubeLoader, *, place: int, disagreement: float
) -> dict[str, Any]:
    cube = state.tasks[score.cube].cube
    strip, unreadable = None, ""
    try:
        strip = contact_strip(load(cube))
    except CubeError:
        unreadable = "Its frames cannot be read now; the worker's log has the reason."
    frame = None if label.verified_frame is None else label.verified_frame.frame
    located = score.emergence
    return {
        "name": cube.name,
        "region": cube.region,
        "start": None if cube.start is None else cube.start.replace("T", " "),
        "label": "" if label.label is None else label.label.value,
        "source": f"verified, {label.source.value}" if label.verified else label.source.value,
        "p": score.p_emergence,
        "spread": score.p_spread,
        "disagreement": disagreement,
        "found": None if located is None else f"{located.frame + 1} ({located.frame_lo + 1}–{located.frame_hi + 1})",
        "strip": strip,
        "frames": "" if strip is None else ", ".join(str(number + 1) for number in strip.frames),
        "unreadable": unreadable,
        "curve": None
        if score.curve is None
        else figure(figures.curve_figure(score, name=f"curve-{place}", verified_frame=frame)),
        "no_curve": _why_no_curve(label),
    }


def _why_no_curve(label: CurrentLabel) -> str:
    """Return why a cube with this label has no masking curve, if it has none."""
    if label.label is not Label.EMERGENCE:
        return "neither the label nor the model said emergence when it was scored."
    if label.verified:
        return "the label was not verified yet when it was scored."
    return "the model takes the crude label for wrong, and the frame of such an emergence is not searched."
