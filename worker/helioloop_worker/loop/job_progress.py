"""Progress of the running job: written into its meta data and the log, and given as the heartbeat of its round."""

import logging
import time
from collections.abc import Callable

from rq import get_current_job

from helioloop.progress import Report, in_words
from helioloop_worker.context import Context
from helioloop_worker.loop.announcing import page_progress

log = logging.getLogger(__name__)

META_SECONDS = 1.0
"""Shortest time between two updates of a job's meta data about one stage."""
LOG_SECONDS = 10.0
"""Shortest time between two lines in the log about one stage."""


def job_report(also: Callable[[], None] | None = None) -> Report:
    """Return a report that writes to the running job's meta data and to the log.

    The beginning and the end of a stage, as `what` names it, are always written.

    Parameters
    ----------
    also : callable, optional
        Called with each update of the meta data.
    """
    job = get_current_job()
    updated_at = logged_at = 0.0
    phrase = ""

    def report(done: int, total: int, what: str) -> None:
        nonlocal updated_at, logged_at, phrase
        now = time.monotonic()
        begins = what != phrase
        if not begins and done < total and now - updated_at < META_SECONDS:
            return
        updated_at, phrase = now, what
        if job is not None:
            job.meta["progress"] = {"done": done, "total": total, "what": what}
            job.save_meta()  # type: ignore[no-untyped-call]
        if also is not None:
            also()
        if begins or done >= total or now - logged_at > LOG_SECONDS:
            logged_at = now
            log.info("%s", in_words(done, total, what))

    return report


def sent_at() -> float | None:
    """Return when the running job was sent, in Unix seconds; None outside a job."""
    job = get_current_job()
    return None if job is None else job.created_at.timestamp()


def round_report(context: Context, project: int, fingerprint: str) -> Report:
    """Return a report that also gives the heartbeat of a round, for the first time now, and renews the state's page."""
    renew_page = page_progress(context, project)

    def heartbeat() -> None:
        context.state.heartbeat(project, fingerprint, now=time.time())
        renew_page()

    heartbeat()
    return job_report(also=heartbeat)
