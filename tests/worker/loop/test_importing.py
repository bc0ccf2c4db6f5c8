"""Importing: each cube gets one task, also where ingestions run side by side, or Redis is emptied."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.worker.conftest import CUBES, LoopProject, make_release, write_small
from tests.worker.loop.ingested import SIX, cubes, excluded, ingest_release

from helioloop.data.cubes import CubeFiles
from helioloop.data.release import write_labels
from helioloop.errors import ServiceError
from helioloop_worker.loop import importing
from helioloop_worker.loop import ingest as ingestion
from helioloop_worker.loop.ingest import Ingested, ingest

Data = dict[str, dict[str, str]]


# -- which cubes have a task ----------------------------------------------------------------------


def counted(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the readings of all tasks and of new tasks, and how many new tasks were read."""
    calls: Counter[str] = Counter()
    tasks, tasks_after = loop_project.label_studio.tasks, loop_project.label_studio.tasks_after

    def counting_tasks(project: int) -> list[dict[str, Any]]:
        calls["all tasks"] += 1
        return tasks(project)

    def counting_tasks_after(project: int, task: int) -> list[dict[str, Any]]:
        found = tasks_after(project, task)
        calls["new tasks"] += 1
        calls["new tasks read"] += len(found)
        return found

    monkeypatch.setattr(loop_project.label_studio, "tasks", counting_tasks)
    monkeypatch.setattr(loop_project.label_studio, "tasks_after", counting_tasks_after)
    return calls


@pytest.mark.usefixtures("release")
def test_the_project_is_exported_once(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each of three imports only new tasks are read: none, two, two; the 18 known ones are not read again."""
    monkeypatch.setattr(ingestion, "IMPORT_EVERY", 2)
    loop_project.import_cubes(task_data, CUBES[6:])
    calls = counted(loop_project, monkeypatch)
    assert ingest_release(loop_project).imported == 6
    assert calls == {"all tasks": 1, "new tasks": 3, "new tasks read": 4}


def with_action(loop_project: LoopProject, action: Callable[[], object], *, at: int) -> Ingested:
    """Ingest with something else happening once, when `at` cubes are done."""
    done_before: list[int] = []

    def report(done: int, *_: object) -> None:
        if done == at and not done_before:
            done_before.append(done)
            action()

    return ingest(loop_project.context, loop_project.id, "six", report=report)


def test_two_ingestions_side_by_side_import_each_cube_once(
    loop_project: LoopProject, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one imports four of the six cubes, and one of its own, after this one has imported two."""
    monkeypatch.setattr(ingestion, "IMPORT_EVERY", 2)
    other = make_release(release.with_name("other"), ["cube02", "cube03", "cube04", "cube05", "cube07"])
    outcome = with_action(loop_project, lambda: ingest_release(loop_project, other.name), at=2)
    assert (outcome.imported, outcome.present, outcome.excluded) == (2, 4, ())
    assert cubes(loop_project) == [*SIX, "cube07"]


def test_another_ingestion_s_cube_of_the_same_name_and_other_content_excludes_ours(
    loop_project: LoopProject, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was imported while our file was being prepared."""
    monkeypatch.setattr(ingestion, "IMPORT_EVERY", 2)
    other = make_release(release.with_name("other"), [])
    write_small(other / "cube05.fits", emergence=True, seed=99)
    write_labels(other / "labels.csv", [])
    outcome = with_action(loop_project, lambda: ingest_release(loop_project, other.name), at=2)
    assert (outcome.imported, outcome.present) == (5, 0)
    assert [entry.cube for entry in outcome.excluded] == ["cube05"]
    assert "other content" in excluded(loop_project)["cube05"]
    assert cubes(loop_project) == list(SIX)


@pytest.mark.usefixtures("release")
def test_an_emptied_redis_duplicates_no_task(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two imports, with another ingestion of the same cubes after it."""
    monkeypatch.setattr(ingestion, "IMPORT_EVERY", 2)

    def empty_and_ingest() -> None:
        loop_project.context.connection.flushall()
        ingest_release(loop_project)

    outcome = with_action(loop_project, empty_and_ingest, at=2)
    assert (outcome.imported, outcome.present) == (2, 4)
    assert cubes(loop_project) == list(SIX)


def test_of_two_tasks_of_one_name_the_older_one_counts(loop_project: LoopProject, release: Path) -> None:
    """As for labels and scores: the file with its content has a task, the file with that of the younger has none."""
    ingest_release(loop_project)
    (data,) = [
        task["data"] for task in loop_project.label_studio.tasks(loop_project.id) if task["data"]["cube"] == "cube03"
    ]
    write_small(release / "cube03.fits", emergence=True, seed=99)
    changed = CubeFiles.read(release / "cube03.fits").sha256
    loop_project.label_studio.import_tasks(loop_project.id, [{**data, "sha256": changed}])
    assert loop_project.read().tasks["cube03"].cube.sha256 == data["sha256"]
    outcome = ingest_release(loop_project)
    assert (outcome.present, [entry.cube for entry in outcome.excluded]) == (5, ["cube03"])
    write_small(release / "cube03.fits", emergence=True, seed=3)
    assert ingest_release(loop_project).present == 6


# -- the lock on importing ------------------------------------------------------------------------


@pytest.mark.usefixtures("release")
def test_an_import_that_waits_too_long_is_refused_in_a_sentence(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another ingestion holds the lock; a repeated ingestion does the work."""
    monkeypatch.setattr(importing, "IMPORT_SECONDS", 1)
    held = loop_project.context.connection.lock(f"helioloop:importing:{loop_project.id}", timeout=60)
    assert held.acquire()
    with pytest.raises(ServiceError, match="one imports at a time: ingest again later"):
        ingest_release(loop_project)
    held.release()
    assert ingest_release(loop_project).imported == 6


@pytest.mark.usefixtures("release")
def test_an_import_that_lost_the_lock_imports_nothing(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis was emptied while the new tasks were read: another ingestion may import the same cubes now."""
    whole = loop_project.label_studio.tasks_after

    def empties(project: int, task: int) -> list[dict[str, Any]]:
        loop_project.context.connection.flushall()
        return whole(project, task)

    with monkeypatch.context() as emptied:
        emptied.setattr(loop_project.label_studio, "tasks_after", empties)
        with pytest.raises(ServiceError, match=r"the lock on importing was lost.* ingest again"):
            ingest_release(loop_project)
    assert cubes(loop_project) == []
    assert ingest_release(loop_project).imported == 6


@pytest.mark.usefixtures("release")
def test_a_lock_that_is_lost_after_the_import_does_no_harm(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis was emptied while Label Studio created the tasks."""
    whole = loop_project.label_studio.import_tasks

    def empties(project: int, data: Sequence[dict[str, Any]]) -> list[int]:
        loop_project.context.connection.flushall()
        return whole(project, data)

    monkeypatch.setattr(loop_project.label_studio, "import_tasks", empties)
    assert ingest_release(loop_project).imported == 6
    assert cubes(loop_project) == list(SIX)
