"""Ingestion: every readable cube gets one task and one complete video, whatever is damaged and interrupted."""

import csv
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from tests.worker.conftest import SMALL, LoopProject, crude, make_release, write_small
from tests.worker.loop.ingested import SIX, cubes, excluded, ingest_release

from helioloop.archive.release_files import inspect_file
from helioloop.data.cubes import CubeFiles, write_cube
from helioloop.data.inspection import inspect_cube, refused
from helioloop.data.reading_table import write_reading
from helioloop.data.release import LabelRow, write_labels
from helioloop.errors import LabelStudioError, RegistryError
from helioloop.progress import silent
from helioloop_worker import jobs
from helioloop_worker.loop import ingest as ingestion
from helioloop_worker.loop import preparation
from helioloop_worker.loop.ingest import ingest
from helioloop_worker.loop.running_ingestions import ingesting
from helioloop_worker.loop.video import check_video


def labels(release: Path, *names: str) -> None:
    """Replace the label table by one with correct crude labels."""
    write_labels(release / "labels.csv", [LabelRow(cube=cube, label=crude(cube), verified=False) for cube in names])


@pytest.mark.usefixtures("release")
def test_every_cube_gets_one_task_and_one_video(loop_project: LoopProject) -> None:
    """The task contains name, time, region and crude label; its video is complete and served to annotators."""
    outcome = ingest_release(loop_project)
    assert (outcome.imported, outcome.present, outcome.excluded) == (6, 0, ())
    assert cubes(loop_project) == list(SIX)
    (data,) = [
        task["data"] for task in loop_project.label_studio.tasks(loop_project.id) if task["data"]["cube"] == "cube01"
    ]
    assert set(data) == {
        *("video", "curve", "reason"),
        *("cube", "release", "crude_label", "region", "start", "sha256"),
    }
    assert (data["release"], data["crude_label"], data["region"]) == ("six", "emergence", "region1")
    assert data["start"] == "2001-02-01T00:00:00Z"
    served = data["video"].removeprefix("/data/local-files/?d=")
    assert check_video(loop_project.context.settings.media_root / served).n_frames == 24
    assert excluded(loop_project) == {}


@pytest.mark.usefixtures("release")
def test_nothing_is_imported_for_a_model_folder_of_another_format(loop_project: LoopProject) -> None:
    """The error comes before the work, not after it."""
    loop_project.model_dir.mkdir(parents=True, exist_ok=True)
    (loop_project.model_dir / "format.json").write_text('{"format": 99}')
    with pytest.raises(RegistryError, match="has format 99"):
        jobs.ingest(loop_project.context, loop_project.id, "six")
    assert loop_project.label_studio.tasks(loop_project.id) == []


