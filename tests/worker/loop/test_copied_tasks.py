"""A project that was exported and imported as another one: what its tasks show, and which answers are blind."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.worker.conftest import CUBES, PROFILE, TINY, LoopProject

from helioloop.errors import LabelStudioError
from helioloop.progress import silent
from helioloop.registry.project_profile import write_project_profile
from helioloop.registry.random_checks import RandomChecks
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project_template import labeling_configuration
from helioloop_worker.loop import preparation
from helioloop_worker.loop.ingest import ingest
from helioloop_worker.loop.writeback import write_back

FILES = ("video", "curve", "reason")


@pytest.fixture(autouse=True)
def _no_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write something in place of each video: nothing here is about what it shows."""

    def write(path: Path, *_: object, **__: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"video")

    monkeypatch.setattr(preparation, "_ensure_video", write)


@pytest.fixture
def original(loop_project: LoopProject) -> LoopProject:
    """A project whose screens show what its model says."""
    ingest(loop_project.context, loop_project.id, "made", report=silent)
    write_back(loop_project.context, loop_project.id, loop_project.publish(), report=silent)
    return loop_project


@pytest.fixture
def copy(original: LoopProject) -> LoopProject:
    """The same tasks in another project of the same Label Studio, with six random checks."""
    label_studio, context = original.label_studio, original.context
    project = label_studio.create_project(title="copy", label_config=labeling_configuration())
    label_studio.import_tasks(project, [entry["data"] for entry in label_studio.tasks(original.id)])
    write_project_profile(context.settings.model_dir(project), PROFILE)
    own = Context(
        context.settings.model_copy(update={"random_checks": 6}),
        open_redis=lambda _: context.connection,
        open_label_studio=lambda _: label_studio,
        recipe_for=lambda *_: TINY,
    )
    return LoopProject(context=own, label_studio=label_studio, id=project)


def entries(project: LoopProject) -> dict[str, dict[str, Any]]:
    """The first task of each cube."""
    return {entry["data"]["cube"]: entry for entry in reversed(project.label_studio.tasks(project.id))}


def shown_file(project: LoopProject, address: str) -> Path:
    """The file behind an address of local files."""
    return Path(project.context.settings.media_root / parse_qs(urlsplit(address).query)["d"][0])


def is_blind(project: LoopProject, cube: str) -> bool:
    """Tell whether the answer counts as blind, by a complete reading and by one of the changes."""
    found = project.read().label(cube)
    assert project.context.projects.read(project.id).label(cube) == found
    return found.blind is not None


def test_an_ingestion_lets_copied_tasks_show_the_files_of_their_own_project(copy: LoopProject) -> None:
    """Every address is that of a new task; the tasks of the other project stay, and it is said once."""
    others = copy.label_studio.tasks(1)
    before = entries(copy)
    assert all("/project-1/" in before[cube]["data"][field] for cube in CUBES for field in FILES)
    said = ingest(copy.context, copy.id, "made", report=silent)
    assert (said.imported, said.present) == (0, len(CUBES))
    assert said.doubts == (
        "24 tasks copied from project 1 showed its videos, curves and reasons, and those of this project from now on; "
        "answers given until now do not count as blind",
    )
    for cube, entry in entries(copy).items():
        for field in FILES:
            assert entry["data"][field] == before[cube]["data"][field].replace("/project-1/", f"/project-{copy.id}/")
            assert shown_file(copy, entry["data"][field]).is_file()
        rest = {name: value for name, value in entry["data"].items() if name not in FILES}
        assert rest == {name: value for name, value in before[cube]["data"].items() if name not in FILES}
    assert copy.label_studio.tasks(1) == others
    assert ingest(copy.context, copy.id, "made", report=silent).doubts == ()


def test_a_random_check_of_a_copy_shows_nothing_of_the_other_projects_model(copy: LoopProject) -> None:
    """Before that it showed what the model of the project says that was copied."""
    cube = CUBES[1]
    assert "The model (v0001)" in shown_file(copy, entries(copy)[cube]["data"]["reason"]).read_text()
    ingest(copy.context, copy.id, "made", report=silent)
    write_back(copy.context, copy.id, copy.publish(), report=silent)
    checks = RandomChecks.read(copy.model_dir)
    assert checks is not None
    assert len(checks.cubes) == 6
    for name in checks.cubes:
        assert "The model" not in shown_file(copy, entries(copy)[name]["data"]["reason"]).read_text()


