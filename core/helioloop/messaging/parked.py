"""Which jobs are parked, where Redis and the model folder differ: Redis was emptied, or has an older state."""

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from helioloop.environment.stored_times import in_order
from helioloop.messaging.job_failure import JobFailure
from helioloop.messaging.job_failures import JobFailures

log = logging.getLogger(__name__)

REMEMBERED_SECONDS: Final = 30 * 24 * 3600.0
"""How long it is remembered that a job was put back; an older state of Redis would park it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """Which jobs of a project are parked.

    Parameters
    ----------
    jobs : mapping
        Name -> what is known of its failures. A job that is tried once more is among them until it succeeds.
    lost : tuple of str
        Jobs that Redis has lost, or counts as less often failed than they did.
    outdated : tuple of str
        Jobs that are parked in Redis although they were put back since.
    put_back_at : mapping
        Name -> when a job was put back, or succeeded, after it had been parked (Unix seconds).
    """

    jobs: Mapping[str, JobFailure]
    lost: tuple[str, ...]
    outdated: tuple[str, ...]
    put_back_at: Mapping[str, float]

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Return the jobs as JSON, without the attempts that run now."""
        return {key: {**asdict(known), "running": {}} for key, known in sorted(self.jobs.items())}


def find_parked(
    failures: JobFailures,
    project: int,
    kept: Mapping[str, Mapping[str, Any]],
    kept_put_back_at: Mapping[str, float],
) -> Parked:
    """Return which jobs are parked, by what Redis and the model folder have; of each job the newest counts.

    Parameters
    ----------
    failures : JobFailures
        What Redis has.
    project : int
        Label Studio project.
    kept, kept_put_back_at : mapping
        What the model folder has; see `helioloop.registry.parked_jobs.ParkedJobs`.
    """
    now, found = time.time(), {known.key: known for known in failures.all(project)}
    put_back_at = _newest(failures.put_back_at(project), kept_put_back_at)
    jobs, lost, outdated = {}, [], []
    on_disk = {key: known for key, values in kept.items() if (known := _read(key, values)) is not None}
    for key in sorted({*on_disk, *(key for key, known in found.items() if known.is_parked)}):
        here, there = found.get(key), on_disk.get(key)
        candidates = [known for known in (there, here) if known is not None and known.parked_at is not None]
        newest = max(candidates, key=lambda known: in_order(known.parked_at or 0.0, now=now))
        parked_at = in_order(newest.parked_at or 0.0, now=now)
        if key in put_back_at and parked_at <= in_order(put_back_at[key], now=now):
            if here is not None and here.is_parked:
                outdated.append(key)
            continue
        jobs[key] = newest
        tried_since = (
            here is not None and here.second_chance_at > 0 and (in_order(here.second_chance_at, now=now) >= parked_at)
        )
        if newest is there and not tried_since and (here is None or not here.is_parked):
            lost.append(key)
    return Parked(jobs=jobs, lost=tuple(lost), outdated=tuple(outdated), put_back_at=put_back_at)


def repair(failures: JobFailures, project: int, parked: Parked) -> None:
    """Make Redis have what was found."""
    for key in parked.lost:
        failures.park_again(project, parked.jobs[key])
    for key in parked.outdated:
        failures.forget(project, key)
    failures.forget_put_back(project, failures.put_back_at(project).keys() - parked.put_back_at.keys())


def _newest(*times: Mapping[str, float]) -> dict[str, float]:
    """Return the newest time of each key, without those from long ago."""
    now, newest = time.time(), dict[str, float]()
    for key, at in (pair for some in times for pair in some.items()):
        newest[key] = max(at, newest.get(key, at), key=lambda one: in_order(one, now=now))
    return {key: at for key, at in sorted(newest.items()) if at > now - REMEMBERED_SECONDS}


def _read(key: str, values: Mapping[str, Any]) -> JobFailure | None:
    """Return a parked job; None where it cannot be read, for example because another helioloop wrote it."""
    try:
        known = TypeAdapter(JobFailure).validate_python({**values, "key": key})
    except ValidationError:
        log.warning("what the model folder has of the failures of job %r cannot be read; it is ignored", key[:80])
        return None
    return known if known.is_parked else None
