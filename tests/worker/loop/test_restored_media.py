"""A media folder that was lost, or restored without the model folder: what annotators see is put right, or named."""

import json
import shutil
from pathlib import Path

import pytest
from tests.worker.conftest import CUBES, LoopProject, work

from helioloop.evaluation.audit_order import audit_order
from helioloop.progress import silent
from helioloop.registry import lost_media as noted
from helioloop.registry.lost_media import LostMedia, forget_lost_media, read_lost_media, write_lost_media
from helioloop.registry.random_checks import blind_cubes
from helioloop_worker import jobs
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.writeback import write_back
from helioloop_worker.loop.writeback_changes import write_back_changes
from helioloop_worker.loop.written_screens import SCREENS
from helioloop_worker.reports.status_json import status_json
from helioloop_worker.reports.status_reading import read_status

AGAIN = "curves and reasons are not those written last, as after a restore of the media folder: writing them again"


@pytest.fixture
def ingested(loop_project: LoopProject) -> LoopProject:
    """A project with the videos, curves and reasons of 24 cubes, of which v0001 says that they emerge with 0.75."""
    jobs.ingest(loop_project.context, loop_project.id, "made")
    write_back(loop_project.context, loop_project.id, loop_project.publish(p_emergence=0.75), report=silent)
    loop_project.check()
    loop_project.clear_queues()
    assert reconcile(loop_project.context, loop_project.id).done == ()
    return loop_project


def media(project: LoopProject) -> Path:
    return project.context.settings.media_dir(project.id)


def shown(project: LoopProject) -> dict[str, bytes]:
    """Return what curves and reasons say, by the name of the file."""
    return {
        path.name: path.read_bytes()
        for kind in ("curve.json", "reason.txt")
        for path in media(project).rglob(f"*.{kind}")
    }


def reason(project: LoopProject, cube: str) -> str:
    (path,) = media(project).rglob(f"{cube}-*.reason.txt")
    return path.read_text()


def back_up(project: LoopProject, folder: Path) -> Path:
    return Path(shutil.copytree(media(project), folder))


def restore(project: LoopProject, backup: Path) -> None:
    shutil.rmtree(media(project))
    shutil.copytree(backup, media(project))


def causes(project: LoopProject) -> dict[str, str]:
    """Return cause -> sentence and action of what the status finds."""
    values = json.loads(
        status_json(read_status(project.registry, project=project.id, settings=project.context.settings))
    )
    return {
        finding["cause"]: f"{finding['sentence']} {finding['action']}"
        for finding in [values["verdict"], *values["also"]]
    }


def test_curves_and_reasons_of_an_older_backup_are_written_again(ingested: LoopProject, tmp_path: Path) -> None:
    """They are those of v0001, and v0002 is shown."""
    backup = back_up(ingested, tmp_path / "backup")
    write_back(ingested.context, ingested.id, ingested.publish(p_emergence=0.25), report=silent)
    assert reconcile(ingested.context, ingested.id).done == ()
    now = shown(ingested)
    restore(ingested, backup)
    assert "v0001" in reason(ingested, "cube01")
    assert reconcile(ingested.context, ingested.id).done == (AGAIN,)
    work(ingested)
    assert shown(ingested) == now
    assert "v0002" in reason(ingested, "cube01")
    assert reconcile(ingested.context, ingested.id).done == ()


def test_a_random_check_hides_what_an_older_backup_shows_of_it(ingested: LoopProject, tmp_path: Path) -> None:
    """It was chosen with v0002; in the backup, its files have what v0001 says."""
    backup = back_up(ingested, tmp_path / "backup")
    ingested.context.settings.random_checks = 4
    write_back(ingested.context, ingested.id, ingested.publish(p_emergence=0.25), report=silent)
    check = audit_order(task.cube for task in ingested.read().tasks.values())[0]
    assert check in blind_cubes(ingested.model_dir, ingested.read().snapshot.cubes)
    restore(ingested, backup)
    assert "v0001" in reason(ingested, check)
    reconcile(ingested.context, ingested.id)
    work(ingested)
    assert "Random check" in reason(ingested, check)
    assert "v000" not in reason(ingested, check)


