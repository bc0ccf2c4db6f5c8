"""Keys of Redis that expire: those that would do so too late, because the clock of Redis' machine was ahead.

Redis stores the moment at which a key expires. A lock, a claim or a sign of life that was written while its clock was
days ahead would stay for days once the clock was put right, and whoever waits for its end would wait as long.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

import redis

from helioloop.environment.stored_times import AHEAD_SECONDS
from helioloop.words import count, duration

log = logging.getLogger(__name__)

_SHOWN: Final = 80
"""Longest part of a key in a line of the log."""


def bring_back(connection: redis.Redis, longest_seconds: Mapping[str, float]) -> list[str]:
    """Let keys that expire later than they can expire as if they were written now; return these keys.

    A holder that lives renews its key, or finishes before; so nothing is taken from it that it would have kept.

    Parameters
    ----------
    connection : redis.Redis
        From `redis_client`.
    longest_seconds : mapping
        Key -> the longest time for which it is ever written. Keys that do not exist or never expire are left alone.
    """
    if not longest_seconds:
        return []
    pipeline: Any = connection.pipeline(transaction=False)
    for key in longest_seconds:
        pipeline.pttl(key)
    left = dict(zip(longest_seconds, pipeline.execute(), strict=True))
    late = [key for key, ms in left.items() if ms / 1000.0 > longest_seconds[key] + AHEAD_SECONDS]
    for key in late:
        pipeline.pexpire(key, int(longest_seconds[key] * 1000.0))
    if late:
        pipeline.execute()
        log.warning(
            "%s in Redis would expire in %s (%s) and is written for %s at most: the clock of Redis' machine was ahead, "
            "so it expires in that time from now; set the clocks of all machines by NTP, and compare them with "
            "`helioloop doctor`",
            count(len(late), "key"),
            duration(left[late[0]] / 1000.0),
            late[0][:_SHOWN],
            duration(longest_seconds[late[0]]),
        )
    return late
