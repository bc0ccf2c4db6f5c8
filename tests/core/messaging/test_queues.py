"""Messages into queues, on a real Redis with real rq workers."""

import json
import time
import zlib
from collections.abc import Callable

import pytest
import redis
from rq import SimpleWorker
from rq.executions import Execution
from rq.job import Dependency, Job, JobStatus
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer

from helioloop.errors import ServiceError, SettingsError
from helioloop.messaging import queues, redis_client
from helioloop.messaging.messages import (
    QUEUE_BULK,
    QUEUE_MAINTENANCE,
    QUEUE_SCORE,
    RetrainCheck,
    Score,
    ScoreBulk,
)
from helioloop.records import CubeInfo
from helioloop.settings import Settings

CUBE = CubeInfo(
    release="r", name="BARD0001", sha256="a" * 64,
    start="1998-12-06T00:00:00", region="AR 1", label=None, verified=False,
)  # fmt: skip


class Sum(RetrainCheck):
    """A message whose job exists everywhere, so that a worker can run it."""

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
    """Do to a job what a worker does when it starts it."""
    job = _job(connection, job_id)
    queues.queue(connection, job.origin).remove(job_id)
    with connection.pipeline() as pipeline:
        job.set_status(JobStatus.STARTED, pipeline=pipeline)
        Execution.create(job, 60, pipeline)
        pipeline.execute()


def _work(connection: redis.Redis) -> None:
    worker = SimpleWorker(
        [queues.queue(connection, QUEUE_MAINTENANCE)], connection=connection, serializer=JSONSerializer
    )
    worker.work(burst=True, logging_level="CRITICAL")


def test_a_message_waits_once(redis_connection: redis.Redis) -> None:
    """The same message sent again while it waits is not enqueued again."""
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert not queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]


def test_projects_and_urgency_do_not_meet(redis_connection: redis.Redis) -> None:
    """A waiting patient judgement swallows neither a forced one nor another project's."""
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert queues.send(redis_connection, RetrainCheck(project=1, forced=True))
    assert queues.send(redis_connection, RetrainCheck(project=2))


def test_a_job_runs_with_the_message_s_values(redis_connection: redis.Redis) -> None:
    """A worker calls the function by its dotted path with the message's fields."""
    queues.send(redis_connection, Sum(project=7, forced=True))
    _work(redis_connection)
    job = _job(redis_connection, Sum(project=7, forced=True).job_id)
    assert job.return_value() == {"project": 7, "forced": True}


def test_payloads_are_plain_json(redis_connection: redis.Redis) -> None:
    """What lies in Redis is JSON that anybody can read, and no pickle."""
    message = Score(project=1, version="v0001", cubes=(CUBE,))
    queues.send(redis_connection, message)
    stored = redis_connection.hget(Job.key_for(message.job_id), "data")
    function, _, _, values = json.loads(zlib.decompress(stored))
    assert function == "helioloop_worker.jobs.score"
    assert values == {
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


def test_asked_cubes_keep_their_region() -> None:
    """A score job's payload gives back the cubes that were asked for."""
    payload = Score(project=1, version="v0001", cubes=(CUBE,)).payload()
    assert [CubeInfo.from_dict(entry) for entry in json.loads(json.dumps(payload))["cubes"]] == [CUBE]


def test_who_waits_for_a_score_is_not_put_behind_a_release(redis_connection: redis.Redis) -> None:
    """The same cube waits among many already: it is asked for once more, on the queue that is served first."""
    assert queues.send(redis_connection, ScoreBulk(project=1, version="v0001", cubes=(CUBE,)))
    assert queues.send(redis_connection, Score(project=1, version="v0001", cubes=(CUBE,)))
    assert len(_waiting(redis_connection, QUEUE_BULK)) == len(_waiting(redis_connection, QUEUE_SCORE)) == 1
    assert not queues.send(redis_connection, ScoreBulk(project=1, version="v0001", cubes=(CUBE,)))


@pytest.mark.parametrize(("count", "seconds"), [(1, 660), (100, 6600)])
def test_a_score_job_may_run_as_long_as_it_is_large(redis_connection: redis.Redis, count: int, seconds: int) -> None:
    """Ten minutes, and one more for each cube."""
    message = Score(project=1, version="v0001", cubes=(CUBE,) * count)
    queues.send(redis_connection, message)
    assert _job(redis_connection, message.job_id).timeout == seconds


@pytest.mark.parametrize("message", [Sum(project=1), Fails(project=1)], ids=["finished", "failed"])
def test_a_job_that_is_over_never_blocks(redis_connection: redis.Redis, message: RetrainCheck) -> None:
    """A finished or failed job of the same name stays to be looked at, and is replaced by a new one."""
    queues.send(redis_connection, message)
    _work(redis_connection)
    over = _job(redis_connection, message.job_id)
    assert over.get_status() in {JobStatus.FINISHED, JobStatus.FAILED}
    assert queues.send(redis_connection, message)
    assert _waiting(redis_connection) == [message.job_id]
    assert redis_connection.zcard(f"rq:failed:{QUEUE_MAINTENANCE}") == 0


def test_a_canceled_job_never_blocks(redis_connection: redis.Redis) -> None:
    """Nor does one that somebody canceled."""
    queues.send(redis_connection, RetrainCheck(project=1))
    _job(redis_connection, "retrain-check-1").cancel()
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]


