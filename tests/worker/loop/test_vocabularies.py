"""Projects with words and names of their own share one worker process, one backend and one Label Studio."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from tests.worker.conftest import CUBES, LoopProject, make_release

from helioloop.errors import ConfigurationError
from helioloop.labelstudio.new_controls import GivenWords
from helioloop.progress import silent
from helioloop.records.labels import Label
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.project_controls import controls_path
from helioloop_backend.wsgi import create_app
from helioloop_worker.labelstudio.setup import set_up
from helioloop_worker.loop.ingest import ingest
from helioloop_worker.loop.writeback import write_back

Data = dict[str, dict[str, str]]

FOUR = CUBES[:4]
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Words:
    """The configuration of a project, the words that are given for it, and what results in it look like."""

    config: str
    given: GivenWords
    field: str
    choices: tuple[str, str]
    onset: tuple[str, str, str]
    yes: str
    no: str


GERMAN = Words(
    config="""<View><Video name="film" value="$movie" framerate="25"/>
      <Choices name="kind" toName="film"><Choice value="taucht auf" alias="T"/><Choice value="nicht"/></Choices>
      <TimelineLabels name="when" toName="film"><Label value="Beginn"/><Label value="Ende"/></TimelineLabels></View>""",
    given=GivenWords(emergence="taucht auf", onset="Beginn"),
    field="movie",
    choices=("kind", "film"),
    onset=("when", "film", "Beginn"),
    yes="T",
    no="nicht",
)
REVERSED = Words(  # the word of one class is that of the other class in the German project
    config="""<View><Video name="v" value="$clip" framerate="25.0"/>
      <Choices name="c" toName="v"><Choice value="nicht"/><Choice value="T"/><Choice value="?"/></Choices>
      <TimelineLabels name="t" toName="v"><Label value="début" alias="D"/></TimelineLabels></View>""",
    given=GivenWords(emergence="nicht", non_emergence="T"),
    field="clip",
    choices=("c", "v"),
    onset=("t", "v", "D"),
    yes="nicht",
    no="T",
)


@pytest.fixture
def backend(loop_project: LoopProject) -> Iterator[FlaskClient]:
    """A backend with the settings of the worker."""
    app = create_app(loop_project.context.settings)
    yield app.test_client()
    app.extensions["helioloop"].connection.close()


def adopted(loop_project: LoopProject, words: Words) -> LoopProject:
    """Create a team's own project in the same Label Studio, and set it up by its id."""
    label_studio = loop_project.label_studio
    number = label_studio.create_project(title="a team's own", label_config=words.config)
    set_up(label_studio, loop_project.context.settings, project=number, backend_url=NOWHERE, given=words.given)
    return replace(loop_project, id=number)


def import_others(project: LoopProject, words: Words, task_data: Data) -> None:
    """Import tasks for the other cubes without their videos, because a round needs ten cubes of each class."""
    others = [task_data[cube] for cube in CUBES[4:]]
    tasks = [{words.field: data["video"], **{k: v for k, v in data.items() if k != "video"}} for data in others]
    project.label_studio.import_tasks(project.id, tasks)


def predicted(backend: FlaskClient, project: LoopProject) -> dict[str, Any]:
    """Request predictions for all tasks as Label Studio does; cube -> entry."""
    tasks = project.label_studio.tasks(project.id)
    body = {
        "tasks": tasks,
        "project": f"{project.id}.1700000000",
        "label_config": project.label_studio.project(project.id).label_config,
        "params": {"context": None},
    }
    answer = backend.post("/predict", json=body)
    assert answer.status_code == 200, answer.text
    return {task["data"]["cube"]: entry for task, entry in zip(tasks, answer.json["results"], strict=True)}  # type: ignore[index] # it is JSON


