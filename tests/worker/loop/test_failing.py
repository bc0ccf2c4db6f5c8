"""Jobs that cannot succeed: each kind is tried again after pauses, then parked with its reason, and put back."""

import errno
import time
from collections.abc import Callable
from dataclasses import replace

import click
import pytest
from click.testing import CliRunner
from rq.executions import Execution
from rq.job import JobStatus
from rq.timeouts import JobTimeoutException
from tests.worker.conftest import LoopProject, work

from helioloop.errors import (
    LabelStudioError,
    MissingInLabelStudio,
    RegistryError,
    ReleaseError,
    ServiceError,
    TooFewLabels,
)
from helioloop.messaging import messages, queues, redis_client
from helioloop.messaging.job_failures import PARKED_SECONDS, JobFailures
from helioloop.messaging.messages import Message
from helioloop.progress import silent
from helioloop.records.cubes import CubeInfo
from helioloop.registry.last_check import read_last_check
from helioloop.registry.staging import MAX_ATTEMPTS, Staging
from helioloop_worker import jobs
from helioloop_worker.commands import retry as retry_command
from helioloop_worker.commands.project import commands as project_commands
from helioloop_worker.labelstudio.port import LabelStudio
from helioloop_worker.loop import reconcile as reconciling
from helioloop_worker.loop.ingest import Ingested
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.round_requests import request_round
from helioloop_worker.loop.writeback import write_back
from helioloop_worker.reports.status import status_lines
from helioloop_worker.reports.status_reading import read_status
from helioloop_worker.reports.verdict import find_all
from helioloop_worker.serving.role_workers import ScoringWorker, request_reconciliation

Data = dict[str, dict[str, str]]

CUBE = CubeInfo(release="r", name="A", sha256="a" * 64)
KINDS: dict[str, Callable[[int], Message]] = {
    "check_retraining": lambda project: messages.RetrainCheck(project=project),
    "plan_round": lambda project: messages.PlanRound(project=project),
    "write_back": lambda project: messages.WriteBack(project=project, version="v0001"),
    "ingest": lambda project: messages.Ingest(project=project, release="r"),
    "accept": lambda project: messages.Accept(project=project, release="r", rate=0.02, confidence=0.9),
    "make_report": lambda project: messages.MakeReport(project=project),
    "score": lambda project: messages.Score(project=project, version="v0001", cubes=(CUBE,)),
}
"""The kinds of jobs that are parked: all but reconciliation."""


@pytest.fixture
def project(loop_project: LoopProject, task_data: Data) -> LoopProject:
    """A project whose v0001 is published, written back and checked."""
    loop_project.import_cubes(task_data)
    write_back(loop_project.context, loop_project.id, loop_project.publish(), report=silent)
    loop_project.check()
    assert reconcile(loop_project.context, loop_project.id).done == ()
    return loop_project


