"""A judgement: the annotations are read and a round starts, or it is said why not; then what was read counts as judged.

Above `view`, `judging` and `rounds`. What was judged is written last (``checked.json``): a judgement that breaks off
anywhere is made again, by the events that still wait or by the sweep, which compares Label Studio with that file.
"""

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from helioloop import atomic
from helioloop.errors import TooFewLabels
from helioloop.messaging import messages, queues, retrain_state
from helioloop.registry.staging import Staging
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project import ProjectState, read_project
from helioloop_worker.loop import ingest, rounds
from helioloop_worker.loop.retrain_policy import decide

log = logging.getLogger(__name__)

CHECKED = "checked.json"
INGESTION_SECONDS = 10.0
"""How long somebody's "Start training" waits before it looks again whether a release is still being taken in."""


def check_retraining(context: Context, project: int, *, forced: bool) -> str:
    """Judge a project and return what came of it, in a sentence.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses or does not answer; the events stay, the sweep has it judged again.
    """
    seen = context.state.dirty(project)
    if not forced and seen is not None and (wait := retrain_state.due_at(seen, context.settings) - time.time()) > 0:
        queues.send(context.connection, messages.RetrainCheck(project=project), delay_seconds=wait)
        return f"{seen.count} events wait; judging in {wait:.0f} s"
    if ingest.ingesting(context, project):
        if forced:  # the judgement that follows an ingestion is a patient one
            later = messages.RetrainCheck(project=project, forced=True)
            queues.send(context.connection, later, delay_seconds=INGESTION_SECONDS)
        return "a release is being taken in; judging follows it"
    if context.state.request_follow_up(project, forced=forced):
        return "a round runs; one more is judged after it"
    view = read_project(context.label_studio, project, settings=context.settings, instrument=context.instrument)
    outcome = _start(context, project, view, forced=forced)
    if outcome is None:
        return "a round runs; one more is judged after it"  # and what was read now is read again then
    if context.registry(project).latest() is not None or context.state.running(project) is not None:
        # before the first round nothing counts as judged: cubes that come with crude labels change no annotation
        write_checked(context.settings.model_dir(project), view.snapshot.annotations)
    if seen is not None:
        context.state.settle(project, seen)
    return outcome


def _start(context: Context, project: int, view: ProjectState, *, forced: bool) -> str | None:
    """Start a round where the rules say so; None where another one began meanwhile."""
    registry = context.registry(project)
    last = registry.latest()
    decision = decide(last, view.snapshot.cubes, retrain_verified=context.settings.retrain_verified, forced=forced)
    if not decision.start:
        if context.state.running(project) is None:
            Staging(registry.root).discard()
        return f"no round: {decision.reason}"
    try:
        plan = rounds.plan_round(context, view, decision)
    except TooFewLabels as error:
        return f"no round: {error}"
    if not forced:
        if last is not None and plan.fingerprint == last.fingerprint:
            return f"no round: labels, data, recipe and code are those of {last.version}"
        if said := Staging(registry.root).parked(plan.fingerprint):
            return f"no round: {said}"
    started = rounds.start(context, project, plan, forced=forced)
    return f"round started: {decision.reason}" if started else None


def read_checked(model_dir: Path) -> dict[str, str] | None:
    """Return annotation id -> ``updated_at`` as of the last whole judgement; None before the first."""
    path = model_dir / CHECKED
    return dict(json.loads(path.read_text())) if path.exists() else None


def write_checked(model_dir: Path, annotations: Mapping[str, str]) -> None:
    """Remember the annotations that a judgement has covered."""
    atomic.write_json(model_dir / CHECKED, dict(annotations))
