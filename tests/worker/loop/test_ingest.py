"""Ingestion: every readable cube gets one task and one complete video, whatever is damaged and interrupted."""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.worker.conftest import CUBES, Desk, crude, make_release, write_small

from helioloop.data.cubes import CubeFiles
from helioloop.data.release import LabelRow, write_labels
from helioloop.errors import LabelStudioError, ServiceError
from helioloop.progress import silent
from helioloop_worker import jobs
from helioloop_worker.loop import ingest as ingestion
from helioloop_worker.loop.ingest import Ingested, ingest, ingesting
from helioloop_worker.loop.video import check_video

Data = dict[str, dict[str, str]]

SIX = tuple(f"cube{k:02d}" for k in range(6))


@pytest.fixture
def release(desk: Desk) -> Path:
    """A release of six cubes that a test may damage."""
    return make_release(desk.context.settings.release_roots[1] / "six", SIX)


def ingest_release(desk: Desk, release: str = "six") -> Ingested:
    return ingest(desk.context, desk.project, release, report=silent)


def cubes(desk: Desk) -> list[str]:
    """The cubes that have tasks, duplicates included."""
    return sorted(task["data"]["cube"] for task in desk.label_studio.tasks(desk.project))


def excluded(desk: Desk) -> dict[str, str]:
    """The table of excluded cubes: cube -> reason."""
    with (desk.model_dir / "excluded" / "six.csv").open(newline="") as file:
        return {row["cube"]: row["reason"] for row in csv.DictReader(file)}


def labels(release: Path, *names: str) -> None:
    """Replace the label table by one with correct crude labels."""
    write_labels(release / "labels.csv", [LabelRow(cube=cube, label=crude(cube), verified=False) for cube in names])


@pytest.mark.usefixtures("release")
def test_every_cube_gets_one_task_and_one_video(desk: Desk) -> None:
    """The task contains name, time, region and crude label; its video is complete and served to annotators."""
    outcome = ingest_release(desk)
    assert (outcome.imported, outcome.present, outcome.excluded) == (6, 0, ())
    assert cubes(desk) == list(SIX)
    (data,) = [task["data"] for task in desk.label_studio.tasks(desk.project) if task["data"]["cube"] == "cube01"]
    assert set(data) == {"video", "cube", "release", "crude_label", "region", "start", "sha256"}
    assert (data["release"], data["crude_label"], data["region"]) == ("six", "emergence", "region1")
    assert data["start"] == "2001-02-01T00:00:00Z"
    served = data["video"].removeprefix("/data/local-files/?d=")
    assert check_video(desk.context.settings.media_root / served).n_frames == 24
    assert excluded(desk) == {}