@pytest.mark.usefixtures("release")
def test_each_cube_is_read_and_hashed_once(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert ingest_release(loop_project).imported == 6
    assert counted == {"read": 6, "hash": 6}
    assert ingest_release(loop_project).present == 6
    assert counted == {"read": 12, "hash": 12}


@pytest.mark.usefixtures("release")
def test_nothing_is_imported_twice(loop_project: LoopProject) -> None:
    """The same release again: no new task, and no video is rendered again."""
    ingest_release(loop_project)
    before = {
        path: path.stat().st_mtime_ns
        for path in loop_project.context.settings.media_dir(loop_project.id).rglob("*.mp4")
    }
    outcome = ingest_release(loop_project)
    assert (outcome.imported, outcome.present) == (0, 6)
    assert cubes(loop_project) == list(SIX)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_unusable_cubes_are_excluded_with_their_reason(loop_project: LoopProject, release: Path) -> None:
    """A missing file, and a web page instead of a cube; the others are imported."""
    (release / "cube02.fits").write_text("<html><body>404 Not Found</body></html>")
    (release / "cube04.fits").unlink()
    outcome = ingest_release(loop_project)
    assert outcome.imported == 4
    assert cubes(loop_project) == ["cube00", "cube01", "cube03", "cube05"]
    reasons = excluded(loop_project)
    assert reasons == {entry.cube: entry.reason for entry in outcome.excluded}
    assert set(reasons) == {"cube02", "cube04"}
    assert "its file is missing" in reasons["cube04"]


def test_a_repaired_cube_is_imported_by_the_next_ingestion(loop_project: LoopProject, release: Path) -> None:
    """The table of excluded cubes is that of the last ingestion."""
    whole = (release / "cube02.fits").read_bytes()
    (release / "cube02.fits").write_bytes(whole[:3000])
    ingest_release(loop_project)
    (release / "cube02.fits").write_bytes(whole)
    outcome = ingest_release(loop_project)
    assert (outcome.imported, outcome.present) == (1, 5)
    assert excluded(loop_project) == {}


def test_other_content_under_a_known_name_is_excluded(loop_project: LoopProject, release: Path) -> None:
    """The data of a task cannot be changed: a changed file is another cube and needs another name."""
    ingest_release(loop_project)
    write_small(release / "cube03.fits", emergence=True, seed=99)
    outcome = ingest_release(loop_project)
    assert (outcome.imported, outcome.present) == (0, 5)
    assert "other content" in excluded(loop_project)["cube03"]
    assert cubes(loop_project) == list(SIX)


def test_one_cube_in_two_releases_gets_one_task(loop_project: LoopProject, release: Path) -> None:
    """A name belongs to one cube of a project."""
    other = make_release(release.with_name("other"), ["cube00", "cube07"])
    ingest_release(loop_project)
    outcome = ingest_release(loop_project, other.name)
    assert (outcome.imported, outcome.present) == (1, 1)
    assert cubes(loop_project) == [*SIX, "cube07"]


@pytest.mark.usefixtures("release")
def test_an_interrupted_ingestion_is_completed_by_the_next(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio refuses the second import: its two tasks stay, the repeat imports the other four."""
    monkeypatch.setattr(ingestion, "IMPORT_EVERY", 2)
    whole = loop_project.label_studio.import_tasks
    requests = iter(range(1))

    def fails(project: int, data: Sequence[dict[str, Any]]) -> list[int]:
        if next(requests, None) is None:
            raise LabelStudioError("importing tasks: no answer")
        return whole(project, data)

    with monkeypatch.context() as broken:
        broken.setattr(loop_project.label_studio, "import_tasks", fails)
        with pytest.raises(LabelStudioError):
            ingest_release(loop_project)
    assert len(cubes(loop_project)) == 2
    assert not ingesting(loop_project.context, loop_project.id)
    outcome = ingest_release(loop_project)
    assert (outcome.imported, outcome.present) == (4, 2)
    assert cubes(loop_project) == list(SIX)


@pytest.mark.usefixtures("release")
def test_an_answer_that_got_lost_duplicates_no_task(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Label Studio created the tasks, and the connection broke before the answer."""
    whole = loop_project.label_studio.import_tasks

    def breaks(project: int, data: Sequence[dict[str, Any]]) -> list[int]:
        whole(project, data)
        raise LabelStudioError("importing tasks: no answer")

    with monkeypatch.context() as broken:
        broken.setattr(loop_project.label_studio, "import_tasks", breaks)
        with pytest.raises(LabelStudioError):
            ingest_release(loop_project)
    outcome = ingest_release(loop_project)
    assert (outcome.imported, outcome.present) == (0, 6)
    assert cubes(loop_project) == list(SIX)


def test_an_ingestion_is_marked_while_it_runs(loop_project: LoopProject, release: Path) -> None:
    """From its first report to its last; not before, and not after it has ended or failed."""
    seen = []
    assert not ingesting(loop_project.context, loop_project.id)
    ingest(
        loop_project.context,
        loop_project.id,
        "six",
        report=lambda *_: seen.append(ingesting(loop_project.context, loop_project.id)),
    )
    assert len(seen) > 6
    assert all(seen)
    assert not ingesting(loop_project.context, loop_project.id)
    (release / "labels.csv").unlink()
    with pytest.raises(Exception, match=r"labels\.csv is missing"):
        ingest_release(loop_project)
    assert not ingesting(loop_project.context, loop_project.id)


@pytest.mark.usefixtures("release")
def test_a_broken_video_is_rendered_again(loop_project: LoopProject) -> None:
    """It had no task yet: the task is imported with a complete video."""
    ingest_release(loop_project)
    media = loop_project.context.settings.media_dir(loop_project.id)
    (video,) = media.glob("six/cube01-*.mp4")
    video.write_bytes(video.read_bytes()[:-500])
    fresh = loop_project.label_studio.create_project(
        title="fresh", label_config=loop_project.label_studio.project(loop_project.id).label_config
    )
    media.rename(loop_project.context.settings.media_dir(fresh))
    (loop_project.context.settings.media_dir(fresh) / "project.json").unlink()
    ingest(loop_project.context, fresh, "six", report=silent)
    (video,) = loop_project.context.settings.media_dir(fresh).glob("six/cube01-*.mp4")
    assert check_video(video).n_frames == 24


def test_a_cube_without_a_label_has_a_task_without_one(loop_project: LoopProject, release: Path) -> None:
    """Files that the table does not name are cubes too."""
    labels(release, *SIX[:5])
    ingest_release(loop_project)
    crude_labels = {
        task["data"]["cube"]: task["data"]["crude_label"] for task in loop_project.label_studio.tasks(loop_project.id)
    }
    assert crude_labels["cube05"] == ""
    assert crude_labels["cube04"] == "non-emergence"


@pytest.mark.usefixtures("release")
def test_a_retrain_check_follows_the_ingestion(loop_project: LoopProject) -> None:
    """And a write-back, where a version is published: new cubes arrive pre-labelled."""
    outcome = jobs.ingest(loop_project.context, loop_project.id, "six")
    assert (outcome["imported"], outcome["excluded"]) == (6, ())
    assert loop_project.queued() == [f"retrain-check-{loop_project.id}"]


# -- what was read, and what may happen to one cube -----------------------------------------------


def reading(loop_project: LoopProject) -> list[dict[str, str]]:
    """The table of what was read from the release."""
    with (loop_project.model_dir / "reading" / "six.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_was_read_is_written_as_check_writes_it(loop_project: LoopProject, release: Path, tmp_path: Path) -> None:
    """One row per cube in the order of the table: one cube warned, one refused, and a row without a file."""
    field, seconds = np.random.default_rng(1).normal(0.0, 20.0, (24, 24, 24)), np.arange(24) * 5760.0
    write_cube(release / "cube01.fits", field, seconds, start=None, region="R", instrument=SMALL)
    (release / "cube02.fits").write_text("<html>")
    labels(release, *SIX, "cube77")
    outcome = ingest_release(loop_project)
    rows = reading(loop_project)
    assert [(row["cube"], row["verdict"]) for row in rows] == [
        ("cube00", "ok"), ("cube01", "warned"), ("cube02", "refused"), ("cube03", "ok"), ("cube04", "ok"),
        ("cube05", "ok"), ("cube77", "refused"),
    ]  # fmt: skip
    expected = [inspect_cube(release / f"{cube}.fits", SMALL) for cube in SIX]
    write_reading(tmp_path / "expected.csv", [*expected, refused("cube77", "in labels.csv, but its file is missing")])
    assert (loop_project.model_dir / "reading" / "six.csv").read_text() == (tmp_path / "expected.csv").read_text()
    assert [entry.cube for entry in outcome.warned] == ["cube01"]
    assert "no start is known" in outcome.warned[0].reason


def test_other_fits_files_of_the_folder_are_listed_with_what_they_are(loop_project: LoopProject, release: Path) -> None:
    """A cube in a subfolder, one with another ending, and one image in the place of a cube; `check` has the same."""
    (release / "sub").mkdir()
    shutil.copy(release / "cube00.fits", release / "sub" / "cube09.fits")
    shutil.copy(release / "cube00.fits", release / "cube08.fts")
    fits.writeto(release / "cube05.fits", np.zeros((24, 24), dtype=np.float32), overwrite=True)
    outcome = ingest_release(loop_project)
    assert (outcome.imported, [entry.cube for entry in outcome.excluded]) == (5, ["cube05"])
    rows = {row["cube"]: row for row in reading(loop_project)}
    assert list(rows) == [*SIX, "cube08.fts", "sub/cube09.fits"]
    assert [rows[cube]["verdict"] for cube in ("cube05", "cube08.fts", "sub/cube09.fits")] == ["refused"] * 3
    assert "rename it cube08.fits" in rows["cube08.fts"]["reasons"]
    assert "in a subfolder" in rows["sub/cube09.fits"]["reasons"]
    assert outcome.excluded[0].reason == inspect_file(release, release / "cube05.fits", SMALL).reasons[0]
    assert ["cube08.fts (and 1 more) is not read" in doubt for doubt in outcome.doubts] == [True]


@pytest.mark.usefixtures("release")
def test_a_repeated_ingestion_writes_the_same_report(loop_project: LoopProject) -> None:
    """Also for cubes that have their task already, and after the table was deleted."""
    ingest_release(loop_project)
    before = reading(loop_project)
    (loop_project.model_dir / "reading" / "six.csv").unlink()
    ingest_release(loop_project)
    assert reading(loop_project) == before


@pytest.mark.usefixtures("release")
@pytest.mark.parametrize("error", [TypeError("a bad card\nsecond line"), OSError(28, "No space left"), MemoryError()])
def test_any_error_at_one_cube_leaves_the_others(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It is excluded with the class and the first line of the error."""
    render = preparation.render_video

    def fails(gridded: object, path: Path, **more: Any) -> None:
        if path.name.startswith("cube02"):
            raise error
        render(gridded, path, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(preparation, "render_video", fails)
        outcome = ingest_release(loop_project)
    assert (outcome.imported, [entry.cube for entry in outcome.excluded]) == (5, ["cube02"])
    reason = excluded(loop_project)["cube02"]
    assert reason.startswith(f"it cannot be prepared ({type(error).__name__}: ")
    assert "second line" not in reason
    assert ingest_release(loop_project).imported == 1


def test_long_names_and_names_that_are_not_text(loop_project: LoopProject, release: Path) -> None:
    """119 Cyrillic letters leave no room for a hash in a video's name; 201 letters and bytes of no text are refused."""
    cyrillic, too_long, no_text = "ж" * 119, "x" * 201, os.fsdecode(b"a\xff")
    for seed, name in enumerate((cyrillic, too_long, no_text), start=50):
        write_small(release / f"{name}.fits", emergence=False, seed=seed)
    outcome = ingest_release(loop_project)
    assert (outcome.imported, cubes(loop_project)) == (7, [*SIX, cyrillic])
    assert {entry.cube for entry in outcome.excluded} == {too_long, "a\\udcff"}
    assert all("is not allowed" in reason for reason in excluded(loop_project).values())
    assert ingest_release(loop_project).present == 7


def test_names_are_found_however_a_spreadsheet_saved_the_table(loop_project: LoopProject, release: Path) -> None:
    """A lost zero and another case: both are read, the doubts come back, and no cube is excluded."""
    write_small(release / "0310.fits", emergence=True, seed=31)
    (release / "labels.csv").write_text("cube;label;verified\n310;Emergence;FALSCH\nCUBE01.fits;emergence;0\n")
    outcome = ingest_release(loop_project)
    assert (outcome.imported, outcome.excluded) == (7, ())
    data = {task["data"]["cube"]: task["data"] for task in loop_project.label_studio.tasks(loop_project.id)}
    assert (data["0310"]["crude_label"], data["cube01"]["crude_label"]) == ("emergence", "emergence")
    assert ["leading zeros" in doubt or "lower case" in doubt for doubt in outcome.doubts] == [True, True]
