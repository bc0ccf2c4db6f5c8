"""Reconciliation: effects of lost webhooks and killed workers are repaired, and superseded predictions are deleted."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.worker.conftest import CUBES, SETTLED, Desk

from helioloop.progress import silent
from helioloop.registry.unscorable import add_unscorable
from helioloop_worker import jobs
from helioloop_worker.loop import writeback
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.writeback import write_back

Data = dict[str, dict[str, str]]

CHECKING = "annotations differ from those of the last check: checking"


@pytest.fixture
def tasks(desk: Desk, task_data: Data) -> dict[str, int]:
    """A project with nothing to do: v0001 is published, written back and checked; its tasks by cube."""
    tasks = desk.import_cubes(task_data)
    write_back(desk.context, desk.project, desk.publish(), report=silent)
    assert desk.check().startswith("no round")
    assert reconcile(desk.context, desk.project).done == ()
    return tasks


def without_grace(desk: Desk) -> Desk:
    """The same project, where superseded predictions are deleted at once."""
    settings = desk.context.settings.model_copy(update={"grace_seconds": 0.0})
    return replace(desk, context=replace(desk.context, settings=settings))


def test_a_lost_webhook_is_noticed_once(desk: Desk, tasks: dict[str, int]) -> None:
    """An annotation, a change and a skip without a webhook; after the check there is nothing to do."""
    number = desk.label_studio.annotate(tasks["cube01"], "emergence")
    for change in (
        lambda: None,
        lambda: desk.label_studio.revise(number, "emergence", start=5),
        lambda: desk.label_studio.annotate(tasks["cube03"], "emergence", skipped=True),
        lambda: desk.label_studio.delete_annotation(number),
    ):
        change()
        assert reconcile(desk.context, desk.project).done == (CHECKING,)
        assert desk.queued() == [f"retrain-check-{desk.project}"]
        desk.check()
        assert reconcile(desk.context, desk.project).done == ()
        desk.clear_queues()


def test_a_deleted_correction_starts_a_round(desk: Desk, tasks: dict[str, int]) -> None:
    """The last candidate was trained on it; without it the crude label counts again."""
    number = desk.label_studio.annotate(tasks["cube00"], "emergence")
    second = desk.publish()
    write_back(desk.context, desk.project, second, report=silent)
    desk.check()
    desk.label_studio.delete_annotation(number)
    assert reconcile(desk.context, desk.project).done == (CHECKING,)
    said = desk.check()
    assert said == f"round started: 1 labels differ from those {second} was trained on"


def test_the_first_round_needs_no_webhook(desk: Desk, task_data: Data) -> None:
    """The check that follows an ingestion was lost."""
    desk.import_cubes(task_data)
    assert reconcile(desk.context, desk.project).done == (CHECKING,)


def test_the_first_round_needs_no_webhook_where_an_empty_project_was_checked(desk: Desk, task_data: Data) -> None:
    """A reconciliation ran between `init` and the ingestion; then the check that follows the ingestion was lost."""
    desk.check()
    desk.import_cubes(task_data)
    reconcile(desk.context, desk.project)
    assert desk.queued() == [f"retrain-check-{desk.project}"]


@pytest.mark.usefixtures("tasks")
def test_events_without_a_check(desk: Desk) -> None:
    """Their check was lost: it is sent for the time at which they are due, and not twice."""
    desk.context.state.add_events(desk.project, 2, now=time.time())
    assert reconcile(desk.context, desk.project).done == ("2 events wait and no check was queued: checking",)
    assert desk.scheduled() == [f"retrain-check-{desk.project}"]
    assert reconcile(desk.context, desk.project).done == ()
    desk.clear_queues()
    desk.context.state.add_events(desk.project, 1, now=time.time() - SETTLED)
    assert reconcile(desk.context, desk.project).done == ("3 events wait and no check was queued: checking",)


@pytest.mark.usefixtures("tasks")
def test_tasks_that_came_after_the_write_back(desk: Desk, task_data: Data) -> None:
    """They lack the prediction; a cube that cannot be scored does not need one."""
    late = {**task_data["cube00"], "cube": "late", "sha256": "1" * 64}
    desk.label_studio.import_tasks(desk.project, [late, {"text": "a task without a cube"}])
    assert reconcile(desk.context, desk.project).done == ("1 tasks lack the prediction of v0001: writing back",)
    assert desk.queued() == [f"write-back-{desk.project}-v0001"]
    add_unscorable(desk.model_dir, "v0001", [desk.view().tasks["late"].cube])
    assert reconcile(desk.context, desk.project).done == ()


def test_a_score_that_is_no_agreement_any_more_is_written_anew(desk: Desk, tasks: dict[str, int]) -> None:
    """cube00 is corrected and the round on it rejected: v0001 stays, and its score becomes the agreement."""
    desk.label_studio.annotate(tasks["cube00"], "emergence")
    desk.check()
    assert "the scores of 1 tasks are not the agreement with their labels: writing back" in (
        reconcile(desk.context, desk.project).done
    )
    assert f"write-back-{desk.project}-v0001" in desk.queued()
    write_back(desk.context, desk.project, "v0001", report=silent)
    assert not any("agreement" in sentence for sentence in reconcile(desk.context, desk.project).done)


@pytest.mark.usefixtures("tasks")
def test_a_second_task_of_a_cube_is_written_and_not_missed_again(desk: Desk, task_data: Data) -> None:
    """Somebody imported an exported task again: after a write-back there is nothing to do."""
    desk.import_cubes(task_data, ["cube00"])
    assert reconcile(desk.context, desk.project).done == ("1 tasks lack the prediction of v0001: writing back",)
    write_back(desk.context, desk.project, "v0001", report=silent)
    assert reconcile(desk.context, desk.project).done == ()


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
def test_a_task_that_write_back_passes_over_is_not_missed(desk: Desk, data: dict[str, str]) -> None:
    """Otherwise it would be written back every few minutes, for ever."""
    desk.label_studio.import_tasks(desk.project, [data])
    assert reconcile(desk.context, desk.project).done == ()
    assert desk.queued() == []
    assert write_back(desk.context, desk.project, "v0001", report=silent).missing == ()


@pytest.mark.usefixtures("tasks")
def test_a_published_version_that_is_not_shown(desk: Desk) -> None:
    """Its write-back was lost or broke off before the last call, or somebody made another version the shown one."""
    version = desk.publish()
    assert reconcile(desk.context, desk.project).done == (f"24 tasks lack the prediction of {version}: writing back",)
    write_back(desk.context, desk.project, version, report=silent)
    assert reconcile(desk.context, desk.project).done == ()
    desk.label_studio.set_model_version(desk.project, "v0001")
    assert reconcile(desk.context, desk.project).done == (f"0 tasks lack the prediction of {version}: writing back",)


@pytest.mark.usefixtures("tasks")
def test_a_version_that_was_made_and_never_published(desk: Desk) -> None:
    """The closing broke off after the admission, and Redis was emptied; a rejected version stays unpublished."""
    version = desk.admit()
    assert reconcile(desk.context, desk.project).done[0] == (
        f"{version} passed the promotion check and was not published: publishing and writing back"
    )
    assert desk.registry.published() == version
    card = desk.registry.folder(desk.admit()) / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"verdict": {"publish": False, "reason": "worse"}}))
    assert not any("was not published" in sentence for sentence in reconcile(desk.context, desk.project).done)
    assert desk.registry.published() == version


@pytest.mark.usefixtures("tasks")
def test_superseded_rows_stay_for_the_grace_time_and_go_then(desk: Desk) -> None:
    """Only helioloop's superseded ones; those of the active version and of other programs stay."""
    desk.label_studio.import_predictions(
        desk.project, [{**desk.label_studio.stored(desk.project)[0], "model_version": "v9999"}]
    )
    version = desk.publish()
    write_back(desk.context, desk.project, version, report=silent)
    assert reconcile(desk.context, desk.project).done == ()
    assert len(desk.rows("v0001")) == len(CUBES)
    assert reconcile(without_grace(desk).context, desk.project).done == (
        "the grace time of the predictions of v0001 is over: deleted",
    )
    assert desk.label_studio.model_versions(desk.project) == {version: len(CUBES), "v9999": 1}
    assert desk.label_studio.project(desk.project).model_version == version