@pytest.mark.usefixtures("release")
def test_each_cube_is_read_and_hashed_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first ingestion and in a repeated one, which finds that each cube has its task."""
    counted: Counter[str] = Counter()
    read, sha256 = CubeFiles.read, CubeFiles.sha256

    def counting_read(path: Path) -> CubeFiles:
        counted["read"] += 1
        return read(path)

    def counting_hash(files: CubeFiles) -> str:
        counted["hash"] += 1
        return sha256.fget(files)  # type: ignore[attr-defined]

    monkeypatch.setattr(CubeFiles, "read", counting_read)
    monkeypatch.setattr(CubeFiles, "sha256", property(counting_hash))
    assert ingest_release(desk).imported == 6
    assert counted == {"read": 6, "hash": 6}
    assert ingest_release(desk).present == 6
    assert counted == {"read": 12, "hash": 12}


@pytest.mark.usefixtures("release")
def test_nothing_is_imported_twice(desk: Desk) -> None:
    """The same release again: no new task, and no video is rendered again."""
    ingest_release(desk)
    before = {path: path.stat().st_mtime_ns for path in desk.context.settings.media_dir(desk.project).rglob("*.mp4")}
    outcome = ingest_release(desk)
    assert (outcome.imported, outcome.present) == (0, 6)
    assert cubes(desk) == list(SIX)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_unusable_cubes_are_excluded_with_their_reason(desk: Desk, release: Path) -> None:
    """A missing file, and a web page instead of a cube; the others are imported."""
    (release / "cube02.fits").write_text("<html><body>404 Not Found</body></html>")
    (release / "cube04.fits").unlink()
    outcome = ingest_release(desk)
    assert outcome.imported == 4
    assert cubes(desk) == ["cube00", "cube01", "cube03", "cube05"]
    reasons = excluded(desk)
    assert reasons == {entry.cube: entry.reason for entry in outcome.excluded}
    assert set(reasons) == {"cube02", "cube04"}
    assert "its file is missing" in reasons["cube04"]


def test_a_repaired_cube_is_imported_by_the_next_ingestion(desk: Desk, release: Path) -> None:
    """The table of excluded cubes is that of the last ingestion."""
    whole = (release / "cube02.fits").read_bytes()
    (release / "cube02.fits").write_bytes(whole[:3000])
    ingest_release(desk)
    (release / "cube02.fits").write_bytes(whole)
    outcome = ingest_release(desk)
    assert (outcome.imported, outcome.present) == (1, 5)
    assert excluded(desk) == {}


def test_other_content_under_a_known_name_is_excluded(desk: Desk, release: Path) -> None:
    """The data of a task cannot be changed: a changed file is another cube and needs another name."""
    ingest_release(desk)
    write_small(release / "cube03.fits", emergence=True, seed=99)
    outcome = ingest_release(desk)
    assert (outcome.imported, outcome.present) == (0, 5)
    assert "other content" in excluded(desk)["cube03"]
    assert cubes(desk) == list(SIX)


def test_one_cube_in_two_releases_gets_one_task(desk: Desk, release: Path) -> None:
    """A name belongs to one cube of a project."""
    other = make_release(release.with_name("other"), ["cube00", "cube07"])
    ingest_release(desk)
    outcome = ingest_release(desk, other.name)
    assert (outcome.imported, outcome.present) == (1, 1)
    assert cubes(desk) == [*SIX, "cube07"]


@pytest.mark.usefixtures("release")
def test_an_interrupted_ingestion_is_completed_by_the_next(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Label Studio refuses the second import: its two tasks stay, the repeat imports the other four."""
    monkeypatch.setattr(ingestion, "IMPORT_EVERY", 2)
    whole = desk.label_studio.import_tasks
    requests = iter(range(1))

    def fails(project: int, data: Sequence[dict[str, Any]]) -> list[int]:
        if next(requests, None) is None:
            raise LabelStudioError("importing tasks: no answer")
        return whole(project, data)

    with monkeypatch.context() as broken:
        broken.setattr(desk.label_studio, "import_tasks", fails)
        with pytest.raises(LabelStudioError):
            ingest_release(desk)
    assert len(cubes(desk)) == 2
    assert not ingesting(desk.context, desk.project)
    outcome = ingest_release(desk)
    assert (outcome.imported, outcome.present) == (4, 2)
    assert cubes(desk) == list(SIX)


