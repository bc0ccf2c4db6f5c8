"""Projects that a process keeps: the changes give what a complete reading gives, and cost no more with more tasks."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.benchmarks.growth.counted import CountedLabelStudio

from helioloop.errors import LabelStudioError
from helioloop.registry.label_snapshot import Snapshot
from helioloop.settings import Settings
from helioloop_worker.labelstudio import kept_projects
from helioloop_worker.labelstudio.data_edits import note_data_edit
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.kept_projects import KeptProjects
from helioloop_worker.labelstudio.port import LabelStudio
from helioloop_worker.labelstudio.project import ProjectState, read_project
from helioloop_worker.labelstudio.project_template import labeling_configuration


@pytest.fixture(autouse=True)
def _no_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake stores a change in the moment of its stamp."""
    monkeypatch.setattr(kept_projects, "OVERLAP", timedelta(0))


def data_of(cube: str, content: str = "1") -> dict[str, str]:
    """Return the data of a task of a cube."""
    return {
        "video": "/v.mp4", "curve": "/c.json", "reason": "/r.txt", "cube": cube, "release": "r",
        "sha256": hashlib.sha256(f"{cube}{content}".encode()).hexdigest(), "crude_label": "emergence",
    }  # fmt: skip


class Room:
    """A project in a fake, a process that keeps it, and what annotators do."""

    def __init__(self, folder: Path, cubes: int) -> None:
        self.fake = FakeLabelStudio()
        self.counted = CountedLabelStudio(self.fake)
        self.settings = Settings(model_root=folder)
        self.project = self.fake.create_project(title="kept", label_config=labeling_configuration())
        self.kept = KeptProjects(cast("LabelStudio", self.counted), self.settings)
        self.tasks = self.fake.import_tasks(self.project, [data_of(f"c{k}") for k in range(cubes)])
        self.fake.set_data_field(self.project, self.tasks[:1], "triage", "")
        self.annotations: list[int] = []

    def whole(self) -> ProjectState:
        """Return the project from a complete reading by another process."""
        return read_project(self.fake, self.project, settings=self.settings)

    def act(self, action: str, number: int) -> None:
        """Do something in Label Studio."""
        fake, task = self.fake, self.tasks[number % len(self.tasks)] if self.tasks else None
        known = self.annotations[number % len(self.annotations)] if self.annotations else None
        if action == "import":
            self.tasks += fake.import_tasks(self.project, [data_of(f"c{number % 9}", str(number % 2))])
        elif action == "foreign":
            self.tasks += fake.import_tasks(self.project, [{**data_of("c0"), "sha256": "none"}])
        elif action in {"emergence", "non-emergence"} and task is not None:
            self.annotations.append(fake.annotate(task, action, start=9, annotator=number % 3))
        elif action == "skip" and task is not None:
            self.annotations.append(fake.annotate(task, "emergence", skipped=True))
        elif action == "revise" and known is not None:
            fake.revise(known, "non-emergence")
        elif action == "delete annotation" and known is not None:
            fake.delete_annotation(known)
            self.annotations.remove(known)
        elif action == "delete task" and task is not None:
            (exported,) = [entry for entry in fake.tasks(self.project) if entry["id"] == task]
            gone = {annotation["id"] for annotation in exported["annotations"]}
            self.annotations = [annotation for annotation in self.annotations if annotation not in gone]
            fake.delete_task(task)
            self.tasks.remove(task)
        elif action == "predict and copy" and task is not None:
            fake.import_predictions(self.project, [{"task": task, "result": [], "score": 0.5, "model_version": "v1"}])
            fake.copy_predictions(self.project, [task])
        elif action == "change the crude label" and task is not None:
            fake.set_data_field(self.project, [task], "crude_label", "non-emergence")
            note_data_edit(self.settings.model_dir(self.project))


ACTIONS = (
    "import", "foreign", "emergence", "non-emergence", "skip", "revise", "delete annotation", "delete task",
    "predict and copy", "change the crude label",
)  # fmt: skip


def plain(state: ProjectState) -> dict[str, Any]:
    """Return what a state says, without the time of its reading."""
    return {
        "tasks": [(name, task.cube, task.ids, task.exported["data"]) for name, task in state.tasks.items()],
        "annotations": dict(state.snapshot.annotations),
        "labels": dict(state.snapshot.cubes),
    }


