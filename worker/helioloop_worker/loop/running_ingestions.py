"""Which ingestions run: each has a mark in Redis, which it renews, so that rounds and pruning wait for it."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

import redis

from helioloop.environment.stored_times import ahead_sentence, is_ahead, is_recent
from helioloop.files.names import shown_name
from helioloop.messaging.unreadable import as_time, discard_field, read_or_discard
from helioloop.progress import Report
from helioloop_worker.context import Context

log = logging.getLogger(__name__)

PRUNING_POLL_SECONDS = 0.2
"""Time between two looks whether files are still being removed."""
MARK_SECONDS = 300
"""An ingestion that was killed counts as running for this long."""

_RENEW: Final = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
"""


def ingesting(context: Context, project: int) -> bool:
    """Tell whether a release is being ingested: no round is planned on half of a release."""
    now, key = time.time(), _marks(project)
    marks = _read_marks(context.connection, key)
    for release, (text, at) in marks.items():
        if is_ahead(at, now=now):
            name = shown_name(release.decode(errors="replace"))
            log.warning("%s", ahead_sentence(f"project {project}: the last sign of the ingestion of {name}", at))
            # It counts from now on: the ingestion may run, on a machine whose clock is still ahead.
            context.connection.eval(_RENEW, 1, key, release, text, str(now))
            marks[release] = (text, now)
    return any(is_recent(at, now=now, seconds=MARK_SECONDS) for _, at in marks.values())


def _read_marks(connection: redis.Redis, key: str) -> dict[bytes, tuple[bytes, float]]:
    """Return release -> mark and its time; marks that cannot be read are deleted."""
    stored = read_or_discard(connection, key, lambda: cast("dict[bytes, bytes]", connection.hgetall(key))) or {}
    marks = {}
    for release, text in stored.items():
        try:
            marks[release] = (text, as_time(text))
        except ValueError as error:
            discard_field(connection, key, release, str(error))
    return marks


def pruning_lock(project: int) -> str:
    """Return the key of the lock that is held while files without a task are removed; ingestions wait for it."""
    return f"helioloop:pruning:{project:d}"


def _marks(project: int) -> str:
    return f"helioloop:ingesting:{project}"


@contextmanager
def marked(context: Context, project: int, release: str, report: Report) -> Iterator[Report]:
    """Mark an ingestion as running; each progress report renews the mark."""

    def marking(done: int, total: int, what: str) -> None:
        context.connection.hset(_marks(project), release, str(time.time()))
        report(done, total, what)

    _read_marks(context.connection, _marks(project))  # a key of another type would refuse the mark
    marking(0, 0, "reading the release")
    try:
        while context.connection.exists(pruning_lock(project)):  # who prunes looks for marks after taking this lock
            time.sleep(PRUNING_POLL_SECONDS)
        yield marking
    finally:
        context.connection.hdel(_marks(project), release)