def test_an_event_during_a_judgement_is_judged_after_it(redis_connection: redis.Redis) -> None:
    """While a judgement runs, it may have read the annotations already: one more waits behind it, and only one."""
    queues.send(redis_connection, RetrainCheck(project=1))
    _mark_running(redis_connection, "retrain-check-1")
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert not queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1-2"]


def test_scores_that_are_being_made_are_not_asked_for_again(redis_connection: redis.Redis) -> None:
    """A running score job does what the same message asks for."""
    message = Score(project=1, version="v0001", cubes=(CUBE,))
    queues.send(redis_connection, message)
    _mark_running(redis_connection, message.job_id)
    assert not queues.send(redis_connection, message)
    assert _waiting(redis_connection, QUEUE_SCORE) == []


def test_a_killed_worker_s_job_does_not_block(redis_connection: redis.Redis) -> None:
    """A job whose worker stopped giving signs of life counts as failed, and the next one takes its name."""
    queues.send(redis_connection, RetrainCheck(project=1))
    _mark_running(redis_connection, "retrain-check-1")
    entries = redis_connection.zrange(f"rq:wip:{QUEUE_MAINTENANCE}", 0, -1)
    redis_connection.zadd(f"rq:wip:{QUEUE_MAINTENANCE}", {entry: time.time() - 1 for entry in entries})
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]


def test_a_job_lost_between_list_and_start_does_not_block(redis_connection: redis.Redis) -> None:
    """A worker killed after it took a job off the list and before it started it loses the job for a minute at most."""
    queues.send(redis_connection, RetrainCheck(project=1))
    redis_connection.delete(f"rq:queue:{QUEUE_MAINTENANCE}")
    assert not queues.send(redis_connection, RetrainCheck(project=1))  # a worker may be about to start it
    redis_connection.hset(Job.key_for("retrain-check-1"), "enqueued_at", "2026-01-01T00:00:00.000000Z")
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]


def test_a_remnant_in_no_schedule_does_not_block(redis_connection: redis.Redis) -> None:
    """Nor does a job that counts as scheduled and stands in no schedule."""
    queues.send(redis_connection, RetrainCheck(project=1), delay_seconds=50)
    redis_connection.delete(f"rq:scheduled:{QUEUE_MAINTENANCE}")
    assert queues.send(redis_connection, RetrainCheck(project=1))
    assert _waiting(redis_connection) == ["retrain-check-1"]


def test_a_delay_is_kept(redis_connection: redis.Redis) -> None:
    """A message with a delay waits for its time, not in the list."""
    assert queues.send(redis_connection, RetrainCheck(project=1), delay_seconds=50)
    assert _waiting(redis_connection) == []
    assert _scheduled(redis_connection) == {"retrain-check-1": pytest.approx(50, abs=2)}


@pytest.mark.parametrize("delay_seconds", [0.0, 10.0, 90.0])
def test_a_waiting_delay_moves(redis_connection: redis.Redis, delay_seconds: float) -> None:
    """Sent again, a delayed message moves to the new time: later with each event, or to now when enough are there."""
    queues.send(redis_connection, RetrainCheck(project=1), delay_seconds=50)
    assert not queues.send(redis_connection, RetrainCheck(project=1), delay_seconds=delay_seconds)
    assert _scheduled(redis_connection) == {"retrain-check-1": pytest.approx(delay_seconds, abs=2)}


