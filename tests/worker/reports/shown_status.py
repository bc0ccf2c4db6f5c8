"""The lines of ``helioloop status``, as tests look at them."""

from typing import Any

import click
import pytest
from tests.worker.conftest import LoopProject, work
from tests.worker.shell import run_one_of

from helioloop.messaging import messages, queues
from helioloop_worker.loop import retrain_check

TOKEN = "0123456789abcdef0123456789abcdef"


def show(loop_project: LoopProject, commands: list[click.Command]) -> dict[str, str]:
    """The project's status as printed: name -> value, one line each."""
    result = run_one_of(commands, "status", "--project", str(loop_project.id))
    assert result.exit_code == 0, result.output
    return dict(line.split("  ", 1) for line in result.stdout.splitlines())


def fail(
    loop_project: LoopProject, message: messages.Message, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let a retrain check fail with an error."""

    def raises(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(retrain_check, "check_retraining", raises)
    queues.send(loop_project.context.connection, message)
    work(loop_project)
