"""Write-backs of what is new: they end where a write-back of all tasks ends, and cost no more with more tasks."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.benchmarks.growth.counted import CountedLabelStudio, Traffic
from tests.worker.conftest import CUBES, LoopProject, score_of

from helioloop.errors import LabelStudioError
from helioloop.progress import silent
from helioloop.registry.random_checks import RandomChecks
from helioloop_worker import jobs
from helioloop_worker.labelstudio import kept_projects
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.writeback import write_back
from helioloop_worker.loop.writeback_changes import write_back_changes
from helioloop_worker.loop.written_back import read_written, require_whole_write_back

Data = dict[str, dict[str, str]]


@pytest.fixture(autouse=True)
def _no_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake stores a change in the moment of its stamp."""
    monkeypatch.setattr(kept_projects, "OVERLAP", timedelta(0))


@pytest.fixture
def counted(loop_project: LoopProject) -> Iterator[LoopProject]:
    """A project whose calls are counted, with six random checks wanted."""
    label_studio = CountedLabelStudio(loop_project.label_studio)
    settings = loop_project.context.settings.model_copy(update={"random_checks": 6})
    context = replace(loop_project.context, settings=settings, open_label_studio=lambda _: label_studio)
    return replace(loop_project, context=context, label_studio=label_studio)  # type: ignore[arg-type]


def changes(project: LoopProject, version: str) -> Traffic:
    """Write back what is new and return the calls; a write-back of all tasks then finds nothing to do."""
    with project.label_studio.counting() as traffic:  # type: ignore[attr-defined]
        written = write_back_changes(project.context, project.id, version, report=silent)
    assert written is not None
    before = state(project)
    write_back(project.context, project.id, version, report=silent)
    assert state(project) == before
    return traffic  # type: ignore[no-any-return]


def state(project: LoopProject) -> tuple[object, ...]:
    """Return what annotators see: prediction rows, task data and the random checks."""
    rows = [(row.id, row.task, row.model_version, row.score) for row in project.label_studio.predictions(project.id)]
    data = [(task["id"], task["data"]) for task in project.label_studio.tasks(project.id)]
    return rows, data, RandomChecks.read(project.model_dir), read_written(project.model_dir)


def test_corrections_end_where_a_whole_write_back_ends(counted: LoopProject, task_data: Data) -> None:
    """A new answer, a tie, an answered random check, a deleted answer: scores, marks and predictions."""
    tasks = counted.import_cubes(task_data)
    version = counted.publish()
    jobs.write_back(counted.context, counted.id, version)
    checks = RandomChecks.read(counted.model_dir)
    assert checks is not None
    shown = [cube for cube in CUBES if cube not in checks.cubes]
    number = counted.label_studio.annotate(tasks[shown[0]], "emergence")
    changes(counted, version)
    counted.label_studio.annotate(tasks[shown[1]], "emergence", annotator=1)
    counted.label_studio.annotate(tasks[shown[1]], "non-emergence", annotator=2)
    changes(counted, version)
    counted.label_studio.delete_annotation(number)
    blind = counted.label_studio.annotate(tasks[checks.cubes[0]], "non-emergence")
    assert tasks[checks.cubes[0]] not in counted.rows(version)
    changes(counted, version)
    assert tasks[checks.cubes[0]] in counted.rows(version)
    counted.label_studio.delete_annotation(blind)
    changes(counted, version)
    assert tasks[checks.cubes[0]] not in counted.rows(version)


def test_scores_and_tasks_that_came_later_are_written(counted: LoopProject, task_data: Data) -> None:
    """Eight cubes are scored after the others, then three tasks are imported; some become random checks."""
    tasks = counted.import_cubes(task_data, CUBES[:21])
    version = counted.publish(without=CUBES[:8])
    assert jobs.write_back(counted.context, counted.id, version)["missing"] == 8
    later = [score_of(cube, task_data[cube]["sha256"], 0.75) for cube in CUBES[:8]]
    counted.registry.add_scores(version, later[:4])
    assert write_back_changes(counted.context, counted.id, version, report=silent) is not None
    counted.registry.add_scores(version, later[4:])
    changes(counted, version)
    tasks |= counted.import_cubes(task_data, CUBES[21:])
    found = write_back_changes(counted.context, counted.id, version, report=silent)
    assert found is not None
    assert [cube.name for cube in found.missing] == list(CUBES[21:])
    counted.registry.add_scores(version, [score_of(cube, task_data[cube]["sha256"], 0.25) for cube in CUBES[21:]])
    changes(counted, version)
    checks = RandomChecks.read(counted.model_dir)
    assert checks is not None
    assert counted.rows(version) == sorted(task for cube, task in tasks.items() if cube not in checks.cubes)


