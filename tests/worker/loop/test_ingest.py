"""Ingestion: every readable cube gets one task and one whole video, whatever is broken and whenever it breaks off."""

import csv
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.worker.conftest import Desk, crude, make_release, write_small

from helioloop.data.cubes import CubeFiles
from helioloop.data.release import LabelRow, write_labels
from helioloop.errors import LabelStudioError
from helioloop.progress import silent
from helioloop_worker import jobs
from helioloop_worker.loop import ingest as ingestion
from helioloop_worker.loop.ingest import Ingested, ingest, ingesting
from helioloop_worker.loop.video import check_video

SIX = tuple(f"cube{k:02d}" for k in range(6))


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepare cubes in a thread: a process spends seconds on imports, and none of the sentences is about processes.

    One thread only: Python 3.11's parser, which reads the header of a cached cube, fails now and then in several.
    """
    monkeypatch.setattr(ingestion, "ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))


@pytest.fixture
def release(desk: Desk) -> Path:
    """A release of six cubes that may be spoilt."""
    return make_release(desk.context.settings.release_roots[1] / "six", SIX)


def take_in(desk: Desk, release: str = "six") -> Ingested:
    return ingest(desk.context, desk.project, release, report=silent)


def cubes(desk: Desk) -> list[str]:
    """The cubes that have tasks, doubles included."""
    return sorted(task["data"]["cube"] for task in desk.label_studio.tasks(desk.project))


def set_aside(desk: Desk) -> dict[str, str]:
    """The table of cubes set aside: cube -> reason."""
    with (desk.model_dir / "set-aside" / "six.csv").open(newline="") as file:
        return {row["cube"]: row["reason"] for row in csv.DictReader(file)}


def labels(release: Path, *names: str) -> None:
    """Write the label table anew, with crude labels that are right."""
    write_labels(release / "labels.csv", [LabelRow(cube=cube, label=crude(cube), verified=False) for cube in names])


@pytest.mark.usefixtures("release")
def test_every_cube_gets_one_task_and_one_video(desk: Desk) -> None:
    """The task says which cube, when, where and how labelled; its video is whole and served to annotators."""
    outcome = take_in(desk)
    assert (outcome.imported, outcome.present, outcome.set_aside) == (6, 0, ())
    assert cubes(desk) == list(SIX)
    (data,) = [task["data"] for task in desk.label_studio.tasks(desk.project) if task["data"]["cube"] == "cube01"]
    assert set(data) == {"video", "cube", "release", "crude_label", "region", "start", "sha256"}
    assert (data["release"], data["crude_label"], data["region"]) == ("six", "emergence", "region1")
    assert data["start"] == "2001-02-01T00:00:00Z"
    served = data["video"].removeprefix("/data/local-files/?d=")
    assert check_video(desk.context.settings.media_root / served).n_frames == 24
    assert set_aside(desk) == {}


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
    assert take_in(desk).imported == 6
    assert counted == {"read": 6, "hash": 6}
    assert take_in(desk).present == 6
    assert counted == {"read": 12, "hash": 12}


@pytest.mark.usefixtures("release")
def test_nothing_is_imported_twice(desk: Desk) -> None:
    """The same release again: no task, and no video rendered anew."""
    take_in(desk)
    before = {path: path.stat().st_mtime_ns for path in desk.context.settings.media_dir(desk.project).rglob("*.mp4")}
    outcome = take_in(desk)
    assert (outcome.imported, outcome.present) == (0, 6)
    assert cubes(desk) == list(SIX)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_bad_cubes_are_set_aside_with_their_reason(desk: Desk, release: Path) -> None:
    """A missing file, a web page in the place of a cube; the rest goes on."""
    (release / "cube02.fits").write_text("<html><body>404 Not Found</body></html>")
    (release / "cube04.fits").unlink()
    outcome = take_in(desk)
    assert outcome.imported == 4
    assert cubes(desk) == ["cube00", "cube01", "cube03", "cube05"]
    reasons = set_aside(desk)
    assert reasons == {entry.cube: entry.reason for entry in outcome.set_aside}
    assert set(reasons) == {"cube02", "cube04"}
    assert "its file is missing" in reasons["cube04"]


def test_a_mended_cube_comes_in_with_the_next_ingestion(desk: Desk, release: Path) -> None:
    """The table of those set aside is that of the last ingestion."""
    whole = (release / "cube02.fits").read_bytes()
    (release / "cube02.fits").write_bytes(whole[:3000])
    take_in(desk)
    (release / "cube02.fits").write_bytes(whole)
    outcome = take_in(desk)
    assert (outcome.imported, outcome.present) == (1, 5)
    assert set_aside(desk) == {}


def test_other_content_under_a_known_name_is_set_aside(desk: Desk, release: Path) -> None:
    """Task data is fixed: a changed file is another cube and needs another name."""
    take_in(desk)
    write_small(release / "cube03.fits", emergence=True, seed=99)
    outcome = take_in(desk)
    assert (outcome.imported, outcome.present) == (0, 5)
    assert "other content" in set_aside(desk)["cube03"]
    assert cubes(desk) == list(SIX)


def test_one_cube_in_two_releases_gets_one_task(desk: Desk, release: Path) -> None:
    """A name stands for one cube in a project."""
    other = make_release(release.with_name("other"), ["cube00", "cube07"])
    take_in(desk)
    outcome = take_in(desk, other.name)
    assert (outcome.imported, outcome.present) == (1, 1)
    assert cubes(desk) == [*SIX, "cube07"]


@pytest.mark.usefixtures("release")
def test_an_interrupted_ingestion_does_the_rest(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
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
            take_in(desk)
    assert len(cubes(desk)) == 2
    assert not ingesting(desk.context, desk.project)
    outcome = take_in(desk)
    assert (outcome.imported, outcome.present) == (4, 2)
    assert cubes(desk) == list(SIX)


@pytest.mark.usefixtures("release")
def test_an_answer_that_got_lost_doubles_no_task(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Label Studio created the tasks, and the connection broke before it said so."""
    whole = desk.label_studio.import_tasks

    def breaks(project: int, data: Sequence[dict[str, Any]]) -> list[int]:
        whole(project, data)
        raise LabelStudioError("importing tasks: no answer")

    with monkeypatch.context() as broken:
        broken.setattr(desk.label_studio, "import_tasks", breaks)
        with pytest.raises(LabelStudioError):
            take_in(desk)
    outcome = take_in(desk)
    assert (outcome.imported, outcome.present) == (0, 6)
    assert cubes(desk) == list(SIX)


def test_an_ingestion_is_marked_while_it_goes_on(desk: Desk, release: Path) -> None:
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
        take_in(desk)
    assert not ingesting(desk.context, desk.project)


@pytest.mark.usefixtures("release")
def test_a_broken_video_is_rendered_again(desk: Desk) -> None:
    """It lay there without a task: the task is imported with a whole one."""
    take_in(desk)
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
    take_in(desk)
    crude_labels = {task["data"]["cube"]: task["data"]["crude_label"] for task in desk.label_studio.tasks(desk.project)}
    assert crude_labels["cube05"] == ""
    assert crude_labels["cube04"] == "non-emergence"


@pytest.mark.usefixtures("release")
def test_a_judgement_follows_the_ingestion(desk: Desk) -> None:
    """And a write-back, where a version is published: new cubes arrive pre-labelled."""
    outcome = jobs.ingest(desk.context, desk.project, "six")
    assert (outcome["imported"], outcome["set_aside"]) == (6, ())
    assert desk.queued() == [f"retrain-check-{desk.project}"]
