"""How often jobs failed, when each is tried again, and which are parked: one hash per project in Redis.

A job that fails is tried again after a pause, which is four times as long after each failure. After `Message.attempts`
failures it is parked: nothing sends it again until somebody puts it back (`helioloop retry`), asks for the same work
anew, or some hours have passed. Reconciliation, which repairs everything else, and its steps are never parked.

Failures by an outage of Label Studio, of Redis or of a disk are counted apart and park nothing: the job is tried again
at each reconciliation. A job whose worker was lost is tried again at once, because workers are killed for other reasons
than their job, but not for ever; a job whose time ran out counts as one of these, and is tried again after a pause.

Running attempts are kept by rq's id of the job, because jobs of one name may run side by side.

Steps of rounds are not counted here: a round counts its own failures (`helioloop.registry.staging`). Which jobs are
parked is in the model folder, too (`helioloop.registry.parked_jobs`), because Redis may be emptied.
"""

import json
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any, Final, cast

import redis
from pydantic import TypeAdapter, ValidationError

from helioloop.environment.stored_times import is_recent
from helioloop.messaging.job_failure import LONGEST_PAUSE_SECONDS, MAX_LOST, Attempt, JobFailure
from helioloop.messaging.messages import Message
from helioloop.messaging.unreadable import as_time, discard_field, is_wrong_type, read_or_discard

PAUSE_FACTOR: Final = 4
"""Each pause is this many times as long as the one before."""
FIRST_PAUSE_SECONDS: Final = 60.0
"""Pause after the first failure, or the time between two reconciliations where that is shorter."""
SECOND_CHANCE_SECONDS: Final = 600.0
"""A worker that starts gives each parked job one more attempt, at most once in this time."""
PARKED_SECONDS: Final = 3 * 3600.0
"""A job that was parked this long ago gets one more attempt without a start of a worker."""
_LONGEST_REASON: Final = 2000


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
        name = _key(project)
        raw = read_or_discard(self._redis, name, lambda: cast("bytes | None", self._redis.hget(name, key)))
        return self._read_or_discard(project, key.encode(), raw)

    def all(self, project: int) -> list[JobFailure]:
        """Return all jobs of a project that failed and have not succeeded since, or that run now, sorted by key."""
        found = self._entries(_key(project))
        read = [self._read_or_discard(project, key, value) for key, value in sorted(found.items())]
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
                    known = known.lose(other)
            if known.is_parked:  # put back, it is sent again
                return replace(known, failed={**known.failed, attempt.name: attempt})
            return replace(known, running={**known.running, own: attempt})

        begun = self._change(message.project, message.failure_key, change)
        return begun if begun.is_parked else None

    def succeed(self, message: Message, *, job_id: str | None = None) -> None:
        """Note that an attempt succeeded: failures are forgotten, and of what failed only others are sent again."""

        def change(known: JobFailure) -> JobFailure:
            failed = {name: attempt for name, attempt in known.failed.items() if name != message.job_id}
            return replace(known.end(job_id or message.job_id), failed=failed).without_failures()

        self._change(message.project, message.failure_key, change)

    def forget(self, project: int, key: str) -> None:
        """Forget the failures of a job, or of a step of reconciliation; a job that has to be sent again still is."""
        self._change(project, key, JobFailure.without_failures)

    def drop(self, project: int, key: str) -> None:
        """Forget everything about a job, which is then not sent again."""
        self._change(project, key, lambda known: JobFailure(key=known.key))

    def park_again(self, project: int, parked: JobFailure) -> None:
        """Let a job be parked as it was before Redis was emptied."""
        self._change(project, parked.key, lambda known: replace(parked, running=known.running))

    def put_back_at(self, project: int) -> dict[str, float]:
        """Return when jobs that had been parked were put back, or succeeded, by key (Unix seconds)."""
        times = {}
        for key, value in self._entries(_put_back_key(project)).items():
            with suppress(ValueError):  # somebody else wrote it
                times[key.decode(errors="replace")] = as_time(value)
        return times

    def forget_put_back(self, project: int, keys: Collection[str]) -> None:
        """Forget when these jobs were put back."""
        if keys:
            self._redis.hdel(_put_back_key(project), *keys)

    def fail(
        self,
        project: int,
        key: str,
        reason: str,
        *,
        limit: int | None,
        may_pass: bool,
        reconcile_seconds: float,
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
        reconcile_seconds : float
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
                    known.end(job_id or message.job_id),
                    version=message.version_worked_on,
                    failed={**known.failed, attempt.name: attempt},
                )
            counted = "lost" if timed_out else "outages" if may_pass else "failures"
            count = getattr(known, counted) + 1
            longest = min(reconcile_seconds, LONGEST_PAUSE_SECONDS) if may_pass else LONGEST_PAUSE_SECONDS
            pause = min(min(FIRST_PAUSE_SECONDS, reconcile_seconds) * PAUSE_FACTOR ** min(count - 1, 10), longest)
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
            and not is_recent(failure.parked_at, now=now, seconds=parked_seconds)
            and not is_recent(failure.second_chance_at, now=now, seconds=SECOND_CHANCE_SECONDS)
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

    def _read_or_discard(self, project: int, key: bytes, raw: bytes | None) -> JobFailure | None:
        """Return an entry; None where there is none, or where it cannot be read, after deleting it."""
        known = _read(key.decode(errors="replace"), raw)
        if known is None and raw is not None:
            discard_field(self._redis, _key(project), key, "it is no record of failures")
        return known

    def _entries(self, key: str) -> dict[bytes, bytes]:
        """Return a hash; empty where something else has its name, which is deleted."""
        return read_or_discard(self._redis, key, lambda: cast("dict[bytes, bytes]", self._redis.hgetall(key))) or {}

    def _change(self, project: int, key: str, change: Callable[[JobFailure], JobFailure]) -> JobFailure:
        """Change what is known of a job, although others change the same now; return what it is then."""
        try:
            return self._try_to_change(project, key, change)
        except redis.ResponseError as error:
            if not is_wrong_type(error):
                raise
        self._entries(_key(project))  # deletes what is no hash
        return self._try_to_change(project, key, change)

    def _try_to_change(self, project: int, key: str, change: Callable[[JobFailure], JobFailure]) -> JobFailure:
        pipeline: Any = self._redis.pipeline()  # redis-py's `watch` is untyped
        with pipeline:
            while True:
                pipeline.watch(_key(project))
                raw = pipeline.hget(_key(project), key)
                before = _read(key, raw) or JobFailure(key=key)
                changed = change(before)
                is_put_back = before.was_parked and not changed.was_parked
                if is_put_back:
                    self._entries(_put_back_key(project))  # Redis would make the other changes, and refuse this one
                pipeline.multi()
                if is_put_back:
                    pipeline.hset(_put_back_key(project), key, repr(time.time()))
                if changed.has_failed or changed.failed or changed.running:
                    pipeline.hset(_key(project), key, json.dumps(asdict(changed)))
                elif raw is not None:
                    pipeline.hdel(_key(project), key)
                try:
                    pipeline.execute()
                except redis.WatchError:
                    continue
                return changed


def _read(key: str, raw: bytes | None) -> JobFailure | None:
    """Return an entry; None where there is none, or where somebody else wrote something else there."""
    if raw is None:
        return None
    try:
        found = TypeAdapter(JobFailure).validate_json(raw)
    except ValidationError:
        return None
    return replace(found, key=key)


def _put_back_key(project: int) -> str:
    return f"helioloop:jobs-put-back:{project:d}"


def _key(project: int) -> str:
    return f"helioloop:failing-jobs:{project:d}"
