"""Sending messages into queues, on a real Redis with real rq workers."""

import json
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import redis
from rq import SimpleWorker
from rq.executions import Execution
from rq.job import Dependency, Job, JobStatus
from rq.registry import clean_registries
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer

from helioloop.messaging import job_monitor, queues
from helioloop.messaging.messages import (
    QUEUE_BULK,
    QUEUE_MAINTENANCE,
    QUEUE_SCORE,
    RetrainCheck,
    Score,
    ScoreBulk,
)
from helioloop.messaging.plain_job import PlainJob
from helioloop.records.cubes import CubeInfo

CUBE = CubeInfo(
    release="r", name="BARD0001", sha256="a" * 64,
    start="1998-12-06T00:00:00", region="AR 1", label=None, verified=False,
)  # fmt: skip


class Sum(RetrainCheck):
    """A message whose job is a builtin, so that any worker can run it."""

    job = "builtins.dict"


class Fails(RetrainCheck):
    """A message whose job fails."""

    job = "operator.truediv"  # takes no keyword arguments


def _job(connection: redis.Redis, job_id: str) -> Job:
    return Job.fetch(job_id, connection=connection, serializer=JSONSerializer)


def _waiting(connection: redis.Redis, name: str = QUEUE_MAINTENANCE) -> list[str]:
    return queues.queue(connection, name).job_ids


def _scheduled(connection: redis.Redis) -> dict[str, float]:
    pairs = connection.zrange(f"rq:scheduled:{QUEUE_MAINTENANCE}", 0, -1, withscores=True)
    return {name.decode(): at - time.time() for name, at in pairs}


def _mark_running(connection: redis.Redis, job_id: str) -> None:
    """Change a job as a worker does that starts it."""
    job = _job(connection, job_id)
    queues.queue(connection, job.origin).remove(job_id)
    with connection.pipeline() as pipeline:
        job.set_status(JobStatus.STARTED, pipeline=pipeline)
        Execution.create(job, 60, pipeline)
        pipeline.execute()


def _let_heartbeat_expire(connection: redis.Redis) -> None:
    """Change the running jobs as if their worker had been killed."""
    entries = connection.zrange(f"rq:wip:{QUEUE_MAINTENANCE}", 0, -1)
    connection.zadd(f"rq:wip:{QUEUE_MAINTENANCE}", {entry: time.time() - 1 for entry in entries})


def _work(connection: redis.Redis) -> None:
    worker = SimpleWorker(
        [queues.queue(connection, QUEUE_MAINTENANCE)], connection=connection, serializer=JSONSerializer
    )
    worker.work(burst=True, logging_level="CRITICAL")


def test_a_waiting_message_is_not_enqueued_again(redis_connection: redis.Redis) -> None:
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert not queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]


def test_a_waiting_check_replaces_neither_a_forced_one_nor_another_project_s(redis_connection: redis.Redis) -> None:
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert queues.send(redis_connection, RetrainCheck(project=1, forced=True))
    assert queues.send(redis_connection, RetrainCheck(project=2))


def test_a_job_runs_with_the_message_s_values(redis_connection: redis.Redis) -> None:
    """A worker calls the function by its dotted path with the message's fields."""
    queues.send(redis_connection, Sum(project=7, forced=True))
    _work(redis_connection)
    job = _job(redis_connection, Sum(project=7, forced=True).job_id)
    assert job.return_value() == {"project": 7, "forced": True, "format": 1}


def test_payloads_are_plain_json(redis_connection: redis.Redis) -> None:
    """Nothing in Redis is pickled."""
    message = Score(project=1, version="v0001", cubes=(CUBE,))
    queues.send(redis_connection, message)
    stored = redis_connection.hget(Job.key_for(message.job_id), "data")
    function, _, _, values = json.loads(zlib.decompress(stored))
    assert function == "helioloop_worker.jobs.score"
    assert values == {
        "format": 1,
        "project": 1,
        "version": "v0001",
        "cubes": [
            {
                "release": "r",
                "name": "BARD0001",
                "sha256": "a" * 64,
                "start": "1998-12-06T00:00:00",
                "region": "AR 1",
                "label": None,
                "verified": False,
            }
        ],
    }


