"""A labelling configuration that is changed while a round is trained: noticed, nothing invalid written, and resumed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.worker.conftest import CUBES, LoopProject, work

from helioloop.errors import ConfigurationError, HelioloopError, LabelStudioError, RegistryError
from helioloop.labelstudio.new_controls import GivenWords
from helioloop.messaging import messages
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.messages import Message
from helioloop.progress import silent
from helioloop.records.labels import Label
from helioloop.registry.prediction_controls import PREDICTION_CONTROLS, read_prediction_controls
from helioloop.registry.project_controls import read_project_controls, write_project_controls
from helioloop.registry.score_store import read_scores, write_scores
from helioloop_worker import jobs
from helioloop_worker.labelstudio import kept_projects
from helioloop_worker.labelstudio.fake_configuration import controls_of, is_valid
from helioloop_worker.labelstudio.project_template import labeling_configuration
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

OWN = labeling_configuration()
WORDS_RENAMED = OWN.replace('"non-emergence"', '"nothing"').replace(
    '<Choice value="emergence"', '<Choice value="bipole"'
)
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


@pytest.fixture(autouse=True)
def _no_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake stores a change in the moment of its stamp."""
    monkeypatch.setattr(kept_projects, "OVERLAP", timedelta(0))


@pytest.fixture
def project(loop_project: LoopProject, task_data: Data) -> LoopProject:
    """A project that `helioloop init` has set up, with v0001 written back and nothing to do."""
    label_studio = loop_project.label_studio
    set_up(label_studio, loop_project.context.settings, project=loop_project.id, backend_url="http://127.0.0.1:9")
    loop_project.import_cubes(task_data)
    write_back(loop_project.context, loop_project.id, loop_project.publish(), report=silent)
    loop_project.check()
    assert reconcile(loop_project.context, loop_project.id).done == ()
    return loop_project


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
    project: LoopProject, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A round closes meanwhile; its write-back waits, is never parked, and is made once the configuration is right."""
    config, found = INSUFFICIENT[name]
    before = project.label_studio.stored(project.id)
    version = project.admit()
    project.label_studio.configure(project.id, config)
    project.registry.publish(version, why="made by hand")
    for _ in range(5):  # more often than a job is tried before it is parked
        fail(project, messages.WriteBack(project=project.id, version=version), version=version)
        fail(project, messages.RetrainCheck(project=project.id))
        with pytest.raises(ConfigurationError, match="was changed since `helioloop init`"):
            reconcile(project.context, project.id)
    assert project.label_studio.stored(project.id) == before
    assert project.label_studio.project(project.id).model_version == "v0001"
    assert found in caplog.text
    first, *others = findings(project)
    assert (first.cause, first.well) == ("configuration", False)
    assert found in first.sentence
    assert "Change it back in Label Studio" in first.action
    assert not [other for other in others if other.cause in {"failed-job", "parked-job"}]
    project.label_studio.configure(project.id, OWN)
    done = reconcile(project.context, project.id).done
    assert "the labelling configuration has the controls again: going on" in done
    work(project)
    assert project.label_studio.project(project.id).model_version == version
    assert invalid(project, version) == []
    assert len(project.rows(version)) == len(CUBES)
    assert JobFailures(project.context.connection).failing(project.id) == []
    assert findings(project)[0].cause != "configuration"


def test_an_outage_does_not_make_the_failed_configuration_forgotten(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known of the configuration then: the status keeps its cause, and the jobs are put back later."""
    project.label_studio.configure(project.id, WORDS_RENAMED)
    fail(project, messages.RetrainCheck(project=project.id))
    with pytest.raises(ConfigurationError):
        reconcile(project.context, project.id)
    for may_pass in (True, False):  # it does not answer; it refuses the token

        def failing(_: int, *, may_pass: bool = may_pass) -> Any:
            raise LabelStudioError("refused", may_pass=may_pass)

        with monkeypatch.context() as broken:
            broken.setattr(project.label_studio, "project", failing)
            with pytest.raises(HelioloopError):
                reconcile(project.context, project.id)
        assert findings(project)[0].cause == "configuration"
    project.label_studio.configure(project.id, OWN)
    done = reconcile(project.context, project.id).done
    assert "the labelling configuration has the controls again: going on" in done


