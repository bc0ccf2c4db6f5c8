"""Write-back: every task gets one prediction, also after interruptions, and only of the published version."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from tests.worker.conftest import CUBES, LoopProject, score_of, work

from helioloop.errors import LabelStudioError, ServiceError
from helioloop.messaging import messages, queues
from helioloop.messaging.job_failures import JobFailures
from helioloop.progress import silent
from helioloop.registry.shown_versions import read_shown_versions, superseded_since
from helioloop.registry.unscorable import add_unscorable
from helioloop_worker import jobs
from helioloop_worker.loop import unscored, updating, writing
from helioloop_worker.loop.writeback import write_back
from helioloop_worker.loop.written_back import require_whole_write_back

Data = dict[str, dict[str, str]]


def write(loop_project: LoopProject, version: str) -> tuple[int, int, int]:
    """Write a version back: how many were written, were there, have no score."""
    written = write_back(loop_project.context, loop_project.id, version, report=silent)
    return written.written, written.present, len(written.missing)


def test_every_task_gets_the_prediction_once(loop_project: LoopProject, task_data: Data) -> None:
    """Label Studio shows the version; a repeated write-back writes nothing."""
    tasks = loop_project.import_cubes(task_data)
    version = loop_project.publish()
    assert write(loop_project, version) == (24, 0, 0)
    assert loop_project.rows(version) == sorted(tasks.values())
    assert loop_project.label_studio.project(loop_project.id).model_version == version
    assert write(loop_project, version) == (0, 24, 0)
    assert loop_project.rows(version) == sorted(tasks.values())


def test_the_score_is_the_agreement_with_the_label_as_it_is_now(loop_project: LoopProject, task_data: Data) -> None:
    """P(emergence) is 0.75: a crude non-emergence agrees by 0.25, one corrected since by 0.75; ranges are 1-based."""
    tasks = loop_project.import_cubes(task_data)
    version = loop_project.publish(p_emergence=0.75)
    loop_project.label_studio.annotate(tasks["cube02"], "emergence")
    write(loop_project, version)
    stored = {entry["task"]: entry for entry in loop_project.label_studio.stored(loop_project.id)}
    assert [stored[tasks[cube]]["score"] for cube in ("cube00", "cube01", "cube02")] == [0.25, 0.75, 0.75]
    choice, onset = stored[tasks["cube00"]]["result"]
    assert choice["value"] == {"choices": ["emergence"]}
    assert onset["value"]["ranges"] == [{"start": 13, "end": 24}]


def test_a_correction_moves_the_score_of_the_row_that_is_there(loop_project: LoopProject, task_data: Data) -> None:
    """cube00, a crude non-emergence with P = 0.75, agreed by 0.25, corrected it agrees by 0.75; no row is replaced."""
    tasks = loop_project.import_cubes(task_data)
    version = loop_project.publish(p_emergence=0.75)
    write(loop_project, version)
    before = {row.id: row for row in loop_project.label_studio.predictions(loop_project.id)}
    number = loop_project.label_studio.annotate(tasks["cube00"], "emergence")
    assert write(loop_project, version) == (0, 24, 0)
    after = {row.id: row for row in loop_project.label_studio.predictions(loop_project.id)}
    assert after.keys() == before.keys()
    assert [(row.task, row.score) for row in after.values() if row != before[row.id]] == [(tasks["cube00"], 0.75)]
    loop_project.label_studio.delete_annotation(number)
    write(loop_project, version)
    assert {row.id: row for row in loop_project.label_studio.predictions(loop_project.id)} == before


def test_a_half_write_is_finished_by_the_next(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio refuses the third request: the version is not shown before every task has its prediction."""
    monkeypatch.setattr(updating, "CHUNK_PREDICTIONS", 5)
    tasks = loop_project.import_cubes(task_data)
    version = loop_project.publish()
    whole = loop_project.label_studio.import_predictions
    requests = iter(range(2))

    def fails(project: int, entries: Sequence[dict[str, Any]]) -> None:
        if next(requests, None) is None:
            raise LabelStudioError("database is locked")
        whole(project, entries)

    with monkeypatch.context() as broken:
        broken.setattr(loop_project.label_studio, "import_predictions", fails)
        with pytest.raises(LabelStudioError):
            write(loop_project, version)
    assert len(loop_project.rows(version)) == 10
    assert loop_project.label_studio.project(loop_project.id).model_version is None
    assert read_shown_versions(loop_project.model_dir) == []
    assert write(loop_project, version) == (14, 10, 0)
    assert loop_project.rows(version) == sorted(tasks.values())


