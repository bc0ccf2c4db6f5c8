"""How often jobs failed, when each is tried again, and which are parked: one hash per project in Redis.

A job that fails is tried again after a pause, which is four times as long after each failure. After `Message.attempts`
failures it is parked: nothing sends it again until somebody puts it back (`helioloop retry`) or asks for the same work
anew. An outage of Label Studio or Redis parks nothing: the job is tried again at each reconciliation. A job whose
worker was lost is tried again at once, because workers are killed for other reasons than their job, but not for ever.

Steps of rounds are not counted here: a round counts its own failures (`helioloop.registry.staging`). An emptied Redis
forgets what was parked; each job is then tried as often as before.
"""

import json
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, cast

import redis
from pydantic import TypeAdapter, ValidationError

from helioloop.messaging.messages import Message

log = logging.getLogger(__name__)

PAUSE_FACTOR: Final = 4
"""Each pause is this many times as long as the one before."""
FIRST_PAUSE_SECONDS: Final = 60.0
"""Pause after the first failure, or the time between two reconciliations where that is shorter."""
MAX_LOST: Final = 10
"""A job whose worker was lost this often is parked: it takes more memory than there is, for example."""
SECOND_CHANCE_SECONDS: Final = 600.0
"""A worker that starts gives the jobs one more attempt that were parked at least this long ago."""
_LONGEST_REASON: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailure:
    """A job that failed, or runs now.

    Parameters
    ----------
    key : str
        The name under which it is counted.
    job : str
        The job as messages name it; "" for a step of reconciliation, which is no job of its own.
    payload : mapping or None
        What the job is sent again with; None where something else sends it.
    limit : int
        It is parked after so many failures.
    failures, lost : int
        How often it failed, and how often its worker was lost, since its last success.
    may_pass : bool
        Whether the last cause may pass without anybody's doing, such as an outage.
    reason : str
        Why it failed last, in a sentence.
    failed_at : float
        When that was (Unix seconds); 0 before the first failure.
    next_at : float
        Earliest time of the next attempt.
    parked_at : float or None
        When it was parked; None where it is not.
    running : bool
        Whether an attempt has begun and not ended.
    """

    key: str
    job: str = ""
    payload: Mapping[str, Any] | None = None
    limit: int = 1
    failures: int = 0
    lost: int = 0
    may_pass: bool = False
    reason: str = ""
    failed_at: float = 0.0
    next_at: float = 0.0
    parked_at: float | None = None
    running: bool = False

    @property
    def is_parked(self) -> bool:
        """Whether nothing sends the job again."""
        return self.parked_at is not None

    @property
    def has_failed(self) -> bool:
        """Whether an attempt failed or was lost since the last success."""
        return self.failures > 0 or self.lost > 0

    def is_held(self, now: float) -> bool:
        """Return whether no attempt is made at this time."""
        return self.is_parked or now < self.next_at


