"""Reconciliation: effects of lost webhooks and killed workers are repaired, and superseded predictions are deleted."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.worker.conftest import CUBES, SETTLED, LoopProject

from helioloop.progress import silent
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.unscorable import add_unscorable
from helioloop_worker import jobs
from helioloop_worker.loop import superseded
from helioloop_worker.loop.late_snapshots import replace_late_snapshot
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.writeback import write_back

Data = dict[str, dict[str, str]]

SCREEN = {"video": "/v.mp4", "curve": "/c.json", "reason": "/r.txt"}
"""What each task must have, because the labelling configuration shows it."""
CHECKING = "annotations differ from those of the last check: checking"


def without_grace(loop_project: LoopProject) -> LoopProject:
    """The same project, where superseded predictions are deleted at once."""
    settings = loop_project.context.settings.model_copy(update={"grace_seconds": 0.0})
    return replace(loop_project, context=replace(loop_project.context, settings=settings))


def test_a_lost_webhook_is_noticed_once(loop_project: LoopProject, tasks: dict[str, int]) -> None:
    """An annotation, a change and a skip without a webhook; after the check there is nothing to do."""
    number = loop_project.label_studio.annotate(tasks["cube01"], "emergence")
    for change in (
        lambda: None,
        lambda: loop_project.label_studio.revise(number, "emergence", start=5),
        lambda: loop_project.label_studio.annotate(tasks["cube03"], "emergence", skipped=True),
        lambda: loop_project.label_studio.delete_annotation(number),
    ):
        change()
        assert reconcile(loop_project.context, loop_project.id).done == (CHECKING,)
        assert loop_project.queued() == [f"retrain-check-{loop_project.id}"]
        loop_project.check()
        assert reconcile(loop_project.context, loop_project.id).done == ()
        loop_project.clear_queues()


@pytest.mark.parametrize("change", ["new", "revised", "deleted"])
def test_labels_that_a_stopped_worker_wrote_late_are_written_again(
    loop_project: LoopProject, tasks: dict[str, int], change: str
) -> None:
    """It had read the annotations before a correction, and wrote them when another worker had checked the new ones."""
    label_studio = loop_project.label_studio
    number = label_studio.annotate(tasks["cube03"], "emergence", start=9)
    loop_project.check()
    late = loop_project.read().snapshot
    {
        "new": lambda: label_studio.annotate(tasks["cube01"], "emergence", start=9),
        "revised": lambda: label_studio.revise(number, "emergence", start=5),
        "deleted": lambda: label_studio.delete_annotation(number),
    }[change]()
    loop_project.check()
    late.write(loop_project.model_dir)
    loop_project.clear_queues()
    done = reconcile(loop_project.context, loop_project.id).done
    assert "the label snapshot was not that of Label Studio: written again" in done
    written = Snapshot.read(loop_project.model_dir)
    now = loop_project.read().snapshot
    assert written is not None
    assert (written.annotations, written.cubes) == (now.annotations, now.cubes)


@pytest.mark.usefixtures("tasks")
def test_newer_labels_that_another_worker_writes_meanwhile_stay(loop_project: LoopProject) -> None:
    """Reconciliation read Label Studio before the other worker did, and compares afterwards."""
    before, newer = loop_project.read().snapshot, Snapshot(read_at="2001-01-01T00:00:00+00:00")
    older = Snapshot(read_at="2000-01-01T00:00:00+00:00", annotations={"1": "2000-01-01T00:00:00+00:00"})
    newer.write(loop_project.model_dir)
    assert not replace_late_snapshot(loop_project.model_dir, older, before=before)
    assert Snapshot.read(loop_project.model_dir) == newer
    assert replace_late_snapshot(loop_project.model_dir, older, before=newer)
    assert Snapshot.read(loop_project.model_dir) == older


def test_a_deleted_correction_starts_a_round(loop_project: LoopProject, tasks: dict[str, int]) -> None:
    """The last candidate was trained on it; without it the crude label counts again."""
    number = loop_project.label_studio.annotate(tasks["cube00"], "emergence")
    second = loop_project.publish()
    write_back(loop_project.context, loop_project.id, second, report=silent)
    loop_project.check()
    loop_project.label_studio.delete_annotation(number)
    assert reconcile(loop_project.context, loop_project.id).done == (CHECKING,)
    said = loop_project.check()
    assert said == f"round started: 1 label differs from those {second} was trained on"


def test_the_first_round_needs_no_webhook(loop_project: LoopProject, task_data: Data) -> None:
    """The check that follows an ingestion was lost."""
    loop_project.import_cubes(task_data)
    assert reconcile(loop_project.context, loop_project.id).done == (CHECKING,)


def test_the_first_round_needs_no_webhook_where_an_empty_project_was_checked(
    loop_project: LoopProject, task_data: Data
) -> None:
    """A reconciliation ran between `init` and the ingestion; then the check that follows the ingestion was lost."""
    loop_project.check()
    loop_project.import_cubes(task_data)
    reconcile(loop_project.context, loop_project.id)
    assert loop_project.queued() == [f"retrain-check-{loop_project.id}"]


@pytest.mark.usefixtures("tasks")
def test_events_without_a_check(loop_project: LoopProject) -> None:
    """Their check was lost: it is sent for the time at which they are due, and not twice."""
    loop_project.context.state.add_events(loop_project.id, 2, now=time.time())
    assert reconcile(loop_project.context, loop_project.id).done == (
        "2 events waiting, and no check was queued: checking",
    )
    assert loop_project.scheduled() == [f"retrain-check-{loop_project.id}"]
    assert reconcile(loop_project.context, loop_project.id).done == ()
    loop_project.clear_queues()
    loop_project.context.state.add_events(loop_project.id, 1, now=time.time() - SETTLED)
    assert reconcile(loop_project.context, loop_project.id).done == (
        "3 events waiting, and no check was queued: checking",
    )


@pytest.mark.usefixtures("tasks")
def test_tasks_that_came_after_the_write_back(loop_project: LoopProject, task_data: Data) -> None:
    """They lack the prediction; a cube that cannot be scored does not need one."""
    late = {**task_data["cube00"], "cube": "late", "sha256": "1" * 64}
    loop_project.label_studio.import_tasks(loop_project.id, [late, {**SCREEN, "text": "a task without a cube"}])
    assert reconcile(loop_project.context, loop_project.id).done == (
        "1 task without the prediction of v0001: writing back",
    )
    assert loop_project.queued() == [f"write-back-{loop_project.id}-v0001"]
    add_unscorable(loop_project.model_dir, "v0001", [loop_project.read().tasks["late"].cube])
    assert reconcile(loop_project.context, loop_project.id).done == ()


def test_a_score_that_is_no_agreement_any_more_is_written_anew(
    loop_project: LoopProject, tasks: dict[str, int]
) -> None:
    """cube00 is corrected and the round on it rejected: v0001 stays, and its score becomes the agreement."""
    loop_project.label_studio.annotate(tasks["cube00"], "emergence")
    loop_project.check()
    loop_project.clear_queues()  # the write-back that the check sent is lost
    assert "1 score other than the agreement with the label: writing back" in (
        reconcile(loop_project.context, loop_project.id).done
    )
    assert f"write-back-{loop_project.id}-v0001" in loop_project.queued()
    write_back(loop_project.context, loop_project.id, "v0001", report=silent)
    assert not any("agreement" in sentence for sentence in reconcile(loop_project.context, loop_project.id).done)


@pytest.mark.usefixtures("tasks")
def test_a_second_task_of_a_cube_is_written_and_not_missed_again(loop_project: LoopProject, task_data: Data) -> None:
    """Somebody imported an exported task again: after a write-back there is nothing to do."""
    loop_project.import_cubes(task_data, ["cube00"])
    assert reconcile(loop_project.context, loop_project.id).done == (
        "1 task without the prediction of v0001: writing back",
    )
    write_back(loop_project.context, loop_project.id, "v0001", report=silent)
    assert reconcile(loop_project.context, loop_project.id).done == ()


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize(
    "data",
    [
        {"text": "somebody's file", "sha256": "1" * 64},
        {"cube": "cube00", "release": "made", "sha256": "1" * 64},
        {"cube": "../cube00", "release": "made", "sha256": "1" * 64},
    ],
    ids=["a hash and no cube", "other content under a known name", "a path"],
)
def test_a_task_that_write_back_passes_over_is_not_missed(loop_project: LoopProject, data: dict[str, str]) -> None:
    """Otherwise it would be written back every few minutes, for ever."""
    loop_project.label_studio.import_tasks(loop_project.id, [{**SCREEN, **data}])
    assert reconcile(loop_project.context, loop_project.id).done == ()
    assert loop_project.queued() == []
    assert write_back(loop_project.context, loop_project.id, "v0001", report=silent).missing == ()


@pytest.mark.usefixtures("tasks")
def test_a_published_version_that_is_not_shown(loop_project: LoopProject) -> None:
    """Its write-back was lost or broke off before the last call, or somebody made another version the shown one."""
    version = loop_project.publish()
    assert reconcile(loop_project.context, loop_project.id).done == (
        f"24 tasks without the prediction of {version}: writing back",
    )
    write_back(loop_project.context, loop_project.id, version, report=silent)
    assert reconcile(loop_project.context, loop_project.id).done == ()
    loop_project.label_studio.set_model_version(loop_project.id, "v0001")
    loop_project.clear_queues()
    assert reconcile(loop_project.context, loop_project.id).done == (
        f"Label Studio shows another version than {version}: writing back",
    )


def test_a_second_prediction_that_came_late_is_deleted(loop_project: LoopProject, tasks: dict[str, int]) -> None:
    """A backend that stalled during the write-back answered afterwards, and Label Studio stored its answer, too."""
    label_studio, version = loop_project.label_studio, loop_project.registry.published()
    assert version is not None
    late = next(entry for entry in label_studio.stored(loop_project.id) if entry["task"] == tasks["cube03"])
    label_studio.import_predictions(loop_project.id, [late])
    assert reconcile(loop_project.context, loop_project.id).done == (
        f"1 task with a second prediction of {version}: deleting it",
    )
    write_back(loop_project.context, loop_project.id, version, report=silent)
    assert loop_project.rows(version) == sorted(tasks.values())
    assert reconcile(loop_project.context, loop_project.id).done == ()


@pytest.mark.usefixtures("tasks")
def test_a_version_that_was_made_and_never_published(loop_project: LoopProject) -> None:
    """The closing broke off after the admission, and Redis was emptied; a rejected version stays unpublished."""
    version = loop_project.admit()
    assert reconcile(loop_project.context, loop_project.id).done[0] == (
        f"{version} passed the promotion check and was not published: publishing and writing back"
    )
    assert loop_project.registry.published() == version
    card = loop_project.registry.folder(loop_project.admit()) / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"verdict": {"publish": False, "reason": "worse"}}))
    assert not any(
        "was not published" in sentence for sentence in reconcile(loop_project.context, loop_project.id).done
    )
    assert loop_project.registry.published() == version


@pytest.mark.usefixtures("tasks")
def test_superseded_rows_stay_for_the_grace_time_and_go_then(loop_project: LoopProject) -> None:
    """Only helioloop's superseded ones; those of the active version and of other programs stay."""
    loop_project.label_studio.import_predictions(
        loop_project.id, [{**loop_project.label_studio.stored(loop_project.id)[0], "model_version": "v9999"}]
    )
    version = loop_project.publish()
    write_back(loop_project.context, loop_project.id, version, report=silent)
    assert reconcile(loop_project.context, loop_project.id).done == ()
    assert len(loop_project.rows("v0001")) == len(CUBES)
    assert reconcile(without_grace(loop_project).context, loop_project.id).done == (
        "the grace time of the predictions of v0001 is over: deleted",
    )
    assert loop_project.label_studio.model_versions(loop_project.id) == {version: len(CUBES), "v9999": 1}
    assert loop_project.label_studio.project(loop_project.id).model_version == version


