"""A labelling configuration that is changed while a round is trained: noticed, nothing invalid written, and resumed."""

from dataclasses import replace
from typing import Any

import pytest
from tests.worker.conftest import CUBES, LoopProject, work
from tests.worker.loop.configured import OWN, WORDS_RENAMED

from helioloop.errors import ConfigurationError, HelioloopError, LabelStudioError, RegistryError
from helioloop.labelstudio.new_controls import GivenWords
from helioloop.messaging import messages
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.messages import Message
from helioloop.progress import silent
from helioloop.records.labels import Label
from helioloop.registry.prediction_controls import PREDICTION_CONTROLS, read_prediction_controls
from helioloop.registry.score_store import read_scores, write_scores
from helioloop_worker import jobs
from helioloop_worker.labelstudio.fake_configuration import controls_of, is_valid
from helioloop_worker.labelstudio.setup import set_up
from helioloop_worker.loop import writeback
from helioloop_worker.loop.failing import counting, put_back
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.writeback import write_back
from helioloop_worker.loop.writeback_changes import write_back_changes
from helioloop_worker.reports.status import status_lines
from helioloop_worker.reports.status_reading import read_status
from helioloop_worker.reports.verdict import find_all

Data = dict[str, dict[str, str]]

CLASS_REMOVED = OWN.replace("<Choices", "<Taxonomy").replace("</Choices>", "</Taxonomy>")

FRAMERATE = OWN.replace('framerate="25"', 'framerate="10"')

CLASS_CONTROL = OWN.replace('name="class"', 'name="kind"')

TIMELINE = OWN.replace('name="onset"', 'name="when"')

ONSET_LABEL = OWN.replace('value="emergence onset"', 'value="begin"')

NO_TIMELINE = OWN.replace("<TimelineLabels", "<BrushLabels").replace("</TimelineLabels>", "</BrushLabels>")

VIDEO = OWN.replace('name="video"', 'name="film"').replace('toName="video"', 'toName="film"')

INSUFFICIENT = {
    "words renamed": (WORDS_RENAMED, "bipole"),
    "class removed": (CLASS_REMOVED, "0 <Choices>"),
    "framerate": (FRAMERATE, "framerate='10'"),
}

SUFFICIENT = {
    "class control": (CLASS_CONTROL, "the class control 'class' is 'kind' now"),
    "timeline": (TIMELINE, "the timeline 'onset' is 'when' now"),
    "onset's label": (ONSET_LABEL, "the label of an onset 'emergence onset' is 'begin' now"),
    "no timeline": (NO_TIMELINE, "the timeline 'onset' was removed, so no onset is written or read"),
    "video": (VIDEO, "the video 'video' is 'film' now"),
}


def invalid(project: LoopProject, version: str) -> list[Any]:
    """Return the predictions of a version that do not fit the labelling configuration of now."""
    controls = controls_of(project.label_studio.project(project.id).label_config)
    stored = [entry for entry in project.label_studio.stored(project.id) if entry["model_version"] == version]
    assert stored
    return [entry for entry in stored if not is_valid(entry, controls)]


def findings(project: LoopProject) -> list[Any]:
    """Return what the status finds, but for the lack of workers."""
    found = find_all(read_status(project.registry, project=project.id, settings=project.context.settings))
    return [finding for finding in found if finding.cause != "worker"]


def fail(project: LoopProject, message: Message, **payload: Any) -> None:
    """Run a job that fails because of the labelling configuration, and have its failure counted."""
    function, context = jobs.FUNCTIONS[message.job], project.context
    with (
        pytest.raises(ConfigurationError),
        counting(context.connection, message, context.settings),
    ):
        function(context, project.id, **payload)


