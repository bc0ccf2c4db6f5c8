"""Retrain checks: when they wait, what they request, and that nothing is lost where one breaks off."""

import time
from typing import Any

import pytest
from tests.worker.conftest import SETTLED, Desk

from helioloop.errors import LabelStudioError
from helioloop.messaging.retrain_state import FollowUp
from helioloop.progress import silent
from helioloop_worker.loop import ingest
from helioloop_worker.loop.checked import read_checked
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.retrain_check import check_retraining
from helioloop_worker.loop.round_requests import requests

Data = dict[str, dict[str, str]]


def add_old_event(desk: Desk, events: int = 1) -> None:
    """Add events that have waited long enough."""
    desk.context.state.add_events(desk.project, events, now=time.time() - SETTLED)


def check(desk: Desk, *, forced: bool = False) -> str:
    """Make the check alone, without the planning that it may request."""
    return check_retraining(desk.context, desk.project, forced=forced)


def test_events_that_are_not_due_wait(desk: Desk, task_data: Data) -> None:
    """The check is scheduled for the time at which they are due; nothing is read and nothing settled."""
    desk.import_cubes(task_data)
    desk.context.state.add_events(desk.project, 1, now=time.time())
    assert "the check follows in" in check(desk)
    assert desk.scheduled() == [f"retrain-check-{desk.project}"]
    assert desk.context.state.pending_events(desk.project) is not None
    assert requests(desk.context, desk.project) == set()
    assert read_checked(desk.model_dir) is None


def test_a_check_decides_and_leaves_the_work_to_planning(
    desk: Desk, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens no cube; it sends one planning job; until a round has begun nothing is settled or recorded."""
    tasks = desk.import_cubes(task_data)
    first = desk.publish()
    desk.label_studio.annotate(tasks["cube00"], "emergence")
    add_old_event(desk)
    monkeypatch.setattr(type(desk.context.loader), "__call__", lambda *_: pytest.fail("the check opened a cube"))
    assert check(desk) == f"a round is requested: 1 labels differ from those {first} was trained on"
    assert desk.queued() == [f"plan-round-{desk.project}"]
    assert desk.job(f"plan-round-{desk.project}").origin == "helioloop-train"
    assert check(desk) == "a round is being planned"
    assert desk.queued() == [f"plan-round-{desk.project}"]
    assert desk.context.state.pending_events(desk.project) is not None
    assert read_checked(desk.model_dir) is None
    assert desk.context.state.running(desk.project) is None


def test_start_training_waits_for_no_quiet(desk: Desk, task_data: Data) -> None:
    """A round runs though the last event is a moment old and no label has changed; it is the same round again."""
    desk.import_cubes(task_data)
    version = desk.publish()
    desk.context.state.add_events(desk.project, 1, now=time.time())
    assert desk.check(forced=True).startswith("round started")
    running = desk.context.state.running(desk.project)
    assert running is not None
    assert running.fingerprint == desk.registry.card(version).fingerprint


def test_no_round_is_requested_on_half_a_release(desk: Desk, task_data: Data) -> None:
    """A forced check is kept until the ingestion has ended; the check that follows an ingestion covers all others."""
    desk.import_cubes(task_data)
    desk.publish()
    with ingest._marked(desk.context, desk.project, "more", silent):
        assert "is being ingested" in check(desk)
        assert requests(desk.context, desk.project) == set()
        assert "is being ingested" in check(desk, forced=True)
        assert reconcile(desk.context, desk.project).done[:-1] == ()
        assert desk.check() == "a release is being ingested; planning follows it"
        assert desk.context.state.running(desk.project) is None
    assert requests(desk.context, desk.project) == {"forced"}
    assert desk.check().startswith('round started: somebody pressed "Start training"')


def test_an_ingestion_that_was_killed_does_not_stop_checks_for_ever(desk: Desk, task_data: Data) -> None:
    """Its mark counts for some minutes."""
    desk.import_cubes(task_data)
    killed_at = time.time() - ingest.MARK_SECONDS
    desk.context.connection.hset(ingest._marks(desk.project), "more", str(killed_at))
    assert desk.check().startswith("round started")


def test_a_check_during_a_round_requests_a_follow_up_run(desk: Desk, task_data: Data) -> None:
    """There is one follow-up run, forced if any check was; nothing is recorded."""
    desk.import_cubes(task_data)
    desk.context.state.begin(desk.project, "ab" * 32, now=time.time())
    for forced in (False, True, False):
        assert check(desk, forced=forced) == "a round runs; the next check follows it"
    assert read_checked(desk.model_dir) is None
    assert desk.context.state.end(desk.project, "ab" * 32) == FollowUp(forced=True)


def test_too_few_labels_are_reported_and_checked_again(desk: Desk, task_data: Data) -> None:
    """Nothing is planned and the events are settled; until there is a version each reconciliation sends a check."""
    tasks = desk.import_cubes(task_data, ["cube00", "cube01", "cube02"])
    desk.label_studio.annotate(tasks["cube00"], "emergence")
    add_old_event(desk)
    assert check(desk).startswith("no round: ")
    assert requests(desk.context, desk.project) == set()
    assert desk.context.state.pending_events(desk.project) is None
    reconcile(desk.context, desk.project)
    assert desk.queued() == [f"retrain-check-{desk.project}"]


def test_a_check_that_breaks_off_is_repeated(desk: Desk, task_data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Label Studio fails in the middle: the events stay, reconciliation sends a check, and that starts the round."""
    tasks = desk.import_cubes(task_data)
    desk.publish()
    check(desk)
    desk.label_studio.annotate(tasks["cube00"], "emergence")
    add_old_event(desk)

    def fails(project: int) -> Any:
        raise LabelStudioError(f"reading the tasks of project {project}: no answer")

    with monkeypatch.context() as broken:
        broken.setattr(desk.label_studio, "tasks", fails)
        with pytest.raises(LabelStudioError):
            check(desk)
    assert desk.context.state.pending_events(desk.project) is not None
    assert read_checked(desk.model_dir) == {}
    reconcile(desk.context, desk.project)
    assert f"retrain-check-{desk.project}" in [*desk.queued(), *desk.scheduled()]
    assert desk.check().startswith("round started")


def test_unchanged_labels_request_nothing_and_clear_up(desk: Desk, task_data: Data) -> None:
    """A human agreed with the crude label; the staging folder of an abandoned round is deleted."""
    tasks = desk.import_cubes(task_data)
    desk.publish()
    desk.registry.staging("ab" * 32)
    desk.label_studio.annotate(tasks["cube01"], "emergence")
    assert check(desk).startswith("no round: no label differs")
    assert list((desk.model_dir / "staging").iterdir()) == []
