"""What monitoring reads of the queues, on a real Redis."""

import redis
from rq import Worker

from helioloop.messaging import messages, queues
from helioloop.messaging.queue_states import queue_states


def test_a_worker_that_was_killed_is_not_counted(redis_connection: redis.Redis) -> None:
    """Redis forgets its own key after a while; the set of the queue keeps its name."""
    queue = queues.queue(redis_connection, messages.QUEUE_TRAIN)
    worker = Worker([queue], connection=redis_connection)
    worker.register_birth()
    assert queue_states(redis_connection)[messages.QUEUE_TRAIN].workers == 1
    redis_connection.delete(worker.key)
    found = queue_states(redis_connection)[messages.QUEUE_TRAIN]
    assert (found.workers, found.waiting, found.oldest_at, found.failed) == (0, 0, None, 0)
    assert redis_connection.scard("rq:workers:helioloop-train") == 1


def test_waiting_jobs_and_the_time_of_the_next_one_are_read(redis_connection: redis.Redis) -> None:
    for project in (1, 2):
        queues.send(redis_connection, messages.PlanRound(project=project))
    found = queue_states(redis_connection)[messages.QUEUE_TRAIN]
    assert (found.waiting, found.workers) == (2, 0)
    assert found.oldest_at is not None