@pytest.mark.parametrize("name", INSUFFICIENT)
def test_without_its_controls_nothing_is_written_until_they_are_there_again(
    initialised: LoopProject, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A round closes meanwhile; its write-back waits, is never parked, and is made once the configuration is right."""
    config, found = INSUFFICIENT[name]
    before = initialised.label_studio.stored(initialised.id)
    version = initialised.admit()
    initialised.label_studio.configure(initialised.id, config)
    initialised.registry.publish(version, why="made by hand")
    for _ in range(5):  # more often than a job is tried before it is parked
        fail(initialised, messages.WriteBack(project=initialised.id, version=version), version=version)
        fail(initialised, messages.RetrainCheck(project=initialised.id))
        with pytest.raises(ConfigurationError, match="was changed since `helioloop init`"):
            reconcile(initialised.context, initialised.id)
    assert initialised.label_studio.stored(initialised.id) == before
    assert initialised.label_studio.project(initialised.id).model_version == "v0001"
    assert found in caplog.text
    first, *others = findings(initialised)
    assert (first.cause, first.well) == ("configuration", False)
    assert found in first.sentence
    assert "Change it back in Label Studio" in first.action
    assert not [other for other in others if other.cause in {"failed-job", "parked-job"}]
    initialised.label_studio.configure(initialised.id, OWN)
    done = reconcile(initialised.context, initialised.id).done
    assert "the labelling configuration has the controls again: going on" in done
    work(initialised)
    assert initialised.label_studio.project(initialised.id).model_version == version
    assert invalid(initialised, version) == []
    assert len(initialised.rows(version)) == len(CUBES)
    assert JobFailures(initialised.context.connection).failing(initialised.id) == []
    assert findings(initialised)[0].cause != "configuration"


def test_an_outage_does_not_make_the_failed_configuration_forgotten(
    initialised: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known of the configuration then: the status keeps its cause, and the jobs are put back later."""
    initialised.label_studio.configure(initialised.id, WORDS_RENAMED)
    fail(initialised, messages.RetrainCheck(project=initialised.id))
    with pytest.raises(ConfigurationError):
        reconcile(initialised.context, initialised.id)
    for may_pass in (True, False):  # it does not answer; it refuses the token

        def failing(_: int, *, may_pass: bool = may_pass) -> Any:
            raise LabelStudioError("refused", may_pass=may_pass)

        with monkeypatch.context() as broken:
            broken.setattr(initialised.label_studio, "project", failing)
            with pytest.raises(HelioloopError):
                reconcile(initialised.context, initialised.id)
        assert findings(initialised)[0].cause == "configuration"
    initialised.label_studio.configure(initialised.id, OWN)
    done = reconcile(initialised.context, initialised.id).done
    assert "the labelling configuration has the controls again: going on" in done


def test_damaged_controls_are_named_by_the_status_with_their_remedy(initialised: LoopProject) -> None:
    """They are no cause to change the configuration in Label Studio, and hide nothing else."""
    path = initialised.model_dir / "controls.json"
    whole = path.read_text()
    path.write_text("{broken")
    with pytest.raises(RegistryError, match="does not describe the controls"):
        reconcile(initialised.context, initialised.id)
    status = read_status(initialised.registry, project=initialised.id, settings=initialised.context.settings)
    assert status.configuration is None
    assert status.published is not None
    first, *others = findings(initialised)
    assert (first.cause, first.well) == ("configuration", False)
    assert "controls.json does not describe the controls of a project" in first.sentence
    assert f"helioloop init --project {initialised.id}" in first.action
    assert f"helioloop retry --project {initialised.id}" in first.action
    assert "in Label Studio" not in first.action
    assert all(other.well for other in others)
    path.write_text(whole)
    put_back(initialised.context.connection, initialised.context.settings, initialised.id)
    assert reconcile(initialised.context, initialised.id).done == ()
    assert findings(initialised)[0].well


def test_damaged_controls_do_not_make_the_failed_configuration_forgotten(initialised: LoopProject) -> None:
    """Both are wrong; once the file is restored, the configuration still is the cause."""
    initialised.label_studio.configure(initialised.id, WORDS_RENAMED)
    with pytest.raises(ConfigurationError):
        reconcile(initialised.context, initialised.id)
    path = initialised.model_dir / "controls.json"
    whole = path.read_text()
    path.write_text("{broken")
    with pytest.raises(RegistryError):
        reconcile(initialised.context, initialised.id)
    path.write_text(whole)
    assert findings(initialised)[0].cause == "configuration"


@pytest.mark.parametrize("name", SUFFICIENT)
def test_predictions_are_written_again_with_other_controls(
    initialised: LoopProject, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each in its row, so that open tasks stay valid; then there is nothing to do, and the status has a sentence."""
    config, change = SUFFICIENT[name]
    rows = initialised.label_studio.predictions(initialised.id)
    initialised.label_studio.configure(initialised.id, config)
    assert len(invalid(initialised, "v0001")) > 0
    (sentence,) = reconcile(initialised.context, initialised.id).done
    assert sentence == f"the labelling configuration was changed: {change}; writing the predictions of v0001 again"
    work(initialised)
    assert invalid(initialised, "v0001") == []
    now = [replace(row, content=None) for row in initialised.label_studio.predictions(initialised.id)]
    assert now == [replace(row, content=None) for row in rows]  # what they say may change with the controls
    assert f"was changed: {change}; writing 24 predictions of v0001 again" in caplog.text
    assert reconcile(initialised.context, initialised.id).done == ()
    status = read_status(initialised.registry, project=initialised.id, settings=initialised.context.settings)
    line = next(line for line in status_lines(status) if line.name == "labelling configuration")
    assert change in line.value
    initialised.label_studio.configure(initialised.id, OWN)
    reconcile(initialised.context, initialised.id)
    work(initialised)
    assert invalid(initialised, "v0001") == []
    assert (
        read_status(initialised.registry, project=initialised.id, settings=initialised.context.settings).configuration
        is None
    )


@pytest.mark.parametrize("config", [CLASS_CONTROL, NO_TIMELINE, WORDS_RENAMED], ids=["renamed", "removed", "words"])
def test_a_change_amid_a_write_back_leaves_nothing_invalid(
    initialised: LoopProject, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio drops what does not fit, and the next write-back puts right what was written before."""
    monkeypatch.setattr("helioloop_worker.loop.updating.CHUNK_PREDICTIONS", 6)
    fake, calls = initialised.label_studio, []
    actual = fake.import_predictions

    def importing(number: int, entries: Any) -> None:
        calls.append(len(entries))
        if len(calls) == 3:
            fake.configure(initialised.id, config)
        actual(number, entries)

    monkeypatch.setattr(fake, "import_predictions", importing)
    version = initialised.publish()
    with pytest.raises(LabelStudioError, match="drops"):
        write_back(initialised.context, initialised.id, version, report=silent)
    if config == WORDS_RENAMED:
        with pytest.raises(ConfigurationError):
            reconcile(initialised.context, initialised.id)
        fake.configure(initialised.id, OWN)
    for _ in range(2):
        reconcile(initialised.context, initialised.id)
        work(initialised)
    assert invalid(initialised, version) == []
    assert sorted(initialised.rows(version)) == sorted(task["id"] for task in fake.tasks(initialised.id))
    assert reconcile(initialised.context, initialised.id).done == ()


def test_a_rewriting_that_breaks_off_is_made_again(initialised: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controls are noted last."""
    fake = initialised.label_studio
    fake.configure(initialised.id, CLASS_CONTROL)
    actual, calls = fake.rewrite, []

    def rewriting(row: Any, entry: Any) -> None:
        calls.append(row)
        if len(calls) == 10:
            raise LabelStudioError("it does not answer", may_pass=True)
        actual(row, entry)

    with monkeypatch.context() as broken:
        broken.setattr(fake, "rewrite", rewriting)
        with pytest.raises(LabelStudioError):
            write_back(initialised.context, initialised.id, "v0001", report=silent)
    assert len(invalid(initialised, "v0001")) == len(CUBES) - 9
    assert "writing the predictions of v0001 again" in reconcile(initialised.context, initialised.id).done[0]
    work(initialised)
    assert invalid(initialised, "v0001") == []


def test_a_rollback_after_a_change_puts_the_earlier_predictions_right(initialised: LoopProject) -> None:
    """Those of v0001 are there still, and name a control that was renamed while v0002 was shown."""
    version = initialised.publish()
    write_back(initialised.context, initialised.id, version, report=silent)
    initialised.label_studio.configure(initialised.id, TIMELINE)
    reconcile(initialised.context, initialised.id)
    work(initialised)
    assert invalid(initialised, version) == []
    assert invalid(initialised, "v0001") != []
    initialised.registry.publish("v0001", why="by hand")
    reconcile(initialised.context, initialised.id)
    work(initialised)
    assert invalid(initialised, "v0001") == []
    assert {*read_prediction_controls(initialised.model_dir)} == {"v0001", version}


def test_answers_with_a_class_s_former_word_count_after_init(initialised: LoopProject) -> None:
    """Somebody renames the classes and runs `helioloop init` with the new words: no answer is lost."""
    tasks = {task["data"]["cube"]: task["id"] for task in initialised.label_studio.tasks(initialised.id)}
    initialised.label_studio.annotate(tasks["cube00"], "emergence")
    initialised.label_studio.annotate(tasks["cube01"], "non-emergence")
    initialised.label_studio.configure(initialised.id, WORDS_RENAMED)
    words = GivenWords(emergence="bipole", non_emergence="nothing")
    settings = initialised.context.settings
    for _ in range(2):  # repeated, it forgets nothing
        set_up(
            initialised.label_studio, settings, project=initialised.id, backend_url="http://127.0.0.1:9", given=words
        )
    initialised.label_studio.annotate(tasks["cube02"], "bipole")
    labels = initialised.read().snapshot.cubes
    assert {cube: labels[cube].label for cube in CUBES[:3]} == {
        "cube00": Label.EMERGENCE, "cube01": Label.NON_EMERGENCE, "cube02": Label.EMERGENCE,
    }  # fmt: skip
    assert all(labels[cube].verified and labels[cube].contradiction is None for cube in CUBES[:3])


def count_rewrites(project: LoopProject, monkeypatch: pytest.MonkeyPatch, *, kill_at: int | None = None) -> list[int]:
    """Return a list that gets the row of each prediction written again; at `kill_at` of them the worker is killed."""
    whole, calls = type(project.label_studio).rewrite, list[int]()

    def rewriting(self: Any, row: Any, entry: Any) -> None:
        if len(calls) == kill_at:
            raise KeyboardInterrupt
        calls.append(row.id)
        whole(self, row, entry)

    monkeypatch.setattr(type(project.label_studio), "rewrite", rewriting)
    return calls


@pytest.mark.parametrize("name", SUFFICIENT)
def test_a_rewriting_that_was_killed_goes_on_with_the_rows_that_are_left(
    initialised: LoopProject, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row is written once, however often the worker is killed: in a large project each attempt gets further."""
    initialised.label_studio.configure(initialised.id, SUFFICIENT[name][0])
    rows = {row.id for row in initialised.label_studio.predictions(initialised.id)}
    done: list[int] = []
    for _ in range(2):
        with monkeypatch.context() as killed:
            calls = count_rewrites(initialised, killed, kill_at=10)
            with pytest.raises(KeyboardInterrupt):
                write_back(initialised.context, initialised.id, "v0001", report=silent)
        done += calls
    calls = count_rewrites(initialised, monkeypatch)
    write_back(initialised.context, initialised.id, "v0001", report=silent)
    assert len(calls) == len(CUBES) - 20
    assert sorted([*done, *calls]) == sorted(rows)
    assert invalid(initialised, "v0001") == []
    assert reconcile(initialised.context, initialised.id).done == ()


@pytest.mark.parametrize("name", SUFFICIENT)
def test_a_change_is_noticed_in_a_project_of_an_older_helioloop(
    initialised: LoopProject, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It has no note of the controls; its predictions name them, so cause and number are named, too."""
    (initialised.model_dir / PREDICTION_CONTROLS).unlink()
    config, change = SUFFICIENT[name]
    initialised.label_studio.configure(initialised.id, config)
    sentence = f"the labelling configuration was changed: {change}; writing 24 predictions of v0001 again"
    assert reconcile(initialised.context, initialised.id).done == (sentence,)
    work(initialised)
    assert invalid(initialised, "v0001") == []
    assert sentence in caplog.text
    assert "not by the v0001 in the model folder" not in caplog.text
    assert reconcile(initialised.context, initialised.id).done == ()


def test_new_words_are_named_as_the_cause_without_a_note(initialised: LoopProject) -> None:
    """`helioloop init` was run with the new words of the classes."""
    (initialised.model_dir / PREDICTION_CONTROLS).unlink()
    initialised.label_studio.configure(initialised.id, WORDS_RENAMED)
    words, settings = GivenWords(emergence="bipole", non_emergence="nothing"), initialised.context.settings
    set_up(initialised.label_studio, settings, project=initialised.id, backend_url="http://127.0.0.1:9", given=words)
    done = reconcile(initialised.context, initialised.id).done
    assert any("changed: the value of emergence 'emergence' is 'bipole' now; writing 24" in text for text in done)
    work(initialised)
    assert invalid(initialised, "v0001") == []


def test_the_first_write_back_after_the_upgrade_looks_at_all_tasks(initialised: LoopProject) -> None:
    """One of changes would find nothing wrong with tasks that nobody has touched."""
    (initialised.model_dir / PREDICTION_CONTROLS).unlink()
    initialised.label_studio.configure(initialised.id, VIDEO)
    assert write_back_changes(initialised.context, initialised.id, "v0001", report=silent) is None
    write_back(initialised.context, initialised.id, "v0001", report=silent)
    assert invalid(initialised, "v0001") == []
    assert write_back_changes(initialised.context, initialised.id, "v0001", report=silent) is not None


def test_a_prediction_that_cannot_be_made_again_is_deleted_after_the_screens_are_written(
    initialised: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores of three cubes are lost: an answer without a prediction counts as blind, so no curve may be shown."""
    folder = initialised.registry.folder("v0001") / "scores"
    kept = [score for score in read_scores(folder).values() if score.cube not in CUBES[:3]]
    for path in list(folder.iterdir()):
        path.unlink()
    write_scores(folder, kept)
    second = initialised.label_studio.stored(initialised.id)[
        :1
    ]  # of a cube without a score: Label Studio asked the backend
    initialised.label_studio.import_predictions(initialised.id, second)
    initialised.label_studio.configure(initialised.id, CLASS_CONTROL)
    events: list[str] = []
    delete, screens = type(initialised.label_studio).delete_predictions, writeback._write_all_screens

    def deleting(self: Any, rows: Any) -> None:
        events.extend(["delete"] * len(rows))
        delete(self, rows)

    def writing_screens(*arguments: Any, **named: Any) -> None:
        events.append("screens")
        screens(*arguments, **named)

    monkeypatch.setattr(type(initialised.label_studio), "delete_predictions", deleting)
    monkeypatch.setattr(writeback, "_write_all_screens", writing_screens)
    written = write_back(initialised.context, initialised.id, "v0001", report=silent)
    assert events == ["delete", "screens", "delete", "delete", "delete"]  # the younger of two first
    assert sorted(cube.name for cube in written.missing) == sorted(CUBES[:3])
    assert invalid(initialised, "v0001") == []
    assert len(initialised.rows("v0001")) == len(CUBES) - 3


def test_without_a_score_only_a_prediction_that_does_not_fit_is_deleted(initialised: LoopProject) -> None:
    """Its row stays for open tasks, and is compared once there is a score."""
    folder = initialised.registry.folder("v0001") / "scores"
    for path in list(folder.iterdir()):
        path.unlink()
    write_scores(folder, [])
    write_back(initialised.context, initialised.id, "v0001", report=silent)
    assert len(initialised.rows("v0001")) == len(CUBES)
