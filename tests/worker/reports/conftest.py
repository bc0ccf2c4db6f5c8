"""What several tests of the reports begin with."""

import click
import pytest
from tests.worker.conftest import LoopProject

from helioloop_worker.commands import ingest, learning, options, project
from helioloop_worker.commands import status as status_command


@pytest.fixture
def commands(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> list[click.Command]:
    """The commands for projects and models, with the settings of `loop_project`."""
    for module in (project, ingest, status_command, learning, options):
        monkeypatch.setattr(module, "load_settings", lambda: loop_project.context.settings)
    loop_project.model_dir.mkdir(parents=True, exist_ok=True)
    return [*project.commands(), *learning.commands()]
