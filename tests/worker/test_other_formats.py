"""An older and a newer worker side by side: payloads of another format are refused and logged, and no work is lost."""

import time
from typing import Any

import pytest
from rq.job import JobStatus

from helioloop.errors import ServiceError
from helioloop.messaging import job_monitor, messages, queues
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.messages import FORMAT, Message
from helioloop.messaging.payloads import read_message
from helioloop.progress import silent
from helioloop.registry.staging import Staging
from helioloop_worker.loop import rounds
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.writeback import write_back
from helioloop_worker.reports.status_reading import read_status
from tests.worker.conftest import CUBES, SETTLED, LoopProject, work

Data = dict[str, dict[str, str]]

OTHER = "run one version of helioloop everywhere"


@pytest.fixture
def project(loop_project: LoopProject, task_data: Data) -> LoopProject:
    """A project whose v0001 is written back and checked."""
    loop_project.import_cubes(task_data)
    write_back(loop_project.context, loop_project.id, loop_project.publish(), report=silent)
    loop_project.check()
    return loop_project


def send_as(monkeypatch: pytest.MonkeyPatch, number: int, project: LoopProject, *sent: Message) -> None:
    """Send messages as a helioloop would whose payloads have this format."""
    with monkeypatch.context() as other:
        other.setattr(messages, "FORMAT", number)
        for message in sent:
            assert message.payload()["format"] == number
            assert queues.send(project.context.connection, message)


@pytest.mark.parametrize("number", [FORMAT + 1, FORMAT - 1, -1, True, 1.5, str(FORMAT), None, [FORMAT]])
def test_a_payload_of_another_format_is_refused_with_the_remedy(number: Any) -> None:
    """Whatever the rest of it; one without a number has the first format."""
    payload = {"project": 1, "version": "v0001"}
    with pytest.raises(ServiceError, match=OTHER):
        read_message(messages.WriteBack.job, {**payload, "format": number})
    expected = messages.WriteBack(project=1, version="v0001")
    assert read_message(messages.WriteBack.job, payload) == expected
    assert read_message(messages.WriteBack.job, {**payload, "format": FORMAT}) == expected


@pytest.mark.parametrize("number", [FORMAT + 1, FORMAT - 1], ids=["newer", "older"])
def test_a_job_of_another_format_is_not_run_and_what_it_was_for_is_done(
    project: LoopProject, number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It fails with its reason in log and status, is neither counted nor parked, and blocks no other job."""
    version, connection = project.publish(), project.context.connection
    write, report = messages.WriteBack(project=project.id, version=version), messages.MakeReport(project=project.id)
    send_as(monkeypatch, number, project, write)
    queues.send(connection, report)
    work(project, messages.QUEUE_MAINTENANCE)
    assert queues.job_status(connection, write) is JobStatus.FAILED
    assert queues.job_status(connection, report) is JobStatus.FINISHED
    assert project.rows(version) == []
    assert f"has format '{number}', and this worker reads format {FORMAT}; {OTHER}" in caplog.text
    assert JobFailures(connection).all(project.id) == []
    status = read_status(project.registry, project=project.id, settings=project.context.settings)
    assert status.services is not None
    (failed,) = status.services.failed_jobs
    assert (failed.kind, failed.subject) == ("write-back", version)
    assert OTHER in failed.reason
    reconcile(project.context, project.id)  # by any worker that can read its own payloads
    work(project, messages.QUEUE_MAINTENANCE)
    assert len(project.rows(version)) == len(CUBES)
    assert project.label_studio.project(project.id).model_version == version


def test_a_round_of_another_format_is_left_whole_and_resumed(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older worker took the steps that a newer one had sent: nothing is trained, closed or discarded by it."""
    context, connection = project.context, project.context.connection
    plan = project.plan()
    assert rounds.start(context, project.id, plan, forced=True)
    steps = rounds.steps_of(project.id, plan)
    project.clear_queues()
    send_as(monkeypatch, FORMAT + 1, project, *steps.members, steps.scoring, steps.closing)
    work(project, messages.QUEUE_TRAIN)
    assert project.registry.versions() == ["v0001"]
    folder = Staging(project.model_dir).folder(plan.fingerprint)
    assert [path.name for path in folder.iterdir()] == ["plan.json"]
    running = context.state.running(project.id)
    assert running is not None
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + SETTLED)
    sentence = rounds.resume(context, project.id)
    assert sentence is not None
    assert OTHER in sentence
    assert sentence.endswith("; it is resumed")
    monkeypatch.undo()
    members = [job_monitor.find_job(connection, step.job_id) for step in steps.members]
    assert [job is not None and job.kwargs["format"] for job in members] == [FORMAT] * len(members)


def test_a_failure_that_a_newer_helioloop_noted_is_not_repeated(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its payload cannot be read, so it is left to whoever needs it; reconciliation goes on."""
    failures = JobFailures(project.context.connection)
    with monkeypatch.context() as newer:
        newer.setattr(messages, "FORMAT", FORMAT + 1)
        report = messages.MakeReport(project=project.id)
        failures.fail(
            project.id, report.failure_key, "it broke", limit=4, may_pass=True, reconcile_seconds=0.0, message=report
        )
    assert reconcile(project.context, project.id).done == ()
    assert project.queued() == []
    assert failures.all(project.id) == []
    assert f"report-{project.id} is not sent again" in caplog.text