@pytest.mark.usefixtures("release")
def test_an_answer_that_got_lost_duplicates_no_task(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Label Studio created the tasks, and the connection broke before the answer."""
    whole = desk.label_studio.import_tasks

    def breaks(project: int, data: Sequence[dict[str, Any]]) -> list[int]:
        whole(project, data)
        raise LabelStudioError("importing tasks: no answer")

    with monkeypatch.context() as broken:
        broken.setattr(desk.label_studio, "import_tasks", breaks)
        with pytest.raises(LabelStudioError):
            ingest_release(desk)
    outcome = ingest_release(desk)
    assert (outcome.imported, outcome.present) == (0, 6)
    assert cubes(desk) == list(SIX)


def test_an_ingestion_is_marked_while_it_runs(desk: Desk, release: Path) -> None:
    """From its first report to its last; not before, and not after it has ended or failed."""
    seen = []
    assert not ingesting(desk.context, desk.project)
    ingest(
        desk.context,
        desk.project,
        "six",
        report=lambda *_: seen.append(ingesting(desk.context, desk.project)),
    )
    assert len(seen) > 6
    assert all(seen)
    assert not ingesting(desk.context, desk.project)
    (release / "labels.csv").unlink()
    with pytest.raises(Exception, match=r"labels\.csv is missing"):
        ingest_release(desk)
    assert not ingesting(desk.context, desk.project)


@pytest.mark.usefixtures("release")
def test_a_broken_video_is_rendered_again(desk: Desk) -> None:
    """It had no task yet: the task is imported with a complete video."""
    ingest_release(desk)
    media = desk.context.settings.media_dir(desk.project)
    (video,) = media.glob("six/cube01-*.mp4")
    video.write_bytes(video.read_bytes()[:-500])
    fresh = desk.label_studio.create_project(
        title="fresh", label_config=desk.label_studio.project(desk.project).label_config
    )
    media.rename(desk.context.settings.media_dir(fresh))
    ingest(desk.context, fresh, "six", report=silent)
    (video,) = desk.context.settings.media_dir(fresh).glob("six/cube01-*.mp4")
    assert check_video(video).n_frames == 24


def test_a_cube_without_a_label_has_a_task_without_one(desk: Desk, release: Path) -> None:
    """Files that the table does not name are cubes too."""
    labels(release, *SIX[:5])
    ingest_release(desk)
    crude_labels = {task["data"]["cube"]: task["data"]["crude_label"] for task in desk.label_studio.tasks(desk.project)}
    assert crude_labels["cube05"] == ""
    assert crude_labels["cube04"] == "non-emergence"


@pytest.mark.usefixtures("release")
def test_a_retrain_check_follows_the_ingestion(desk: Desk) -> None:
    """And a write-back, where a version is published: new cubes arrive pre-labelled."""
    outcome = jobs.ingest(desk.context, desk.project, "six")
    assert (outcome["imported"], outcome["excluded"]) == (6, ())
    assert desk.queued() == [f"retrain-check-{desk.project}"]


# -- which cubes have a task ----------------------------------------------------------------------


def counted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the readings of all tasks and of new tasks, and how many new tasks were read."""
    calls: Counter[str] = Counter()
    tasks, tasks_after = desk.label_studio.tasks, desk.label_studio.tasks_after

    def counting_tasks(project: int) -> list[dict[str, Any]]:
        calls["all tasks"] += 1
        return tasks(project)

    def counting_tasks_after(project: int, task: int) -> list[dict[str, Any]]:
        found = tasks_after(project, task)
        calls["new tasks"] += 1
        calls["new tasks read"] += len(found)
        return found

    monkeypatch.setattr(desk.label_studio, "tasks", counting_tasks)
    monkeypatch.setattr(desk.label_studio, "tasks_after", counting_tasks_after)
    return calls


@pytest.mark.usefixtures("release")
def test_the_project_is_exported_once(desk: Desk, task_data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each of three imports only new tasks are read: none, two, two; the 18 known ones are not read again."""
    monkeypatch.setattr(ingestion, "IMPORT_EVERY", 2)
    desk.import_cubes(task_data, CUBES[6:])
    calls = counted(desk, monkeypatch)
    assert ingest_release(desk).imported == 6
    assert calls == {"all tasks": 1, "new tasks": 3, "new tasks read": 4}


def with_action(desk: Desk, action: Callable[[], object], *, at: int) -> Ingested:
    """Ingest with something else happening once, when `at` cubes are done."""
    done_before: list[int] = []

    def report(done: int, *_: object) -> None:
        if done == at and not done_before:
            done_before.append(done)
            action()

    return ingest(desk.context, desk.project, "six", report=report)


def test_two_ingestions_side_by_side_import_each_cube_once(
    desk: Desk, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one imports four of the six cubes, and one of its own, after this one has imported two."""
    monkeypatch.setattr(ingestion, "IMPORT_EVERY", 2)
    other = make_release(release.with_name("other"), ["cube02", "cube03", "cube04", "cube05", "cube07"])
    outcome = with_action(desk, lambda: ingest_release(desk, other.name), at=2)
    assert (outcome.imported, outcome.present, outcome.excluded) == (2, 4, ())
    assert cubes(desk) == [*SIX, "cube07"]


def test_another_ingestion_s_cube_of_the_same_name_and_other_content_excludes_ours(
    desk: Desk, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was imported while our file was being prepared."""
    monkeypatch.setattr(ingestion, "IMPORT_EVERY", 2)
    other = make_release(release.with_name("other"), [])
    write_small(other / "cube05.fits", emergence=True, seed=99)
    write_labels(other / "labels.csv", [])
    outcome = with_action(desk, lambda: ingest_release(desk, other.name), at=2)
    assert (outcome.imported, outcome.present) == (5, 0)
    assert [entry.cube for entry in outcome.excluded] == ["cube05"]
    assert "other content" in excluded(desk)["cube05"]
    assert cubes(desk) == list(SIX)


@pytest.mark.usefixtures("release")
def test_an_emptied_redis_duplicates_no_task(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two imports, with another ingestion of the same cubes after it."""
    monkeypatch.setattr(ingestion, "IMPORT_EVERY", 2)

    def empty_and_ingest() -> None:
        desk.context.connection.flushall()
        ingest_release(desk)

    outcome = with_action(desk, empty_and_ingest, at=2)
    assert (outcome.imported, outcome.present) == (2, 4)
    assert cubes(desk) == list(SIX)


def test_of_two_tasks_of_one_name_the_older_one_counts(desk: Desk, release: Path) -> None:
    """As for labels and scores: the file with its content has a task, the file with that of the younger has none."""
    ingest_release(desk)
    (data,) = [task["data"] for task in desk.label_studio.tasks(desk.project) if task["data"]["cube"] == "cube03"]
    write_small(release / "cube03.fits", emergence=True, seed=99)
    changed = CubeFiles.read(release / "cube03.fits").sha256
    desk.label_studio.import_tasks(desk.project, [{**data, "sha256": changed}])
    assert desk.view().tasks["cube03"].cube.sha256 == data["sha256"]
    outcome = ingest_release(desk)
    assert (outcome.present, [entry.cube for entry in outcome.excluded]) == (5, ["cube03"])
    write_small(release / "cube03.fits", emergence=True, seed=3)
    assert ingest_release(desk).present == 6


# -- the lock on importing ------------------------------------------------------------------------


@pytest.mark.usefixtures("release")
def test_an_import_that_waits_too_long_is_refused_in_a_sentence(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another ingestion holds the lock; a repeated ingestion does the work."""
    monkeypatch.setattr(ingestion, "IMPORT_SECONDS", 1)
    held = desk.context.connection.lock(f"helioloop:importing:{desk.project}", timeout=60)
    assert held.acquire()
    with pytest.raises(ServiceError, match="one imports at a time: ingest again later"):
        ingest_release(desk)
    held.release()
    assert ingest_release(desk).imported == 6


@pytest.mark.usefixtures("release")
def test_an_import_that_lost_the_lock_imports_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis was emptied while the new tasks were read: another ingestion may import the same cubes now."""
    whole = desk.label_studio.tasks_after

    def empties(project: int, task: int) -> list[dict[str, Any]]:
        desk.context.connection.flushall()
        return whole(project, task)

    with monkeypatch.context() as emptied:
        emptied.setattr(desk.label_studio, "tasks_after", empties)
        with pytest.raises(ServiceError, match=r"the lock on importing was lost.* ingest again"):
            ingest_release(desk)
    assert cubes(desk) == []
    assert ingest_release(desk).imported == 6


@pytest.mark.usefixtures("release")
def test_a_lock_that_is_lost_after_the_import_does_no_harm(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis was emptied while Label Studio created the tasks."""
    whole = desk.label_studio.import_tasks

    def empties(project: int, data: Sequence[dict[str, Any]]) -> list[int]:
        desk.context.connection.flushall()
        return whole(project, data)

    monkeypatch.setattr(desk.label_studio, "import_tasks", empties)
    assert ingest_release(desk).imported == 6
    assert cubes(desk) == list(SIX)
