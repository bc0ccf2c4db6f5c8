"""Backup and restore as docs/operating.md has them: everything is lost, restored, and goes on.

The copy of the fake of Label Studio stands for the dump of its database; Redis, the folders and the commands are real.
"""

import copy
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from tests.documents.blocks import blocks
from tests.documents.running import run_in_bash
from tests.redis_server import BINARY, start_redis, stop_redis
from tests.worker.conftest import CUBES, LoopProject, make_release, work

from helioloop.messaging import messages, queues
from helioloop.model import ensemble
from helioloop.progress import silent
from helioloop.registry.label_snapshot import Snapshot
from helioloop_worker import jobs
from helioloop_worker.context import Context
from helioloop_worker.demo.process import free_port
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.loop.ingest import ingest
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.writeback import write_back


def run_block(name: str, environment: Mapping[str, Path | str]) -> None:
    """Run the block of docs/operating.md that begins with this comment."""
    (block,) = (block for block in blocks("docs/operating.md", "bash") if block.text.startswith(f"# {name}\n"))
    run_in_bash(block, environment)


def environment(project: LoopProject, tmp_path: Path) -> dict[str, Path | str]:
    """Return the variables that the document's commands use."""
    settings, backup = project.context.settings, tmp_path / "backup"
    backup.mkdir(exist_ok=True)
    return {
        "BACKUP": backup,
        "HELIOLOOP_MODEL_ROOT": settings.model_root,
        "HELIOLOOP_MEDIA_ROOT": settings.media_root,
        "REDIS_URL": settings.redis_url,
    }


def lose_everything(project: LoopProject) -> None:
    settings = project.context.settings
    project.context.connection.flushall()
    for folder in (settings.model_root, settings.media_root):
        shutil.rmtree(folder)


def with_label_studio(project: LoopProject, label_studio: FakeLabelStudio) -> LoopProject:
    """Return the project with another Label Studio, in a worker that has just started."""
    old = project.context
    context = Context(
        old.settings,
        open_redis=old.open_redis,
        open_label_studio=lambda _: label_studio,
        recipe_for=old.recipe_for,
    )
    return replace(project, context=context, label_studio=label_studio)


def shown(project: LoopProject) -> dict[str, tuple[str, float, object]]:
    """Return version, score and result of each cube's prediction; a second one of a cube fails the test."""
    names = {task["id"]: task["data"]["cube"] for task in project.label_studio.tasks(project.id)}
    stored = project.label_studio.stored(project.id)
    assert len({entry["task"] for entry in stored}) == len(stored)
    return {names[entry["task"]]: (entry["model_version"], entry["score"], entry["result"]) for entry in stored}


def run_everything(project: LoopProject) -> None:
    """Reconcile and run all jobs, as the workers do after they have started."""
    queues.send(project.context.connection, messages.Reconcile(project=project.id))
    work(project)


def test_what_is_lost_comes_back_from_the_backup(loop_project: LoopProject, tmp_path: Path) -> None:
    """Equal labels, predictions, scores and videos; no round is due, and the weights score as before."""
    project = loop_project
    make_release(project.context.settings.release_roots[1] / "all", CUBES)
    ingest(project.context, project.id, "all", report=silent)
    tasks = {task["data"]["cube"]: task["id"] for task in project.label_studio.tasks(project.id)}
    for cube in CUBES[:3]:
        project.label_studio.annotate(tasks[cube], "emergence", start=13)
    queues.send(project.context.connection, messages.RetrainCheck(project=project.id))
    work(project)
    version = project.registry.published()
    assert version == "v0001"
    snapshot = Snapshot.read(project.model_dir)
    assert snapshot is not None
    before = (shown(project), snapshot.cubes, project.registry.scores(version), media(project))
    assert len(before[0]) == len(CUBES)

    variables, database = environment(project, tmp_path), copy.deepcopy(project.label_studio)
    run_block("back up", variables)
    project.label_studio.annotate(tasks[CUBES[5]], "non-emergence")  # after the backup: lost with the database
    lose_everything(project)
    assert project.registry.versions() == []
    run_block("restore", variables)

    restored = with_label_studio(project, database)
    run_everything(restored)
    snapshot = Snapshot.read(restored.model_dir)
    assert snapshot is not None
    after = (shown(restored), snapshot.cubes, restored.registry.scores(version), media(restored))
    assert after == before
    assert restored.registry.versions() == ["v0001"]
    assert reconcile(restored.context, restored.id).done == ()
    cube = restored.plan().cubes[0]
    runtime = restored.context.runtime(restored.id, silent)
    (score,) = ensemble.score_cubes(restored.context.ensembles.open(restored.registry.folder(version)), [cube], runtime)
    assert score.p_emergence == pytest.approx(before[2][cube.key].p_emergence, abs=1e-6)


def media(project: LoopProject) -> dict[str, bytes]:
    """Return the files around the videos of a project, by path; pages have the time in them and are left out."""
    root = project.context.settings.media_dir(project.id)
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.glob("*/*"))}


