"""Jobs that fail: how a test breaks one, ends its pauses, and parks it."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.worker.conftest import LoopProject, work

from helioloop.messaging import messages, queues
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.messages import Message
from helioloop.records.cubes import CubeInfo
from helioloop_worker import jobs

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