def test_cubes_in_a_payload_keep_their_region() -> None:
    """The payload of a score job is read back as the same cubes."""
    payload = Score(project=1, version="v0001", cubes=(CUBE,)).payload()
    assert [CubeInfo.from_dict(entry) for entry in json.loads(json.dumps(payload))["cubes"]] == [CUBE]


def test_a_score_that_somebody_is_waiting_for_does_not_wait_behind_a_release(redis_connection: redis.Redis) -> None:
    """The same cube is queued among many already: it is requested once more, on the queue that is served first."""
    assert queues.send(redis_connection, ScoreBulk(project=1, version="v0001", cubes=(CUBE,)))
    assert queues.send(redis_connection, Score(project=1, version="v0001", cubes=(CUBE,)))
    assert len(_waiting(redis_connection, QUEUE_BULK)) == len(_waiting(redis_connection, QUEUE_SCORE)) == 1
    assert not queues.send(redis_connection, ScoreBulk(project=1, version="v0001", cubes=(CUBE,)))


@pytest.mark.parametrize(("count", "seconds"), [(1, 660), (100, 6600)])
def test_a_larger_score_job_may_run_longer(redis_connection: redis.Redis, count: int, seconds: int) -> None:
    """Ten minutes, and one more for each cube."""
    message = Score(project=1, version="v0001", cubes=(CUBE,) * count)
    queues.send(redis_connection, message)
    assert _job(redis_connection, message.job_id).timeout == seconds


@pytest.mark.parametrize("message", [Sum(project=1), Fails(project=1)], ids=["finished", "failed"])
def test_a_job_that_is_over_never_blocks(redis_connection: redis.Redis, message: RetrainCheck) -> None:
    """A finished or failed job is kept until a new one of the same name replaces it."""
    queues.send(redis_connection, message)
    _work(redis_connection)
    over = _job(redis_connection, message.job_id)
    assert over.get_status() in {JobStatus.FINISHED, JobStatus.FAILED}
    assert queues.send(redis_connection, message)
    assert _waiting(redis_connection) == [message.job_id]
    assert redis_connection.zcard(f"rq:failed:{QUEUE_MAINTENANCE}") == 0


def test_a_canceled_job_never_blocks(redis_connection: redis.Redis) -> None:
    queues.send(redis_connection, RetrainCheck(project=1))
    _job(redis_connection, "retrain-check-1").cancel()
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]


def test_an_event_during_a_retrain_check_is_checked_after_it(redis_connection: redis.Redis) -> None:
    """The running check may have read the annotations already: one more is enqueued, and only one."""
    queues.send(redis_connection, RetrainCheck(project=1))
    _mark_running(redis_connection, "retrain-check-1")
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert not queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1-2"]


def test_scores_that_are_being_computed_are_not_requested_again(redis_connection: redis.Redis) -> None:
    """A running score job does all that the same message requests."""
    message = Score(project=1, version="v0001", cubes=(CUBE,))
    queues.send(redis_connection, message)
    _mark_running(redis_connection, message.job_id)
    assert not queues.send(redis_connection, message)
    assert _waiting(redis_connection, QUEUE_SCORE) == []


def test_a_killed_worker_s_job_does_not_block(redis_connection: redis.Redis) -> None:
    """A job without recent heartbeat counts as failed, and the next one takes its name."""
    queues.send(redis_connection, RetrainCheck(project=1))
    _mark_running(redis_connection, "retrain-check-1")
    _let_heartbeat_expire(redis_connection)
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]


@pytest.mark.parametrize("maintained", [False, True], ids=["by the sender", "by rq's maintenance"])
def test_a_killed_worker_s_job_does_not_block_while_rq_cannot_delete_it(
    redis_connection: redis.Redis, maintained: bool
) -> None:
    """For a minute its execution has expired and its entry has not: rq raises "Execution … not found"."""
    queues.send(redis_connection, RetrainCheck(project=1))
    _mark_running(redis_connection, "retrain-check-1")
    _let_heartbeat_expire(redis_connection)
    for key in redis_connection.scan_iter("rq:execution:*"):
        redis_connection.delete(key)
    with pytest.raises(ValueError, match="not found"):
        _job(redis_connection, "retrain-check-1").delete()
    if maintained:
        clean_registries(queues.queue(redis_connection, QUEUE_MAINTENANCE))
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]
    found = job_monitor.find_job(redis_connection, "retrain-check-1")
    assert found is not None
    found.delete()
    assert not list(redis_connection.scan_iter("rq:execution*"))


