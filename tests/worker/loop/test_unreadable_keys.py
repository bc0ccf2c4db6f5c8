"""Loop keys in Redis that somebody else wrote: no project is blocked, and the status says what there is."""

from collections.abc import Callable

import pytest
import redis
from tests.worker.conftest import LoopProject

from helioloop.messaging.job_failures import JobFailures
from helioloop.progress import silent
from helioloop_worker.loop import rounds
from helioloop_worker.loop.announcing import announce
from helioloop_worker.loop.ingest import ingest
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.retrain_check import check_retraining
from helioloop_worker.loop.running_ingestions import ingesting
from helioloop_worker.reports.status_reading import read_status

WRITES: dict[str, Callable[[redis.Redis, str], object]] = {
    "a text": lambda connection, key: connection.set(key, "x"),
    "a list": lambda connection, key: connection.rpush(key, "x"),
    "a hash": lambda connection, key: connection.hset(key, mapping={"made": "x", "added": "3", "follow_up": "1"}),
}
KEYS = ("round", "pending-events", "follow-up", "ingesting", "failing-jobs", "jobs-put-back", "arrived-events")


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("first", ["status", "announcement", "check", "reconciliation"])
def test_a_key_that_cannot_be_read_blocks_nothing(
    loop_project: LoopProject,
    tasks: dict[str, int],
    name: str,
    write: Callable[[redis.Redis, str], object],
    first: str,
) -> None:
    """Status, page, check and reconciliation do what they would without it."""
    context, project = loop_project.context, loop_project.id
    loop_project.label_studio.annotate(tasks["cube01"], "non-emergence")
    write(context.connection, f"helioloop:{name}:{project}")
    if first == "status":
        services = read_status(loop_project.registry, project=project, settings=context.settings).services
        assert services is not None
        assert (services.running_round, services.events_waiting, services.failing_jobs) == (None, 0, ())
    elif first == "announcement":
        announce(context, project)
        assert (context.settings.media_dir(project) / "state.html").exists()
    elif first == "check":
        assert check_retraining(context, project, forced=False).startswith("a round is requested")
    else:
        assert reconcile(context, project).done == ("annotations differ from those of the last check: checking",)
    assert not ingesting(context, project)
    assert loop_project.check().startswith("round started")
    assert reconcile(context, project).done == ()


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_marks_that_cannot_be_read_stop_no_ingestion(
    loop_project: LoopProject, write: Callable[[redis.Redis, str], object], caplog: pytest.LogCaptureFixture
) -> None:
    write(loop_project.context.connection, f"helioloop:ingesting:{loop_project.id}")
    assert ingest(loop_project.context, loop_project.id, "made", report=silent).imported > 0
    assert f"helioloop:ingesting:{loop_project.id} in Redis cannot be read" in caplog.text


@pytest.mark.parametrize("error", [redis.ResponseError("WRONGTYPE"), AttributeError("no such"), KeyError("since")])
@pytest.mark.usefixtures("tasks")
def test_a_step_that_redis_or_a_fault_stops_does_not_stop_the_others(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The step is tried again after a pause; the first error is raised after all steps."""
    taken = []

    def fails(*_: object) -> None:
        raise error

    def takes(*_: object) -> None:
        taken.append("send_follow_up")

    fails.__name__, takes.__name__ = "resume", "send_follow_up"
    monkeypatch.setattr(rounds, "resume", fails)
    monkeypatch.setattr(rounds, "send_follow_up", takes)
    with pytest.raises(Exception, match="a step of reconciliation failed"):
        reconcile(loop_project.context, loop_project.id)
    assert taken == ["send_follow_up"]
    (failed,) = JobFailures(loop_project.context.connection).failing(loop_project.id)
    assert failed.key.endswith(":resume")


@pytest.mark.usefixtures("tasks")
def test_an_outage_of_redis_ends_a_reconciliation_at_once(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each other step would wait for Redis as long."""

    def is_away(*_: object) -> None:
        raise redis.ConnectionError("away")

    is_away.__name__ = "resume"
    monkeypatch.setattr(rounds, "resume", is_away)
    monkeypatch.setattr(rounds, "send_follow_up", lambda *_: pytest.fail("another step was taken"))
    with pytest.raises(redis.ConnectionError):
        reconcile(loop_project.context, loop_project.id)
