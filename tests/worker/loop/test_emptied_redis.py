"""Redis is emptied, or comes back in an older state: parked jobs and rounds, and requests for training."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import redis
from tests.worker.conftest import LoopProject, work

from helioloop.files import atomic
from helioloop.messaging import messages, queues
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.messages import Message
from helioloop.progress import silent
from helioloop.registry.last_check import read_last_check
from helioloop.registry.parked_jobs import PARKED_JOBS, read_parked_jobs
from helioloop.registry.staging import MAX_ATTEMPTS, Staging
from helioloop_worker import jobs
from helioloop_worker.loop import failing, rounds
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.round_requests import requests
from helioloop_worker.loop.writeback import write_back
from helioloop_worker.reports.status_reading import read_status

Data = dict[str, dict[str, str]]

KINDS: dict[str, Callable[[int], Message]] = {
    "ingest": lambda project: messages.Ingest(project=project, release="r"),
    "accept": lambda project: messages.Accept(project=project, release="r", rate=0.02, confidence=0.9),
    "write_back": lambda project: messages.WriteBack(project=project, version="v0001"),
}
"""Two that nothing else sends again, and one that reconciliation would."""


@pytest.fixture
def project(loop_project: LoopProject, task_data: Data) -> LoopProject:
    """A project whose v0001 is published, written back and checked."""
    loop_project.import_cubes(task_data)
    write_back(loop_project.context, loop_project.id, loop_project.publish(), report=silent)
    loop_project.check()
    assert reconcile(loop_project.context, loop_project.id).done == ()
    return loop_project


def attempt(project: LoopProject, message: Message, error: Exception | None = None) -> None:
    """Let an attempt of a job end with an error, or well, and its pause be over."""
    connection, settings = project.context.connection, project.context.settings
    with suppress(OSError), failing.counting(connection, message, settings):
        if error is not None:
            raise error
    failures = JobFailures(connection)
    for known in failures.all(project.id):
        if not known.is_parked:
            failures._change(project.id, known.key, lambda known: replace(known, next_at=time.time() - 1))


def park(project: LoopProject, name: str, reason: str = "no such disk") -> Message:
    """Let a kind of job fail until it is parked, and return its message."""
    message = KINDS[name](project.id)
    for _ in range(4):
        attempt(project, message, OSError(reason))
    return message


def parked(project: LoopProject) -> dict[str, str]:
    """Return the parked jobs that the status shows, with their reasons."""
    facts = read_status(project.registry, project=project.id, settings=project.context.settings)
    assert facts.services is not None
    return {job.name: job.reason for job in facts.services.failing_jobs if job.parked}


def state_of(connection: redis.Redis) -> dict[bytes, Any]:
    """Return all that Redis has."""
    return {key: connection.dump(key) for key in connection.scan_iter()}


def restore(connection: redis.Redis, state: dict[bytes, Any]) -> None:
    """Let Redis have an older state, and nothing else."""
    connection.flushall()
    for key, value in state.items():
        connection.restore(key, 0, value)


# -- parked jobs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_a_parked_job_is_still_parked_and_shown_after_redis_was_emptied(project: LoopProject, name: str) -> None:
    """With its reason; nothing tries it from the start, and `helioloop retry` puts it back, with its payload."""
    message = park(project, name)
    project.context.connection.flushall()
    assert parked(project) == {message.job_id: "OSError: no such disk"}  # before anything has repaired it
    assert f"{message.job_id} was parked, which Redis had lost: it is parked again" in (
        reconcile(project.context, project.id).done
    )
    assert reconcile(project.context, project.id).done == ()
    assert project.queued() == []
    assert parked(project) == {message.job_id: "OSError: no such disk"}
    done = failing.put_back(project.context.connection, project.context.settings, project.id)
    assert done == {message.job_id: "put back; it failed 4 times: OSError: no such disk"}
    assert project.job(message.job_id).kwargs == message.payload()
    assert parked(project) == {}


def test_retry_finds_a_parked_job_right_after_redis_was_emptied(project: LoopProject) -> None:
    """Before any reconciliation."""
    message = park(project, "ingest")
    project.context.connection.flushall()
    failing.put_back(project.context.connection, project.context.settings, project.id, [message.job_id])
    assert message.job_id in project.queued()
    assert read_parked_jobs(project.model_dir).parked == {}


@pytest.mark.parametrize("again", ["succeeded", "waits"])
def test_an_older_state_of_redis_does_not_park_what_a_human_put_back(project: LoopProject, again: str) -> None:
    """Neither a job that has succeeded since, nor one that waits when Redis is lost."""
    message = park(project, "ingest")
    older = state_of(project.context.connection)
    failing.put_back(project.context.connection, project.context.settings, project.id)
    if again == "succeeded":
        attempt(project, message)
    restore(project.context.connection, older)
    assert parked(project) == {}
    assert any("was put back since" in sentence for sentence in reconcile(project.context, project.id).done)
    assert parked(project) == {}
    assert not queues.is_parked(project.context.connection, message)
    reconcile(project.context, project.id)
    assert read_parked_jobs(project.model_dir).parked == {}


def test_a_job_that_was_parked_again_after_it_was_put_back_is_parked(project: LoopProject) -> None:
    """The newest counts, also where Redis has the older state or nothing."""
    message = park(project, "ingest")
    older = state_of(project.context.connection)
    failing.put_back(project.context.connection, project.context.settings, project.id)
    project.clear_queues()
    park(project, "ingest", "the disk is back, and empty")
    for lose in (lambda: restore(project.context.connection, older), project.context.connection.flushall):
        lose()
        reconcile(project.context, project.id)
        assert queues.why_parked(project.context.connection, message) is not None
        assert read_parked_jobs(project.model_dir).parked[message.job_id]["reason"] == (
            "OSError: the disk is back, and empty"
        )


def test_a_job_that_failed_once_since_redis_was_emptied_is_parked_again(project: LoopProject) -> None:
    """Something sent it before the first reconciliation; it is not tried four times from the start."""
    message = park(project, "write_back")
    project.context.connection.flushall()
    attempt(project, message, OSError("no such disk"))
    assert not queues.is_parked(project.context.connection, message)
    reconcile(project.context, project.id)
    assert queues.is_parked(project.context.connection, message)


def test_a_second_chance_outlives_an_emptied_redis(project: LoopProject) -> None:
    """A worker that starts tries each parked job once more, and only a success ends that it is parked."""
    message = park(project, "ingest")
    project.context.connection.flushall()
    failing.give_second_chance(project.context.connection, project.context.settings)
    assert not queues.is_parked(project.context.connection, message)
    project.context.connection.flushall()  # before the job was sent
    reconcile(project.context, project.id)
    assert queues.is_parked(project.context.connection, message)
    failing.give_second_chance(project.context.connection, project.context.settings)
    reconcile(project.context, project.id)
    assert message.job_id in project.queued()
    attempt(project, message)
    project.context.connection.flushall()
    assert reconcile(project.context, project.id).done == ()
    assert parked(project) == {}


def test_a_full_disk_and_a_damaged_file_lose_no_parked_job(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis has it meanwhile; the next reconciliation writes the file."""

    def fails(*_: object, **__: object) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(atomic, "replacing", fails)
        message = park(project, "ingest")
    assert not (project.model_dir / PARKED_JOBS).exists()
    reconcile(project.context, project.id)
    assert [*read_parked_jobs(project.model_dir).parked] == [message.job_id]
    for damaged in ("{", "[]", json.dumps({"parked": {message.job_id: {"failures": "x"}}, "put_back_at": {}})):
        (project.model_dir / PARKED_JOBS).write_text(damaged)
        reconcile(project.context, project.id)
        assert [*read_parked_jobs(project.model_dir).parked] == [message.job_id]
        assert queues.is_parked(project.context.connection, message)