def breaks(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> list[int]:
    """Let a kind of job fail with an error, and return the list to which each attempt adds its project."""
    attempts: list[int] = []

    def fails(_: object, project: int, **__: object) -> None:
        attempts.append(project)
        raise error

    monkeypatch.setitem(jobs.FUNCTIONS, f"helioloop_worker.jobs.{name}", fails)  # type: ignore[arg-type]
    return attempts


def let_pauses_end(project: LoopProject) -> None:
    """Let every job that failed be due, as after its pause."""
    failures = JobFailures(project.context.connection)
    for known in failures.all(project.id):
        if not known.is_parked and known.next_at > time.time():
            failures._change(project.id, known.key, lambda known: replace(known, next_at=time.time() - 1))


@pytest.mark.parametrize("name", KINDS)
def test_a_job_that_cannot_succeed_is_tried_four_times(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whoever sends it how often: it is not run in a pause, and not once it is parked; a success forgets all."""
    message, connection = KINDS[name](project.id), project.context.connection
    attempts = breaks(monkeypatch, name, PermissionError("the disk is read-only"))
    for _ in range(8):
        queues.send(connection, message)
        work(project)
        work(project)  # nothing that is due now
        let_pauses_end(project)
        project.clear_queues()
    assert attempts == [project.id] * 4
    (job,) = read_status(project.registry, project=project.id, settings=project.context.settings).services.failing_jobs  # type: ignore[union-attr]
    assert (job.parked, job.failures, job.reason) == (True, 4, "PermissionError: the disk is read-only")
    assert queues.send(connection, message, anew=True)
    monkeypatch.setitem(jobs.FUNCTIONS, message.job, lambda *_, **__: None)  # type: ignore[arg-type]
    work(project)
    assert JobFailures(connection).all(project.id) == []


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
def test_an_outage_parks_no_job(project: LoopProject, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """It is tried at each reconciliation, as long as the outage lasts."""
    attempts = breaks(monkeypatch, "make_report", error)
    queues.send(project.context.connection, messages.MakeReport(project=project.id))
    for _ in range(7):
        work(project)
        let_pauses_end(project)
        assert "report-1 failed" in " ".join(reconcile(project.context, project.id).done)
    assert len(attempts) == 7
    assert not any(known.is_parked for known in JobFailures(project.context.connection).failing(project.id))


def test_a_job_that_nothing_else_sends_is_repeated_by_reconciliation(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """“Start training” whose check failed: its one message would be lost with the job."""
    check = messages.RetrainCheck(project=project.id, forced=True)
    with monkeypatch.context() as broken:
        breaks(broken, "check_retraining", OSError("no space"))
        queues.send(project.context.connection, check)
        work(project)
    assert reconcile(project.context, project.id).done == ()  # in its pause
    let_pauses_end(project)
    assert reconcile(project.context, project.id).done == (f"{check.job_id} failed once: trying it again",)
    work(project, messages.QUEUE_MAINTENANCE)
    assert f"plan-round-{project.id}" in project.queued()
    assert JobFailures(project.context.connection).all(project.id) == []


def test_a_job_of_a_killed_worker_is_repeated_by_reconciliation(project: LoopProject) -> None:
    """Killed between the start of a forced check and its request for a round."""
    connection, check = project.context.connection, messages.RetrainCheck(project=project.id, forced=True)
    queues.send(connection, check)
    job = project.job(check.job_id)
    queues.queue(connection, check.queue).remove(job.id)
    with connection.pipeline() as pipeline:  # as a worker does that starts the job
        job.set_status(JobStatus.STARTED, pipeline=pipeline)
        Execution.create(job, 60, pipeline)
        pipeline.execute()
    JobFailures(connection).begin(check)
    assert reconcile(project.context, project.id).done == ()
    registry = f"rq:wip:{check.queue}"
    connection.zadd(registry, {entry: time.time() - 1 for entry in connection.zrange(registry, 0, -1)})
    assert reconcile(project.context, project.id).done == (f"{check.job_id} lost its worker: trying it again",)
    assert check.job_id in project.queued()


def test_an_ingestion_that_refuses_its_release_is_not_repeated(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked for it corrects the release and asks again."""
    attempts = breaks(monkeypatch, "ingest", ReleaseError("labels.csv has no column label"))
    for _ in range(6):
        queues.send(project.context.connection, messages.Ingest(project=project.id, release="r"))
        work(project)
        assert reconcile(project.context, project.id).done == ()
    assert len(attempts) == 6
    assert JobFailures(project.context.connection).all(project.id) == []


def park(project: LoopProject, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> Message:
    """Let a kind of job fail until it is parked, and return its message."""
    message = KINDS[name](project.id)
    with monkeypatch.context() as broken:
        breaks(broken, name, error)
        for _ in range(4):
            queues.send(project.context.connection, message)
            work(project, message.queue)
            let_pauses_end(project)
    assert queues.is_parked(project.context.connection, message)
    return message


def test_a_parked_planning_is_named_and_an_ingestion_puts_it_back(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few cubes could be read; the release is mended and ingested again, and the requested round starts."""
    context, check = project.context, messages.RetrainCheck(project=project.id)
    request_round(context, project.id, forced=True)
    project.clear_queues()
    park(project, monkeypatch, "plan_round", TooFewLabels("20 of 24 cubes cannot be read"))
    park(project, monkeypatch, "score", OSError("the cache is gone"))
    queues.send(context.connection, check)
    work(project, check.queue)
    last = read_last_check(project.model_dir)
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
    queues.send(context.connection, messages.Ingest(project=project.id, release="r"))
    work(project, messages.QUEUE_TRAIN)
    assert JobFailures(context.connection).failing(project.id) == []
    work(project, check.queue)
    assert f"plan-round-{project.id}" in project.queued()


def test_failures_of_versions_that_are_not_published_any_more_are_forgotten(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody needs their write-back; a human who publishes them again asks for it anew."""
    park(project, monkeypatch, "write_back", OSError("no space"))
    park(project, monkeypatch, "score", OSError("no space"))
    park(project, monkeypatch, "make_report", OSError("no space"))
    reconcile(project.context, project.id)
    assert len(JobFailures(project.context.connection).failing(project.id)) == 3
    project.publish()
    reconcile(project.context, project.id)
    assert [known.key for known in JobFailures(project.context.connection).failing(project.id)] == ["report-1"]


def test_a_job_parked_for_hours_is_tried_again_without_a_start_of_a_worker(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cause is gone, and nobody has run `helioloop retry`: corrections do not wait for ever."""
    connection, message = (
        project.context.connection,
        park(project, monkeypatch, "check_retraining", OSError("no space")),
    )
    worker = ScoringWorker([queues.queue(connection, message.queue)], connection=connection)
    worker.settings = project.context.settings
    worker.run_maintenance_tasks()
    assert queues.is_parked(connection, message)
    JobFailures(connection)._change(
        project.id, message.failure_key, lambda known: replace(known, parked_at=time.time() - PARKED_SECONDS)
    )
    worker.run_maintenance_tasks()
    work(project, message.queue)
    work(project, message.queue)
    assert JobFailures(connection).all(project.id) == []
    assert project.job(message.job_id).get_status() is JobStatus.FINISHED


# -- reconciliation -------------------------------------------------------------------------------


def test_a_deleted_project_is_reconciled_once_an_hour(project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers request a reconciliation every few minutes; the status says what to do with the model folder.

    Label Studio answers the same where the token's account was removed from the organization: the folder stays then.
    """
    asked: list[int] = []

    def deleted(number: int) -> None:
        asked.append(number)
        raise MissingInLabelStudio(f"there is no project {number}; check the project id")

    monkeypatch.setattr(project.label_studio, "project", deleted)
    (project.model_dir / "published.json").rename(project.model_dir / "kept.json")
    failures, pauses = JobFailures(project.context.connection), []
    for _ in range(6):
        asked.clear()
        for _ in range(3):  # in its pause it is not run
            request_reconciliation(project.context.connection, project.context.settings)
            work(project)
        assert len(asked) <= 2
        (known,) = failures.failing(project.id)
        pauses.append(known.next_at - known.failed_at)
        let_pauses_end(project)
        project.clear_queues()
    assert pauses == pytest.approx([60, 240, 960, 3600, 3600, 3600])
    assert not known.is_parked
    found = find_all(read_status(project.registry, project=project.id, settings=project.context.settings))
    failed = next(finding for finding in found if finding.cause == "failed-job")
    assert "The reconciliation failed 6 times: there is no project 1" in failed.sentence
    assert f"only if project 1 was deleted, move its model folder, {project.model_dir}, away" in failed.sentence
    assert "an account that was removed from the organization" in failed.sentence
    assert "is tried again from 20" in failed.action


def test_a_step_that_cannot_succeed_is_never_parked_and_the_others_go_on(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pauses grow to an hour, and the failure is not counted for the job, whose pauses would stop all steps."""
    attempts: list[int] = []

    def _broken_step() -> str:
        attempts.append(1)
        raise LabelStudioError("Label Studio answered 403")

    steps = reconciling._steps
    monkeypatch.setattr(reconciling, "_steps", lambda *which: [_broken_step, *steps(*which)])
    pauses = []
    for _ in range(6):
        queues.send(project.context.connection, messages.Reconcile(project=project.id))
        work(project)
        work(project)
        (known,) = JobFailures(project.context.connection).failing(project.id)
        assert (known.key, known.reason) == (f"reconcile-{project.id}:broken-step", "Label Studio answered 403")
        pauses.append(known.next_at - known.failed_at)
        let_pauses_end(project)
    assert len(attempts) == 6
    assert pauses == pytest.approx([60, 240, 960, 3600, 3600, 3600])
    assert not known.is_parked
    project.label_studio.annotate(project.read().tasks["cube01"].ids[0], "emergence")
    with pytest.raises(LabelStudioError, match="403"):
        reconcile(project.context, project.id)
    assert f"retrain-check-{project.id}" in project.queued()


def test_reconciliation_asks_a_silent_label_studio_once_and_repairs_the_rest(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call would wait for the time-out, and the job has little time; nothing is parked."""
    connection, asked = project.context.connection, []
    silence = LabelStudioError("Label Studio did not answer within 120 s", may_pass=True)

    def silent(name: str) -> Callable[..., None]:
        def call(*_: object, **__: object) -> None:
            asked.append(name)
            raise silence

        return call

    project.label_studio.annotate(project.read().tasks["cube01"].ids[0], "emergence")
    queues.send(connection, messages.MakeReport(project=project.id))
    with monkeypatch.context() as broken:
        breaks(broken, "make_report", OSError("no space"))
        work(project)
    with monkeypatch.context() as broken:
        for name in vars(LabelStudio):
            if not name.startswith("_"):
                broken.setattr(project.label_studio, name, silent(name))
        for _ in range(6):
            let_pauses_end(project)
            asked.clear()
            with pytest.raises(LabelStudioError):
                reconcile(project.context, project.id)
            assert asked == ["project"]
        assert project.queued() == ["report-1"]
        for _ in range(12):
            queues.send(connection, messages.Reconcile(project=project.id))
            work(project, messages.QUEUE_MAINTENANCE)
            let_pauses_end(project)
    assert not any(known.is_parked for known in JobFailures(connection).failing(project.id))
    let_pauses_end(project)
    assert reconcile(project.context, project.id).done == (
        "report-1 failed 13 times: trying it again",
        "annotations differ from those of the last check: checking",
    )


def test_a_label_studio_that_falls_silent_amid_a_reconciliation_is_not_asked_again(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def silent(*_: object, **__: object) -> None:
        asked.append(1)
        raise LabelStudioError("Label Studio did not answer within 120 s", may_pass=True)

    monkeypatch.setattr(project.context.projects, "read_completely", silent)
    monkeypatch.setattr(project.context.projects, "refresh", silent)
    monkeypatch.setattr(project.label_studio, "model_versions", silent)
    with pytest.raises(LabelStudioError):
        reconcile(project.context, project.id)
    assert len(asked) == 1


def test_a_repair_whose_job_waits_already_is_not_counted_again(project: LoopProject) -> None:
    """Each sentence is one repair in the figures; the job that the first one sent is still in its queue."""
    project.label_studio.annotate(project.read().tasks["cube01"].ids[0], "emergence")
    project.publish()
    assert len(reconcile(project.context, project.id).done) == 2
    assert reconcile(project.context, project.id).done == ()


@pytest.mark.parametrize("name", ["check_retraining", "write_back"])
def test_reconciliation_claims_no_repair_by_a_parked_job(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch, name: str, task_data: Data
) -> None:
    """An annotation without a check and a task without a prediction are left to the human who puts the job back."""
    breaks(monkeypatch, name, OSError("no space"))
    for _ in range(4):
        queues.send(project.context.connection, KINDS[name](project.id))
        work(project)
        let_pauses_end(project)
    if name == "write_back":
        project.import_cubes(task_data, ["cube00"])
    else:
        project.label_studio.annotate(project.read().tasks["cube01"].ids[0], "emergence")
    assert reconcile(project.context, project.id).done == ()
    JobFailures(project.context.connection).put_back(project.id)
    assert len(reconcile(project.context, project.id).done) == 1


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture
def run(project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs ``helioloop retry`` with arguments and returns what it prints."""
    settings = project.context.settings
    monkeypatch.setattr(retry_command, "load_settings", lambda: settings)
    monkeypatch.setattr(redis_client, "connect", lambda *_, **__: project.context.connection)
    group = click.Group(commands={command.name or "": command for command in project_commands()})

    def runs(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(group, ["retry", "--project", str(project.id), *arguments])
        assert (result.exit_code != 0) == (code != 0), result.output
        return result.output + str(result.exception or "")

    return runs


def test_retry_puts_parked_jobs_back_and_they_succeed(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch, run: Callable[..., str]
) -> None:
    """The cause was removed meanwhile; repeated, the command has nothing to do."""
    with monkeypatch.context() as broken:
        breaks(broken, "write_back", OSError("no space"))
        for _ in range(4):
            queues.send(project.context.connection, KINDS["write_back"](project.id))
            work(project)
            let_pauses_end(project)
    lines = {line.name: line.value for line in status_lines(
        read_status(project.registry, project=project.id, settings=project.context.settings)
    )}  # fmt: skip
    name = f"write-back-{project.id}-v0001"
    assert lines[f"parked {name}"] == "failed 4 times, nothing tries it again: OSError: no space"
    assert f"{name}: put back; it failed 4 times: OSError: no space" in run()
    work(project)
    assert project.job(name).get_status() is JobStatus.FINISHED
    assert "no job or round of project 1 is parked" in run()
    assert f"{name}: no such job of project 1 is parked" in run(name, code=2)


def test_retry_of_one_job_leaves_the_others(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch, run: Callable[..., str]
) -> None:
    """Named as the status names it."""
    for name in ("make_report", "plan_round"):
        breaks(monkeypatch, name, OSError("no space"))
        for _ in range(4):
            queues.send(project.context.connection, KINDS[name](project.id))
            work(project)
            let_pauses_end(project)
    assert run("report-1").startswith("report-1: put back")
    assert [known.key for known in JobFailures(project.context.connection).failing(project.id)] == ["plan-round-1"]


def test_retry_of_an_unknown_job_or_project_does_nothing(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch, run: Callable[..., str]
) -> None:
    """The known one of two names is not put back, and no job of a project without a model folder is queued."""
    park(project, monkeypatch, "make_report", OSError("no space"))
    assert "report-2: no such job of project 1 is parked" in run("report-1", "report-2", code=2)
    assert [known.key for known in JobFailures(project.context.connection).failing(project.id)] == ["report-1"]
    assert "project 999 has no model folder" in run("--project", "999", code=2)
    assert project.queued() == []
    assert "report-1: put back" in run()
    work(project)
    assert "no job or round of project 1 is parked" in run()
    assert project.queued() == []


def test_retry_requests_a_round_where_one_is_parked(project: LoopProject, run: Callable[..., str]) -> None:
    """As "Start training" does."""
    plan = project.plan()
    staging = project.registry.staging(plan.fingerprint)
    plan.save(staging)
    for _ in range(MAX_ATTEMPTS):
        Staging(project.model_dir).count_attempt(plan.fingerprint, ["no space"])
    assert "round: a round on the current labels is requested" in run()
    assert f"retrain-check-{project.id}-forced" in project.queued()
    work(project, messages.QUEUE_MAINTENANCE)
    assert f"plan-round-{project.id}" in project.queued()
