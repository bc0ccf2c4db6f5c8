"""The retrain state in Redis, for all processes: a few keys per project, changed by Lua scripts."""

import uuid
from typing import Any, Final, cast

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
        new_token = uuid.uuid4().hex
        token, added, count, first_at, last_at = self._add_events(
            keys=[events_key(project)], args=[check_positive(events), repr(float(now)), new_token]
        )
        return PendingEvents(
            count=count, first_at=float(first_at), last_at=float(last_at), position=position(_text(token), added)
        )

    def pending_events(self, project: int) -> PendingEvents | None:
        """Return the pending events."""
        values = _hash(self._redis, events_key(project))
        if not values:
            return None
        added = int(values["added"])
        count = added - int(values.get("removed", 0))
        if count <= 0:
            return None
        return PendingEvents(
            count=count,
            first_at=float(values["first_at"]),
            last_at=float(values["last_at"]),
            position=position(values["token"], added),
        )

    def remove_events(self, project: int, seen: PendingEvents) -> None:
        """Remove the events that were seen."""
        token, added = read_position(seen)
        self._remove_events(keys=[events_key(project)], args=[token, added, repr(seen.last_at)])

    def begin(self, project: int, fingerprint: str, *, now: float) -> bool:
        """Begin a round."""
        return bool(self._begin(keys=[_round_key(project)], args=[fingerprint, repr(float(now))]))

    def running(self, project: int) -> Running | None:
        """Return the running round."""
        values = _hash(self._redis, _round_key(project))
        if not values:
            return None
        return Running(
            fingerprint=values["fingerprint"], since=float(values["since"]), heartbeat_at=float(values["heartbeat_at"])
        )

    def heartbeat(self, project: int, fingerprint: str, *, now: float) -> bool:
        """Store a heartbeat."""
        return bool(self._heartbeat(keys=[_round_key(project)], args=[fingerprint, repr(float(now))]))

    def request_follow_up(self, project: int, *, forced: bool) -> bool:
        """Request one more run."""
        return bool(self._request_follow_up(keys=[_round_key(project)], args=[int(forced)]))

    def end(self, project: int, fingerprint: str) -> FollowUp | None:
        """End a round."""
        follow_up = self._end(keys=[_round_key(project), _follow_up_key(project)], args=[fingerprint])
        return None if follow_up is None else FollowUp(forced=_text(follow_up) == "1")

    def follow_up(self, project: int) -> FollowUp | None:
        """Return the follow-up run of an ended round."""
        value = self._redis.get(_follow_up_key(project))
        return None if value is None else FollowUp(forced=_text(value) == "1")

    def settle_follow_up(self, project: int, sent: FollowUp) -> None:
        """Forget a follow-up run."""
        self._settle_follow_up(keys=[_follow_up_key(project)], args=[int(sent.forced)])


def events_key(project: int) -> str:
    """Return the key of the hash with a project's pending events."""
    return f"helioloop:pending-events:{project:d}"


def _round_key(project: int) -> str:
    return f"helioloop:round:{project:d}"


def _follow_up_key(project: int) -> str:
    return f"helioloop:follow-up:{project:d}"


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _hash(connection: redis.Redis, key: str) -> dict[str, str]:
    values = cast("dict[Any, Any]", connection.hgetall(key))
    return {_text(name): _text(value) for name, value in values.items()}
