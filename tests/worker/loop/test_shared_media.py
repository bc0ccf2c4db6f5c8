"""Two Label Studios whose projects have the same number do not touch each other's media."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.worker.conftest import CUBES, PROFILE, LoopProject, make_release

from helioloop.errors import RegistryError
from helioloop.progress import silent
from helioloop.registry.project_profile import write_project_profile
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project_template import labeling_configuration
from helioloop_worker.loop.ingest import ingest
from helioloop_worker.loop.pruning import kinds_of_media
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.writeback import write_back

FOREIGN = r"is not the media folder of project \d+, 'second'.*belongs to project 'loop project'"


def files(media: Path) -> dict[Path, bytes]:
    """Return all files of a folder; pages have the time in them and are left out."""
    return {path: path.read_bytes() for path in sorted(media.rglob("*")) if path.is_file() and path.suffix != ".html"}


@pytest.fixture
def first(loop_project: LoopProject) -> LoopProject:
    """A project with the videos of two cubes."""
    make_release(loop_project.context.settings.release_roots[1] / "two", CUBES[:2])
    ingest(loop_project.context, loop_project.id, "two", report=silent)
    return loop_project


@pytest.fixture
def second(first: LoopProject, tmp_path: Path, task_data: dict[str, dict[str, str]]) -> LoopProject:
    """A project of the same number in another Label Studio, with its own models, the same media root and all cubes."""
    label_studio = FakeLabelStudio()
    number = label_studio.create_project(title="second", label_config=labeling_configuration())
    assert number == first.id
    own = {"model_root": tmp_path / "models-of-second", "media_root": tmp_path / "media-of-second"}
    settings = first.context.settings.model_copy(update=own)
    context = replace(first.context, settings=settings, open_label_studio=lambda _: label_studio)
    write_project_profile(settings.model_dir(number), PROFILE)
    project = LoopProject(context=context, label_studio=label_studio, id=number)
    project.import_cubes(task_data)
    assert project.publish() == "v0001"
    shared = settings.model_copy(update={"media_root": first.context.settings.media_root})
    return replace(project, context=replace(context, settings=shared))


def test_nothing_of_the_other_project_is_replaced_or_removed(first: LoopProject, second: LoopProject) -> None:
    """Ingestion, write-back, reconciliation and pruning are refused, and name the other project."""
    media = first.context.settings.media_dir(first.id)
    old = time.time() - 10 * 24 * 3600.0
    for path in media.rglob("*"):
        os.utime(path, (old, old))
    before = files(media)
    with pytest.raises(RegistryError, match=FOREIGN):
        ingest(second.context, second.id, "two", report=silent)
    with pytest.raises(RegistryError, match=FOREIGN):
        write_back(second.context, second.id, "v0001", report=silent)
    with pytest.raises(RegistryError, match=FOREIGN):
        reconcile(second.context, second.id)
    with pytest.raises(RegistryError, match=FOREIGN):
        kinds_of_media(second.context, second.id)[0].remove()
    assert files(media) == before
    assert ingest(first.context, first.id, "two", report=silent).present == 2


def test_after_the_remedy_the_second_project_has_a_folder_of_its_own(first: LoopProject, second: LoopProject) -> None:
    """The first project was deleted, and its folder moved away."""
    media = first.context.settings.media_dir(first.id)
    media.rename(media.with_name("moved-away"))
    ingest(second.context, second.id, "two", report=silent)
    assert (media / "project.json").exists()
    with pytest.raises(RegistryError, match="is not the media folder of project"):
        ingest(first.context, first.id, "two", report=silent)