def test_a_task_that_is_deleted_amid_a_write_back_stops_no_other(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio refuses the whole request that names it; the repeated job reads the tasks anew."""
    tasks = loop_project.import_cubes(task_data)
    version = loop_project.publish()
    whole, label_studio = loop_project.label_studio.import_predictions, loop_project.label_studio

    def after_a_deletion(project: int, entries: Sequence[dict[str, Any]]) -> None:
        monkeypatch.setattr(label_studio, "import_predictions", whole)
        label_studio.delete_task(tasks["cube07"])
        whole(project, entries)

    monkeypatch.setattr(label_studio, "import_predictions", after_a_deletion)
    queues.send(loop_project.context.connection, messages.WriteBack(project=loop_project.id, version=version))
    work(loop_project)
    assert loop_project.rows(version) == []
    (failed,) = JobFailures(loop_project.context.connection).failing(loop_project.id)
    assert (failed.failures, failed.is_parked) == (1, False)
    assert write(loop_project, version) == (23, 0, 0)
    assert loop_project.rows(version) == sorted(set(tasks.values()) - {tasks["cube07"]})


def test_cubes_without_a_score_are_asked_for_until_they_cannot_be_scored(
    loop_project: LoopProject, task_data: Data
) -> None:
    """The others are written at once; a cube that the version cannot score is not asked for again."""
    loop_project.import_cubes(task_data)
    version = loop_project.publish(without=["cube00", "cube01"])
    assert jobs.write_back(loop_project.context, loop_project.id, version) == {
        "written": 22,
        "present": 0,
        "missing": 2,
    }
    (asked,) = loop_project.queued()
    assert loop_project.job(asked).origin == "helioloop-bulk"
    assert [(cube["name"], cube["region"]) for cube in loop_project.job(asked).kwargs["cubes"]] == [
        ("cube00", "region0"),
        ("cube01", "region1"),
    ]
    gone = loop_project.read().tasks["cube00"].cube
    add_unscorable(loop_project.model_dir, version, [gone])
    (cube,) = write_back(loop_project.context, loop_project.id, version, report=silent).missing
    assert cube.name == "cube01"
    later = loop_project.publish(without=["cube00"])
    assert write(loop_project, later) == (23, 0, 1)


def test_what_was_scored_meanwhile_does_not_shift_what_is_asked_for(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three jobs of eight cubes wait, and one of the first eight is scored: the other two jobs stay the same."""
    monkeypatch.setattr(unscored, "SCORE_CHUNK", 8)
    loop_project.import_cubes(task_data)
    version = loop_project.publish(without=CUBES)
    jobs.write_back(loop_project.context, loop_project.id, version)
    before = loop_project.queued()
    assert [len(loop_project.job(job).kwargs["cubes"]) for job in before] == [8, 8, 8]
    loop_project.registry.add_scores(version, [score_of("cube00", task_data["cube00"]["sha256"], 0.75)])
    require_whole_write_back(loop_project.model_dir)
    jobs.write_back(loop_project.context, loop_project.id, version)
    assert loop_project.queued()[:3] == before
    (more,) = loop_project.queued()[3:]
    assert [cube["name"] for cube in loop_project.job(more).kwargs["cubes"]] == list(CUBES[1:8])


def test_every_task_of_a_cube_gets_the_prediction_once(loop_project: LoopProject, task_data: Data) -> None:
    """Somebody imported an exported task again, before and after a write-back."""
    loop_project.import_cubes(task_data)
    before = loop_project.import_cubes(task_data, ["cube00"])
    version = loop_project.publish()
    assert write(loop_project, version) == (25, 0, 0)
    after = loop_project.import_cubes(task_data, ["cube00"])
    assert write(loop_project, version) == (1, 25, 0)
    assert {before["cube00"], after["cube00"]} <= set(loop_project.rows(version))
    assert write(loop_project, version) == (0, 26, 0)


def test_a_superseded_write_back_changes_nothing(loop_project: LoopProject, task_data: Data) -> None:
    """A later version was published while it waited."""
    loop_project.import_cubes(task_data)
    first, second = loop_project.publish(), loop_project.publish()
    assert write(loop_project, first) == (0, 0, 0)
    assert loop_project.label_studio.predictions(loop_project.id) == []
    write(loop_project, second)
    assert write(loop_project, first) == (0, 0, 0)
    assert loop_project.label_studio.project(loop_project.id).model_version == second


def test_duplicates_are_deleted(loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Label Studio asked the backend for a task while it was written: the older row stays, others are not touched."""
    tasks = loop_project.import_cubes(task_data)
    version = loop_project.publish()
    whole = loop_project.label_studio.import_predictions

    def meets(project: int, entries: Sequence[dict[str, Any]]) -> None:
        whole(project, [entries[3], {**entries[3], "model_version": "theirs"}])
        whole(project, entries)

    monkeypatch.setattr(loop_project.label_studio, "import_predictions", meets)
    write(loop_project, version)
    assert loop_project.rows(version) == sorted(tasks.values())
    assert len(loop_project.rows("theirs")) == 1
    oldest = min(loop_project.label_studio.predictions(loop_project.id), key=lambda row: row.id)
    assert (oldest.task, oldest.model_version) == (tasks["cube03"], version)


def test_one_writer_at_a_time(loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one waits, and raises an error after too long; the lock is free afterwards, also after an error."""
    loop_project.import_cubes(task_data)
    version = loop_project.publish()
    monkeypatch.setattr(writing, "WAIT_SECONDS", 0.1)
    with (
        writing.writing(loop_project.context, loop_project.id),
        pytest.raises(ServiceError, match="one writes at a time"),
    ):
        write(loop_project, version)
    with pytest.raises(ZeroDivisionError), writing.writing(loop_project.context, loop_project.id):
        raise ZeroDivisionError
    assert write(loop_project, version) == (24, 0, 0)


def test_a_writer_that_lost_the_lock_stops(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis was emptied in the middle: nothing further is written, and the next write-back does the rest."""
    monkeypatch.setattr(updating, "CHUNK_PREDICTIONS", 5)
    tasks = loop_project.import_cubes(task_data)
    version = loop_project.publish()
    whole = loop_project.label_studio.import_predictions

    def empties(project: int, entries: Sequence[dict[str, Any]]) -> None:
        whole(project, entries)
        loop_project.context.connection.flushall()

    with monkeypatch.context() as broken:
        broken.setattr(loop_project.label_studio, "import_predictions", empties)
        with pytest.raises(ServiceError, match="the lock on writing was lost"):
            write(loop_project, version)
    assert len(loop_project.rows(version)) == 5
    write(loop_project, version)
    assert loop_project.rows(version) == sorted(tasks.values())


def test_shown_versions_are_recorded_in_order_and_once(loop_project: LoopProject, task_data: Data) -> None:
    """A version written back twice is recorded once; a rollback is recorded again."""
    loop_project.import_cubes(task_data)
    first = loop_project.publish()
    write(loop_project, first)
    write(loop_project, first)
    second = loop_project.publish()
    write(loop_project, second)
    loop_project.registry.publish(first, why="rollback")
    write(loop_project, first)
    assert [line.version for line in read_shown_versions(loop_project.model_dir)] == [first, second, first]


def test_since_when_a_version_is_superseded(loop_project: LoopProject, task_data: Data) -> None:
    """From the version after it; a version that was never shown from the last one on; the shown one is not."""
    loop_project.import_cubes(task_data)
    assert superseded_since(loop_project.model_dir, "v0001") is None
    first = loop_project.publish()
    write(loop_project, first)
    overtaken = loop_project.admit()
    third = loop_project.publish()
    write(loop_project, third)
    fourth = loop_project.publish()
    write(loop_project, fourth)
    at = [datetime.fromisoformat(line.at) for line in read_shown_versions(loop_project.model_dir)]
    found = [superseded_since(loop_project.model_dir, version) for version in (first, overtaken, third, fourth)]
    assert found == [at[1], at[2], at[2], None]


def test_what_a_restored_label_studio_shows_is_superseded_from_the_write_back_on(
    loop_project: LoopProject, task_data: Data
) -> None:
    """Its predictions stay for the grace time then: who opened a task before submits an answer that names them."""
    loop_project.import_cubes(task_data)
    first = loop_project.publish()
    write(loop_project, first)
    second = loop_project.publish()
    write(loop_project, second)
    loop_project.label_studio.set_model_version(loop_project.id, first)  # as its database of an hour ago has it
    write(loop_project, second)
    shown = read_shown_versions(loop_project.model_dir)
    assert [line.version for line in shown] == [first, second, first, second]
    assert superseded_since(loop_project.model_dir, first) == datetime.fromisoformat(shown[-1].at)
