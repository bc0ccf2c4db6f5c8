"""Damaged files: each is put aside with its reason, what it held is made again, and the other steps go on."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.whole import complete
from tests.worker.conftest import CUBES, SETTLED, LoopProject, score_of

from helioloop.errors import HelioloopError, LabelStudioError, RegistryError
from helioloop.model.growth_odds import GrowthOdds
from helioloop.progress import silent
from helioloop.registry.random_checks import RandomChecks
from helioloop.registry.score_store import write_scores
from helioloop.registry.staging import Staging
from helioloop_worker import jobs
from helioloop_worker.labelstudio.data_edits import note_data_edit
from helioloop_worker.loop import reconcile as reconciling
from helioloop_worker.loop import rounds
from helioloop_worker.loop.damage import put_damaged_aside
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.writeback import write_back

Data = dict[str, dict[str, str]]


def cut(path: Path) -> None:
    """Cut a file in the middle of a line, as a full or failing disk does."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 - 3])


@pytest.fixture
def project(loop_project: LoopProject, task_data: Data) -> LoopProject:
    """A project whose v0001 is published, written back and checked."""
    loop_project.import_cubes(task_data)
    write_back(loop_project.context, loop_project.id, loop_project.publish(), report=silent)
    loop_project.check()
    assert reconcile(loop_project.context, loop_project.id).done == ()
    return loop_project


def aside(project: LoopProject) -> list[str]:
    """The names of the files that were put aside, without their times."""
    return sorted(path.name.partition("-")[2] for path in (project.model_dir / "damaged").glob("*"))


FILES: dict[str, Callable[[LoopProject], Path]] = {
    "labels.json": lambda project: project.model_dir / "labels.json",
    "checked.json": lambda project: project.model_dir / "checked.json",
    "written.json": lambda project: project.model_dir / "written.json",
    "published.json": lambda project: project.model_dir / "published.json",
    "tabs.json": lambda project: project.model_dir / "tabs.json",
    "scores": lambda project: next((project.registry.folder("v0001") / "scores").glob("*.jsonl")),
}


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_put_aside_and_a_lost_webhook_is_still_noticed(project: LoopProject, name: str) -> None:
    """The reason is beside it; the same reconciliation finds the annotation whose event was lost."""
    path, task = FILES[name](project), project.read().tasks["cube01"].ids[0]
    cut(path)
    project.label_studio.annotate(task, "emergence")
    done = reconcile(project.context, project.id).done
    assert any(f"{path.name} is damaged and was put aside" in sentence for sentence in done)
    assert any("checking" in sentence for sentence in done)
    assert aside(project) == [path.name, f"{path.name}.reason.txt"]
    reason = next((project.model_dir / "damaged").glob("*.reason.txt")).read_text()
    assert reason.startswith(f"{path.relative_to(project.model_dir)}\n")
    assert project.registry.published() == "v0001"
    project.check()
    project.clear_queues()
    assert not any("damaged" in sentence for sentence in reconcile(project.context, project.id).done)


def test_cubes_of_a_damaged_score_file_are_scored_again(project: LoopProject) -> None:
    """Their predictions are still in Label Studio; reconciliation has a write-back of all tasks request them."""
    cut(FILES["scores"](project))
    done = reconcile(project.context, project.id).done
    assert f"{len(CUBES)} tasks with predictions and without a score: scoring" in done
    assert jobs.write_back(project.context, project.id, "v0001")["missing"] == len(CUBES)


@pytest.mark.parametrize("lines", [0, 1, 5])
def test_a_score_file_that_ends_with_a_whole_line_is_damaged_all_the_same(project: LoopProject, lines: int) -> None:
    """Cut off at the end of a line, or empty as after a power failure: each write-back failed for ever."""
    path = FILES["scores"](project)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:lines]))
    done = reconcile(project.context, project.id).done
    assert any(f"{path.name} is damaged and was put aside" in sentence for sentence in done)
    assert f"{len(CUBES)} tasks with predictions and without a score: scoring" in done
    assert jobs.write_back(project.context, project.id, "v0001")["missing"] == len(CUBES)


def test_a_damaged_note_of_changed_data_stops_nothing(project: LoopProject) -> None:
    """It is read as text at the start of each reading of the project."""
    note_data_edit(project.model_dir)
    (project.model_dir / "data-edit.txt").write_bytes(b"\xff\xfe\x00")
    assert "data-edit.txt is damaged and was put aside" in reconcile(project.context, project.id).done[0]
    assert project.check().startswith("no round")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"x": 1}', b"\xff"])
