"""The state of jobs, on a real Redis with a real rq worker."""

import pytest
import redis
from rq import SimpleWorker
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from helioloop.errors import ServiceError
from helioloop.messaging import queues
from helioloop.messaging.job_monitor import failure, find_job, outcome_of, running
from helioloop.messaging.messages import QUEUE_MAINTENANCE, QUEUE_TRAIN, Ingest, Message, RetrainCheck


class Succeeds(RetrainCheck):
    """A message whose job returns its arguments."""

    job = "builtins.dict"


class Fails(RetrainCheck):
    """A message whose job fails: the function takes no keyword arguments."""

    job = "operator.truediv"


def _work(connection: redis.Redis) -> None:
    worker = SimpleWorker(
        [queues.queue(connection, QUEUE_MAINTENANCE)], connection=connection, serializer=JSONSerializer
    )
    worker.work(burst=True, logging_level="CRITICAL")


def _job(connection: redis.Redis, message: Message) -> Job:
    job = find_job(connection, message.job_id)
    assert job is not None
    return job


def _start(connection: redis.Redis, message: Message) -> None:
    """Change a job as a worker does that starts it."""
    job = _job(connection, message)
    with connection.pipeline() as pipeline:
        job.set_status(JobStatus.STARTED, pipeline=pipeline)
        Execution.create(job, 60, pipeline)
        pipeline.execute()


def test_a_finished_job_has_an_outcome(redis_connection: redis.Redis) -> None:
    """None while it waits and while it runs, then what it returned."""
    message = Succeeds(project=7)
    queues.send(redis_connection, message)
    assert outcome_of(redis_connection, message) is None
    _work(redis_connection)
    assert outcome_of(redis_connection, message) == {"project": 7, "forced": False, "format": 1}


def test_a_running_job_has_no_outcome(redis_connection: redis.Redis) -> None:
    queues.send(redis_connection, Succeeds(project=7))
    _start(redis_connection, Succeeds(project=7))
    assert outcome_of(redis_connection, Succeeds(project=7)) is None


def test_a_failed_job_is_an_error_with_its_reason(redis_connection: redis.Redis) -> None:
    """The last line of the traceback, not the traceback."""
    message = Fails(project=7)
    queues.send(redis_connection, message)
    _work(redis_connection)
    with pytest.raises(ServiceError) as caught:
        outcome_of(redis_connection, message)
    reason = failure(_job(redis_connection, message))
    assert reason.startswith("TypeError: ")
    assert str(caught.value) == f"job retrain-check-7 failed: {reason}; correct the cause and send it again"


def test_the_reason_of_a_message_of_several_lines_is_its_first_one(
    redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of CUDA, whose last line is advice; also behind the error that came before it."""
    text = "CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA`\n  to enable device-side assertions."

    def fails(*_: object, **__: object) -> None:
        try:
            {}["of before"]
        except KeyError as error:
            raise RuntimeError(text) from error

    monkeypatch.setattr("operator.truediv", fails)
    queues.send(redis_connection, Fails(project=7))
    _work(redis_connection)
    assert failure(_job(redis_connection, Fails(project=7))) == "RuntimeError: CUDA error: out of memory"


def test_a_canceled_job_is_an_error(redis_connection: redis.Redis) -> None:
    """It has no traceback."""
    message = Succeeds(project=7)
    queues.send(redis_connection, message)
    _job(redis_connection, message).cancel()
    with pytest.raises(ServiceError, match="job retrain-check-7 canceled: no reason was stored; read the worker's"):
        outcome_of(redis_connection, message)


def test_a_job_that_redis_does_not_have_is_an_error(redis_connection: redis.Redis) -> None:
    queues.send(redis_connection, Succeeds(project=7))
    redis_connection.flushall()
    assert find_job(redis_connection, "retrain-check-7") is None
    with pytest.raises(ServiceError, match="job retrain-check-7 is not in Redis"):
        outcome_of(redis_connection, Succeeds(project=7))


def test_running_jobs_of_all_queues_are_listed(redis_connection: redis.Redis) -> None:
    """Waiting jobs are not."""
    messages = [RetrainCheck(project=1), RetrainCheck(project=2), Ingest(project=1, release="r")]
    assert {message.queue for message in messages} == {QUEUE_MAINTENANCE, QUEUE_TRAIN}
    for message in messages:
        queues.send(redis_connection, message)
    assert running(redis_connection) == []
    _start(redis_connection, messages[0])
    _start(redis_connection, messages[2])
    assert sorted(running(redis_connection)) == sorted([messages[0].job_id, messages[2].job_id])
