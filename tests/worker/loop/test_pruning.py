"""Pruning a project while it lives: media files without a task, the cache, and rounds that run."""

import os
import time
from pathlib import Path

import pytest
from tests.worker.conftest import CUBES, LoopProject, make_release, work

from helioloop.errors import ServiceError
from helioloop.messaging import messages, queues
from helioloop.progress import silent
from helioloop.registry.staging import Staging
from helioloop_worker.loop import pruning
from helioloop_worker.loop.ingest import ingest
from helioloop_worker.loop.pruning import Kind

Data = dict[str, dict[str, str]]
DAY = 24 * 3600.0


def age(folder: Path, *, days: float = 2.0) -> None:
    """Let all files below a folder look as old as that."""
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (time.time() - days * DAY,) * 2)


CHOSEN = CUBES[:6]


@pytest.fixture
def ingested(loop_project: LoopProject) -> LoopProject:
    """The project with six cubes as tasks; their videos look two days old."""
    make_release(loop_project.context.settings.release_roots[1] / "six", CHOSEN)
    ingest(loop_project.context, loop_project.id, "six", report=silent)
    age(loop_project.context.settings.media_dir(loop_project.id))
    return loop_project


def delete_tasks(project: LoopProject, tasks: list[int]) -> None:
    """Delete tasks, as somebody does in Label Studio."""
    for task in tasks:
        del project.label_studio._project(project.id).tasks[task]


def kinds(project: LoopProject) -> list[Kind]:
    return pruning.kinds_of_media(project.context, project.id)


def remove_all(found: list[Kind]) -> None:
    for kind in found:
        kind.remove()


def test_media_files_of_cubes_without_a_task_go(ingested: LoopProject) -> None:
    """All four files of a deleted task; pages, and what was written today, stay."""
    media = ingested.context.settings.media_dir(ingested.id)
    before = set(pruning.media_files(media))
    assert len(before) == 4 * len(CHOSEN)
    for name in ("state.html", "report.html", "instruction/a.png", "six/notes.txt"):
        (media / name).parent.mkdir(exist_ok=True)
        (media / name).write_text("x")
    gone = next(task["id"] for task in ingested.label_studio.tasks(ingested.id) if task["data"]["cube"] == CUBES[3])
    delete_tasks(ingested, [gone])
    age(media)
    fresh = media / "six" / f"{CUBES[5]}-0123456789ab.mp4"
    fresh.write_bytes(b"v")
    found = kinds(ingested)[0].find()
    assert (found.files, found.what) == (4, "media files of cubes without a task")
    for _ in range(2):
        remove_all(kinds(ingested))
        left = set(pruning.media_files(media))
        assert left - {fresh} < before
        assert {path.name[: len(CUBES[3])] for path in before - left} == {CUBES[3]}
        assert len(before - left) == 4
        assert fresh.exists()
    assert {path.name for path in media.iterdir() if path.is_file()} == {"project.json", "state.html", "report.html"}
    assert (media / "six" / "notes.txt").exists()


def test_media_files_stay_while_a_release_is_ingested(ingested: LoopProject) -> None:
    """Their cubes have no task yet."""
    context = ingested.context
    context.connection.hset(f"helioloop:ingesting:{ingested.id}", "other", str(time.time()))
    for call in (kinds(ingested)[0].find, kinds(ingested)[0].remove):
        with pytest.raises(ServiceError, match=r"being ingested into project .*: media files are left alone"):
            call()


def test_media_files_stay_where_label_studio_has_no_task(ingested: LoopProject) -> None:
    """It may be another Label Studio than that of the media folder."""
    tasks = [task["id"] for task in ingested.label_studio.tasks(ingested.id)]
    delete_tasks(ingested, tasks)
    with pytest.raises(ServiceError, match=r"has no tasks in project .*: media files are left alone; check"):
        kinds(ingested)[0].find()


