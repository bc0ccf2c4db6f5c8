"""Jobs that cannot succeed: each kind is tried again after pauses, then parked with its reason, and put back."""

import errno
import time
from dataclasses import replace

import pytest
from rq.executions import Execution
from rq.job import JobStatus
from rq.timeouts import JobTimeoutException
from tests.worker.conftest import LoopProject, work
from tests.worker.loop.failed_jobs import KINDS, breaks, let_pauses_end, park

from helioloop.errors import (
    LabelStudioError,
    RegistryError,
    ReleaseError,
    ServiceError,
    TooFewLabels,
)
from helioloop.messaging import messages, queues
from helioloop.messaging.job_failures import PARKED_SECONDS, JobFailures
from helioloop.registry.last_check import read_last_check
from helioloop_worker import jobs
from helioloop_worker.loop.ingest import Ingested
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.round_requests import request_round
from helioloop_worker.reports.status_reading import read_status
from helioloop_worker.serving.role_workers import ScoringWorker


@pytest.mark.parametrize("name", KINDS)
def test_a_job_that_cannot_succeed_is_tried_four_times(
    settled: LoopProject, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whoever sends it how often: it is not run in a pause, and not once it is parked; a success forgets all."""
    message, connection = KINDS[name](settled.id), settled.context.connection
    attempts = breaks(monkeypatch, name, PermissionError("the disk is read-only"))
    for _ in range(8):
        queues.send(connection, message)
        work(settled)
        work(settled)  # nothing that is due now
        let_pauses_end(settled)
        settled.clear_queues()
    assert attempts == [settled.id] * 4
    (job,) = read_status(settled.registry, project=settled.id, settings=settled.context.settings).services.failing_jobs  # type: ignore[union-attr]
    assert (job.parked, job.failures, job.reason) == (True, 4, "PermissionError: the disk is read-only")
    assert queues.send(connection, message, anew=True)
    monkeypatch.setitem(jobs.FUNCTIONS, message.job, lambda *_, **__: None)  # type: ignore[arg-type]
    work(settled)
    assert JobFailures(connection).all(settled.id) == []


def wrapped() -> RegistryError:
    """A sentence that replaces the error of a disk."""
    error = RegistryError("scores.parquet cannot be written")
    error.__context__ = OSError(errno.EDQUOT, "Disk quota exceeded")  # as `raise ... from None` sets it
    return error


@pytest.mark.parametrize(
    "error",
    [
        LabelStudioError("Label Studio did not answer", may_pass=True),
        ServiceError("another process writes", may_pass=True),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.ESTALE, "Stale file handle"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        JobTimeoutException("Task exceeded maximum timeout value (1800 seconds)"),
        wrapped(),
    ],
)
def test_an_outage_parks_no_job(settled: LoopProject, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """It is tried at each reconciliation, as long as the outage lasts."""
    attempts = breaks(monkeypatch, "make_report", error)
    queues.send(settled.context.connection, messages.MakeReport(project=settled.id))
    for _ in range(7):
        work(settled)
        let_pauses_end(settled)
        assert "report-1 failed" in " ".join(reconcile(settled.context, settled.id).done)
    assert len(attempts) == 7
    assert not any(known.is_parked for known in JobFailures(settled.context.connection).failing(settled.id))


def test_a_job_that_nothing_else_sends_is_repeated_by_reconciliation(
    settled: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """“Start training” whose check failed: its one message would be lost with the job."""
    check = messages.RetrainCheck(project=settled.id, forced=True)
    with monkeypatch.context() as broken:
        breaks(broken, "check_retraining", OSError("no space"))
        queues.send(settled.context.connection, check)
        work(settled)
    assert reconcile(settled.context, settled.id).done == ()  # in its pause
    let_pauses_end(settled)
    assert reconcile(settled.context, settled.id).done == (f"{check.job_id} failed once: trying it again",)
    work(settled, messages.QUEUE_MAINTENANCE)
    assert f"plan-round-{settled.id}" in settled.queued()
    assert JobFailures(settled.context.connection).all(settled.id) == []


def test_a_job_of_a_killed_worker_is_repeated_by_reconciliation(settled: LoopProject) -> None:
    """Killed between the start of a forced check and its request for a round."""
    connection, check = settled.context.connection, messages.RetrainCheck(project=settled.id, forced=True)
    queues.send(connection, check)
    job = settled.job(check.job_id)
    queues.queue(connection, check.queue).remove(job.id)
    with connection.pipeline() as pipeline:  # as a worker does that starts the job
        job.set_status(JobStatus.STARTED, pipeline=pipeline)
        Execution.create(job, 60, pipeline)
        pipeline.execute()
    JobFailures(connection).begin(check)
    assert reconcile(settled.context, settled.id).done == ()
    registry = f"rq:wip:{check.queue}"
    connection.zadd(registry, {entry: time.time() - 1 for entry in connection.zrange(registry, 0, -1)})
    assert reconcile(settled.context, settled.id).done == (f"{check.job_id} lost its worker: trying it again",)
    assert check.job_id in settled.queued()


def test_an_ingestion_that_refuses_its_release_is_not_repeated(
    settled: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked for it corrects the release and asks again."""
    attempts = breaks(monkeypatch, "ingest", ReleaseError("labels.csv has no column label"))
    for _ in range(6):
        queues.send(settled.context.connection, messages.Ingest(project=settled.id, release="r"))
        work(settled)
        assert reconcile(settled.context, settled.id).done == ()
    assert len(attempts) == 6
    assert JobFailures(settled.context.connection).all(settled.id) == []


def test_a_parked_planning_is_named_and_an_ingestion_puts_it_back(
    settled: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few cubes could be read; the release is mended and ingested again, and the requested round starts."""
    context, check = settled.context, messages.RetrainCheck(project=settled.id)
    request_round(context, settled.id, forced=True)
    settled.clear_queues()
    park(settled, monkeypatch, "plan_round", TooFewLabels("20 of 24 cubes cannot be read"))
    park(settled, monkeypatch, "score", OSError("the cache is gone"))
    queues.send(context.connection, check)
    work(settled, check.queue)
    last = read_last_check(settled.model_dir)
    assert last is not None
    assert last.outcome == (
        "a round is requested and its planning is parked, because 20 of 24 cubes cannot be read; remove the cause, "
        "then press “Start training” or run `helioloop retry --project 1`"
    )
    monkeypatch.setattr(
        jobs.ingestion,
        "ingest",
        lambda *_, **__: Ingested(release="r", imported=0, present=0, excluded=(), warned=(), relabelled=()),
    )
    queues.send(context.connection, messages.Ingest(project=settled.id, release="r"))
    work(settled, messages.QUEUE_TRAIN)
    assert JobFailures(context.connection).failing(settled.id) == []
    work(settled, check.queue)
    assert f"plan-round-{settled.id}" in settled.queued()


def test_failures_of_versions_that_are_not_published_any_more_are_forgotten(
    settled: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody needs their write-back; a human who publishes them again asks for it anew."""
    park(settled, monkeypatch, "write_back", OSError("no space"))
    park(settled, monkeypatch, "score", OSError("no space"))
    park(settled, monkeypatch, "make_report", OSError("no space"))
    reconcile(settled.context, settled.id)
    assert len(JobFailures(settled.context.connection).failing(settled.id)) == 3
    settled.publish()
    reconcile(settled.context, settled.id)
    assert [known.key for known in JobFailures(settled.context.connection).failing(settled.id)] == ["report-1"]


def test_a_job_parked_for_hours_is_tried_again_without_a_start_of_a_worker(
    settled: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cause is gone, and nobody has run `helioloop retry`: corrections do not wait for ever."""
    connection, message = (
        settled.context.connection,
        park(settled, monkeypatch, "check_retraining", OSError("no space")),
    )
    worker = ScoringWorker([queues.queue(connection, message.queue)], connection=connection)
    worker.settings = settled.context.settings
    worker.run_maintenance_tasks()
    assert queues.is_parked(connection, message)
    JobFailures(connection)._change(
        settled.id, message.failure_key, lambda known: replace(known, parked_at=time.time() - PARKED_SECONDS)
    )
    worker.run_maintenance_tasks()
    work(settled, message.queue)
    work(settled, message.queue)
    assert JobFailures(connection).all(settled.id) == []
    assert settled.job(message.job_id).get_status() is JobStatus.FINISHED
