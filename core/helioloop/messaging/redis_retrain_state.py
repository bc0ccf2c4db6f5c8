"""The retrain state in Redis, for all processes: a few keys per project, changed by Lua scripts.

What is in a key and cannot be read is deleted, and counts as absent: see `helioloop.messaging.unreadable`.
"""

import re
import uuid
from collections.abc import Callable
from typing import Any, Final

import redis

from helioloop.environment.stored_times import AHEAD_SECONDS
from helioloop.messaging.retrain_state import (
    FollowUp,
    PendingEvents,
    Running,
    check_positive,
    position,
    read_position,
)
from helioloop.messaging.unreadable import as_text, as_time, read_hash, read_or_discard

_FINGERPRINT: Final = re.compile(r"[0-9a-f]{8,64}\Z")

# Each script runs as one atomic call. Times stay text: Lua would round them.
ADD_EVENTS: Final = f"""
local old = redis.call('HMGET', KEYS[1], 'token', 'added', 'removed', 'first_at', 'last_at')
local token = old[1] or ARGV[3]
local added = tonumber(old[2] or '0')
local removed = tonumber(old[3] or '0')
local first_at, last_at = ARGV[2], ARGV[2]
if added > removed then
    if tonumber(old[4]) < tonumber(first_at) then first_at = old[4] end
    local last = tonumber(old[5])
    if last > tonumber(last_at) and last <= tonumber(last_at) + {AHEAD_SECONDS} then last_at = old[5] end
end
added = added + tonumber(ARGV[1])
redis.call('HSET', KEYS[1], 'token', token, 'added', added, 'first_at', first_at, 'last_at', last_at)
return {{token, added, added - removed, first_at, last_at}}
"""
_REMOVE_EVENTS: Final = """
local old = redis.call('HMGET', KEYS[1], 'token', 'removed', 'first_at')
if old[1] ~= ARGV[1] or tonumber(ARGV[2]) <= tonumber(old[2] or '0') then return 0 end
redis.call('HSET', KEYS[1], 'removed', ARGV[2])
if tonumber(ARGV[3]) > tonumber(old[3]) then redis.call('HSET', KEYS[1], 'first_at', ARGV[3]) end
return 1
"""
_BEGIN: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'since', ARGV[2], 'heartbeat_at', ARGV[2])
return 1
"""
_HEARTBEAT: Final = """
if redis.call('HGET', KEYS[1], 'fingerprint') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'heartbeat_at', ARGV[2])
return 1
"""
_REQUEST_FOLLOW_UP: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[1] == '1' or redis.call('HEXISTS', KEYS[1], 'follow_up') == 0 then
    redis.call('HSET', KEYS[1], 'follow_up', ARGV[1])
end
return 1
"""
_END: Final = """
if redis.call('HGET', KEYS[1], 'fingerprint') ~= ARGV[1] then return false end
local follow_up = redis.call('HGET', KEYS[1], 'follow_up')
redis.call('DEL', KEYS[1])
if follow_up and (follow_up == '1' or redis.call('EXISTS', KEYS[2]) == 0) then
    redis.call('SET', KEYS[2], follow_up)
end
return follow_up
"""
_SETTLE_FOLLOW_UP: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


