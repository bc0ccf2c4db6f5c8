"""Retrain checks: when they wait, what they request, and that nothing is lost where one breaks off."""

import time
from typing import Any

import pytest
from tests.worker.conftest import SETTLED, LoopProject

from helioloop.data.loader import Loader
from helioloop.errors import LabelStudioError
from helioloop.messaging.retrain_state import FollowUp
from helioloop.progress import silent
from helioloop.registry.label_snapshot import Snapshot
from helioloop_worker.loop import running_ingestions
from helioloop_worker.loop.checked import read_checked
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.retrain_check import FOLLOW_UP, check_retraining
from helioloop_worker.loop.round_requests import requests
from helioloop_worker.loop.writeback import write_back

Data = dict[str, dict[str, str]]


def add_old_event(loop_project: LoopProject, events: int = 1) -> None:
    """Add events that have waited long enough."""
    loop_project.context.state.add_events(loop_project.id, events, now=time.time() - SETTLED)


def check(loop_project: LoopProject, *, forced: bool = False) -> str:
    """Make the check alone, without the planning that it may request."""
    return check_retraining(loop_project.context, loop_project.id, forced=forced)


def test_events_that_are_not_due_wait(loop_project: LoopProject, task_data: Data) -> None:
    """The check is scheduled for the time at which they are due; nothing is read and nothing settled."""
    loop_project.import_cubes(task_data)
    loop_project.context.state.add_events(loop_project.id, 1, now=time.time())
    assert "the check follows in" in check(loop_project)
    assert loop_project.scheduled() == [f"retrain-check-{loop_project.id}"]
    assert loop_project.context.state.pending_events(loop_project.id) is not None
    assert requests(loop_project.context, loop_project.id) == set()
    assert read_checked(loop_project.model_dir) is None


