"""Counts an annotation event and moves the retrain check that waits for it, in one round trip to Redis.

Label Studio waits for the answer while an annotator waits for Label Studio, and many may submit at once.
"""

import time
import uuid
from dataclasses import dataclass
from typing import Any, Final

import redis
from rq.job import Job, JobStatus

from helioloop.environment.stored_times import AHEAD_SECONDS
from helioloop.messaging import queues
from helioloop.messaging.messages import RetrainCheck
from helioloop.messaging.redis_retrain_state import ADD_EVENTS, RedisRetrainState, events_key
from helioloop.messaging.retrain_state import PendingEvents, check_positive, due_at, position
from helioloop.settings import Settings

UNKNOWN_PROJECTS: Final = 100
"""Projects without a model folder whose events are counted, at most; the events of further ones are refused."""
UNKNOWN_SECONDS: Final = 24 * 3600
"""How long the events of a project without a model folder are kept after the latest one."""

# KEYS: pending events, schedule of the queue, job. ARGV: those of ADD_EVENTS, job id, then the rules of `due_at`.
_COUNT_AND_MOVE: Final = f"""
local function add_events(KEYS, ARGV)
{ADD_EVENTS}
end
local counted = add_events(KEYS, ARGV)
local first_at, last_at, now = tonumber(counted[4]), tonumber(counted[5]), tonumber(ARGV[2])
local due = last_at
if counted[3] < tonumber(ARGV[5]) then due = math.min(last_at + tonumber(ARGV[6]), first_at + tonumber(ARGV[7])) end
local moved = 0
if redis.call('ZSCORE', KEYS[2], ARGV[4]) and redis.call('HGET', KEYS[3], 'status') == '{JobStatus.SCHEDULED.value}'
then
    redis.call('ZADD', KEYS[2], 'XX', string.format('%.0f', math.floor(math.max(due, now))), ARGV[4])
    moved = 1
end
counted[6] = moved
return counted
"""
_ADMIT: Final = """
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', tonumber(ARGV[2]) - tonumber(ARGV[4]))
redis.call('ZREMRANGEBYSCORE', KEYS[1], tonumber(ARGV[2]) + tonumber(ARGV[5]), '+inf')
if not known and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""
_UNKNOWN_KEY: Final = "helioloop:unknown-projects"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of an event.

    Parameters
    ----------
    pending : PendingEvents
        All events that wait for a retrain check.
    delay_seconds : float
        Time until the check.
    is_new : bool
        True where a check was queued; False where one waited already, or is parked.
    parked : str or None
        Why the check is parked, so that none is queued; None where it is not.
    """

    pending: PendingEvents
    delay_seconds: float
    is_new: bool
    parked: str | None = None


class EventIntake:
    """Takes in annotation events.

    Parameters
    ----------
    connection : redis.Redis
        From `redis_client`.
    settings : Settings
        When a retrain check is due.
    """

    def __init__(self, connection: redis.Redis, settings: Settings) -> None:
        self._redis = connection
        self._settings = settings
        self._state = RedisRetrainState(connection)
        self._count_and_move = connection.register_script(_COUNT_AND_MOVE)
        self._admit = connection.register_script(_ADMIT)
        self._schedule = queues.queue(connection, RetrainCheck.queue).scheduled_job_registry.key

    def take_in(self, project: int, events: int) -> Taken:
        """Count events of a project and see to it that a retrain check is due for them.

        Raises
        ------
        ValueError
            Where `events` is less than 1.
        redis.RedisError
            Where Redis cannot store them.
        """
        now, rules = time.time(), self._settings
        check = RetrainCheck(project=project)
        keys = [events_key(project), self._schedule, Job.key_for(check.job_id)]
        arguments: list[Any] = [
            check_positive(events),
            repr(now),
            uuid.uuid4().hex,
            check.job_id,
            rules.retrain_events,
            repr(float(rules.retrain_quiet_seconds)),
            repr(float(rules.retrain_max_wait_seconds)),
        ]
        token, added, count, first_at, last_at, moved = self._state.with_readable_events(
            project, lambda: self._count_and_move(keys=keys, args=arguments)
        )
        pending = PendingEvents(
            count=count, first_at=float(first_at), last_at=float(last_at), position=position(token.decode(), added)
        )
        delay_seconds = max(0.0, due_at(pending, rules, now=now) - now)
        is_new = not moved and queues.send(self._redis, check, delay_seconds=delay_seconds)
        parked = None if moved or is_new else queues.why_parked(self._redis, check)
        return Taken(pending=pending, delay_seconds=delay_seconds, is_new=is_new, parked=parked)

    def admit_unknown(self, project: int) -> bool:
        """Return whether events of a project without a model folder are stored; not those of any number of projects.

        What is stored for such a project is deleted a day after its latest event.
        """
        admitted = self._admit(
            keys=[_UNKNOWN_KEY], args=[project, repr(time.time()), UNKNOWN_PROJECTS, UNKNOWN_SECONDS, AHEAD_SECONDS]
        )
        return bool(admitted)

    def forget_unknown(self, project: int) -> None:
        """Let the pending events of a project without a model folder expire."""
        self._redis.expire(events_key(project), UNKNOWN_SECONDS)