def test_a_delayed_message_does_not_hold_back_one_that_waits_already(redis_connection: redis.Redis) -> None:
    """A job in the list stays there when the same message comes with a delay."""
    queues.send(redis_connection, RetrainCheck(project=1))
    assert not queues.send(redis_connection, RetrainCheck(project=1), delay_seconds=50)
    assert _waiting(redis_connection) == ["retrain-check-1"]
    assert _scheduled(redis_connection) == {}


def test_a_moved_job_is_run_by_the_scheduler(redis_connection: redis.Redis) -> None:
    """What was moved to now is enqueued by rq's scheduler at its next look."""
    queues.send(redis_connection, RetrainCheck(project=1), delay_seconds=3600)
    queues.send(redis_connection, RetrainCheck(project=1))
    scheduler = RQScheduler(
        [QUEUE_MAINTENANCE], connection=redis_connection, serializer=JSONSerializer, logging_level="ERROR"
    )
    scheduler.acquire_locks()
    scheduler.enqueue_scheduled_jobs()
    assert _waiting(redis_connection) == ["retrain-check-1"]


@pytest.mark.parametrize("wrap", [lambda ids: ids, lambda ids: Dependency(ids, allow_failure=True)], ids=["ids", "rq"])
def test_a_job_waits_for_others_once(redis_connection: redis.Redis, wrap: Callable[[list[str]], Dependency]) -> None:
    """A job behind others is enqueued once, and when they are over."""
    member = Sum(project=1)
    closing = Sum(project=2)
    queues.send(redis_connection, member)
    assert queues.send(redis_connection, closing, depends_on=wrap([member.job_id]))
    assert not queues.send(redis_connection, closing, depends_on=wrap([member.job_id]))
    assert _job(redis_connection, closing.job_id).get_status() is JobStatus.DEFERRED
    _work(redis_connection)
    assert _job(redis_connection, closing.job_id).get_status() is JobStatus.FINISHED


def test_a_job_behind_others_that_are_gone_runs(redis_connection: redis.Redis) -> None:
    """Jobs that were over long ago and are no longer known hold nothing back."""
    assert queues.send(redis_connection, RetrainCheck(project=1), depends_on=["member-gone"])
    assert _waiting(redis_connection) == ["retrain-check-1"]


def test_a_delay_and_other_jobs_exclude_each_other(redis_connection: redis.Redis) -> None:
    """A job waits for a time or for other jobs."""
    with pytest.raises(ValueError, match="exclude each other"):
        queues.send(redis_connection, RetrainCheck(project=1), delay_seconds=1, depends_on=["a"])


def test_depth_counts_what_waits(redis_connection: redis.Redis) -> None:
    """The depth of a queue counts the jobs in its list and those that wait for their time."""
    queues.send(redis_connection, RetrainCheck(project=1))
    queues.send(redis_connection, RetrainCheck(project=2), delay_seconds=50)
    assert queues.queue_lengths(redis_connection) == {
        "helioloop-score": 0,
        "helioloop-maintenance": 2,
        "helioloop-bulk": 0,
        "helioloop-train": 0,
    }


def test_connect_answers_for_a_running_redis(redis_url: str) -> None:
    """A client of a Redis that runs has spoken to it."""
    with redis_client.connect(Settings(redis_url=redis_url)) as connection:
        assert connection.ping()


def test_an_absent_redis_is_named_without_its_password() -> None:
    """The error names the URL, its remedy, and no password."""
    settings = Settings(redis_url="redis://me:hunter2@127.0.0.1:1/3")
    with pytest.raises(ServiceError, match=r"redis://127\.0\.0\.1:1/3 cannot be reached") as caught:
        redis_client.connect(settings)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_foreign_url_is_a_wrong_setting() -> None:
    """A URL of another service is refused before anything is connected, without its password."""
    with pytest.raises(SettingsError, match=r"REDIS_URL is 'http://example\.org/x', which is no Redis URL") as caught:
        redis_client.make_client(Settings(redis_url="http://me:hunter2@example.org/x?key=hunter3"))
    assert "hunter" not in str(caught.value)