@given(
    before=st.integers(0, 4),
    groups=st.lists(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 40)), max_size=4), max_size=8),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_reading_the_changes_equals_a_complete_reading(
    before: int, groups: list[list[tuple[str, int]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """After any events, in any groups, whether their webhooks arrived or not; the label snapshot is the same too."""
    room = Room(tmp_path_factory.mktemp("models"), before)
    for group in groups:
        for action, number in group:
            room.act(action, number)
        read = room.kept.read(room.project)
        written = Snapshot.read(room.settings.model_dir(room.project))
        assert written is not None
        assert plain(read) == plain(room.whole())
        assert (written.annotations, written.cubes) == (read.snapshot.annotations, read.snapshot.cubes)


def after_a_correction(room: Room, change: Callable[[], object]) -> tuple[int, int]:
    """Return how many calls to Label Studio, and how many rows in them, it takes to read a change."""
    room.kept.read(room.project)
    change()
    with room.counted.counting() as traffic:
        read = room.kept.read(room.project)
    assert plain(read) == plain(room.whole())
    return sum(traffic.calls.values()), sum(traffic.rows.values())


def test_reading_a_correction_does_not_grow_with_the_project(tmp_path: Path) -> None:
    """A new, a changed and a deleted annotation cost as many calls and rows with 400 tasks as with 20."""
    small, large = Room(tmp_path / "small", 20), Room(tmp_path / "large", 400)
    costs = []
    for room in (small, large):
        first = room.fake.annotate(room.tasks[3], "emergence")
        costs.append(
            [
                after_a_correction(room, lambda room=room: room.fake.annotate(room.tasks[5], "emergence")),
                after_a_correction(room, lambda room=room, first=first: room.fake.revise(first, "non-emergence")),
                after_a_correction(room, lambda room=room, first=first: room.fake.delete_annotation(first)),
            ]
        )
    assert costs[0] == costs[1]
    assert all(calls <= 3 and rows <= 4 for calls, rows in costs[1])


def test_a_deleted_task_is_found_by_the_counts(tmp_path: Path) -> None:
    """No change of another task shows it."""
    room = Room(tmp_path, 20)
    room.kept.read(room.project)
    room.fake.delete_task(room.tasks.pop(4))
    assert "c4" not in room.kept.read(room.project).tasks


def test_changes_that_are_stored_after_their_stamp_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow transaction stores an annotation when a newer one was already read; two minutes are read again."""
    monkeypatch.setattr(kept_projects, "OVERLAP", timedelta(seconds=120))
    room = Room(tmp_path, 20)
    slow, fast = room.tasks[2], room.tasks[7]
    first = room.fake.annotate(slow, "emergence")
    room.kept.read(room.project)
    room.fake.revise(first, "non-emergence")
    room.fake.annotate(fast, "emergence")
    with monkeypatch.context() as hiding:
        every = room.fake.changed_tasks
        hiding.setattr(room.fake, "changed_tasks", lambda *at: [task for task in every(*at) if task["id"] != slow])
        room.kept.refresh(room.project)
    assert plain(room.kept.read(room.project)) == plain(room.whole())


def test_nothing_is_written_where_nothing_has_changed(tmp_path: Path) -> None:
    """The label snapshot stays, and one small page is read."""
    room = Room(tmp_path, 20)
    room.kept.read(room.project)
    path = room.settings.model_dir(room.project) / "labels.json"
    before = path.stat().st_ino
    room.kept.read(room.project)
    assert path.stat().st_ino == before


def test_complete_readings_take_a_small_fraction_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one of 10 s the next may follow 200 s later."""
    now = [1000.0]
    monkeypatch.setattr(kept_projects.time, "monotonic", lambda: now[0])
    room = Room(tmp_path, 3)
    assert room.kept.may_read_completely(room.project)
    every = room.fake.tasks

    def slow(project: int) -> list[dict[str, Any]]:
        now[0] += 10.0
        return every(project)

    monkeypatch.setattr(room.fake, "tasks", slow)
    room.kept.read_completely(room.project)
    now[0] += 199.0
    assert not room.kept.may_read_completely(room.project)
    now[0] += 2.0
    assert room.kept.may_read_completely(room.project)


@pytest.mark.parametrize("is_undone", [False, True])
def test_a_reading_that_breaks_off_half_way_loses_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_undone: bool
) -> None:
    """Of two changed tasks, the second one shows another cube, which needs a complete reading; that fails once.

    Where the second one is as it was since, the next reading would find nothing new but the first one.
    """
    room = Room(tmp_path, cubes=3)
    room.kept.read(room.project)
    room.act("emergence", 1)
    room.fake.set_data_field(room.project, room.tasks[2:3], "cube", "another")
    room.act("emergence", 2)

    def fails(*_: object) -> None:
        raise LabelStudioError("Label Studio does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(room.fake, "tasks", fails)
        with pytest.raises(LabelStudioError):
            room.kept.read(room.project)
    if is_undone:
        room.fake.set_data_field(room.project, room.tasks[2:3], "cube", "c2")
    assert room.kept.read(room.project).snapshot.cubes == room.whole().snapshot.cubes


def test_a_label_snapshot_that_another_process_replaced_or_lost_is_written_again(tmp_path: Path) -> None:
    room = Room(tmp_path, cubes=2)
    room.act("emergence", 0)
    state, model_dir = room.kept.read(room.project), room.settings.model_dir(room.project)
    for _ in range(2):
        Snapshot(read_at="2026-01-01T00:00:00+00:00").write(model_dir)
        room.kept.read(room.project)
        found = Snapshot.read(model_dir)
        assert found is not None
        assert found.cubes == state.snapshot.cubes
    (model_dir / "labels.json").unlink()
    room.kept.read(room.project)
    assert (model_dir / "labels.json").exists()


def test_changes_after_one_stamped_in_the_future_are_read(tmp_path: Path) -> None:
    """Label Studio's clock was ahead once; the changes that it stamps with the right time are older than that one."""
    room = Room(tmp_path, cubes=4)
    room.act("emergence", 1)
    room.kept.read(room.project)
    latest = room.fake._latest
    room.fake._latest = latest + timedelta(days=48)
    room.act("emergence", 2)
    assert room.kept.read(room.project).snapshot.cubes == room.whole().snapshot.cubes
    room.fake._latest = latest
    for action, number in (("revise", 0), ("revise", 1), ("emergence", 3)):
        room.act(action, number)
        read = room.kept.read(room.project).snapshot
        assert (read.cubes, read.annotations) == (room.whole().snapshot.cubes, room.whole().snapshot.annotations)
