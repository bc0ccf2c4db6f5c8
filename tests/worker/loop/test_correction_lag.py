"""The figures that workers add up: how long jobs take, what was repaired, and how long corrections take to show."""

import os
import time
from datetime import UTC, datetime

import pytest
from tests.worker.conftest import LoopProject, work

from helioloop.messaging import messages, queues
from helioloop.messaging.work_figures import JOB_SECONDS, LAG_SECONDS, REFUSED_JOBS, REPAIRS, work_figures
from helioloop.registry.label_snapshot import Snapshot
from helioloop_worker.loop.correction_lag import measure_lags
from helioloop_worker.loop.reconcile import reconcile

Data = dict[str, dict[str, str]]
HOUR = 3600.0


def figures(project: LoopProject, name: str) -> dict[tuple[str, ...], tuple[float, float]]:
    """Labels -> count and sum of the figures of a name."""
    found = work_figures(project.context.connection)
    return {figure.labels: (figure.count, figure.total) for figure in found if figure.name == name}


def plan_at(project: LoopProject, version: str, seconds_ago: float) -> None:
    """Set the time at which a version was planned."""
    at = time.time() - seconds_ago
    os.utime(project.registry.folder(version) / "plan.json", (at, at))


def ago(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() - seconds, UTC).isoformat()


def test_the_lag_is_that_of_the_annotations_the_version_is_the_first_to_contain(
    loop_project: LoopProject, task_data: Data
) -> None:
    """v0001 was planned three hours ago and v0002 one hour ago: two of five annotations lie between."""
    loop_project.import_cubes(task_data)
    for version, hours in ((loop_project.publish(), 3), (loop_project.publish(), 1)):
        plan_at(loop_project, version, hours * HOUR)
    annotations = {
        "before": ago(4 * HOUR), "first": ago(2.5 * HOUR), "second": ago(1.5 * HOUR), "after": ago(0.5 * HOUR),
        "unreadable": "yesterday",
    }  # fmt: skip
    Snapshot(read_at=ago(0), annotations=annotations).write(loop_project.model_dir)
    lags = measure_lags(loop_project.context, loop_project.id, "v0002")
    assert sorted(lags) == pytest.approx([1.5 * HOUR, 2.5 * HOUR], abs=5)
    assert figures(loop_project, LAG_SECONDS) == {("1",): (2, pytest.approx(4 * HOUR, abs=5))}
    assert measure_lags(loop_project.context, loop_project.id, "v0001") == [pytest.approx(4 * HOUR, abs=5)]


def test_the_lag_is_measured_once_when_a_version_is_shown(loop_project: LoopProject, task_data: Data) -> None:
    """A repeated write-back of the version that is shown already, or a rollback to it, measures nothing."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.label_studio.annotate(tasks["cube00"], "emergence")
    loop_project.read()
    version = loop_project.publish()
    plan_at(loop_project, version, -HOUR)  # the clock of the fake Label Studio may be ahead
    for _ in range(2):
        queues.send(loop_project.context.connection, messages.WriteBack(project=loop_project.id, version=version))
        work(loop_project, messages.QUEUE_MAINTENANCE)
        (loop_project.model_dir / "write-back-all.txt").write_text("again")
    annotated = len(loop_project.read().snapshot.annotations)
    assert annotated == 1
    counted = figures(loop_project, LAG_SECONDS)
    assert [count for count, _ in counted.values()] == [1]


def test_jobs_repairs_and_refused_jobs_are_counted(loop_project: LoopProject, task_data: Data) -> None:
    """A check that is done, one that fails, a job of somebody else, and the check that reconciliation sends."""
    loop_project.import_cubes(task_data)
    reconcile(loop_project.context, loop_project.id)
    repairs = figures(loop_project, REPAIRS)
    assert {labels: figure for labels, figure in repairs.items() if figure != (0, 0)} == {("1", "annotations"): (1, 1)}
    assert ("1", "predictions") in repairs
    work(loop_project, messages.QUEUE_MAINTENANCE)
    queues.send(loop_project.context.connection, messages.RetrainCheck(project=99))
    target = queues.queue(loop_project.context.connection, messages.QUEUE_SCORE)
    target.enqueue("os.system", kwargs={"command": "true"}, job_id="foreign")
    work(loop_project, messages.QUEUE_MAINTENANCE, messages.QUEUE_SCORE)
    seconds = figures(loop_project, JOB_SECONDS)
    assert {labels: count for labels, (count, _) in seconds.items() if labels[0] == "check_retraining"} == {
        ("check_retraining", "done"): 1, ("check_retraining", "failed"): 1,
    }  # fmt: skip
    assert all(total > 0 for _, total in seconds.values())
    assert figures(loop_project, REFUSED_JOBS) == {(): (1, 1)}