def test_two_projects_with_different_words_share_one_worker_and_one_backend(
    loop_project: LoopProject, backend: FlaskClient, task_data: Data
) -> None:
    """Ingestion, current labels, label snapshot, write-back and predictions use the words of each project."""
    make_release(loop_project.context.settings.release_roots[1] / "four", FOUR)
    projects = {words.field: (adopted(loop_project, words), words) for words in (GERMAN, REVERSED)}
    for project, words in projects.values():
        ingest(project.context, project.id, "four", report=silent)
        data = {task["data"]["cube"]: task["data"] for task in project.label_studio.tasks(project.id)}
        assert all(values[words.field].startswith("/data/local-files/?d=helioloop/") for values in data.values())
        assert all("video" not in values for values in data.values())
        import_others(project, words, task_data)
        tasks = {cube: task["id"] for task in project.label_studio.tasks(project.id) for cube in [task["data"]["cube"]]}
        project.label_studio.annotate(tasks["cube00"], words.yes, start=3 if words is REVERSED else None)
        project.label_studio.annotate(tasks["cube01"], words.no)
    for project, words in projects.values():
        version = project.publish(p_emergence=0.75)
        write_back(project.context, project.id, version, report=silent)
        reason = next(project.context.settings.media_dir(project.id).glob("four/cube01*.reason.txt")).read_text()
        assert (words.given.emergence or "?") in reason, "annotators read the words on their screen"
    for project, words in projects.values():
        labels = {cube: project.read().label(cube) for cube in ("cube00", "cube01")}
        assert [(label.label, label.verified) for label in labels.values()] == [
            (Label.EMERGENCE, True),
            (Label.NON_EMERGENCE, True),
        ]
        assert labels["cube00"].contradiction is labels["cube01"].contradiction is None
        snapshot = Snapshot.read(project.model_dir)
        assert snapshot is not None
        assert snapshot.cubes["cube00"] == labels["cube00"]
        choice = {"from_name": words.choices[0], "to_name": words.choices[1], "type": "choices"}
        onset = {"from_name": words.onset[0], "to_name": words.onset[1], "type": "timelinelabels"}
        expected = [
            {**choice, "value": {"choices": [words.yes]}, "score": 0.75},
            {
                **onset,
                "value": {"ranges": [{"start": 13, "end": 24}], "timelinelabels": [words.onset[2]]},
                "score": 0.75,
            },
        ]
        stored = project.label_studio.stored(project.id)
        assert len(stored) == 24
        assert [entry["result"] for entry in stored] == [expected] * 24
        answered = predicted(backend, project)
        assert [entry["result"] for entry in answered.values()] == [expected] * 24
        assert [answered[cube]["score"] for cube in ("cube00", "cube01")] == [0.75, 0.25]
    verified = projects["clip"][0].read().label("cube00").verified_frame
    assert verified is not None
    assert verified.frame == 2


def test_a_project_without_kept_words_has_those_of_the_settings(
    loop_project: LoopProject, task_data: Data, backend: FlaskClient
) -> None:
    """As every project had before; an adopted one beside it changes nothing."""
    adopted(loop_project, REVERSED)
    loop_project.import_cubes(task_data)
    loop_project.publish(p_emergence=0.75)
    assert not controls_path(loop_project.model_dir).exists()
    entry = predicted(backend, loop_project)["cube00"]
    assert entry["result"][0]["value"] == {"choices": ["emergence"]}


def test_damaged_words_are_never_replaced_by_those_of_the_settings(
    loop_project: LoopProject, task_data: Data, backend: FlaskClient
) -> None:
    """The backend answers with an error, and follows the file when it is there again."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    path = controls_path(loop_project.model_dir)
    path.write_text('{"controls": ')
    config = loop_project.label_studio.project(loop_project.id).label_config
    body = {"tasks": [{"data": {}}], "project": f"{loop_project.id}.1", "label_config": config, "params": {}}
    assert backend.post("/predict", json=body).status_code == 503
    set_up_again = {"project": loop_project.id, "backend_url": NOWHERE}
    path.unlink()
    set_up(loop_project.label_studio, loop_project.context.settings, **set_up_again)  # type: ignore[arg-type] # both fit
    assert predicted(backend, loop_project)["cube00"]["result"]


def test_words_that_were_removed_from_the_configuration_are_asked_for(loop_project: LoopProject) -> None:
    """The loop stops for this project with the command to run, and nothing is imported."""
    german = adopted(loop_project, GERMAN)
    changed = GERMAN.config.replace('value="nicht"', 'value="nein"')
    own = german.label_studio._project(german.id)
    own.info = replace(own.info, label_config=changed)
    make_release(loop_project.context.settings.release_roots[1] / "four", FOUR)
    with pytest.raises(ConfigurationError, match=r"nein.*`helioloop init --project ID --emergence VALUE"):
        ingest(german.context, german.id, "four", report=silent)
    assert german.label_studio.tasks(german.id) == []
