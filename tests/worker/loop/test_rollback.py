"""A rollback serves the earlier version and its predictions in a few calls, whatever the number of tasks."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from click.testing import CliRunner
from tests.benchmarks.growth.counted import CountedLabelStudio, Traffic
from tests.worker.conftest import CUBES, LoopProject, work

from helioloop.messaging import messages
from helioloop_worker import jobs
from helioloop_worker.commands import learning
from helioloop_worker.loop.reconcile import reconcile

Data = dict[str, dict[str, str]]

BY_ROW = {"rescore", "rewrite", "delete_predictions"}
"""Calls that Label Studio takes for one prediction each."""


@pytest.fixture
def counted(loop_project: LoopProject) -> Iterator[LoopProject]:
    """A project whose calls to Label Studio are counted."""
    label_studio = CountedLabelStudio(loop_project.label_studio)
    context = replace(loop_project.context, open_label_studio=lambda _: label_studio)
    return replace(loop_project, context=context, label_studio=label_studio)  # type: ignore[arg-type]


def rolled_back(project: LoopProject, version: str, monkeypatch: pytest.MonkeyPatch) -> Traffic:
    """Publish a version as `helioloop rollback` does, run the one job that it sends, and return the calls of that."""
    monkeypatch.setattr(learning, "load_settings", lambda: project.context.settings)
    monkeypatch.setattr(learning, "find_own_registry", lambda **_: project.registry)
    monkeypatch.setattr("helioloop_worker.own_redis.open_redis", lambda _: project.context.connection)
    done = CliRunner().invoke(learning.rollback, [version, "--project", str(project.id)])
    assert done.exit_code == 0, done.output
    assert project.queued() == [f"write-back-{project.id}-{version}"]
    with project.label_studio.counting() as traffic:  # type: ignore[attr-defined]
        work(project, messages.QUEUE_MAINTENANCE)
    assert project.label_studio.project(project.id).model_version == version
    return traffic  # type: ignore[no-any-return]


@pytest.mark.parametrize("is_there", [True, False], ids=["within the grace time", "after it"])
def test_a_rollback_takes_as_many_calls_with_more_tasks(
    counted: LoopProject, task_data: Data, is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 20 and with 24 tasks; of the earlier version all predictions are there, or none. None is doubled."""
    calls = []
    tasks: dict[str, int] = {}
    for more in (CUBES[:20], CUBES[20:]):
        tasks |= counted.import_cubes(task_data, more)
        earlier, later = counted.publish(), counted.publish()
        for version in (earlier, later):
            counted.registry.publish(version, why="made by hand")
            jobs.write_back(counted.context, counted.id, version)
        if not is_there:
            counted.label_studio.delete_version(counted.id, earlier)
        counted.clear_queues()
        traffic = rolled_back(counted, earlier, monkeypatch)
        assert not traffic.calls.keys() & BY_ROW
        assert counted.rows(earlier) == sorted(tasks.values())
        calls.append(traffic.calls)
        counted.check()
        counted.clear_queues()
        assert reconcile(counted.context, counted.id).done == ()
    assert calls[0] == calls[1]