@pytest.mark.usefixtures("tasks")
def test_the_rows_of_a_version_never_shown_go_too(loop_project: LoopProject) -> None:
    """A later version was published before its write-back was complete."""
    overtaken = loop_project.publish()
    loop_project.label_studio.import_predictions(
        loop_project.id,
        [{**entry, "model_version": overtaken} for entry in loop_project.label_studio.stored(loop_project.id)[:5]],
    )
    write_back(loop_project.context, loop_project.id, loop_project.publish(), report=silent)
    reconcile(without_grace(loop_project).context, loop_project.id)
    assert loop_project.rows(overtaken) == []


@pytest.mark.usefixtures("tasks")
def test_a_rollback_keeps_the_rows_it_goes_back_to(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """v0001 is published again while reconciliation waits for the lock: it is no longer superseded."""
    write_back(loop_project.context, loop_project.id, loop_project.publish(), report=silent)
    whole = superseded.writing

    @contextmanager
    def waits(*args: Any) -> Iterator[Any]:
        with whole(*args) as lock:
            loop_project.registry.publish("v0001", why="rollback")
            yield lock

    monkeypatch.setattr(superseded, "writing", waits)
    reconcile(without_grace(loop_project).context, loop_project.id)
    assert len(loop_project.rows("v0001")) == len(CUBES)


@pytest.mark.usefixtures("tasks")
def test_a_version_that_label_studio_shows_is_never_deleted(loop_project: LoopProject) -> None:
    """A rollback to v0001 whose write-back waits: neither its rows nor those of the version still shown are deleted."""
    second = loop_project.publish()
    write_back(loop_project.context, loop_project.id, second, report=silent)
    loop_project.registry.publish("v0001", why="rollback")
    here = without_grace(loop_project).context
    assert reconcile(here, loop_project.id).done == ("Label Studio shows another version than v0001: writing back",)
    assert loop_project.label_studio.model_versions(loop_project.id) == {"v0001": len(CUBES), second: len(CUBES)}


def test_the_job_returns_what_was_done(loop_project: LoopProject, tasks: dict[str, int]) -> None:
    """The sentences are the result of the job."""
    loop_project.label_studio.annotate(tasks["cube01"], "emergence")
    assert jobs.reconcile(loop_project.context, loop_project.id) == [CHECKING]