def test_an_ingestion_waits_until_files_are_removed(ingested: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it could find a video that is removed a moment later."""
    connection, waited = ingested.context.connection, []
    key = f"helioloop:pruning:{ingested.id}"
    connection.set(key, "another process")

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            connection.delete(key)

    monkeypatch.setattr("helioloop_worker.loop.running_ingestions.time.sleep", sleep)
    assert ingest(ingested.context, ingested.id, "six", report=silent).present == len(CHOSEN)
    assert len(waited) == 3


def test_two_processes_do_not_remove_media_files_at_once(ingested: LoopProject) -> None:
    ingested.context.connection.set(f"helioloop:pruning:{ingested.id}", "another process")
    with pytest.raises(ServiceError, match=r"another process removes media files of project .*; one at a time"):
        kinds(ingested)[0].remove()


def test_a_running_round_stays_and_one_that_was_left_goes(loop_project: LoopProject, task_data: Data) -> None:
    """Redis knows which one runs, however long nothing was written."""
    loop_project.import_cubes(task_data)
    loop_project.check()
    (running,) = Staging(loop_project.model_dir).fingerprints()
    Staging(loop_project.model_dir).create("0123abcd")
    age(loop_project.model_dir / "staging")
    found = pruning.kinds_in_model_folder(
        loop_project.registry, keep=1, running=lambda: pruning.running_rounds(loop_project.context, loop_project.id)
    )
    assert found[1].find().files == 1
    remove_all(found)
    assert Staging(loop_project.model_dir).fingerprints() == [running]


def test_only_entries_of_the_cache_that_were_not_used_go(tmp_path: Path) -> None:
    """Other files stay, whatever is in the folder that is named as the cache."""
    names = (f"ab/{'a' * 64}-0123456789ab-5.npy", f"inputs/per-frame-0123456789ab/{'b' * 64}.npy")
    others = ("measurement.npy", "ab/notes.txt", ".labels.csv.20240315", "ab/.notes.20231105")
    begun = f"ab/.{'a' * 64}.npy.hl0123ab"
    for name in (*names, *others, begun, f"ab/{'c' * 64}-0123456789ab-5.npy"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 10)
    age(tmp_path, days=31)
    read = tmp_path / "ab" / f"{'c' * 64}-0123456789ab-5.npy"
    os.utime(read, (time.time() - 29 * DAY, time.time() - 90 * DAY))
    kind, unfinished = pruning.kinds_of_cache(tmp_path, days=30)
    assert (kind.find().files, kind.find().n_bytes) == (2, 20)
    assert (unfinished.find().files, unfinished.find().n_bytes) == (1, 10)
    remove_all([kind, unfinished])
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == sorted([*others, str(read.relative_to(tmp_path))])
    assert all(kind.find().files == 0 for kind in pruning.kinds_of_cache(tmp_path / "none", days=30))


def test_what_redis_or_label_studio_cannot_tell_is_a_sentence(ingested: LoopProject) -> None:
    """The other kinds are found all the same."""
    ingested.context.connection.hset(f"helioloop:ingesting:{ingested.id}", "other", str(time.time()))
    tried = pruning.found(kinds(ingested))
    assert tried[0].prunable is None
    assert "is being ingested" in str(tried[0].problem)
    assert tried[1].prunable is not None


def test_a_second_round_leaves_no_more_in_redis_than_the_first(loop_project: LoopProject, task_data: Data) -> None:
    """All keys that jobs leave have an end, except those that each round renews."""
    loop_project.import_cubes(task_data, CUBES[:20])
    connection, permanent = loop_project.context.connection, []
    for _ in range(2):
        queues.send(connection, messages.RetrainCheck(project=loop_project.id, forced=True))
        work(loop_project)
        permanent.append({key for key in connection.scan_iter("*") if connection.ttl(key) == -1})
    assert loop_project.registry.versions() == ["v0001", "v0002"]
    assert permanent[1] <= permanent[0]
    assert not [key for key in permanent[1] if key.startswith(b"rq:job:")]