@pytest.mark.usefixtures("tasks")
def test_the_rows_of_a_version_never_shown_go_too(desk: Desk) -> None:
    """A later version was published before its write-back was complete."""
    overtaken = desk.publish()
    desk.label_studio.import_predictions(
        desk.project, [{**entry, "model_version": overtaken} for entry in desk.label_studio.stored(desk.project)[:5]]
    )
    write_back(desk.context, desk.project, desk.publish(), report=silent)
    reconcile(without_grace(desk).context, desk.project)
    assert desk.rows(overtaken) == []


@pytest.mark.usefixtures("tasks")
def test_a_rollback_keeps_the_rows_it_goes_back_to(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """v0001 is published again while reconciliation waits for the lock: it is no longer superseded."""
    write_back(desk.context, desk.project, desk.publish(), report=silent)
    whole = writeback.writing

    @contextmanager
    def waits(*args: Any) -> Iterator[Any]:
        with whole(*args) as lock:
            desk.registry.publish("v0001", why="rollback")
            yield lock

    monkeypatch.setattr(writeback, "writing", waits)
    reconcile(without_grace(desk).context, desk.project)
    assert len(desk.rows("v0001")) == len(CUBES)


@pytest.mark.usefixtures("tasks")
def test_a_version_that_label_studio_shows_is_never_deleted(desk: Desk) -> None:
    """A rollback to v0001 whose write-back waits: neither its rows nor those of the version still shown are deleted."""
    second = desk.publish()
    write_back(desk.context, desk.project, second, report=silent)
    desk.registry.publish("v0001", why="rollback")
    here = without_grace(desk).context
    assert reconcile(here, desk.project).done == ("0 tasks lack the prediction of v0001: writing back",)
    assert desk.label_studio.model_versions(desk.project) == {"v0001": len(CUBES), second: len(CUBES)}


def test_the_job_returns_what_was_done(desk: Desk, tasks: dict[str, int]) -> None:
    """The sentences are the result of the job."""
    desk.label_studio.annotate(tasks["cube01"], "emergence")
    assert jobs.reconcile(desk.context, desk.project) == [CHECKING]