def test_damaged_controls_are_named_by_the_status_with_their_remedy(project: LoopProject) -> None:
    """They are no cause to change the configuration in Label Studio, and hide nothing else."""
    path = project.model_dir / "controls.json"
    whole = path.read_text()
    path.write_text("{broken")
    with pytest.raises(RegistryError, match="does not describe the controls"):
        reconcile(project.context, project.id)
    status = read_status(project.registry, project=project.id, settings=project.context.settings)
    assert status.configuration is None
    assert status.published is not None
    first, *others = findings(project)
    assert (first.cause, first.well) == ("configuration", False)
    assert "controls.json does not describe the controls of a project" in first.sentence
    assert f"helioloop init --project {project.id}" in first.action
    assert f"helioloop retry --project {project.id}" in first.action
    assert "in Label Studio" not in first.action
    assert all(other.well for other in others)
    path.write_text(whole)
    put_back(project.context.connection, project.context.settings, project.id)
    assert reconcile(project.context, project.id).done == ()
    assert findings(project)[0].well


def test_damaged_controls_do_not_make_the_failed_configuration_forgotten(project: LoopProject) -> None:
    """Both are wrong; once the file is restored, the configuration still is the cause."""
    project.label_studio.configure(project.id, WORDS_RENAMED)
    with pytest.raises(ConfigurationError):
        reconcile(project.context, project.id)
    path = project.model_dir / "controls.json"
    whole = path.read_text()
    path.write_text("{broken")
    with pytest.raises(RegistryError):
        reconcile(project.context, project.id)
    path.write_text(whole)
    assert findings(project)[0].cause == "configuration"


