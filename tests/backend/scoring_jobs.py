"""The scoring jobs that the backend has sent."""

from typing import Any

import redis
from rq.job import Job
from rq.serializers import JSONSerializer

from helioloop.messaging.messages import QUEUE_SCORE


def scoring_jobs(connection: redis.Redis) -> list[dict[str, Any]]:
    """Return the payloads of the waiting scoring jobs."""
    names = [name.decode() for name in connection.lrange(f"rq:queue:{QUEUE_SCORE}", 0, -1)]
    return [Job.fetch(name, connection=connection, serializer=JSONSerializer).kwargs for name in names]