def test_a_file_that_cannot_be_read_fails_no_job(project: LoopProject) -> None:
    """It stays as it is; the error of the job is the one that is counted."""
    (project.model_dir / PARKED_JOBS).mkdir()
    message = park(project, "ingest")
    assert queues.why_parked(project.context.connection, message) == "OSError: no such disk"
    JobFailures(project.context.connection).forget(project.id, message.job_id)
    attempt(project, message)
    assert JobFailures(project.context.connection).failing(project.id) == []


def test_a_parked_round_is_not_begun_again_after_redis_was_emptied(project: LoopProject) -> None:
    """Its failures are in its folder; reconciliation starts nothing, and the status says why."""
    plan = project.plan()
    plan.save(project.registry.staging(plan.fingerprint))
    for _ in range(MAX_ATTEMPTS):
        Staging(project.model_dir).count_attempt(plan.fingerprint, ["no space"])
    for _ in range(3):
        project.context.connection.flushall()
        assert reconcile(project.context, project.id).done == ()
        assert project.queued() == []
    facts = read_status(project.registry, project=project.id, settings=project.context.settings)
    assert "no space" in str(facts)


# -- requests for training ------------------------------------------------------------------------


def press(project: LoopProject) -> None:
    """Press "Start training", as the backend passes it on, and let the check run."""
    queues.send(project.context.connection, messages.RetrainCheck(project=project.id, forced=True), anew=True)
    work(project, messages.QUEUE_MAINTENANCE)


