"""Clocks that were ahead and were put right: what was written meanwhile blocks nothing until that moment."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rq.serializers import JSONSerializer
from tests.worker.conftest import LoopProject

from helioloop.messaging import queues
from helioloop.messaging.event_intake import EventIntake
from helioloop.progress import silent
from helioloop_worker.loop import announcing, running_ingestions
from helioloop_worker.loop.locks import exclusive
from helioloop_worker.loop.planning import plan_round
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.retrain_check import check_retraining
from helioloop_worker.loop.round_requests import requests, was_fulfilled
from helioloop_worker.loop.running_ingestions import ingesting
from helioloop_worker.serving.role_workers import ScoringWorker, TrainingWorker
from helioloop_worker.serving.scheduler import LoopScheduler

DAY = 86400.0
SAID = "in the future by this machine's clock, so it does not count"


@contextmanager
def clock(monkeypatch: pytest.MonkeyPatch, ahead: float) -> Iterator[None]:
    """Let the clock of this machine be ahead, by seconds."""
    whole = time.time
    with monkeypatch.context() as other:
        other.setattr(time, "time", lambda: whole() + ahead)
        yield


def start_training(loop_project: LoopProject, requested_at: float) -> str:
    """Press "Start training" at a time, and return what the check says."""
    return check_retraining(loop_project.context, loop_project.id, forced=True, requested_at=requested_at)


@pytest.mark.usefixtures("tasks")
def test_start_training_is_heard_after_one_that_was_fulfilled_while_the_clock_was_ahead(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once it is fulfilled, too, an older request does not come back."""
    context, project = loop_project.context, loop_project.id
    with clock(monkeypatch, DAY):
        start_training(loop_project, time.time())
        assert plan_round(context, project, report=silent).startswith("round started")
        running = context.state.running(project)
        assert running is not None
        context.state.end(project, running.fingerprint)
    loop_project.clear_queues()
    pressed_at = time.time()
    assert start_training(loop_project, pressed_at) == 'a round is requested: somebody pressed "Start training"'
    assert requests(context, project) == {"forced"}
    assert "the last fulfilled request for training" in caplog.text
    assert SAID in caplog.text
    plan_round(context, project, report=silent)
    assert was_fulfilled(context, project, pressed_at)
    assert not was_fulfilled(context, project, time.time() + 5.0)


@pytest.mark.usefixtures("tasks")
def test_start_training_that_a_backend_with_a_late_clock_has_sent_is_not_passed_over_in_silence(
    loop_project: LoopProject,
) -> None:
    """By its time a round has fulfilled it half an hour ago, as one that comes back with an older state of Redis."""
    context, project = loop_project.context, loop_project.id
    start_training(loop_project, time.time())
    plan_round(context, project, report=silent)
    running = context.state.running(project)
    assert running is not None
    context.state.end(project, running.fingerprint)
    loop_project.clear_queues()
    said = start_training(loop_project, time.time() - 3600.0)
    assert said.startswith("no round")
    assert "the clock of the backend's machine is behind, which `helioloop doctor` shows" in said