@pytest.mark.parametrize("name", SUFFICIENT)
def test_predictions_are_written_again_with_other_controls(
    project: LoopProject, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each in its row, so that open tasks stay valid; then there is nothing to do, and the status has a sentence."""
    config, change = SUFFICIENT[name]
    rows = project.label_studio.predictions(project.id)
    project.label_studio.configure(project.id, config)
    assert len(invalid(project, "v0001")) > 0
    (sentence,) = reconcile(project.context, project.id).done
    assert sentence == f"the labelling configuration was changed: {change}; writing the predictions of v0001 again"
    work(project)
    assert invalid(project, "v0001") == []
    now = [replace(row, content=None) for row in project.label_studio.predictions(project.id)]
    assert now == [replace(row, content=None) for row in rows]  # what they say may change with the controls
    assert f"was changed: {change}; writing 24 predictions of v0001 again" in caplog.text
    assert reconcile(project.context, project.id).done == ()
    status = read_status(project.registry, project=project.id, settings=project.context.settings)
    line = next(line for line in status_lines(status) if line.name == "labelling configuration")
    assert change in line.value
    project.label_studio.configure(project.id, OWN)
    reconcile(project.context, project.id)
    work(project)
    assert invalid(project, "v0001") == []
    assert read_status(project.registry, project=project.id, settings=project.context.settings).configuration is None


@pytest.mark.parametrize("config", [CLASS_CONTROL, NO_TIMELINE, WORDS_RENAMED], ids=["renamed", "removed", "words"])
def test_a_change_amid_a_write_back_leaves_nothing_invalid(
    project: LoopProject, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio drops what does not fit, and the next write-back puts right what was written before."""
    monkeypatch.setattr("helioloop_worker.loop.updating.CHUNK_PREDICTIONS", 6)
    fake, calls = project.label_studio, []
    actual = fake.import_predictions

    def importing(number: int, entries: Any) -> None:
        calls.append(len(entries))
        if len(calls) == 3:
            fake.configure(project.id, config)
        actual(number, entries)

    monkeypatch.setattr(fake, "import_predictions", importing)
    version = project.publish()
    with pytest.raises(LabelStudioError, match="drops"):
        write_back(project.context, project.id, version, report=silent)
    if config == WORDS_RENAMED:
        with pytest.raises(ConfigurationError):
            reconcile(project.context, project.id)
        fake.configure(project.id, OWN)
    for _ in range(2):
        reconcile(project.context, project.id)
        work(project)
    assert invalid(project, version) == []
    assert sorted(project.rows(version)) == sorted(task["id"] for task in fake.tasks(project.id))
    assert reconcile(project.context, project.id).done == ()


def test_a_rewriting_that_breaks_off_is_made_again(project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controls are noted last."""
    fake = project.label_studio
    fake.configure(project.id, CLASS_CONTROL)
    actual, calls = fake.rewrite, []

    def rewriting(row: Any, entry: Any) -> None:
        calls.append(row)
        if len(calls) == 10:
            raise LabelStudioError("it does not answer", may_pass=True)
        actual(row, entry)

    with monkeypatch.context() as broken:
        broken.setattr(fake, "rewrite", rewriting)
        with pytest.raises(LabelStudioError):
            write_back(project.context, project.id, "v0001", report=silent)
    assert len(invalid(project, "v0001")) == len(CUBES) - 9
    assert "writing the predictions of v0001 again" in reconcile(project.context, project.id).done[0]
    work(project)
    assert invalid(project, "v0001") == []


def test_a_rollback_after_a_change_puts_the_earlier_predictions_right(project: LoopProject) -> None:
    """Those of v0001 are there still, and name a control that was renamed while v0002 was shown."""
    version = project.publish()
    write_back(project.context, project.id, version, report=silent)
    project.label_studio.configure(project.id, TIMELINE)
    reconcile(project.context, project.id)
    work(project)
    assert invalid(project, version) == []
    assert invalid(project, "v0001") != []
    project.registry.publish("v0001", why="by hand")
    reconcile(project.context, project.id)
    work(project)
    assert invalid(project, "v0001") == []
    assert {*read_prediction_controls(project.model_dir)} == {"v0001", version}


def test_answers_with_a_class_s_former_word_count_after_init(project: LoopProject) -> None:
    """Somebody renames the classes and runs `helioloop init` with the new words: no answer is lost."""
    tasks = {task["data"]["cube"]: task["id"] for task in project.label_studio.tasks(project.id)}
    project.label_studio.annotate(tasks["cube00"], "emergence")
    project.label_studio.annotate(tasks["cube01"], "non-emergence")
    project.label_studio.configure(project.id, WORDS_RENAMED)
    words = GivenWords(emergence="bipole", non_emergence="nothing")
    settings = project.context.settings
    for _ in range(2):  # repeated, it forgets nothing
        set_up(project.label_studio, settings, project=project.id, backend_url="http://127.0.0.1:9", given=words)
    project.label_studio.annotate(tasks["cube02"], "bipole")
    labels = project.read().snapshot.cubes
    assert {cube: labels[cube].label for cube in CUBES[:3]} == {
        "cube00": Label.EMERGENCE, "cube01": Label.NON_EMERGENCE, "cube02": Label.EMERGENCE,
    }  # fmt: skip
    assert all(labels[cube].verified and labels[cube].contradiction is None for cube in CUBES[:3])


NOWHERE = "http://127.0.0.1:9"
SWAPPED = GivenWords(emergence="non-emergence", non_emergence="emergence")


def answer(project: LoopProject, cubes: int, word: str) -> None:
    """Answer the tasks of the first cubes."""
    for task in project.label_studio.tasks(project.id)[:cubes]:
        project.label_studio.annotate(task["id"], word)


def set_up_again(project: LoopProject, given: GivenWords) -> list[str]:
    """Repeat the set-up with words, and return what is said."""
    said: list[str] = []
    settings = project.context.settings
    set_up(project.label_studio, settings, project=project.id, backend_url=NOWHERE, given=given, say=said.append)
    return [sentence for sentence in said if sentence.startswith("warning: ")]


def test_words_that_are_swapped_have_their_meaning_of_now_and_it_is_said(project: LoopProject) -> None:
    """A wrong first set-up is put right; both numbers are said, once, and the former words undo it."""
    answer(project, 3, "emergence")
    assert set_up_again(project, SWAPPED) == [
        "warning: 3 answers have 'emergence', given as emergence, and count as non-emergence from now on; if that is "
        "wrong, repeat this with the former words"
    ]
    assert project.read().snapshot.cubes["cube00"].label is Label.NON_EMERGENCE
    answer(project, 1, "non-emergence")
    assert set_up_again(project, SWAPPED) == []
    said = set_up_again(project, GivenWords(emergence="emergence", non_emergence="non-emergence"))
    assert [sentence.partition(",")[0] for sentence in said] == [
        "warning: 3 answers have 'emergence'", "warning: 1 answer has 'non-emergence'",
    ]  # fmt: skip
    assert project.read().controls.label_of("emergence") is Label.EMERGENCE


def test_without_answers_words_are_swapped_without_a_word(project: LoopProject) -> None:
    """There is no answer that could change its class."""
    assert set_up_again(project, SWAPPED) == []
    assert project.read().controls.label_of("emergence") is Label.NON_EMERGENCE


@pytest.mark.parametrize(
    ("config", "given"),
    [
        (
            OWN.replace('<Choice value="non-emergence"', '<Choice value="?"')
            .replace('<Choice value="emergence"', '<Choice value="bipole"')
            .replace('"?"', '"emergence"'),
            GivenWords(emergence="bipole", non_emergence="emergence"),
        ),
        (
            OWN.replace('<Choice value="non-emergence"', '<Choice value="none" alias="emergence"').replace(
                '<Choice value="emergence"', '<Choice value="bipole"'
            ),
            GivenWords(emergence="bipole", non_emergence="none"),
        ),
    ],
    ids=["word", "alias"],
)
def test_a_former_word_that_the_configuration_gives_to_the_other_class_is_refused(
    project: LoopProject, config: str, given: GivenWords
) -> None:
    """The answers before that change have it too; without any it may be reused, and with another value all is well."""
    project.label_studio.configure(project.id, config)
    before = read_project_controls(project.model_dir)
    answer(project, 2, "emergence")
    with pytest.raises(
        ConfigurationError,
        match=r"2 answers have 'emergence', which was the word of emergence and is that of non-emergence now, while "
        r"the configuration lacks the former word 'non-emergence'.*give the choice of non-emergence another value",
    ):
        set_up_again(project, given)
    assert read_project_controls(project.model_dir) == before
    project.label_studio.configure(project.id, WORDS_RENAMED)
    assert set_up_again(project, GivenWords(emergence="bipole", non_emergence="nothing")) == []
    assert project.read().snapshot.cubes["cube00"].label is Label.EMERGENCE


def test_a_word_of_earlier_still_is_found_too(project: LoopProject) -> None:
    """Two changes later: "emergence" meant emergence at first, then nothing of its own, and now the other class."""
    answer(project, 1, "emergence")
    project.label_studio.configure(project.id, WORDS_RENAMED)
    set_up_again(project, GivenWords(emergence="bipole", non_emergence="nothing"))
    config = WORDS_RENAMED.replace('"nothing"', '"emergence"')
    project.label_studio.configure(project.id, config)
    with pytest.raises(ConfigurationError, match="1 answer has 'emergence', which was the word of emergence"):
        set_up_again(project, GivenWords(emergence="bipole", non_emergence="emergence"))


def test_words_that_nobody_gave_change_no_answer(project: LoopProject) -> None:
    """The kept words are no longer those of one control, and the usual ones mean the classes the other way round."""
    answer(project, 1, "emergence")
    write_project_controls(project.model_dir, replace(
        project.read().controls,
        values={Label.EMERGENCE: "ja", Label.NON_EMERGENCE: "nein"}, shown={},
        earlier={Label.NON_EMERGENCE: ("emergence",)},
    ))  # fmt: skip
    more = '<Choices name="more" toName="video"><Choice value="ja"/></Choices>'
    more += '<Choices name="most" toName="video"><Choice value="nein"/></Choices></View>'
    project.label_studio.configure(project.id, OWN.rstrip().removesuffix("</View>") + more)
    with pytest.raises(ConfigurationError, match=r"would be that of emergence now.*name the words with --emergence"):
        set_up_again(project, GivenWords())
    (said,) = set_up_again(project, GivenWords(emergence="emergence", non_emergence="non-emergence"))
    assert "1 answer has 'emergence', given as non-emergence" in said


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
    project: LoopProject, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row is written once, however often the worker is killed: in a large project each attempt gets further."""
    project.label_studio.configure(project.id, SUFFICIENT[name][0])
    rows = {row.id for row in project.label_studio.predictions(project.id)}
    done: list[int] = []
    for _ in range(2):
        with monkeypatch.context() as killed:
            calls = count_rewrites(project, killed, kill_at=10)
            with pytest.raises(KeyboardInterrupt):
                write_back(project.context, project.id, "v0001", report=silent)
        done += calls
    calls = count_rewrites(project, monkeypatch)
    write_back(project.context, project.id, "v0001", report=silent)
    assert len(calls) == len(CUBES) - 20
    assert sorted([*done, *calls]) == sorted(rows)
    assert invalid(project, "v0001") == []
    assert reconcile(project.context, project.id).done == ()


@pytest.mark.parametrize("name", SUFFICIENT)
def test_a_change_is_noticed_in_a_project_of_an_older_helioloop(
    project: LoopProject, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It has no note of the controls; its predictions name them, so cause and number are named, too."""
    (project.model_dir / PREDICTION_CONTROLS).unlink()
    config, change = SUFFICIENT[name]
    project.label_studio.configure(project.id, config)
    sentence = f"the labelling configuration was changed: {change}; writing 24 predictions of v0001 again"
    assert reconcile(project.context, project.id).done == (sentence,)
    work(project)
    assert invalid(project, "v0001") == []
    assert sentence in caplog.text
    assert "not by the v0001 in the model folder" not in caplog.text
    assert reconcile(project.context, project.id).done == ()


def test_new_words_are_named_as_the_cause_without_a_note(project: LoopProject) -> None:
    """`helioloop init` was run with the new words of the classes."""
    (project.model_dir / PREDICTION_CONTROLS).unlink()
    project.label_studio.configure(project.id, WORDS_RENAMED)
    words, settings = GivenWords(emergence="bipole", non_emergence="nothing"), project.context.settings
    set_up(project.label_studio, settings, project=project.id, backend_url="http://127.0.0.1:9", given=words)
    done = reconcile(project.context, project.id).done
    assert any("changed: the value of emergence 'emergence' is 'bipole' now; writing 24" in text for text in done)
    work(project)
    assert invalid(project, "v0001") == []


def test_the_first_write_back_after_the_upgrade_looks_at_all_tasks(project: LoopProject) -> None:
    """One of changes would find nothing wrong with tasks that nobody has touched."""
    (project.model_dir / PREDICTION_CONTROLS).unlink()
    project.label_studio.configure(project.id, VIDEO)
    assert write_back_changes(project.context, project.id, "v0001", report=silent) is None
    write_back(project.context, project.id, "v0001", report=silent)
    assert invalid(project, "v0001") == []
    assert write_back_changes(project.context, project.id, "v0001", report=silent) is not None


def test_a_prediction_that_cannot_be_made_again_is_deleted_after_the_screens_are_written(
    project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores of three cubes are lost: an answer without a prediction counts as blind, so no curve may be shown."""
    folder = project.registry.folder("v0001") / "scores"
    kept = [score for score in read_scores(folder).values() if score.cube not in CUBES[:3]]
    for path in list(folder.iterdir()):
        path.unlink()
    write_scores(folder, kept)
    second = project.label_studio.stored(project.id)[:1]  # of a cube without a score: Label Studio asked the backend
    project.label_studio.import_predictions(project.id, second)
    project.label_studio.configure(project.id, CLASS_CONTROL)
    events: list[str] = []
    delete, screens = type(project.label_studio).delete_predictions, writeback._write_all_screens

    def deleting(self: Any, rows: Any) -> None:
        events.extend(["delete"] * len(rows))
        delete(self, rows)

    def writing_screens(*arguments: Any, **named: Any) -> None:
        events.append("screens")
        screens(*arguments, **named)

    monkeypatch.setattr(type(project.label_studio), "delete_predictions", deleting)
    monkeypatch.setattr(writeback, "_write_all_screens", writing_screens)
    written = write_back(project.context, project.id, "v0001", report=silent)
    assert events == ["delete", "screens", "delete", "delete", "delete"]  # the younger of two first
    assert sorted(cube.name for cube in written.missing) == sorted(CUBES[:3])
    assert invalid(project, "v0001") == []
    assert len(project.rows("v0001")) == len(CUBES) - 3


def test_without_a_score_only_a_prediction_that_does_not_fit_is_deleted(project: LoopProject) -> None:
    """Its row stays for open tasks, and is compared once there is a score."""
    folder = project.registry.folder("v0001") / "scores"
    for path in list(folder.iterdir()):
        path.unlink()
    write_scores(folder, [])
    write_back(project.context, project.id, "v0001", report=silent)
    assert len(project.rows("v0001")) == len(CUBES)