def test_a_correction_costs_the_same_in_a_larger_project(counted: LoopProject, task_data: Data) -> None:
    """The check and the write-back of one correction, with 20 cubes and with 24."""
    tasks = counted.import_cubes(task_data, CUBES[:20])
    costs = []
    for more in ((), CUBES[20:]):
        tasks |= counted.import_cubes(task_data, more)
        version = counted.publish()
        jobs.write_back(counted.context, counted.id, version)
        checks = RandomChecks.read(counted.model_dir)
        assert checks is not None
        cube = next(cube for cube in CUBES[1::2] if cube not in checks.cubes)
        counted.label_studio.annotate(tasks[cube], "emergence")
        with counted.label_studio.counting() as traffic:  # type: ignore[attr-defined]
            jobs.check_retraining(counted.context, counted.id)
            jobs.write_back(counted.context, counted.id, version)
        costs.append((traffic.calls, traffic.rows))
    assert costs[0] == costs[1]
    assert not costs[1][0].keys() & {"tasks", "annotated_tasks", "predictions"}


def test_what_only_a_whole_write_back_repairs(counted: LoopProject, task_data: Data) -> None:
    """Somebody deleted a prediction: what is new does not show it, and reconciliation has all tasks looked at."""
    counted.import_cubes(task_data)
    version = counted.publish()
    jobs.write_back(counted.context, counted.id, version)
    before = counted.rows(version)
    counted.label_studio.delete_predictions(counted.label_studio.predictions(counted.id)[:1])
    jobs.write_back(counted.context, counted.id, version)
    assert len(counted.rows(version)) == len(before) - 1
    assert any("without the prediction" in sentence for sentence in reconcile(counted.context, counted.id).done)
    assert write_back_changes(counted.context, counted.id, version, report=silent) is None
    jobs.write_back(counted.context, counted.id, version)
    assert counted.rows(version) == before


def test_the_first_write_back_of_a_version_looks_at_all_tasks(counted: LoopProject, task_data: Data) -> None:
    """Also that of a rollback, of a file that an earlier helioloop wrote, and where it is required."""
    counted.import_cubes(task_data)

    def is_whole(version: str) -> bool:
        found = write_back_changes(counted.context, counted.id, version, report=silent) is None
        write_back(counted.context, counted.id, version, report=silent)
        return found

    first = counted.publish()
    assert is_whole(first)
    assert not is_whole(first)
    require_whole_write_back(counted.model_dir)
    assert is_whole(first)
    (counted.model_dir / "written.json").write_text('{"7": "2026-01-01T00:00:00Z"}\n')
    assert is_whole(first)
    second = counted.publish()
    assert is_whole(second)
    counted.registry.publish(first, why="rollback")
    assert is_whole(first)


def test_a_new_version_is_written_back_without_listing_all_predictions(counted: LoopProject, task_data: Data) -> None:
    """Nor all tasks, which the process has; a prediction of an earlier version is deleted where a cube is blind now."""
    tasks = counted.import_cubes(task_data)
    write_back(counted.context, counted.id, counted.publish(), report=silent)
    second = counted.publish()
    checks = RandomChecks.read(counted.model_dir)
    assert checks is not None
    hidden = sorted(tasks[cube] for cube in checks.cubes)
    counted.label_studio.import_predictions(
        counted.id, [{"task": hidden[0], "score": 0.5, "model_version": "v0001", "result": []}]
    )
    with counted.label_studio.counting() as traffic:  # type: ignore[attr-defined]
        written = write_back(counted.context, counted.id, second, report=silent)
    assert written.written == len(tasks) - len(hidden)
    assert {"predictions", "tasks"}.isdisjoint(traffic.calls)
    rows = counted.label_studio.predictions(counted.id)
    assert {row.task for row in rows}.isdisjoint(hidden)
    before = state(counted)
    require_whole_write_back(counted.model_dir)
    write_back(counted.context, counted.id, second, report=silent)
    assert state(counted) == before


def test_after_a_write_back_that_broke_off_the_next_one_of_any_version_is_whole(
    counted: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have written predictions and curves of the new version; a rollback must not leave them there."""
    counted.import_cubes(task_data)
    first = counted.publish()
    write_back(counted.context, counted.id, first, report=silent)
    second = counted.publish()

    def fails(*_: object, **__: object) -> None:
        raise LabelStudioError("Label Studio does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(counted.label_studio, "import_predictions", fails)
        with pytest.raises(LabelStudioError):
            write_back(counted.context, counted.id, second, report=silent)
    counted.registry.publish(first, why="rollback")
    assert write_back_changes(counted.context, counted.id, first, report=silent) is None
    write_back(counted.context, counted.id, first, report=silent)
    assert write_back_changes(counted.context, counted.id, first, report=silent) is not None


def test_a_request_that_comes_during_a_write_back_stands(
    counted: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted.import_cubes(task_data)
    version, whole = counted.publish(), counted.label_studio.import_predictions

    def asks(*words: Any, **more: Any) -> Any:
        require_whole_write_back(counted.model_dir)
        return whole(*words, **more)

    with monkeypatch.context() as patch:
        patch.setattr(counted.label_studio, "import_predictions", asks)
        write_back(counted.context, counted.id, version, report=silent)
    assert write_back_changes(counted.context, counted.id, version, report=silent) is None
