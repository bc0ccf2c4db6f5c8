"""Judgements: when they wait, what they start, and that one which breaks off is made again."""

import time
from typing import Any

import pytest
from tests.worker.conftest import SETTLED, Desk

from helioloop.errors import LabelStudioError
from helioloop.messaging.retrain_state import FollowUp
from helioloop.progress import silent
from helioloop_worker.loop import ingest, retrain_check
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.retrain_check import check_retraining, read_checked

Data = dict[str, dict[str, str]]


def note_old_event(desk: Desk, events: int = 1) -> None:
    """Note events that have waited long enough."""
    desk.context.state.add_events(desk.project, events, now=time.time() - SETTLED)


def test_events_that_are_not_due_wait(desk: Desk, task_data: Data) -> None:
    """The judgement moves itself to the time at which they are; nothing is read, nothing settled."""
    desk.import_cubes(task_data)
    desk.context.state.add_events(desk.project, 1, now=time.time())
    assert "judging in" in check_retraining(desk.context, desk.project, forced=False)
    assert desk.scheduled() == [f"retrain-check-{desk.project}"]
    assert desk.context.state.pending_events(desk.project) is not None
    assert desk.context.state.running(desk.project) is None
    assert read_checked(desk.model_dir) is None


def test_due_events_start_a_round_and_are_settled(desk: Desk, task_data: Data) -> None:
    """A label was changed: the round knows the new one, and the annotation counts as judged."""
    tasks = desk.import_cubes(task_data)
    first = desk.publish()
    annotation = desk.label_studio.annotate(tasks["cube00"], "emergence")
    note_old_event(desk)
    said = check_retraining(desk.context, desk.project, forced=False)
    assert said == f"round started: 1 labels differ from those {first} was trained on"
    running = desk.context.state.running(desk.project)
    assert running is not None
    assert running.fingerprint != desk.registry.card(first).fingerprint
    assert desk.context.state.pending_events(desk.project) is None
    assert set(read_checked(desk.model_dir) or {}) == {str(annotation)}


