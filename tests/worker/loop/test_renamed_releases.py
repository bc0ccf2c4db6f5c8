"""Releases and cubes are recognised by content where folders and files were renamed, copied, moved or replaced."""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.worker.conftest import CUBES, LoopProject, make_release, write_small

from helioloop.data.release import LabelRow, write_labels
from helioloop.progress import silent
from helioloop.records.labels import Label
from helioloop_worker.loop import ingest as ingestion
from helioloop_worker.loop.ingest import Ingested, ingest
from helioloop_worker.loop.planning import plan_round
from helioloop_worker.loop.readable import readable_cubes
from helioloop_worker.loop.round_requests import request_round

FOUR = CUBES[:4]


def ingest_release(project: LoopProject, name: str) -> Ingested:
    """Ingest a release of the test."""
    return ingest(project.context, project.id, name, report=silent)


@pytest.fixture
def release(loop_project: LoopProject, tmp_path: Path) -> Path:
    """The folder of the release ``four``, which is ingested; the cache is empty afterwards."""
    own = {"cache_root": tmp_path / "cache", "release_roots": [tmp_path / "releases"]}
    settings = loop_project.context.settings.model_copy(update=own)
    object.__setattr__(loop_project, "context", replace(loop_project.context, settings=settings))
    folder = make_release(tmp_path / "releases" / "four", FOUR)
    assert ingest_release(loop_project, "four").imported == len(FOUR)
    shutil.rmtree(settings.cache_root)
    return folder


def readable(project: LoopProject) -> set[str]:
    """Return the cubes that a round could use."""
    state = project.read()
    return {cube.name for cube in readable_cubes(state.cubes(), project.context.loader(state.profile), silent)}


def names_in_label_studio(project: LoopProject) -> list[tuple[str, str]]:
    """Return release and cube of each task."""
    return [(task["data"]["release"], task["data"]["cube"]) for task in project.label_studio.tasks(project.id)]


def media_files(project: LoopProject) -> set[str]:
    """Return the files of cubes below the media folder."""
    media = project.context.settings.media_dir(project.id)
    return {str(path.relative_to(media)) for path in media.glob("*/*")}