def test_damaged_random_checks_are_chosen_again_and_hidden_all_the_while(project: LoopProject, content: bytes) -> None:
    """The file stays until a write-back replaces it: without it, the backend would answer for blind tasks."""
    settings = project.context.settings.model_copy(update={"random_checks": 2})
    project = replace(project, context=replace(project.context, settings=settings))
    project.registry.publish(project.admit(), why="made by hand")
    write_back(project.context, project.id, "v0002", report=silent)
    before = RandomChecks.read(project.model_dir)
    assert before is not None
    assert len(before.cubes) >= 2
    project.clear_queues()
    (project.model_dir / "random_checks.json").write_bytes(content)
    with pytest.raises(RegistryError):
        reconcile(project.context, project.id)
    assert (project.model_dir / "random_checks.json").read_bytes() == content
    assert f"write-back-{project.id}-v0002" in project.queued()
    jobs.write_back(project.context, project.id, "v0002")
    assert RandomChecks.read(project.model_dir) == before
    project.clear_queues()
    assert put_damaged_aside(project.context, project.id) == []


def test_damaged_random_checks_before_the_first_version_are_put_aside(loop_project: LoopProject) -> None:
    (loop_project.model_dir / "random_checks.json").write_text("{")
    assert "was put aside" in put_damaged_aside(loop_project.context, loop_project.id)[0]


def test_a_damaged_list_of_shown_versions_stops_no_write_back(project: LoopProject) -> None:
    """It is put aside, and the next write-back begins another one."""
    cut(project.model_dir / "writebacks.jsonl")
    assert "writebacks.jsonl is damaged and was put aside" in reconcile(project.context, project.id).done[0]
    write_back(project.context, project.id, "v0001", report=silent)
    assert reconcile(project.context, project.id).done == ()


def test_a_file_that_cannot_be_looked_at_does_not_stop_the_other_steps(project: LoopProject) -> None:
    """A folder in place of the file stands for a file system that fails."""
    path = project.model_dir / "checked.json"
    path.unlink()
    path.mkdir()
    project.label_studio.annotate(project.read().tasks["cube01"].ids[0], "emergence")
    (project.model_dir / "labels.json").unlink()
    with pytest.raises(HelioloopError, match="a step of reconciliation failed"):
        reconcile(project.context, project.id)
    assert (project.model_dir / "labels.json").exists()


@pytest.mark.parametrize("part", ["plan.json", "attempts.json", "growth-odds.json", "fold0-0.safetensors", "located"])
def test_a_damaged_part_of_a_round_is_made_again(loop_project: LoopProject, task_data: Data, part: str) -> None:
    """The round goes on in its folder with the other parts; without the mend each reconciliation failed for ever."""
    loop_project.import_cubes(task_data)
    plan = loop_project.plan()
    assert rounds.start(loop_project.context, loop_project.id, plan, forced=False)
    staging = Staging(loop_project.model_dir)
    folder = complete(staging.folder(plan.fingerprint), [member.file for member in plan.members])
    scores = [score_of(cube.name, cube.sha256, 0.75) for cube in plan.cubes]
    for name in ("unlocated", "located"):
        write_scores(folder / name, scores)
    staging.count_attempt(plan.fingerprint, ["test"])
    GrowthOdds.estimate([]).write(folder)
    cut(next((folder / part).glob("*.jsonl")) if part == "located" else folder / part)
    loop_project.clear_queues()
    loop_project.context.state.heartbeat(loop_project.id, plan.fingerprint, now=time.time() - SETTLED)
    done = reconcile(loop_project.context, loop_project.id).done
    assert "is damaged and was put aside" in done[0]
    assert "closing it" in done[1] if part == "plan.json" else "it is resumed" in done[1]
    if part == "plan.json":
        assert "checking again" in jobs.close_round(loop_project.context, loop_project.id, plan.fingerprint)
        assert loop_project.check().startswith("round started")
        assert (folder / "fold1-0.safetensors").exists()
    assert not any("damaged" in sentence for sentence in reconcile(loop_project.context, loop_project.id).done)


def test_an_error_of_one_step_does_not_stop_the_others(project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first error is raised when all steps have been tried."""

    def fails(*_: object) -> None:
        raise RegistryError("a card is damaged")

    steps = reconciling._steps
    monkeypatch.setattr(reconciling, "_steps", lambda *which: [fails, *steps(*which)])
    project.label_studio.annotate(project.read().tasks["cube01"].ids[0], "emergence")
    with pytest.raises(RegistryError, match="a card is damaged"):
        reconcile(project.context, project.id)
    assert f"retrain-check-{project.id}" in project.queued()


def test_two_workers_reconcile_a_project_one_after_the_other(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both would count a failed attempt; the second does nothing, and the lock is free afterwards, after errors too."""
    inside, leave = threading.Event(), threading.Event()

    def waits(*_: object) -> list[str]:
        inside.set()
        assert leave.wait(20)
        raise LabelStudioError("Label Studio does not answer")

    monkeypatch.setattr(reconciling, "_steps", lambda *_: [waits])
    errors: list[Exception] = []

    def first() -> None:
        try:
            reconcile(project.context, project.id)
        except LabelStudioError as error:
            errors.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(20)
    monkeypatch.setattr(reconciling, "_steps", lambda *_: [lambda: "done"])
    assert reconcile(project.context, project.id).done == ()
    leave.set()
    thread.join()
    assert len(errors) == 1
    assert reconcile(project.context, project.id).done == ("done",)