def test_a_write_back_of_changes_after_a_restore_writes_the_files_of_all_tasks(
    ingested: LoopProject, tmp_path: Path
) -> None:
    """It may come before the reconciliation, which would find nothing any more afterwards."""
    backup = back_up(ingested, tmp_path / "backup")
    write_back(ingested.context, ingested.id, ingested.publish(p_emergence=0.25), report=silent)
    restore(ingested, backup)
    ingested.label_studio.annotate(ingested.read().tasks["cube01"].ids[0], "emergence")
    assert write_back_changes(ingested.context, ingested.id, "v0002", report=silent) is None


def test_the_same_backup_of_both_folders_needs_no_writing(ingested: LoopProject, tmp_path: Path) -> None:
    models = Path(shutil.copytree(ingested.model_dir, tmp_path / "models backup"))
    backup = back_up(ingested, tmp_path / "backup")
    write_back(ingested.context, ingested.id, "v0001", report=silent)
    restore(ingested, backup)
    shutil.rmtree(ingested.model_dir)
    shutil.copytree(models, ingested.model_dir)
    assert reconcile(ingested.context, ingested.id).done == ()


def test_a_project_of_an_older_helioloop_is_left_alone_until_its_next_write_back(ingested: LoopProject) -> None:
    for folder in (media(ingested), ingested.model_dir):
        (folder / SCREENS).unlink()
    assert reconcile(ingested.context, ingested.id).done == ()
    assert "lost-media" not in causes(ingested)


def test_lost_media_are_named_until_the_release_is_ingested_again(
    ingested: LoopProject, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says it once, however often reconciliation finds it; afterwards the screens are as before."""
    before = shown(ingested)
    shutil.rmtree(media(ingested))
    for _ in range(3):
        reconcile(ingested.context, ingested.id)
        work(ingested)
    assert caplog.text.count("media files of 24 cubes of release made are not in") == 1
    assert "Videos of 24 cubes, or what is shown beside them" in causes(ingested)["lost-media"]
    assert f"`helioloop ingest made --project {ingested.id}`" in causes(ingested)["lost-media"]
    jobs.ingest(ingested.context, ingested.id, "made")
    assert "lost-media" not in causes(ingested)
    work(ingested)
    reconcile(ingested.context, ingested.id)
    assert "lost-media" not in causes(ingested)
    assert shown(ingested) == before


def test_a_backup_of_before_the_last_release_lacks_the_files_of_that_one_alone(ingested: LoopProject) -> None:
    """So does a folder from which somebody has deleted some videos, or some facts."""
    for lost in (*media(ingested).rglob("cube0[12]-*.mp4"), *media(ingested).rglob("cube0[23]-*.facts.json")):
        lost.unlink()
    reconcile(ingested.context, ingested.id)
    found = read_lost_media(ingested.model_dir)
    assert found is not None
    assert found.releases == {"made": 3}


def test_a_disk_that_is_mounted_again_has_all_its_files(ingested: LoopProject, tmp_path: Path) -> None:
    before, away = shown(ingested), tmp_path / "away"
    media(ingested).rename(away)
    reconcile(ingested.context, ingested.id)
    work(ingested)
    assert "lost-media" in causes(ingested)
    restore(ingested, away)
    reconcile(ingested.context, ingested.id)
    work(ingested)
    reconcile(ingested.context, ingested.id)
    assert "lost-media" not in causes(ingested)
    assert shown(ingested) == before


def test_tasks_whose_videos_are_elsewhere_lack_nothing(loop_project: LoopProject, tasks: dict[str, int]) -> None:
    """Copied tasks lead to another project's files, and a team's own tasks wherever it has its videos."""
    assert len(tasks) == len(CUBES)
    reconcile(loop_project.context, loop_project.id)
    assert read_lost_media(loop_project.model_dir) is None


def test_what_was_made_again_is_forgotten_release_by_release(tmp_path: Path) -> None:
    write_lost_media(tmp_path, LostMedia(at="2026-11-28T12:00:00+00:00", releases={"first": 2, "second": 1}))
    forget_lost_media(tmp_path, "third")
    forget_lost_media(tmp_path, "first")
    found = read_lost_media(tmp_path)
    assert found is not None
    assert found.releases == {"second": 1}
    forget_lost_media(tmp_path, "second")
    assert not (tmp_path / noted.FILE_NAME).exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"at": "now", "releases": []}', '{"at": "now", "releases": {}}'])
def test_a_damaged_note_is_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / noted.FILE_NAME).write_text(content)
    assert read_lost_media(tmp_path) is None