@pytest.mark.usefixtures("tasks")
def test_a_round_whose_worker_died_while_the_clock_was_ahead_is_resumed(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    context, project = loop_project.context, loop_project.id
    with clock(monkeypatch, DAY):
        start_training(loop_project, time.time())
        plan_round(context, project, report=silent)
    loop_project.clear_queues()
    (done,) = reconcile(context, project).done
    assert done.endswith("failed: a worker was lost; it is resumed")
    assert "the last heartbeat of round" in caplog.text
    running = context.state.running(project)
    assert running is not None
    assert running.heartbeat_at == pytest.approx(time.time(), abs=30.0)


@pytest.mark.parametrize("ahead", [-100.0, 5.0, 50.0])
@pytest.mark.usefixtures("tasks")
def test_a_round_on_a_machine_whose_clock_is_seconds_ahead_runs(loop_project: LoopProject, ahead: float) -> None:
    """Its jobs may be running there before Redis lists them."""
    context, project = loop_project.context, loop_project.id
    start_training(loop_project, time.time())
    plan_round(context, project, report=silent)
    running = context.state.running(project)
    assert running is not None
    loop_project.clear_queues()
    context.state.heartbeat(project, running.fingerprint, now=time.time() + ahead)
    assert reconcile(context, project).done == ()


def test_an_ingestion_killed_while_the_clock_was_ahead_counts_as_running_for_minutes(
    loop_project: LoopProject,
    tasks: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """From when it is seen first: it may run on a machine whose clock is still ahead."""
    context, project = loop_project.context, loop_project.id
    context.connection.hset(f"helioloop:ingesting:{project}", "made", str(time.time() + DAY))
    loop_project.label_studio.annotate(tasks["cube01"], "non-emergence")
    assert loop_project.check() == "a release is being ingested; the check follows it"
    assert loop_project.check() == "a release is being ingested; the check follows it"
    assert caplog.text.count("the last sign of the ingestion of made has the time") == 1
    with clock(monkeypatch, running_ingestions.MARK_SECONDS + 10.0):
        assert not ingesting(context, project)
        assert check_retraining(context, project, forced=False).startswith("a round is requested")


def test_an_ingestion_that_ended_meanwhile_is_not_marked_again(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, project = loop_project.context, loop_project.id
    key = f"helioloop:ingesting:{project}"
    context.connection.hset(key, "made", str(time.time() + DAY))

    def ends(*_: Any) -> str:
        context.connection.hdel(key, "made")
        return ""

    monkeypatch.setattr(running_ingestions, "ahead_sentence", ends)
    assert ingesting(context, project)
    assert not ingesting(context, project)


@pytest.mark.parametrize("by", ["the check", "reconciliation"])
def test_events_counted_while_the_clock_was_ahead_are_checked_now(
    loop_project: LoopProject, tasks: dict[str, int], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """And not on the day that they are of; reconciliation sends the check."""
    context, project = loop_project.context, loop_project.id
    loop_project.label_studio.annotate(tasks["cube01"], "non-emergence")
    with clock(monkeypatch, DAY):
        EventIntake(context.connection, context.settings).take_in(project, 1)
    if by == "reconciliation":
        context.connection.zadd("rq:scheduled:helioloop-maintenance", {f"retrain-check-{project}": time.time() + DAY})
        reconcile(context, project)
        due = context.connection.zscore("rq:scheduled:helioloop-maintenance", f"retrain-check-{project}")
        assert due == pytest.approx(time.time(), abs=30.0)
    assert check_retraining(context, project, forced=False).startswith("a round is requested")


@pytest.mark.parametrize("pause_seconds", [0.0, 1800.0])
def test_an_annotation_stamped_in_the_future_does_not_delay_a_round(
    loop_project: LoopProject, tasks: dict[str, int], caplog: pytest.LogCaptureFixture, pause_seconds: float
) -> None:
    """The pause counts from the newest annotation with a possible time."""
    settings = loop_project.context.settings
    settings.__dict__.update(retrain_changed=10, retrain_pause_seconds=pause_seconds)
    fake = loop_project.label_studio
    for cube, days in (("cube01", 48.0), ("cube03", -0.001)):
        _, annotation = fake._annotation(fake.annotate(tasks[cube], "non-emergence"))
        annotation["updated_at"] = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    said = check_retraining(loop_project.context, loop_project.id, forced=False)
    assert said.startswith("a round is requested: 2 labels" if pause_seconds == 0.0 else "no round yet: 2 labels")
    assert "the newest annotation in Label Studio has the time" in caplog.text


@pytest.mark.parametrize(("age", "recent"), [(10.0, True), (-10.0, True), (700.0, False), (-DAY, False)])
def test_a_report_made_while_the_clock_was_ahead_is_made_again(
    loop_project: LoopProject, age: float, recent: bool
) -> None:
    path = announcing.report_path(loop_project.context, loop_project.id)
    path.parent.mkdir(parents=True)
    path.write_text("")
    os.utime(path, (time.time() - age,) * 2)
    assert announcing.has_recent_report(loop_project.context, loop_project.id) is recent


@pytest.mark.parametrize("kind", [ScoringWorker, TrainingWorker])
@pytest.mark.parametrize(("age", "due"), [(None, True), (1.0, False), (-20.0, False), (400.0, True), (-DAY, True)])
def test_a_worker_that_started_while_the_clock_was_ahead_reconciles(
    loop_project: LoopProject, kind: type[ScoringWorker | TrainingWorker], age: float | None, due: bool
) -> None:
    worker = kind(["helioloop-maintenance"], connection=loop_project.context.connection, maintenance_interval=300)
    worker.last_cleaned_at = None if age is None else datetime.now(UTC) - timedelta(seconds=age)
    assert worker.should_run_maintenance_tasks is due


@pytest.mark.usefixtures("tasks")
def test_a_reconciliation_whose_worker_died_while_the_clock_of_redis_was_ahead_is_repeated_in_a_minute(
    loop_project: LoopProject, caplog: pytest.LogCaptureFixture
) -> None:
    connection, key = loop_project.context.connection, f"helioloop:reconciling:{loop_project.id}"
    connection.set(key, "dead", ex=3 * int(DAY))
    reconcile(loop_project.context, loop_project.id)
    assert 0 < connection.ttl(key) <= 60
    assert f"({key}) and is written for 1 min at most" in caplog.text


def test_a_lock_taken_while_the_clock_of_redis_was_ahead_is_free_after_its_time(loop_project: LoopProject) -> None:
    """So the next write-back, which waits longer than that, is made; it failed until the moment came."""
    connection = loop_project.context.connection
    connection.set("writer", "dead", ex=3 * int(DAY))
    with exclusive(connection, "writer", held_seconds=1.0, wait_seconds=10.0, busy="busy", lost="lost") as lock:
        assert lock.owned()


def test_jobs_that_are_due_start_after_a_scheduler_died_while_the_clock_of_redis_was_ahead(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retrain check waits for its quiet minute and a failed job for its pause: both wait for a scheduler."""
    monkeypatch.setattr("helioloop_worker.serving.scheduler.RQ_LOCK_SECONDS", 0)
    connection = loop_project.context.connection
    queue = queues.queue(connection, "helioloop-maintenance")
    connection.set("rq:scheduler-lock:helioloop-maintenance", "dead", ex=3 * int(DAY))
    scheduler = LoopScheduler([queue], connection=connection, serializer=JSONSerializer)
    assert scheduler.acquire_locks() == set()
    time.sleep(scheduler.interval + 0.1)
    assert scheduler.acquire_locks() == {"helioloop-maintenance"}


def test_the_lists_of_a_queue_are_cleaned_after_a_worker_died_while_the_clock_of_redis_was_ahead(
    loop_project: LoopProject,
) -> None:
    connection = loop_project.context.connection
    worker = maintained(loop_project, every_seconds=300)
    key = "rq:clean_registries:helioloop-train"
    connection.set(key, 1, ex=3 * int(DAY))
    worker.maintain()
    assert 0 < connection.ttl(key) <= 899


def test_a_worker_that_reconciles_more_often_than_the_one_before_doubts_no_clock(
    loop_project: LoopProject, caplog: pytest.LogCaptureFixture
) -> None:
    """What rq writes at each maintenance lasts until the next one, as long as the worker that wrote it had it set."""
    maintained(loop_project, every_seconds=3600).maintain()
    assert loop_project.context.connection.ttl("rq:clean_groups") > 300
    maintained(loop_project, every_seconds=20).maintain()
    assert "clock" not in caplog.text


def maintained(loop_project: LoopProject, *, every_seconds: int) -> TrainingWorker:
    """Return a worker of training, whose queues it maintains when it is asked to."""
    connection = loop_project.context.connection
    worker = TrainingWorker(["helioloop-train"], connection=connection, maintenance_interval=every_seconds)
    worker.settings = loop_project.context.settings
    return worker