class RedisRetrainState:
    """The retrain state in Redis. Methods as in `RetrainState`."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._add_events = connection.register_script(ADD_EVENTS)
        self._remove_events = connection.register_script(_REMOVE_EVENTS)
        self._begin = connection.register_script(_BEGIN)
        self._heartbeat = connection.register_script(_HEARTBEAT)
        self._request_follow_up = connection.register_script(_REQUEST_FOLLOW_UP)
        self._end = connection.register_script(_END)
        self._settle_follow_up = connection.register_script(_SETTLE_FOLLOW_UP)

    def add_events(self, project: int, events: int, *, now: float) -> PendingEvents:
        """Count more events."""
        arguments: list[Any] = [check_positive(events), repr(float(now)), uuid.uuid4().hex]
        token, added, count, first_at, last_at = self.with_readable_events(
            project, lambda: self._add_events(keys=[events_key(project)], args=arguments)
        )
        return PendingEvents(
            count=count, first_at=float(first_at), last_at=float(last_at), position=position(as_text(token), added)
        )

    def with_readable_events(self, project: int, call: Callable[[], Any]) -> Any:
        """Run a script on the pending events and return its result; what cannot be read is discarded first."""
        return self._retry(call, lambda: self.pending_events(project))

    def pending_events(self, project: int) -> PendingEvents | None:
        """Return the pending events."""
        key = events_key(project)
        return read_or_discard(self._redis, key, lambda: _pending(read_hash(self._redis, key)))

    def remove_events(self, project: int, seen: PendingEvents) -> None:
        """Remove the events that were seen."""
        token, added = read_position(seen)
        arguments: list[Any] = [token, added, repr(seen.last_at)]
        self.with_readable_events(project, lambda: self._remove_events(keys=[events_key(project)], args=arguments))

    def begin(self, project: int, fingerprint: str, *, now: float) -> bool:
        """Begin a round."""
        if self.running(project) is not None:
            return False
        return bool(self._begin(keys=[_round_key(project)], args=[fingerprint, repr(float(now))]))

    def running(self, project: int) -> Running | None:
        """Return the running round."""
        key = _round_key(project)
        return read_or_discard(self._redis, key, lambda: _running(read_hash(self._redis, key)))

    def heartbeat(self, project: int, fingerprint: str, *, now: float) -> bool:
        """Store a heartbeat."""
        arguments = [fingerprint, repr(float(now))]
        return bool(
            self._retry(
                lambda: self._heartbeat(keys=[_round_key(project)], args=arguments), lambda: self.running(project)
            )
        )

    def request_follow_up(self, project: int, *, forced: bool) -> bool:
        """Request one more run."""
        if self.running(project) is None:
            return False
        return bool(self._request_follow_up(keys=[_round_key(project)], args=[int(forced)]))

    def end(self, project: int, fingerprint: str) -> FollowUp | None:
        """End a round."""
        if self.running(project) is None:
            return None
        self.follow_up(project)  # one that cannot be read would stay in the place of that of this round
        follow_up = self._end(keys=[_round_key(project), _follow_up_key(project)], args=[fingerprint])
        return None if follow_up is None else FollowUp(forced=as_text(follow_up) == "1")

    def follow_up(self, project: int) -> FollowUp | None:
        """Return the follow-up run of an ended round."""
        key = _follow_up_key(project)
        return read_or_discard(self._redis, key, lambda: _follow_up(self._redis.get(key)))

    def settle_follow_up(self, project: int, sent: FollowUp) -> None:
        """Forget a follow-up run."""
        self._retry(
            lambda: self._settle_follow_up(keys=[_follow_up_key(project)], args=[int(sent.forced)]),
            lambda: self.follow_up(project),
        )

    def _retry(self, call: Callable[[], Any], read: Callable[[], object]) -> Any:
        """Call a script; where it fails, read its key, which discards what cannot be read, and call it again."""
        try:
            return call()
        except redis.ResponseError:
            read()
            return call()


def events_key(project: int) -> str:
    """Return the key of the hash with a project's pending events."""
    return f"helioloop:pending-events:{project:d}"


def _round_key(project: int) -> str:
    return f"helioloop:round:{project:d}"


def _follow_up_key(project: int) -> str:
    return f"helioloop:follow-up:{project:d}"


def _pending(values: dict[str, str]) -> PendingEvents | None:
    if not values:
        return None
    added = int(values["added"])
    first_at, last_at = as_time(values["first_at"]), as_time(values["last_at"])
    counted = position(values["token"], added)
    count = added - int(values.get("removed", 0))
    return PendingEvents(count=count, first_at=first_at, last_at=last_at, position=counted) if count > 0 else None


def _running(values: dict[str, str]) -> Running | None:
    if not values:
        return None
    fingerprint = values["fingerprint"]
    if not _FINGERPRINT.match(fingerprint):
        raise ValueError(f"{fingerprint[:40]!r} is no fingerprint of 8 to 64 hex digits")
    return Running(
        fingerprint=fingerprint, since=as_time(values["since"]), heartbeat_at=as_time(values["heartbeat_at"])
    )


def _follow_up(value: Any) -> FollowUp | None:
    if value is None:
        return None
    text = as_text(value)
    if text not in {"0", "1"}:
        raise ValueError(f"{text[:40]!r} is neither 0 nor 1")
    return FollowUp(forced=text == "1")