def test_a_job_that_counts_as_running_can_be_deleted_when_its_execution_has_expired(
    redis_connection: redis.Redis,
) -> None:
    """A round that is resumed deletes all its jobs, also before rq's maintenance has seen that one lost its worker."""
    queues.send(redis_connection, RetrainCheck(project=1))
    _mark_running(redis_connection, "retrain-check-1")
    for key in redis_connection.scan_iter("rq:execution:*"):
        redis_connection.delete(key)
    found = job_monitor.find_job(redis_connection, "retrain-check-1")
    assert found is not None
    found.delete()
    assert job_monitor.find_job(redis_connection, "retrain-check-1") is None
    assert queues.send(redis_connection, RetrainCheck(project=1))


def test_a_job_lost_between_list_and_start_does_not_block(redis_connection: redis.Redis) -> None:
    """Its worker was killed after taking it from the list and before starting it: it blocks for a minute at most."""
    queues.send(redis_connection, RetrainCheck(project=1))
    redis_connection.delete(f"rq:queue:{QUEUE_MAINTENANCE}")
    assert not queues.send(redis_connection, RetrainCheck(project=1))  # a worker may be about to start it
    redis_connection.hset(Job.key_for("retrain-check-1"), "enqueued_at", "2026-01-01T00:00:00.000000Z")
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]


def test_a_job_that_another_thread_deletes_meanwhile_does_not_block(
    redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a burst of events, many threads find that a check is over and delete it; rq raises "Failed to retrieve"."""
    queues.send(redis_connection, RetrainCheck(project=1))
    _job(redis_connection, "retrain-check-1").set_status(JobStatus.FINISHED)
    redis_connection.delete(f"rq:queue:{QUEUE_MAINTENANCE}")
    delete = PlainJob.delete

    def deletes(job: PlainJob, **options: Any) -> None:
        redis_connection.delete(job.key)
        delete(job, **options)

    monkeypatch.setattr(PlainJob, "delete", deletes)
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]


def test_a_remnant_without_a_status_does_not_block(redis_connection: redis.Redis) -> None:
    redis_connection.hset(Job.key_for("retrain-check-1"), "retries_left", "1")
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]


@pytest.mark.parametrize("field", ["meta", "last_heartbeat", "worker_name"])
def test_what_a_process_wrote_of_a_job_that_was_gone_does_not_block(redis_connection: redis.Redis, field: str) -> None:
    """Its worker was killed, the job was deleted, and the process went on."""
    redis_connection.hset("rq:job:retrain-check-1", field, "{}")
    assert queues.job_status(redis_connection, RetrainCheck(project=1)) is None
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]
    assert _job(redis_connection, "retrain-check-1").get_status() is JobStatus.QUEUED


def test_a_job_that_another_process_deletes_at_the_same_time_does_not_block(
    redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes send the next job of a name when the one before it is over."""
    queues.send(redis_connection, RetrainCheck(project=1))
    _job(redis_connection, "retrain-check-1").set_status(JobStatus.FINISHED)
    whole = PlainJob.delete

    def later(self: PlainJob, *arguments: Any, **options: Any) -> None:
        redis_connection.delete(self.key)
        whole(self, *arguments, **options)

    monkeypatch.setattr(PlainJob, "delete", later)
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert _job(redis_connection, "retrain-check-1").get_status() is JobStatus.QUEUED


def test_a_scheduled_job_that_is_in_no_schedule_does_not_block(redis_connection: redis.Redis) -> None:
    queues.send(redis_connection, RetrainCheck(project=1), delay_seconds=50)
    redis_connection.delete(f"rq:scheduled:{QUEUE_MAINTENANCE}")
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]


def test_a_message_with_a_delay_is_scheduled(redis_connection: redis.Redis) -> None:
    """It is not in the list of the queue."""
    assert queues.send(redis_connection, RetrainCheck(project=1), delay_seconds=50)
    assert _waiting(redis_connection) == []
    assert _scheduled(redis_connection) == {"retrain-check-1": pytest.approx(50, abs=2)}


