"""How often one job failed, why, and with what it is sent again: the records that `job_failures` keeps in Redis."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final

from pydantic import Field

from helioloop.environment.stored_times import is_ahead
from helioloop.messaging.messages import Message
from helioloop.messaging.unreadable import END_OF_TIMES

MAX_LOST: Final = 10
"""A job that lost its worker, or ran out of time, this often is parked: it takes more memory than there is, perhaps."""
LONGEST_PAUSE_SECONDS: Final = 3600.0
"""No pause is longer."""
Moment = Annotated[float, Field(ge=0.0, lt=END_OF_TIMES, allow_inf_nan=False)]
"""A time in Unix seconds that can be shown as a date; others are refused where a record is read."""
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
        check. Empty for a step of reconciliation, which is not a job of its own.
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
    failed_at: Moment = 0.0
    next_at: Moment = 0.0
    parked_at: Moment | None = None
    second_chance_at: Moment = 0.0
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

    @property
    def was_parked(self) -> bool:
        """Whether it is parked, or is tried once more after it was."""
        return self.is_parked or self.second_chance_at > 0

    def is_held(self, now: float) -> bool:
        """Return whether no attempt is made at this time."""
        return self.is_parked or self.pause_left(now) > 0

    def pause_left(self, now: float) -> float:
        """Return the seconds until the next attempt, 0 where its pause is over or the failure is ahead of `now`."""
        if is_ahead(self.failed_at, now=now):
            return 0.0
        return max(min(self.next_at, self.failed_at + LONGEST_PAUSE_SECONDS) - now, 0.0)

    def end(self, job_id: str) -> "JobFailure":
        """Return a job of which one attempt has ended."""
        return replace(self, running={other: attempt for other, attempt in self.running.items() if other != job_id})

    def lose(self, job_id: str) -> "JobFailure":
        """Return a job of which one attempt ended without a result."""
        now, lost, attempt = time.time(), self.lost + 1, self.running[job_id]
        ended = replace(self.end(job_id), lost=lost, failed={**self.failed, attempt.name: attempt})
        if lost < MAX_LOST or self.limit is None:
            return ended
        return replace(
            ended, reason=f"its worker was lost {lost} times: killed, or out of memory", failed_at=now, parked_at=now
        )

    def without_failures(self) -> "JobFailure":
        """Return a job that may run at once; what nothing else sends is still to be sent again."""
        failed = {name: attempt for name, attempt in self.failed.items() if attempt.payload is not None}
        return JobFailure(key=self.key, version=self.version, limit=self.limit, failed=failed, running=self.running)
