"""Keeps the parked jobs of a project in its model folder, and parks them again where Redis was emptied.

Where Redis has an older state, jobs that were put back since are not parked again.
"""

import logging
from pathlib import Path

import redis

from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.parked import find_parked, repair
from helioloop.registry.parked_jobs import ParkedJobs, read_parked_jobs, write_parked_jobs

log = logging.getLogger(__name__)


def is_kept(model_dir: Path, key: str) -> bool:
    """Return whether the model folder has a job as parked; False where that cannot be read now."""
    try:
        return key in read_parked_jobs(model_dir).parked
    except OSError:
        return False


def keep_parked(connection: redis.Redis, model_dir: Path, project: int) -> list[str]:
    """Make Redis and the model folder have the same parked jobs; return what was wrong in Redis, a sentence each.

    Nothing is changed where the file cannot be read now: the next reconciliation does it.
    """
    failures = JobFailures(connection)
    try:
        kept = read_parked_jobs(model_dir)
    except OSError as error:
        log.warning("project %d: which jobs are parked cannot be read in %s: %s", project, model_dir, error)
        return []
    parked = find_parked(failures, project, kept.parked, kept.put_back_at)
    repair(failures, project, parked)
    wanted = ParkedJobs(parked.as_json(), parked.put_back_at)
    if wanted != kept and model_dir.is_dir():
        try:
            write_parked_jobs(model_dir, wanted)
        except OSError as error:  # a full disk must not stop what is repaired; the next reconciliation writes it
            log.warning("project %d: the parked jobs are not kept in %s: %s", project, model_dir, error)
    return [
        *(f"{key} was parked, which Redis had lost: it is parked again" for key in parked.lost),
        *(
            f"{key} was parked in an older state of Redis and was put back since: it is put back"
            for key in parked.outdated
        ),
    ]
