"""Reading a project: which tasks belong to a cube, and which annotations decide its label."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from tests.worker.conftest import LoopProject

from helioloop.errors import RegistryError
from helioloop.records.labels import Label
from helioloop.registry.project_stamp import ProjectStamp
from helioloop_worker.loop.reconcile import reconcile

Data = dict[str, dict[str, str]]


def test_a_correction_on_a_second_task_of_a_cube_counts(loop_project: LoopProject, task_data: Data) -> None:
    """Somebody imported an exported task again and labelled there: cube00, a crude non-emergence, is verified."""
    first = loop_project.import_cubes(task_data)
    second = loop_project.import_cubes(task_data, ["cube00"])
    loop_project.label_studio.annotate(second["cube00"], "emergence")
    project_state = loop_project.read()
    assert project_state.tasks["cube00"].ids == (first["cube00"], second["cube00"])
    assert len(project_state.tasks) == 24
    label = project_state.label("cube00")
    assert (label.label, label.verified, label.crude) == (Label.EMERGENCE, True, Label.NON_EMERGENCE)


def test_the_latest_annotation_of_an_annotator_counts_on_whichever_task(
    loop_project: LoopProject, task_data: Data
) -> None:
    """One annotator corrects themselves on the other task; two others, one on each task, are two votes."""
    first, second = (
        loop_project.import_cubes(task_data)["cube00"],
        loop_project.import_cubes(task_data, ["cube00"])["cube00"],
    )
    loop_project.label_studio.annotate(second, "emergence", annotator=1)
    loop_project.label_studio.annotate(first, "non-emergence", annotator=1)
    assert loop_project.read().label("cube00").label is Label.NON_EMERGENCE
    loop_project.label_studio.annotate(first, "emergence", annotator=2)
    loop_project.label_studio.annotate(second, "emergence", annotator=3)
    assert loop_project.read().label("cube00").label is Label.EMERGENCE


def test_a_task_with_other_content_under_a_known_name_is_left_out(loop_project: LoopProject, task_data: Data) -> None:
    """The cube keeps its task, content and label, although the other task is younger and annotated."""
    first = loop_project.import_cubes(task_data)["cube00"]
    (other,) = loop_project.label_studio.import_tasks(loop_project.id, [{**task_data["cube00"], "sha256": "1" * 64}])
    loop_project.label_studio.annotate(other, "emergence")
    task = loop_project.read().tasks["cube00"]
    assert (task.ids, task.cube.sha256) == ((first,), task_data["cube00"]["sha256"])
    assert not loop_project.read().label("cube00").verified


def test_a_new_project_does_not_take_over_the_model_folder_of_another_one(
    loop_project: LoopProject, task_data: Data
) -> None:
    """A new Label Studio counts from 1 again: no label, version or prediction of the earlier project is touched."""
    loop_project.import_cubes(task_data)
    version = loop_project.publish()
    before = (loop_project.model_dir / "labels.json").read_bytes()
    own = loop_project.label_studio._projects[loop_project.id]
    earlier, own.info = own.info, replace(own.info, created_at="2031-01-01T00:00:00Z")
    for step in (loop_project.read, partial(reconcile, loop_project.context, loop_project.id)):
        with pytest.raises(RegistryError, match="is not the model folder of project"):
            step()
    assert loop_project.label_studio.predictions(loop_project.id) == []
    assert (loop_project.model_dir / "labels.json").read_bytes() == before
    own.info = earlier
    assert loop_project.read().snapshot.cubes
    assert loop_project.registry.published() == version


def test_to_whom_the_model_folder_belongs_is_looked_up_once_for_each_reading(
    loop_project: LoopProject, task_data: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where only changes are read: the folder may have become another project's meanwhile."""
    loop_project.import_cubes(task_data)
    projects = loop_project.context.projects
    projects.read(loop_project.id)
    read, whole = [], ProjectStamp.read

    def counted(folder: Path, *, kind: str) -> ProjectStamp | None:
        read.append(kind)
        return whole(folder, kind=kind)

    monkeypatch.setattr(ProjectStamp, "read", counted)
    projects.read(loop_project.id)
    assert read.count("model") == 1
    projects.read_fully(loop_project.id)
    assert read.count("model") == 2
    ProjectStamp(title="another", created_at=datetime(2020, 1, 1, tzinfo=UTC)).write(
        loop_project.model_dir, loop_project.id
    )
    for reading in (projects.read, projects.read_fully):
        with pytest.raises(RegistryError, match="it belongs to project"):
            reading(loop_project.id)