def test_events_during_the_judgement_stay(desk: Desk, task_data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what had come before the annotations were read is settled."""
    desk.import_cubes(task_data)
    note_old_event(desk)
    whole = retrain_check.read_project

    def reads(*args: Any, **kwargs: Any) -> Any:
        desk.context.state.add_events(desk.project, 3, now=time.time())
        return whole(*args, **kwargs)

    monkeypatch.setattr(retrain_check, "read_project", reads)
    check_retraining(desk.context, desk.project, forced=False)
    left = desk.context.state.pending_events(desk.project)
    assert left is not None
    assert left.count == 3


def test_start_training_waits_for_no_quiet(desk: Desk, task_data: Data) -> None:
    """A round runs though the last event is a moment old and no label has changed; it is the same round again."""
    desk.import_cubes(task_data)
    version = desk.publish()
    desk.context.state.add_events(desk.project, 1, now=time.time())
    assert check_retraining(desk.context, desk.project, forced=True).startswith("round started")
    running = desk.context.state.running(desk.project)
    assert running is not None
    assert running.fingerprint == desk.registry.card(version).fingerprint


def test_no_judgement_on_half_a_release(desk: Desk, task_data: Data) -> None:
    """Only a forced judgement comes back by itself while a release is taken in: a patient one follows the ingestion."""
    desk.import_cubes(task_data)
    with ingest._marked(desk.context, desk.project, "more", silent):
        for forced in (False, True):
            assert "is being taken in" in check_retraining(desk.context, desk.project, forced=forced)
        assert reconcile(desk.context, desk.project).done == ()
    assert desk.scheduled() == [f"retrain-check-{desk.project}-forced"]
    assert desk.job(f"retrain-check-{desk.project}-forced").kwargs == {"project": desk.project, "forced": True}
    assert desk.context.state.running(desk.project) is None


def test_an_ingestion_that_was_killed_holds_no_judgement_up_for_ever(desk: Desk, task_data: Data) -> None:
    """Its mark counts for some minutes."""
    desk.import_cubes(task_data)
    killed_at = time.time() - ingest.MARK_SECONDS
    desk.context.connection.hset(ingest._marks(desk.project), "more", str(killed_at))
    assert check_retraining(desk.context, desk.project, forced=False).startswith("round started")


def test_a_judgement_during_a_round_is_a_wish(desk: Desk, task_data: Data) -> None:
    """One wish is kept, forced if any was; nothing counts as judged."""
    desk.import_cubes(task_data)
    desk.context.state.begin(desk.project, "ab" * 32, now=time.time())
    for forced in (False, True, False):
        assert (
            check_retraining(desk.context, desk.project, forced=forced) == "a round runs; one more is judged after it"
        )
    assert read_checked(desk.model_dir) is None
    assert desk.context.state.end(desk.project, "ab" * 32) == FollowUp(forced=True)


def test_a_round_that_began_meanwhile_is_not_run_over(
    desk: Desk, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker was faster: this judgement becomes a wish, and what it read is not judged."""
    desk.import_cubes(task_data)
    note_old_event(desk)
    whole = retrain_check.read_project

    def reads(*args: Any, **kwargs: Any) -> Any:
        desk.context.state.begin(desk.project, "ab" * 32, now=time.time())
        return whole(*args, **kwargs)

    monkeypatch.setattr(retrain_check, "read_project", reads)
    assert check_retraining(desk.context, desk.project, forced=False) == "a round runs; one more is judged after it"
    assert read_checked(desk.model_dir) is None
    assert desk.context.state.pending_events(desk.project) is not None
    assert desk.context.state.end(desk.project, "ab" * 32) == FollowUp(forced=False)
    assert desk.queued() == []


def test_too_few_labels_are_said_and_looked_at_again(desk: Desk, task_data: Data) -> None:
    """Nothing runs and the events are settled; until there is a model each sweep has the project judged."""
    tasks = desk.import_cubes(task_data, ["cube00", "cube01", "cube02"])
    desk.label_studio.annotate(tasks["cube00"], "emergence")
    note_old_event(desk)
    assert check_retraining(desk.context, desk.project, forced=False).startswith("no round: ")
    assert desk.context.state.running(desk.project) is None
    assert desk.context.state.pending_events(desk.project) is None
    reconcile(desk.context, desk.project)
    assert desk.queued() == [f"retrain-check-{desk.project}"]


def test_a_judgement_that_breaks_off_is_made_again(
    desk: Desk, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio fails in the middle: the events stay, the sweep sends a judgement, and that starts the round."""
    tasks = desk.import_cubes(task_data)
    desk.publish()
    check_retraining(desk.context, desk.project, forced=False)
    desk.label_studio.annotate(tasks["cube00"], "emergence")
    note_old_event(desk)

    def fails(project: int) -> Any:
        raise LabelStudioError(f"reading the tasks of project {project}: no answer")

    with monkeypatch.context() as broken:
        broken.setattr(desk.label_studio, "tasks", fails)
        with pytest.raises(LabelStudioError):
            check_retraining(desk.context, desk.project, forced=False)
    assert desk.context.state.pending_events(desk.project) is not None
    assert read_checked(desk.model_dir) == {}
    reconcile(desk.context, desk.project)
    assert f"retrain-check-{desk.project}" in [*desk.queued(), *desk.scheduled()]
    assert check_retraining(desk.context, desk.project, forced=False).startswith("round started")


def test_a_judgement_that_breaks_off_without_events_is_made_again(
    desk: Desk, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No webhook came and the round could not be planned: what was read does not count as judged."""
    tasks = desk.import_cubes(task_data)
    desk.publish()
    check_retraining(desk.context, desk.project, forced=False)
    desk.label_studio.annotate(tasks["cube00"], "emergence")

    def fails(*_: object, **__: object) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(retrain_check.rounds, "start", fails)
        with pytest.raises(OSError, match="No space"):
            check_retraining(desk.context, desk.project, forced=False)
    assert "annotations differ from those last judged: judging" in reconcile(desk.context, desk.project).done
    assert check_retraining(desk.context, desk.project, forced=False).startswith("round started")


def test_unchanged_labels_start_nothing_and_clear_up(desk: Desk, task_data: Data) -> None:
    """A human agreed with the crude label; what an abandoned round left in staging goes."""
    tasks = desk.import_cubes(task_data)
    desk.publish()
    desk.registry.staging("ab" * 32)
    desk.label_studio.annotate(tasks["cube01"], "emergence")
    assert check_retraining(desk.context, desk.project, forced=False).startswith("no round: no label differs")
    assert list((desk.model_dir / "staging").iterdir()) == []


def test_a_change_that_training_could_not_see_starts_nothing(desk: Desk, task_data: Data) -> None:
    """A newly verified cube whose file is gone is left out of the plan: the fingerprint is the last one's."""
    desk.import_cubes(task_data)
    version = desk.publish()
    (task,) = desk.label_studio.import_tasks(
        desk.project, [{**task_data["cube00"], "cube": "gone", "sha256": "0" * 64}]
    )
    desk.label_studio.annotate(task, "emergence")
    said = check_retraining(desk.context, desk.project, forced=False)
    assert said == f"no round: labels, data, recipe and code are those of {version}"
    assert desk.context.state.running(desk.project) is None