class JobFailures:
    """The failing and parked jobs of all projects.

    Parameters
    ----------
    connection : redis.Redis
        From `redis_client`.
    """

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection

    def find(self, project: int, key: str) -> JobFailure | None:
        """Return what is known of a job; None where it neither failed nor runs."""
        return _read(key, cast("bytes | None", self._redis.hget(_key(project), key)))

    def all(self, project: int) -> list[JobFailure]:
        """Return all jobs of a project that failed and have not succeeded since, or that run now, sorted by key."""
        found = cast("dict[bytes, bytes]", self._redis.hgetall(_key(project)))
        read = [_read(key.decode(errors="replace"), value) for key, value in sorted(found.items())]
        return [failure for failure in read if failure is not None]

    def failing(self, project: int) -> list[JobFailure]:
        """Return the jobs of a project that failed and have not succeeded since, sorted by key."""
        return [failure for failure in self.all(project) if failure.has_failed]

    def begin(self, message: Message) -> JobFailure | None:
        """Note that an attempt of a job begins; return its failure where it is parked and must not run."""
        before = self.find(message.project, message.failure_key)
        known = before or JobFailure(key=message.failure_key)
        if known.is_parked:
            return known
        if known.running:
            known = self._lose(known)
        begun = replace(
            known, job=message.job, payload=message.payload_to_repeat(), limit=message.attempts, running=True
        )
        self._write(message.project, begun)
        return begun if begun.is_parked else None

    def succeed(self, project: int, key: str) -> None:
        """Forget a job: it succeeded, or somebody asked for it anew."""
        self._redis.hdel(_key(project), key)

    def fail(
        self, project: int, key: str, reason: str, *, limit: int, may_pass: bool, sweep_seconds: float
    ) -> JobFailure:
        """Count a failure and return what follows from it: a pause, or that the job is parked.

        Parameters
        ----------
        project : int
            Label Studio project.
        key : str
            The job, as `Message.failure_key`, or a step of reconciliation.
        reason : str
            Why it failed, in a sentence.
        limit : int
            It is parked after so many failures.
        may_pass : bool
            True where the cause may pass without anybody's doing, such as an outage; that parks nothing.
        sweep_seconds : float
            Time between two reconciliations; while the cause may pass, no pause is longer.
        """
        now = time.time()
        known = self.find(project, key) or JobFailure(key=key)
        failures = known.failures + 1
        pause = min(FIRST_PAUSE_SECONDS, sweep_seconds) * PAUSE_FACTOR ** min(failures - 1, 10)
        failed = replace(
            known,
            limit=limit,
            failures=failures,
            may_pass=may_pass,
            reason=reason[:_LONGEST_REASON],
            failed_at=now,
            next_at=now + (min(pause, sweep_seconds) if may_pass else pause),
            parked_at=now if failures >= limit and not may_pass else None,
            running=False,
        )
        self._write(project, failed)
        return failed

    def put_back(self, project: int, keys: Collection[str] | None = None) -> list[JobFailure]:
        """Forget the failures of jobs, by default of all, so that they may run at once; return what they were.

        A job that runs now is left as it is.
        """
        found = [
            failure
            for failure in self.failing(project)
            if (keys is None or failure.key in keys) and (failure.is_parked or not failure.running)
        ]
        for failure in found:
            self.succeed(project, failure.key)
        return found

    def give_second_chance(self, project: int) -> list[JobFailure]:
        """Let jobs that were parked some time ago be tried once more; for a worker that starts with other settings."""
        before = time.time() - SECOND_CHANCE_SECONDS
        chosen = [
            failure
            for failure in self.failing(project)
            if failure.parked_at is not None and failure.parked_at <= before
        ]
        for failure in chosen:
            again = replace(
                failure,
                parked_at=None,
                next_at=0.0,
                running=False,
                failures=min(failure.failures, failure.limit - 1),
                lost=min(failure.lost, MAX_LOST - 2),
            )
            self._write(project, again)
        return chosen

    def _lose(self, known: JobFailure) -> JobFailure:
        """Return a job whose last attempt ended without a result."""
        now, lost = time.time(), known.lost + 1
        if lost < MAX_LOST:
            return replace(known, lost=lost)
        return replace(
            known,
            lost=lost,
            reason=f"its worker was lost {lost} times: killed, or out of memory",
            failed_at=now,
            parked_at=now,
        )

    def _write(self, project: int, failure: JobFailure) -> None:
        self._redis.hset(_key(project), failure.key, json.dumps(asdict(failure)))


def _read(key: str, raw: bytes | None) -> JobFailure | None:
    """Return an entry; None where there is none, or where somebody else wrote something else there."""
    if raw is None:
        return None
    try:
        found = TypeAdapter(JobFailure).validate_json(raw)
    except ValidationError:
        log.warning("what Redis has of the failures of job %r cannot be read; it is ignored", key[:80])
        return None
    return replace(found, key=key)


def _key(project: int) -> str:
    return f"helioloop:failing-jobs:{project:d}"
