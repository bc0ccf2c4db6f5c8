"""What the labelling screen shows beside the video: why the task is shown, and facts about the cube, as HTML.

Everything that does not come from this module's own text is escaped.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

from helioloop.data.cube_facts import CubeFacts
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore, Emergence

UNSURE = (0.35, 0.65)
"""Between these probabilities of emergence the text says that the model is unsure."""
REGION_CHARACTERS = 40
"""Longer names of regions are cut, so that the other facts stay on the screen; the list of tasks has the whole name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a model version estimates for a cube.

    Parameters
    ----------
    version : str
        The model version.
    score : CubeScore
        Its score of the cube.
    """

    version: str
    score: CubeScore


def reason_html(
    facts: CubeFacts,
    *,
    crude: Label | None,
    judged: Judged | None,
    class_names: Mapping[Label, str],
    frozen_frames: int,
    blind: bool = False,
) -> str:
    """Return the reason for a task and the facts of its cube as a paragraph and a table.

    Parameters
    ----------
    facts : CubeFacts
        Of the cube.
    crude : Label or None
        Its crude label. It is shown only together with what the model estimates.
    judged : Judged or None
        What the model estimates; None before the first version, and where the cube has no score. An answer then counts
        as blind, so the crude label is not shown either.
    class_names : mapping
        Class -> name in the labelling configuration.
    frozen_frames : int
        An emergence at this frame (0-based) means "at this frame or earlier".
    blind : bool
        True for a random check that nobody has answered: neither the model, whatever `judged` is, nor the crude label
        is shown. The answer is compared with both.
    """
    names = {label: escape(name) for label, name in class_names.items()}
    judged = None if blind else judged
    rows = [
        *(
            _model_rows(judged, crude, names[Label.EMERGENCE], frozen_frames=frozen_frames)
            if judged is not None
            else ()
        ),
        *(() if judged is None else (("Crude label", "none" if crude is None else names[crude]),)),
        *_fact_rows(facts),
    ]
    table = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows)
    return f"<p>{_why(judged, crude, names, blind=blind)}</p><table>{table}</table>\n"


def _why(judged: Judged | None, crude: Label | None, names: Mapping[Label, str], *, blind: bool) -> str:
    """Return why the task is shown, in words that need no knowledge of the model."""
    if blind:
        return "<strong>Random check.</strong> Answer by the video alone: model and crude label are hidden."
    if judged is None:
        return "<strong>No model has looked at this video yet.</strong> Answer by the video alone; labels are hidden."
    score, version = judged.score, escape(judged.version)
    model = f"{names[score.predicted]} likely ({_two_digits(score.probability(score.predicted))})"
    if UNSURE[0] < score.p_emergence < UNSURE[1]:
        text = (
            f"<strong>The model ({version}) is unsure:</strong> {names[Label.EMERGENCE]} has a probability of "
            f"{_two_digits(score.p_emergence)}"
        )
        return f"{text}; the crude label says {names[crude]}." if crude else f"{text}."
    if crude is None:
        return f"<strong>The model ({version}) finds {model}.</strong> There is no crude label to compare with."
    if crude is not score.predicted:
        return (
            f"<strong>The model ({version}) finds {model}; the crude label says {names[crude]}.</strong> "
            "One of them is wrong: which one?"
        )
    return f"The model ({version}) finds {model}, and the crude label says the same."


def _model_rows(
    judged: Judged, crude: Label | None, emergence: str, *, frozen_frames: int
) -> Iterator[tuple[str, str]]:
    score = judged.score
    spread = "" if score.p_spread is None else f" ± {_two_digits(score.p_spread)}"
    yield "Probability", f"{emergence} {_two_digits(score.p_emergence)}{spread}"
    if crude is not None:
        yield "Agreement", f"{_two_digits(score.agreement(crude))} with the crude label"
    if score.emergence is not None:
        yield "Onset", f"model: {_onset(score.emergence, frozen_frames=frozen_frames)}"
    elif score.curve is None:
        refuted = crude is Label.EMERGENCE
        yield (
            "Onset",
            f"not searched: {'the model takes the label for wrong' if refuted else 'model and label say otherwise'}",
        )
    else:
        yield "Onset", "none: neither the model's curve nor both polarities rise"


def _onset(emergence: Emergence, *, frozen_frames: int) -> str:
    """Return the emergence frame and its interval, counted from 1 as Label Studio does."""
    first, last = emergence.frame_lo + 1, emergence.frame_hi + 1
    earlier = " or earlier" if emergence.frame <= frozen_frames else ""
    return f"frame {emergence.frame + 1}{earlier} <small>({first} to {last})</small>"


def _fact_rows(facts: CubeFacts) -> Iterator[tuple[str, str]]:
    if facts.region:
        cut = len(facts.region) > REGION_CHARACTERS
        yield "Region", escape(f"{facts.region[: REGION_CHARACTERS - 1]}…" if cut else facts.region)
    place = _place(facts)
    if place:
        yield "At frame 1", place
    if facts.times is not None:
        yield "Frame 1", f"{facts.times[0][:16].replace('T', ' ')} UTC"
    yield "Cadence", f"{_duration(facts.cadence_seconds)} per frame"


def _place(facts: CubeFacts) -> str:
    """Return latitude and distance from the central meridian in frame 1; "" where neither is known."""
    latitude = facts.latitude_deg
    parts = [] if latitude is None else [f"{abs(latitude):.0f}° {'N' if latitude >= 0 else 'S'}"]
    if facts.meridian_deg is not None:
        distance = facts.meridian_deg[0]
        about = "" if (facts.meridian_uncertainty_deg or 0.0) < 1.0 else "about "
        parts.append(f"{about}{abs(distance):.0f}° {'W' if distance > 0 else 'E'} of the central meridian")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    """Return a duration in the largest unit that it fills: ``"96 min"``, ``"2 h"``, ``"45 s"``."""
    if seconds >= 60.0 and math.isclose(seconds % 60.0, 0.0):
        return f"{seconds / 60.0:g} min" if seconds < 7200.0 or seconds % 3600.0 else f"{seconds / 3600.0:g} h"
    return f"{seconds:g} s"


def _two_digits(probability: float) -> str:
    return f"{probability:.2f}"