def test_only_answers_given_while_a_task_shows_its_own_files_are_blind(copy: LoopProject) -> None:
    """One from before the ingestion never becomes blind; one that was imported with the task is as it was."""
    early, late, imported = CUBES[:3]
    tasks = {cube: entry["id"] for cube, entry in entries(copy).items()}
    copy.label_studio.annotate(tasks[early], "emergence")
    number = copy.label_studio.annotate(tasks[imported], "emergence")
    copy.label_studio._annotation(number)[1]["import_id"] = 77
    assert [is_blind(copy, cube) for cube in (early, imported)] == [False, True]
    ingest(copy.context, copy.id, "made", report=silent)
    copy.label_studio.annotate(tasks[late], "emergence")
    assert [is_blind(copy, cube) for cube in (early, late, imported)] == [False, True, True]


def test_in_the_project_that_was_copied_answers_are_blind(original: LoopProject) -> None:
    for entry in original.label_studio.predictions(original.id):
        original.label_studio.delete_predictions([entry])
    original.label_studio.annotate(entries(original)[CUBES[0]]["id"], "emergence")
    assert is_blind(original, CUBES[0])


def test_a_copy_beside_a_task_of_the_project_s_own_is_put_right_too(copy: LoopProject) -> None:
    """Somebody imported the export of another project into one that was ingested."""
    ingest(copy.context, copy.id, "made", report=silent)
    copy.label_studio.import_tasks(copy.id, [entries(copy)[CUBES[3]]["data"] | entries_of_original(copy)[CUBES[3]]])
    said = ingest(copy.context, copy.id, "made", report=silent)
    assert said.doubts[0].startswith("1 task copied from project 1 showed its videos")
    assert not any("/project-1/" in str(entry["data"]) for entry in copy.label_studio.tasks(copy.id))


def entries_of_original(copy: LoopProject) -> dict[str, dict[str, str]]:
    """The addresses of the files in the project that was copied, by cube."""
    found = {entry["data"]["cube"]: entry["data"] for entry in copy.label_studio.tasks(1)}
    return {cube: {field: data[field] for field in FILES} for cube, data in found.items()}


@pytest.mark.parametrize(
    "address",
    ["s3://bucket/project-1/made/a.txt", "https://elsewhere.org/helioloop/project-1/made/a.txt", "/upload/1/a.txt", 5],
)
def test_addresses_of_another_place_are_left_alone(copy: LoopProject, address: object) -> None:
    """The files of this project are not where such an address would lead with its number."""
    for task in copy.label_studio._project(copy.id).tasks.values():
        task["data"].update(dict.fromkeys(FILES, address))
    assert ingest(copy.context, copy.id, "made", report=silent).doubts == ()
    assert {str(entry["data"][field]) for entry in entries(copy).values() for field in FILES} == {str(address)}


def test_a_correction_of_addresses_that_breaks_off_is_completed_by_the_next_ingestion(
    copy: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer from before stays one that is not blind."""
    copy.label_studio.annotate(entries(copy)[CUBES[0]]["id"], "emergence")
    real, calls = copy.label_studio.set_data_field, []

    def break_off(*given: Any, **more: Any) -> None:
        calls.append(given)
        if len(calls) == 3:
            raise LabelStudioError("away")
        real(*given, **more)

    monkeypatch.setattr(copy.label_studio, "set_data_field", break_off)
    with pytest.raises(LabelStudioError, match="away"):
        ingest(copy.context, copy.id, "made", report=silent)
    assert not is_blind(copy, CUBES[0])
    ingest(copy.context, copy.id, "made", report=silent)
    assert not any("/project-1/" in str(entry["data"]) for entry in copy.label_studio.tasks(copy.id))
    assert not is_blind(copy, CUBES[0])
