"""``helioloop retry``: parked jobs and rounds are put back, and nothing else."""

from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner
from rq.job import JobStatus
from tests.worker.conftest import LoopProject, work
from tests.worker.loop.failed_jobs import KINDS, breaks, let_pauses_end, park

from helioloop.messaging import messages, queues, redis_client
from helioloop.messaging.job_failures import JobFailures
from helioloop.registry.staging import MAX_ATTEMPTS, Staging
from helioloop_worker.commands import retry as retry_command
from helioloop_worker.commands.project import commands as project_commands
from helioloop_worker.reports.status import status_lines
from helioloop_worker.reports.status_reading import read_status


@pytest.fixture
def run(settled: LoopProject, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs ``helioloop retry`` with arguments and returns what it prints."""
    settings = settled.context.settings
    monkeypatch.setattr(retry_command, "load_settings", lambda: settings)
    monkeypatch.setattr(redis_client, "connect", lambda *_, **__: settled.context.connection)
    group = click.Group(commands={command.name or "": command for command in project_commands()})

    def runs(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(group, ["retry", "--project", str(settled.id), *arguments])
        assert (result.exit_code != 0) == (code != 0), result.output
        return result.output + str(result.exception or "")

    return runs


def test_retry_puts_parked_jobs_back_and_they_succeed(
    settled: LoopProject, monkeypatch: pytest.MonkeyPatch, run: Callable[..., str]
) -> None:
    """The cause was removed meanwhile; repeated, the command has nothing to do."""
    with monkeypatch.context() as broken:
        breaks(broken, "write_back", OSError("no space"))
        for _ in range(4):
            queues.send(settled.context.connection, KINDS["write_back"](settled.id))
            work(settled)
            let_pauses_end(settled)
    lines = {line.name: line.value for line in status_lines(
        read_status(settled.registry, project=settled.id, settings=settled.context.settings)
    )}  # fmt: skip
    name = f"write-back-{settled.id}-v0001"
    assert lines[f"parked {name}"] == "failed 4 times, nothing tries it again: OSError: no space"
    assert f"{name}: put back; it failed 4 times: OSError: no space" in run()
    work(settled)
    assert settled.job(name).get_status() is JobStatus.FINISHED
    assert "no job or round of project 1 is parked" in run()
    assert f"{name}: no such job of project 1 is parked" in run(name, code=2)


def test_retry_of_one_job_leaves_the_others(
    settled: LoopProject, monkeypatch: pytest.MonkeyPatch, run: Callable[..., str]
) -> None:
    """Named as the status names it."""
    for name in ("make_report", "plan_round"):
        breaks(monkeypatch, name, OSError("no space"))
        for _ in range(4):
            queues.send(settled.context.connection, KINDS[name](settled.id))
            work(settled)
            let_pauses_end(settled)
    assert run("report-1").startswith("report-1: put back")
    assert [known.key for known in JobFailures(settled.context.connection).failing(settled.id)] == ["plan-round-1"]


def test_retry_of_an_unknown_job_or_project_does_nothing(
    settled: LoopProject, monkeypatch: pytest.MonkeyPatch, run: Callable[..., str]
) -> None:
    """The known one of two names is not put back, and no job of a project without a model folder is queued."""
    park(settled, monkeypatch, "make_report", OSError("no space"))
    assert "report-2: no such job of project 1 is parked" in run("report-1", "report-2", code=2)
    assert [known.key for known in JobFailures(settled.context.connection).failing(settled.id)] == ["report-1"]
    assert "project 999 has no model folder" in run("--project", "999", code=2)
    assert settled.queued() == []
    assert "report-1: put back" in run()
    work(settled)
    assert "no job or round of project 1 is parked" in run()
    assert settled.queued() == []


def test_retry_requests_a_round_where_one_is_parked(settled: LoopProject, run: Callable[..., str]) -> None:
    """As "Start training" does."""
    plan = settled.plan()
    staging = settled.registry.staging(plan.fingerprint)
    plan.save(staging)
    for _ in range(MAX_ATTEMPTS):
        Staging(settled.model_dir).count_attempt(plan.fingerprint, ["no space"])
    assert "round: a round on the current labels is requested" in run()
    assert f"retrain-check-{settled.id}-forced" in settled.queued()
    work(settled, messages.QUEUE_MAINTENANCE)
    assert f"plan-round-{settled.id}" in settled.queued()