def test_a_check_decides_and_leaves_the_work_to_planning(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens no cube; it sends one planning job; until a round has begun nothing is settled or recorded."""
    tasks = loop_project.import_cubes(task_data)
    first = loop_project.publish()
    loop_project.label_studio.annotate(tasks["cube00"], "emergence")
    add_old_event(loop_project)
    monkeypatch.setattr(Loader, "__call__", lambda *_: pytest.fail("the check opened a cube"))
    assert check(loop_project) == f"a round is requested: 1 label differs from those {first} was trained on"
    assert loop_project.queued() == [f"plan-round-{loop_project.id}"]
    assert loop_project.job(f"plan-round-{loop_project.id}").origin == "helioloop-train"
    assert check(loop_project) == "a round is being planned"
    assert loop_project.queued() == [f"plan-round-{loop_project.id}"]
    assert loop_project.context.state.pending_events(loop_project.id) is not None
    assert read_checked(loop_project.model_dir) is None
    assert loop_project.context.state.running(loop_project.id) is None


def test_start_training_waits_for_no_quiet(loop_project: LoopProject, task_data: Data) -> None:
    """A round runs though the last event is a moment old and no label has changed; it is the same round again."""
    loop_project.import_cubes(task_data)
    version = loop_project.publish()
    loop_project.context.state.add_events(loop_project.id, 1, now=time.time())
    assert loop_project.check(forced=True).startswith("round started")
    running = loop_project.context.state.running(loop_project.id)
    assert running is not None
    assert running.fingerprint == loop_project.registry.card(version).fingerprint


def test_no_round_is_requested_on_half_a_release(loop_project: LoopProject, task_data: Data) -> None:
    """A forced check is kept until the ingestion has ended; the check that follows an ingestion covers all others."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    with running_ingestions.marked(loop_project.context, loop_project.id, "more", silent):
        assert "is being ingested" in check(loop_project)
        assert requests(loop_project.context, loop_project.id) == set()
        assert "is being ingested" in check(loop_project, forced=True)
        assert reconcile(loop_project.context, loop_project.id).done[:-1] == ()
        assert loop_project.check() == "a release is being ingested; planning follows it"
        assert loop_project.context.state.running(loop_project.id) is None
    assert requests(loop_project.context, loop_project.id) == {"forced"}
    assert loop_project.check().startswith('round started: somebody pressed "Start training"')


def test_an_ingestion_that_was_killed_does_not_stop_checks_for_ever(loop_project: LoopProject, task_data: Data) -> None:
    """Its mark counts for some minutes."""
    loop_project.import_cubes(task_data)
    killed_at = time.time() - running_ingestions.MARK_SECONDS
    loop_project.context.connection.hset(running_ingestions._marks(loop_project.id), "more", str(killed_at))
    assert loop_project.check().startswith("round started")


def test_a_check_during_a_round_requests_a_follow_up_run(loop_project: LoopProject, task_data: Data) -> None:
    """There is one follow-up run, forced if any check was; nothing is recorded."""
    loop_project.import_cubes(task_data)
    loop_project.context.state.begin(loop_project.id, "ab" * 32, now=time.time())
    for forced in (False, True, False):
        assert check(loop_project, forced=forced) == "a round runs; the next check follows it"
    assert read_checked(loop_project.model_dir) is None
    assert loop_project.context.state.end(loop_project.id, "ab" * 32) == FollowUp(forced=True)


def test_too_few_labels_are_checked_again_only_after_a_change(loop_project: LoopProject, task_data: Data) -> None:
    """Nothing is planned and the events are settled; a reconciliation sends a check once there are other labels."""
    tasks = loop_project.import_cubes(task_data, ["cube00", "cube01", "cube02"])
    loop_project.label_studio.annotate(tasks["cube00"], "emergence")
    add_old_event(loop_project)
    assert check(loop_project).startswith("no round: ")
    assert requests(loop_project.context, loop_project.id) == set()
    assert loop_project.context.state.pending_events(loop_project.id) is None
    assert reconcile(loop_project.context, loop_project.id).done == ()
    assert loop_project.queued() == []
    loop_project.label_studio.annotate(tasks["cube01"], "emergence")
    reconcile(loop_project.context, loop_project.id)
    assert loop_project.queued() == [f"retrain-check-{loop_project.id}"]
    assert check(loop_project).startswith("no round: ")
    loop_project.clear_queues()
    assert reconcile(loop_project.context, loop_project.id).done == ()
    loop_project.import_cubes(task_data, ["cube03"])  # changes no annotation
    reconcile(loop_project.context, loop_project.id)
    assert loop_project.queued() == [f"retrain-check-{loop_project.id}"]


def test_a_check_that_breaks_off_is_repeated(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio fails in the middle: the events stay, reconciliation sends a check, and that starts the round."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish()
    check(loop_project)
    loop_project.label_studio.annotate(tasks["cube00"], "emergence")
    add_old_event(loop_project)

    def fails(project: int, *_: object) -> Any:
        raise LabelStudioError(f"reading the tasks of project {project}: no answer")

    with monkeypatch.context() as broken:
        broken.setattr(loop_project.label_studio, "tasks", fails)
        broken.setattr(loop_project.label_studio, "changed_tasks", fails)
        with pytest.raises(LabelStudioError):
            check(loop_project)
    assert loop_project.context.state.pending_events(loop_project.id) is not None
    assert read_checked(loop_project.model_dir) == {}
    reconcile(loop_project.context, loop_project.id)
    assert f"retrain-check-{loop_project.id}" in [*loop_project.queued(), *loop_project.scheduled()]
    assert loop_project.check().startswith("round started")


def test_unchanged_labels_request_nothing_and_clear_up(loop_project: LoopProject, task_data: Data) -> None:
    """A human agreed with the crude label; the staging folder of an abandoned round is deleted."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish()
    loop_project.registry.staging("ab" * 32)
    loop_project.label_studio.annotate(tasks["cube01"], "emergence")
    assert check(loop_project).startswith("no round: no label differs")
    assert list((loop_project.model_dir / "staging").iterdir()) == []


def test_few_changed_labels_are_checked_again_until_the_pause_is_over(
    loop_project: LoopProject, task_data: Data
) -> None:
    """The check removes the events and records nothing, so reconciliation sends the next check."""
    loop_project.context.settings.retrain_changed = 2
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish()
    loop_project.label_studio.annotate(tasks["cube00"], "emergence")
    add_old_event(loop_project)
    assert check(loop_project).startswith("no round yet: 1 label differs")
    assert requests(loop_project.context, loop_project.id) == set()
    assert loop_project.context.state.pending_events(loop_project.id) is None
    assert (
        "annotations differ from those of the last check: checking"
        in reconcile(loop_project.context, loop_project.id).done
    )
    loop_project.context.settings.retrain_pause_seconds = 0.0
    assert check(loop_project).startswith("a round is requested: 1 label differs")


def test_answers_are_read_and_written_back_while_a_round_runs(loop_project: LoopProject, task_data: Data) -> None:
    """The snapshot has the correction, and a write-back changes the score; without a new answer none is sent."""
    tasks = loop_project.import_cubes(task_data)
    version = loop_project.publish(p_emergence=0.75)
    write_back(loop_project.context, loop_project.id, version, report=silent)
    assert loop_project.check(forced=True).startswith("round started")
    loop_project.clear_queues()
    assert check(loop_project) == FOLLOW_UP
    assert loop_project.queued() == []
    loop_project.label_studio.annotate(tasks["cube00"], "emergence")
    assert check(loop_project) == FOLLOW_UP
    snapshot = Snapshot.read(loop_project.model_dir)
    assert snapshot is not None
    assert snapshot.cubes["cube00"].verified
    assert [name for name in loop_project.queued() if "write" in name] != []
    write_back(loop_project.context, loop_project.id, version, report=silent)
    scores = {row.task: row.score for row in loop_project.label_studio.predictions(loop_project.id)}
    assert scores[tasks["cube00"]] == 0.75
    loop_project.clear_queues()
    assert check(loop_project) == FOLLOW_UP
    assert loop_project.queued() == []
