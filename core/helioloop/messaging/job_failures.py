"""How often jobs failed, when each is tried again, and which are parked: one hash per project in Redis.

A job that fails is tried again after a pause, which is four times as long after each failure. After `Message.attempts`
failures it is parked: nothing sends it again until somebody puts it back (`helioloop retry`), asks for the same work
anew, or some hours have passed. Reconciliation, which repairs everything else, and its steps are never parked.

Failures by an outage of Label Studio, of Redis or of a disk are counted apart and park nothing: the job is tried again
at each reconciliation. A job whose worker was lost is tried again at once, because workers are killed for other reasons
than their job, but not for ever; a job whose time ran out counts as one of these, and is tried again after a pause.

Running attempts are kept by rq's id of the job, because jobs of one name may run side by side.

Steps of rounds are not counted here: a round counts its own failures (`helioloop.registry.staging`). An emptied Redis
forgets what was parked; each job is then tried as often as before.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, cast

import redis
from pydantic import TypeAdapter, ValidationError

from helioloop.messaging.messages import Message

log = logging.getLogger(__name__)

PAUSE_FACTOR: Final = 4
"""Each pause is this many times as long as the one before."""
FIRST_PAUSE_SECONDS: Final = 60.0
"""Pause after the first failure, or the time between two reconciliations where that is shorter."""
LONGEST_PAUSE_SECONDS: Final = 3600.0
"""No pause is longer."""
MAX_LOST: Final = 10
"""A job that lost its worker, or ran out of time, this often is parked: it takes more memory than there is, perhaps."""
SECOND_CHANCE_SECONDS: Final = 600.0
"""A worker that starts gives each parked job one more attempt, at most once in this time."""
PARKED_SECONDS: Final = 3 * 3600.0
"""A job that was parked this long ago gets one more attempt without a start of a worker."""
_LONGEST_REASON: Final = 2000
_SCORES: Final = re.compile(r"((?:score|bulk)-.+)-[0-9a-f]{16}\Z")
"""The name of a job that scores some cubes of a version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What a job was run with.

    Parameters
    ----------
    name : str
        The message's `job_id`.
    job : str
        The job as messages name it.
    payload : mapping or None
        What it is sent again with; None where something else sends it.
    """

    name: str
    job: str
    payload: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, message: Message) -> "Attempt":
        """Return the attempt of a message."""
        return cls(name=message.job_id, job=message.job, payload=message.payload_to_repeat())


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailure:
    """A job that failed, or runs now.

    Parameters
    ----------
    key : str
        The name under which it is counted.
    version : str
        The version that it works on; "" for other jobs.
    limit : int or None
        It is parked after so many failures; None where it is never parked.
    failures, outages, lost : int
        How often it failed, failed by an outage, and lost its worker or ran out of time, since its last success.
    reason : str
        Why it failed last, in a sentence.
    failed_at : float
        When that was (Unix seconds); 0 before the first failure.
    next_at : float
        Earliest time of the next attempt.
    parked_at : float or None
        When it was parked; None where it is not.
    second_chance_at : float
        When it was last given one more attempt after it was parked; 0 where it was not.
    failed : mapping
        What failed and has not succeeded since, by name: of one key there may be a forced and an ordinary retrain
        check. Empty for a step of reconciliation, which is no job of its own.
    running : mapping
        The attempts that have begun and not ended, by rq's id of the job.
    """

    key: str
    version: str = ""
    limit: int | None = 1
    failures: int = 0
    outages: int = 0
    lost: int = 0
    reason: str = ""
    failed_at: float = 0.0
    next_at: float = 0.0
    parked_at: float | None = None
    second_chance_at: float = 0.0
    failed: Mapping[str, Attempt] = field(default_factory=dict)
    running: Mapping[str, Attempt] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name in ``helioloop status``: one for all jobs that score cubes of a version."""
        match = _SCORES.match(self.key)
        return match[1] if match else self.key

    @property
    def is_parked(self) -> bool:
        """Whether nothing sends the job again."""
        return self.parked_at is not None

    @property
    def attempts(self) -> int:
        """How many attempts since the last success had none."""
        return self.failures + self.outages + self.lost

    @property
    def has_failed(self) -> bool:
        """Whether an attempt failed or was lost since the last success."""
        return self.attempts > 0

    @property
    def payload(self) -> Mapping[str, Any]:
        """The payload of what failed or runs; empty where something else sends it."""
        for attempt in (*self.failed.values(), *self.running.values()):
            if attempt.payload is not None:
                return attempt.payload
        return {}

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

    def begin(
        self, message: Message, *, job_id: str | None = None, is_alive: Callable[[str], bool] = lambda _: True
    ) -> JobFailure | None:
        """Note that an attempt of a job begins; return its failure where it is parked and must not run.

        Parameters
        ----------
        message : Message
            The job.
        job_id : str, optional
            rq's id of the job; by default that of the message.
        is_alive : callable, optional
            Returns whether a job runs, by rq's id. Other attempts that do not have lost their worker.
        """
        own, attempt = job_id or message.job_id, Attempt.of(message)

        def change(known: JobFailure) -> JobFailure:
            if not known.is_parked:
                known = replace(
                    known, limit=message.limit, version=message.version_worked_on, running=dict(known.running)
                )
                for other in [other for other in known.running if other == own or not is_alive(other)]:
                    known = _lose(known, other)
            if known.is_parked:  # put back, it is sent again
                return replace(known, failed={**known.failed, attempt.name: attempt})
            return replace(known, running={**known.running, own: attempt})

        begun = self._change(message.project, message.failure_key, change)
        return begun if begun.is_parked else None

    def succeed(self, message: Message, *, job_id: str | None = None) -> None:
        """Note that an attempt succeeded: failures are forgotten, and of what failed only others are sent again."""

        def change(known: JobFailure) -> JobFailure:
            failed = {name: attempt for name, attempt in known.failed.items() if name != message.job_id}
            return _without_failures(replace(_end(known, job_id or message.job_id), failed=failed))

        self._change(message.project, message.failure_key, change)

    def forget(self, project: int, key: str) -> None:
        """Forget the failures of a job, or of a step of reconciliation; a job that has to be sent again still is."""
        self._change(project, key, _without_failures)

    def drop(self, project: int, key: str) -> None:
        """Forget everything about a job, which is then not sent again."""
        self._redis.hdel(_key(project), key)

    def fail(
        self,
        project: int,
        key: str,
        reason: str,
        *,
        limit: int | None,
        may_pass: bool,
        sweep_seconds: float,
        timed_out: bool = False,
        message: Message | None = None,
        job_id: str | None = None,
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
        limit : int or None
            It is parked after so many failures; None where it is never parked.
        may_pass : bool
            True where the cause may pass without anybody's doing, such as an outage; that parks nothing.
        sweep_seconds : float
            Time between two reconciliations; while the cause may pass, no pause is longer.
        timed_out : bool
            True where the job ran out of time, which is counted like a lost worker.
        message : Message, optional
            The job, with which it is sent again; None for a step of reconciliation.
        job_id : str, optional
            rq's id of the job; by default that of the message.
        """
        now = time.time()

        def change(known: JobFailure) -> JobFailure:
            if message is not None:
                attempt = Attempt.of(message)
                known = replace(
                    _end(known, job_id or message.job_id),
                    version=message.version_worked_on,
                    failed={**known.failed, attempt.name: attempt},
                )
            counted = "lost" if timed_out else "outages" if may_pass else "failures"
            count = getattr(known, counted) + 1
            longest = sweep_seconds if may_pass else LONGEST_PAUSE_SECONDS
            pause = min(min(FIRST_PAUSE_SECONDS, sweep_seconds) * PAUSE_FACTOR ** min(count - 1, 10), longest)
            parked = limit is not None and not may_pass and count >= (MAX_LOST if timed_out else limit)
            return replace(
                known,
                **{counted: count},
                limit=limit,
                reason=reason[:_LONGEST_REASON],
                failed_at=now,
                next_at=now + pause,
                parked_at=now if parked else None,
            )

        return self._change(project, key, change)

    def put_back(self, project: int, names: Collection[str] | None = None) -> list[JobFailure]:
        """Forget the failures of jobs, by default of all, so that they may run at once; return what they were.

        A job that runs now is left as it is. `names` are keys, or names as ``helioloop status`` has them.
        """
        found = [
            failure
            for failure in self.failing(project)
            if (names is None or failure.key in names or failure.name in names)
            and (failure.is_parked or not failure.running)
        ]
        for failure in found:
            self.forget(project, failure.key)
        return found

    def give_second_chance(self, project: int, *, parked_seconds: float = 0.0) -> list[JobFailure]:
        """Let jobs that have been parked for so long be tried once more, each at most once in ten minutes."""
        now = time.time()
        chosen = [
            failure
            for failure in self.failing(project)
            if failure.parked_at is not None
            and failure.parked_at <= now - parked_seconds
            and failure.second_chance_at <= now - SECOND_CHANCE_SECONDS
        ]

        def change(known: JobFailure) -> JobFailure:
            return replace(
                known,
                parked_at=None,
                next_at=0.0,
                second_chance_at=now,
                failures=min(known.failures, (known.limit or 1) - 1),
                lost=min(known.lost, MAX_LOST - 1),
            )

        for failure in chosen:
            self._change(project, failure.key, change)
        return chosen

    def _change(self, project: int, key: str, change: Callable[[JobFailure], JobFailure]) -> JobFailure:
        """Change what is known of a job, although others change the same now; return what it is then."""
        pipeline: Any = self._redis.pipeline()  # redis-py's `watch` is untyped
        with pipeline:
            while True:
                pipeline.watch(_key(project))
                raw = pipeline.hget(_key(project), key)
                changed = change(_read(key, raw) or JobFailure(key=key))
                pipeline.multi()
                if changed.has_failed or changed.failed or changed.running:
                    pipeline.hset(_key(project), key, json.dumps(asdict(changed)))
                elif raw is not None:
                    pipeline.hdel(_key(project), key)
                try:
                    pipeline.execute()
                except redis.WatchError:
                    continue
                return changed


def _end(known: JobFailure, job_id: str) -> JobFailure:
    """Return a job of which one attempt has ended."""
    return replace(known, running={other: attempt for other, attempt in known.running.items() if other != job_id})


def _lose(known: JobFailure, job_id: str) -> JobFailure:
    """Return a job of which one attempt ended without a result."""
    now, lost, attempt = time.time(), known.lost + 1, known.running[job_id]
    known = replace(_end(known, job_id), lost=lost, failed={**known.failed, attempt.name: attempt})
    if lost < MAX_LOST or known.limit is None:
        return known
    return replace(
        known, reason=f"its worker was lost {lost} times: killed, or out of memory", failed_at=now, parked_at=now
    )


def _without_failures(known: JobFailure) -> JobFailure:
    """Return a job that may run at once; what nothing else sends is still to be sent again."""
    failed = {name: attempt for name, attempt in known.failed.items() if attempt.payload is not None}
    return JobFailure(key=known.key, version=known.version, limit=known.limit, failed=failed, running=known.running)


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