def close(project: LoopProject) -> None:
    """End the running round."""
    running = project.context.state.running(project.id)
    assert running is not None
    rounds.end(project.context, project.id, running.fingerprint)


@pytest.fixture
def running(project: LoopProject) -> LoopProject:
    """The project while a round runs, whose jobs are left out."""
    press(project)
    jobs.plan_round(project.context, project.id)
    project.clear_queues()
    assert project.context.state.running(project.id) is not None
    assert requests(project.context, project.id) == set()
    return project


def test_a_request_during_a_round_outlives_an_emptied_redis(running: LoopProject) -> None:
    """It is planned, and fulfilled once."""
    press(running)
    assert requests(running.context, running.id) == {"forced"}
    running.context.connection.flushall()
    assert "a round was requested and no job plans it: planning" in reconcile(running.context, running.id).done
    running.clear_queues()
    jobs.plan_round(running.context, running.id)
    assert running.context.state.running(running.id) is not None
    assert requests(running.context, running.id) == set()
    running.clear_queues()
    close(running)
    assert running.queued() == []


def test_a_request_during_a_round_is_fulfilled_after_it(running: LoopProject) -> None:
    """While the round runs, no reconciliation sends a planning that could only wait."""
    press(running)
    running.clear_queues()
    assert reconcile(running.context, running.id).done == ()
    assert jobs.plan_round(running.context, running.id) == "a round runs; the next check follows it"
    assert requests(running.context, running.id) == {"forced"}
    close(running)
    work(running, messages.QUEUE_MAINTENANCE)
    running.clear_queues()
    assert jobs.plan_round(running.context, running.id).startswith("round started")
    assert requests(running.context, running.id) == set()


def test_a_request_that_a_broken_label_studio_delays_outlives_an_emptied_redis(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the model folder before Label Studio is asked."""
    with monkeypatch.context() as broken:
        broken.setattr(project.context.projects, "read", lambda *_: (_ for _ in ()).throw(ConnectionError("away")))
        press(project)
    project.context.connection.flushall()
    assert "a round was requested and no job plans it: planning" in reconcile(project.context, project.id).done


@pytest.mark.parametrize("where", ["waits", "failed", "follow-up"])
def test_an_older_state_of_redis_brings_no_fulfilled_request_back(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Redis had the request as a job that waits, as one that failed, or for after a round."""
    connection, forced = project.context.connection, messages.RetrainCheck(project=project.id, forced=True)
    if where == "waits":
        queues.send(connection, forced)
    elif where == "failed":
        with monkeypatch.context() as broken:
            broken.setattr(project.context.projects, "read", lambda *_: (_ for _ in ()).throw(ConnectionError("away")))
            press(project)
        connection.delete(*connection.keys("rq:*"))
    else:
        press(project)
        jobs.plan_round(project.context, project.id)
        press(project)
        project.clear_queues()
    older = state_of(connection)
    time.sleep(0.01)
    project.context.connection.flushall()
    press(project)
    project.clear_queues()
    assert jobs.plan_round(project.context, project.id).startswith("round started")
    Staging(project.model_dir).discard()
    restore(connection, older)
    if where == "follow-up":
        close(project)
    reconcile(project.context, project.id)
    work(project, messages.QUEUE_MAINTENANCE)
    assert not [name for name in (*project.queued(), *project.scheduled()) if "plan" in name]
    assert requests(project.context, project.id) == set()
    assert project.context.state.running(project.id) is None
    if where != "failed":
        last = read_last_check(project.model_dir)
        assert last is not None
        assert last.outcome.startswith("no round")


def test_a_request_newer_than_the_fulfilled_one_counts(project: LoopProject) -> None:
    """Where the model folder could not be written meanwhile, for example."""
    press(project)
    project.clear_queues()
    jobs.plan_round(project.context, project.id)
    close(project)
    project.clear_queues()
    press(project)
    assert requests(project.context, project.id) == {"forced"}


def test_a_request_for_an_unknown_project_makes_no_model_folder(project: LoopProject) -> None:
    """Anybody with the backend's credentials may name any project."""
    queues.send(project.context.connection, messages.RetrainCheck(project=999, forced=True))
    work(project, messages.QUEUE_MAINTENANCE)
    assert not project.context.settings.model_dir(999).exists()