@pytest.mark.parametrize("delay_seconds", [0.0, 10.0, 90.0])
def test_a_scheduled_message_moves(redis_connection: redis.Redis, delay_seconds: float) -> None:
    """Sent again, it moves to the new time: later with each event, or to now once there are enough events."""
    queues.send(redis_connection, RetrainCheck(project=1), delay_seconds=50)
    assert not queues.send(redis_connection, RetrainCheck(project=1), delay_seconds=delay_seconds)
    assert _scheduled(redis_connection) == {"retrain-check-1": pytest.approx(delay_seconds, abs=2)}


def test_a_delayed_message_does_not_hold_back_one_that_waits_already(redis_connection: redis.Redis) -> None:
    """A job in the list stays there when the same message is sent with a delay."""
    queues.send(redis_connection, RetrainCheck(project=1))
    assert not queues.send(redis_connection, RetrainCheck(project=1), delay_seconds=50)
    assert _waiting(redis_connection) == ["retrain-check-1"]
    assert _scheduled(redis_connection) == {}


def test_a_moved_job_is_run_by_the_scheduler(redis_connection: redis.Redis) -> None:
    """A job that was moved to now is enqueued the next time that rq's scheduler runs."""
    queues.send(redis_connection, RetrainCheck(project=1), delay_seconds=3600)
    queues.send(redis_connection, RetrainCheck(project=1))
    scheduler = RQScheduler(
        [QUEUE_MAINTENANCE], connection=redis_connection, serializer=JSONSerializer, logging_level="ERROR"
    )
    scheduler.acquire_locks()
    scheduler.enqueue_scheduled_jobs()
    assert _waiting(redis_connection) == ["retrain-check-1"]


@pytest.mark.parametrize("wrap", [lambda ids: ids, lambda ids: Dependency(ids, allow_failure=True)], ids=["ids", "rq"])
def test_a_job_that_depends_on_others_is_enqueued_once(
    redis_connection: redis.Redis, wrap: Callable[[list[str]], Dependency]
) -> None:
    """It runs after they are over."""
    member = Sum(project=1)
    closing = Sum(project=2)
    queues.send(redis_connection, member)
    assert queues.send(redis_connection, closing, depends_on=wrap([member.job_id]))
    assert not queues.send(redis_connection, closing, depends_on=wrap([member.job_id]))
    assert _job(redis_connection, closing.job_id).get_status() is JobStatus.DEFERRED
    _work(redis_connection)
    assert _job(redis_connection, closing.job_id).get_status() is JobStatus.FINISHED


def test_a_job_does_not_wait_for_jobs_that_redis_no_longer_has(redis_connection: redis.Redis) -> None:
    """Finished jobs are deleted after a day."""
    assert queues.send(redis_connection, RetrainCheck(project=1), depends_on=["member-gone"])
    assert _waiting(redis_connection) == ["retrain-check-1"]


def test_a_delay_and_dependencies_exclude_each_other(redis_connection: redis.Redis) -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        queues.send(redis_connection, RetrainCheck(project=1), delay_seconds=1, depends_on=["a"])


def test_queue_lengths_count_what_waits(redis_connection: redis.Redis) -> None:
    """Jobs in the list of a queue and jobs that are scheduled for later."""
    queues.send(redis_connection, RetrainCheck(project=1))
    queues.send(redis_connection, RetrainCheck(project=2), delay_seconds=50)
    assert queues.queue_lengths(redis_connection) == {
        "helioloop-score": 0,
        "helioloop-maintenance": 2,
        "helioloop-bulk": 0,
        "helioloop-train": 0,
    }


def test_the_status_of_a_job_is_read_by_its_message(redis_connection: redis.Redis) -> None:
    """None before it is sent; queued, started, and failed where its worker was killed."""
    message = RetrainCheck(project=1)
    assert queues.job_status(redis_connection, message) is None
    queues.send(redis_connection, message)
    assert queues.job_status(redis_connection, message) is JobStatus.QUEUED
    _mark_running(redis_connection, message.job_id)
    assert queues.job_status(redis_connection, message) is JobStatus.STARTED
    _let_heartbeat_expire(redis_connection)
    assert queues.job_status(redis_connection, message) is JobStatus.FAILED