def test_cubes_of_a_renamed_release_are_still_used_and_the_release_is_named(
    loop_project: LoopProject, release: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing was ingested since, and nothing is in the cache."""
    release.rename(release.with_name("renamed"))
    assert readable(loop_project) == {*FOUR}
    with caplog.at_level(logging.WARNING):
        request_round(loop_project.context, loop_project.id, forced=True)
        plan_round(loop_project.context, loop_project.id, report=silent)
    assert "the folder of release four is in none of the release roots" in caplog.text


def test_a_renamed_release_that_is_ingested_again_is_the_same_one(loop_project: LoopProject, release: Path) -> None:
    """Its lost videos are where the tasks show them, its table counts, and it is said."""
    files = media_files(loop_project)
    folder = release.rename(release.with_name("renamed"))
    shutil.rmtree(loop_project.context.settings.media_dir(loop_project.id) / "four")
    changed = LabelRow(cube=FOUR[0], label=Label.EMERGENCE, verified=False)
    write_labels(folder / "labels.csv", [changed, *(LabelRow(cube=c, label=None, verified=False) for c in FOUR[1:])])
    outcome = ingest_release(loop_project, "renamed")
    assert (outcome.imported, outcome.present, outcome.excluded) == (0, 4, ())
    assert any(
        "cube00 (and 3 more) of release renamed has its task under release four, which is in none" in doubt
        for doubt in outcome.doubts
    )
    assert media_files(loop_project) == files
    assert {change.cube for change in outcome.relabelled} == {*FOUR}
    assert names_in_label_studio(loop_project) == [("four", cube) for cube in FOUR]


def test_a_copy_of_a_release_counts_once_and_the_table_of_the_first_counts(
    loop_project: LoopProject, release: Path
) -> None:
    """The folder with which the cubes were ingested is still there."""
    files = media_files(loop_project)
    copy = Path(shutil.copytree(release, release.with_name("copy")))
    write_labels(copy / "labels.csv", [LabelRow(cube=cube, label=None, verified=False) for cube in FOUR])
    outcome = ingest_release(loop_project, "copy")
    assert (outcome.imported, outcome.present, outcome.relabelled) == (0, 4, ())
    assert any(
        "of release copy has the content of that in release four and its task there: it counts once" in doubt
        for doubt in outcome.doubts
    )
    assert media_files(loop_project) == files


def test_a_copy_of_a_cube_under_another_name_counts_once(loop_project: LoopProject, release: Path) -> None:
    """In the same release, in another one, and twice in a new one, with the name that it has."""
    copied = "it has the content of cube cube00, which has a task already"
    shutil.copy(release / "cube00.fits", release / "again.fits")
    outcome = ingest_release(loop_project, "four")
    assert [(entry.cube, copied in entry.reason) for entry in outcome.excluded] == [("again", True)]
    other = make_release(release.with_name("other"), CUBES[4:5])
    for name in ("x", "y"):
        shutil.copy(other / "cube04.fits", other / f"{name}.fits")
    (release / "again.fits").rename(other / "again.fits")
    outcome = ingest_release(loop_project, "other")
    assert outcome.imported == 1
    assert len(outcome.excluded) == 3
    assert sorted(cube for _, cube in names_in_label_studio(loop_project))[:4] == [*FOUR]
    assert len(names_in_label_studio(loop_project)) == 5


@pytest.mark.parametrize("slowest_first", [False, True])
@pytest.mark.parametrize("at_once", [1, 60])
def test_of_two_copies_the_first_row_gets_the_task_whichever_is_ready_first(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch, slowest_first: bool, at_once: int
) -> None:
    """Rows that disagree on the label are named with both labels; copies that agree, without."""
    folder = make_release(loop_project.context.settings.release_roots[1] / "twice", FOUR[:1])
    for name in ("b", "a", "c"):
        shutil.copy(folder / "cube00.fits", folder / f"{name}.fits")
    (folder / "cube00.fits").unlink()
    labels = {"b": Label.EMERGENCE, "a": Label.NON_EMERGENCE, "c": Label.EMERGENCE}
    write_labels(
        folder / "labels.csv", [LabelRow(cube=cube, label=label, verified=False) for cube, label in labels.items()]
    )

    def finished(function: Any, items: Any, **_: Any) -> Iterator[tuple[Any, Any]]:
        for item in items[::-1] if slowest_first else items:
            yield item, function(item)

    monkeypatch.setattr(ingestion, "in_processes", finished)
    monkeypatch.setattr(ingestion, "IMPORT_EVERY", at_once)
    outcome = ingest_release(loop_project, "twice")
    assert names_in_label_studio(loop_project) == [("twice", "b")]
    differ = "; their labels differ: non-emergence of a is not used, emergence of b is"
    reasons = {entry.cube: entry.reason for entry in outcome.excluded}
    assert {cube: reason.endswith(differ) for cube, reason in reasons.items()} == {"a": True, "c": False}
    assert "labels differ" not in reasons["c"]
    assert {entry.cube: entry.reason for entry in ingest_release(loop_project, "twice").excluded} == reasons


def test_a_renamed_file_is_excluded_with_its_old_name(loop_project: LoopProject, release: Path) -> None:
    """Its task, labels and scores have that name."""
    (release / "cube00.fits").rename(release / "better-name.fits")
    outcome = ingest_release(loop_project, "four")
    assert {entry.cube: "name it cube00.fits again" in entry.reason for entry in outcome.excluded} == {
        "better-name": True,
        "cube00": False,
    }
    assert "its file is missing" in {entry.cube: entry.reason for entry in outcome.excluded}["cube00"]


def test_other_content_under_a_known_name_takes_over_nothing(loop_project: LoopProject, release: Path) -> None:
    """It is excluded from ingestion and from rounds, with the remedy."""
    write_small(release / "cube01.fits", emergence=False, seed=99)
    outcome = ingest_release(loop_project, "four")
    assert [(entry.cube, "rename the new file" in entry.reason) for entry in outcome.excluded] == [("cube01", True)]
    assert readable(loop_project) == {*FOUR} - {"cube01"}


def test_other_time_stamps_after_a_restore_make_no_difference(loop_project: LoopProject, release: Path) -> None:
    """Files are compared by content."""
    files = {path: path.read_bytes() for path in release.iterdir()}
    shutil.rmtree(release)
    release.mkdir()
    for path, content in files.items():
        path.write_bytes(content)
    outcome = ingest_release(loop_project, "four")
    assert (outcome.present, outcome.excluded, outcome.doubts) == (4, (), ())
    assert readable(loop_project) == {*FOUR}
