"""What several tests of the loop begin with."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.worker.conftest import LoopProject, make_release
from tests.worker.loop.ingested import SIX

from helioloop.model.plan import Plan
from helioloop.progress import silent
from helioloop_worker.labelstudio import kept_projects
from helioloop_worker.labelstudio.setup import set_up
from helioloop_worker.loop import rounds
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


@pytest.fixture
def settled(loop_project: LoopProject, tasks: dict[str, int]) -> LoopProject:  # noqa: ARG001 - what settles it
    """The project of `tasks`."""
    return loop_project


@pytest.fixture
def initialised(
    loop_project: LoopProject, task_data: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> LoopProject:
    """A project that `helioloop init` has set up, with v0001 written back and nothing to do."""
    monkeypatch.setattr(kept_projects, "OVERLAP", timedelta(0))  # the fake stores a change in the moment of its stamp
    label_studio = loop_project.label_studio
    set_up(label_studio, loop_project.context.settings, project=loop_project.id, backend_url="http://127.0.0.1:9")
    loop_project.import_cubes(task_data)
    write_back(loop_project.context, loop_project.id, loop_project.publish(), report=silent)
    loop_project.check()
    assert reconcile(loop_project.context, loop_project.id).done == ()
    return loop_project


@pytest.fixture
def plan(loop_project: LoopProject, task_data: dict[str, dict[str, str]]) -> Plan:
    """A round of two members that was started on the release."""
    loop_project.import_cubes(task_data)
    plan: Plan = loop_project.plan()
    assert rounds.start(loop_project.context, loop_project.id, plan, forced=False)
    return plan


@pytest.fixture
def release(loop_project: LoopProject) -> Path:
    """A release of six cubes that a test may damage."""
    return make_release(loop_project.context.settings.release_roots[1] / "six", SIX)