def test_a_queue_has_a_worker_while_one_is_registered(redis_connection: redis.Redis) -> None:
    worker = SimpleWorker(
        [queues.queue(redis_connection, QUEUE_MAINTENANCE)], connection=redis_connection, serializer=JSONSerializer
    )
    assert not queues.has_worker(redis_connection, QUEUE_MAINTENANCE)
    worker.register_birth()
    assert queues.has_worker(redis_connection, QUEUE_MAINTENANCE)
    assert not queues.has_worker(redis_connection, QUEUE_SCORE)
    worker.register_death()
    assert not queues.has_worker(redis_connection, QUEUE_MAINTENANCE)


# -- clocks that were ahead -----------------------------------------------------------------------


def test_a_job_lost_while_the_clock_was_ahead_does_not_block(redis_connection: redis.Redis) -> None:
    """It counts as waiting, is in no list, and says that it was enqueued a year from now."""
    queues.send(redis_connection, RetrainCheck(project=1))
    redis_connection.delete(f"rq:queue:{QUEUE_MAINTENANCE}")
    redis_connection.hset(Job.key_for("retrain-check-1"), "enqueued_at", "2126-01-01T00:00:00.000000Z")
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]


def test_a_job_scheduled_while_the_clock_was_ahead_counts_as_lost_and_moves(redis_connection: redis.Redis) -> None:
    """Whoever asks whether it waits sends it again; one in its pause is left alone."""
    check = RetrainCheck(project=1)
    queues.send(redis_connection, check, delay_seconds=3600)
    assert queues.job_status(redis_connection, check) is JobStatus.SCHEDULED
    redis_connection.zadd(f"rq:scheduled:{QUEUE_MAINTENANCE}", {check.job_id: time.time() + 365 * 86400.0})
    assert queues.job_status(redis_connection, check) is None
    queues.send(redis_connection, check)
    assert _scheduled(redis_connection) == {check.job_id: pytest.approx(0, abs=2)}


def _put_clock_back(connection: redis.Redis, job_id: str, seconds: float) -> None:
    """Change a running job as if its worker's clock had been ahead at its last heartbeat."""
    (entry,) = connection.zrange(f"rq:wip:{QUEUE_MAINTENANCE}", 0, -1)
    connection.zincrby(f"rq:wip:{QUEUE_MAINTENANCE}", seconds, entry)
    connection.hset(f"rq:execution:{entry.decode()}", "last_heartbeat", time.time() + seconds)
    connection.zincrby(f"rq:executions:{job_id}", seconds, entry.decode().rpartition(":")[2])


def test_a_worker_killed_while_the_clock_was_ahead_is_noticed_in_time(
    redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its job counts as running for as long as ever, from when it is seen first; a living one renews its heartbeat."""
    check, now = RetrainCheck(project=1), time.time()
    queues.send(redis_connection, check)
    _mark_running(redis_connection, check.job_id)  # for 60 s without a heartbeat
    _put_clock_back(redis_connection, check.job_id, 365 * 86400.0)
    for seconds, status in [(0.0, JobStatus.STARTED), (50.0, JobStatus.STARTED), (63.0, JobStatus.FAILED)]:
        monkeypatch.setattr(time, "time", lambda: now + seconds)  # noqa: B023 - read while it holds
        monkeypatch.setattr("rq.registry.current_timestamp", lambda: int(now + seconds))  # noqa: B023
        assert queues.job_status(redis_connection, check) is status
    assert queues.send(redis_connection, check)


def test_a_heartbeat_of_a_machine_that_is_seconds_ahead_is_left_alone(redis_connection: redis.Redis) -> None:
    queues.send(redis_connection, RetrainCheck(project=1))
    _mark_running(redis_connection, "retrain-check-1")
    _put_clock_back(redis_connection, "retrain-check-1", 20.0)
    before = redis_connection.zrange(f"rq:wip:{QUEUE_MAINTENANCE}", 0, -1, withscores=True)
    assert queues.job_status(redis_connection, RetrainCheck(project=1)) is JobStatus.STARTED
    assert redis_connection.zrange(f"rq:wip:{QUEUE_MAINTENANCE}", 0, -1, withscores=True) == before