@pytest.fixture
def shown_project(loop_project: LoopProject, task_data: dict[str, dict[str, str]]) -> LoopProject:
    """A project whose v0001 is published and shown, and checked."""
    loop_project.import_cubes(task_data)
    write_back(loop_project.context, loop_project.id, loop_project.publish(p_emergence=0.25), report=silent)
    loop_project.context.settings.media_dir(loop_project.id).mkdir(parents=True, exist_ok=True)
    loop_project.check()
    return loop_project


def test_a_model_folder_that_is_newer_than_the_database_is_written_back(
    shown_project: LoopProject, tmp_path: Path
) -> None:
    """In the order of the document, a version may be published between the two copies; labels are those of the dump."""
    project = shown_project
    database = copy.deepcopy(project.label_studio)
    write_back(project.context, project.id, project.publish(p_emergence=0.75), report=silent)
    run_block("back up", environment(project, tmp_path))
    lose_everything(project)
    run_block("restore", environment(project, tmp_path))
    restored = with_label_studio(project, database)
    assert jobs.reconcile(restored.context, restored.id)
    work(restored, messages.QUEUE_MAINTENANCE)
    rows = restored.rows("v0002")
    assert len(rows) == len(set(rows)) == len(CUBES)
    assert restored.label_studio.project(restored.id).model_version == "v0002"
    assert restored.read().snapshot.cubes == project.read().snapshot.cubes


def test_a_model_folder_that_is_older_than_the_database_gives_no_name_again(
    shown_project: LoopProject, tmp_path: Path
) -> None:
    """Label Studio has predictions of the lost v0002: the next version is v0003, and those of v0002 are deleted."""
    project = shown_project
    run_block("back up", environment(project, tmp_path))
    write_back(project.context, project.id, project.publish(p_emergence=0.75), report=silent)
    lose_everything(project)
    run_block("restore", environment(project, tmp_path))
    settings = project.context.settings.model_copy(update={"grace_seconds": 0.0})
    restored = with_label_studio(
        replace(project, context=replace(project.context, settings=settings)), project.label_studio
    )
    assert restored.registry.versions() == ["v0001"]
    run_everything(restored)
    assert restored.label_studio.project(restored.id).model_version == "v0001"
    assert len(restored.rows("v0001")) == len(CUBES)
    queues.send(restored.context.connection, messages.RetrainCheck(project=restored.id, forced=True))
    work(restored)
    assert restored.registry.versions() == ["v0001", "v0003"]
    run_everything(restored)
    assert set(restored.label_studio.model_versions(restored.id)) == {restored.registry.published()}


def test_the_copy_has_no_locks_no_unfinished_files_and_no_rounds(shown_project: LoopProject, tmp_path: Path) -> None:
    """A round in the making, a lock and an unfinished file stay behind; all else comes back as it was."""
    project, variables = shown_project, environment(shown_project, tmp_path)
    before = {path.relative_to(project.model_dir) for path in project.model_dir.rglob("*")} - {Path("staging")}
    (project.registry.staging("0123abcd") / "half").write_text("half")
    for name in (".watch.lock", ".labels.json.hl0123ab", "versions/v0001/.card.json.hl0123ab"):
        (project.model_dir / name).write_text("x")
    run_block("back up", variables)
    lose_everything(project)
    run_block("restore", variables)
    assert {path.relative_to(project.model_dir) for path in project.model_dir.rglob("*")} == before


@pytest.mark.parametrize("password", ["s3same and more", "", None], ids=["a password", "an empty one", "none"])
def test_redis_is_emptied_as_the_document_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str | None
) -> None:
    """With a password and without, on a port; other databases are left alone, and a wrong password is an error."""
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", tmp_path]
    if password:
        options += ["--requirepass", password]
    url = f"redis://{f':{quote(password)}@' if password else ''}127.0.0.1:{port}"
    server = start_redis(f"{url}/0", *options)
    monkeypatch.setenv("PATH", f"{BINARY.parent}:{os.environ['PATH']}")  # redis-cli is beside the server
    address = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(port), "REDIS_DATABASE": "1"}
    try:
        with redis.Redis.from_url(f"{url}/0") as others, redis.Redis.from_url(f"{url}/1") as own:
            others.set("a", "b")
            own.set("a", "b")
            if password:
                with pytest.raises(AssertionError, match=r"operating\.md"):
                    run_block("empty Redis", {**address, "REDIS_PASSWORD": "wr0ng"})
                assert own.dbsize() == 1
            run_block("empty Redis", address if password is None else {**address, "REDIS_PASSWORD": password})
            assert (others.dbsize(), own.dbsize()) == (1, 0)
    finally:
        stop_redis(server)


def test_videos_come_back_without_their_backup(loop_project: LoopProject) -> None:
    """Another ingestion of the release renders them at the addresses that the tasks have."""
    project = loop_project
    make_release(project.context.settings.release_roots[1] / "two", CUBES[:2])
    ingest(project.context, project.id, "two", report=silent)
    names, tasks = set(media(project)), project.label_studio.tasks(project.id)
    shutil.rmtree(project.context.settings.media_root)
    assert ingest(project.context, project.id, "two", report=silent).present == 2
    assert set(media(project)) == names
    assert project.label_studio.tasks(project.id) == tasks
