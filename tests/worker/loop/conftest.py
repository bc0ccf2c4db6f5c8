"""What several tests of the loop begin with."""

import pytest
from tests.worker.conftest import LoopProject

from helioloop.progress import silent
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.writeback import write_back


@pytest.fixture
def tasks(loop_project: LoopProject, task_data: dict[str, dict[str, str]]) -> dict[str, int]:
    """A project with nothing to do: v0001 is published, written back and checked; its tasks by cube."""
    tasks = loop_project.import_cubes(task_data)
    write_back(loop_project.context, loop_project.id, loop_project.publish(), report=silent)
    assert loop_project.check().startswith("no round")
    assert reconcile(loop_project.context, loop_project.id).done == ()
    return tasks
