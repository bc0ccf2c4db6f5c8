"""What a project's retraining waits for: events not judged yet, the round that runs, the wish for one more after it.

Above `settings`, below web and worker. The web side only notes events; the worker judges them, keeps one round per
project at a time and remembers one trailing wish. Redis can be emptied: Label Studio's annotations are the truth and
the sweep notes again what was lost. Times are Unix seconds.
"""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, cast

import redis

from helioloop.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Dirty:
    """Annotation events of a project that no judgement has covered.

    Parameters
    ----------
    count : int
        How many.
    first_at, last_at : float
        When the oldest and the newest came; after a judgement the oldest counts from the newest one it covered.
    mark : str
        Up to where this was read; `RetrainState.settle` needs it, nobody else looks inside.
    """

    count: int
    first_at: float
    last_at: float
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The round that runs: its fingerprint, since when, and when it last gave a sign of life."""

    fingerprint: str
    since: float
    heartbeat_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """The wish for one more round after the running one; `forced` where somebody pressed "Start training"."""

    forced: bool


class RetrainState(Protocol):
    """Port of the retrain state. Every call is atomic; projects are independent of each other."""

    def add_events(self, project: int, events: int, *, now: float) -> Dirty:
        """Count `events` at time `now` and return all that wait now."""

    def dirty(self, project: int) -> Dirty | None:
        """Return what waits to be judged, or None."""

    def settle(self, project: int, seen: Dirty) -> None:
        """Take off exactly what was seen; later events stay. Settling the same again changes nothing."""

    def begin(self, project: int, fingerprint: str, *, now: float) -> bool:
        """Start a round unless one runs; False where one does, be it the same."""

    def running(self, project: int) -> Running | None:
        """Return the round that runs, or None."""

    def heartbeat(self, project: int, fingerprint: str, *, now: float) -> bool:
        """Give a sign of life; False where this round is not the running one (any more)."""

    def request_follow_up(self, project: int, *, forced: bool) -> bool:
        """Wish one more round after the running one; False where none runs: then begin it instead.

        Wishes merge into one, which is forced if any was.
        """

    def end(self, project: int, fingerprint: str) -> FollowUp | None:
        """End this round and hand over the wish; None where there is none or another round runs (it goes on)."""


def due_at(dirty: Dirty, settings: Settings) -> float:
    """Return the time at which waiting events are to be judged.

    At once (the newest event's own time) when ``retrain_events`` of them wait; else ``retrain_quiet_seconds`` after
    the newest, at the latest ``retrain_max_wait_seconds`` after the oldest.
    """
    if dirty.count >= settings.retrain_events:
        return dirty.last_at
    return min(
        dirty.last_at + settings.retrain_quiet_seconds,
        dirty.first_at + settings.retrain_max_wait_seconds,
    )


@dataclass(slots=True)
class _Book:
    """A project's counters: events ever noted and ever settled, under a token that dies with the book."""

    token: str
    noted: int = 0
    settled: int = 0
    first_at: float = 0.0
    last_at: float = 0.0

    def dirty(self) -> Dirty | None:
        count = self.noted - self.settled
        if count <= 0:
            return None
        mark = f"{self.token}:{self.noted}"
        return Dirty(count=count, first_at=self.first_at, last_at=self.last_at, mark=mark)


class InMemoryRetrainState:
    """The in-memory twin: one process, nothing kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._books: dict[int, _Book] = {}
        self._running: dict[int, Running] = {}
        self._trailing: dict[int, FollowUp] = {}

    def add_events(self, project: int, events: int, *, now: float) -> Dirty:
        """Count events; see `RetrainState.note`."""
        with self._lock:
            book = self._books.setdefault(project, _Book(token=uuid.uuid4().hex))
            waiting = book.dirty()
            book.first_at = now if waiting is None else min(book.first_at, now)
            book.last_at = now if waiting is None else max(book.last_at, now)
            book.noted += _positive(events)
            return cast("Dirty", book.dirty())

    def dirty(self, project: int) -> Dirty | None:
        """Return what waits; see `RetrainState.dirty`."""
        with self._lock:
            book = self._books.get(project)
            return None if book is None else book.dirty()

    def settle(self, project: int, seen: Dirty) -> None:
        """Take off what was seen; see `RetrainState.settle`."""
        token, upto = _read_mark(seen)
        with self._lock:
            book = self._books.get(project)
            if book is not None and book.token == token and upto > book.settled:
                book.settled = upto
                book.first_at = max(book.first_at, seen.last_at)

    def begin(self, project: int, fingerprint: str, *, now: float) -> bool:
        """Start a round; see `RetrainState.begin`."""
        with self._lock:
            if project in self._running:
                return False
            self._running[project] = Running(fingerprint=fingerprint, since=now, heartbeat_at=now)
            return True

    def running(self, project: int) -> Running | None:
        """Return the running round; see `RetrainState.running`."""
        with self._lock:
            return self._running.get(project)

    def heartbeat(self, project: int, fingerprint: str, *, now: float) -> bool:
        """Give a sign of life; see `RetrainState.beat`."""
        with self._its_round(project, fingerprint) as running:
            if running is not None:
                self._running[project] = replace(running, heartbeat_at=now)
            return running is not None

    def request_follow_up(self, project: int, *, forced: bool) -> bool:
        """Wish one more round; see `RetrainState.request_follow_up`."""
        with self._lock:
            if project not in self._running:
                return False
            before = self._trailing.get(project)
            self._trailing[project] = FollowUp(forced=forced or (before is not None and before.forced))
            return True

    def end(self, project: int, fingerprint: str) -> FollowUp | None:
        """End a round; see `RetrainState.end`."""
        with self._its_round(project, fingerprint) as running:
            if running is None:
                return None
            del self._running[project]
            return self._trailing.pop(project, None)

    @contextmanager
    def _its_round(self, project: int, fingerprint: str) -> Iterator[Running | None]:
        with self._lock:
            running = self._running.get(project)
            yield running if running is not None and running.fingerprint == fingerprint else None


# Each script is one call and thus atomic. Times stay text: Lua would round what a double holds.
_NOTE: Final = """
local book = redis.call('HMGET', KEYS[1], 'token', 'noted', 'settled', 'first_at', 'last_at')
local token = book[1] or ARGV[3]
local noted = tonumber(book[2] or '0')
local waiting = noted - tonumber(book[3] or '0')
local first_at, last_at = ARGV[2], ARGV[2]
if waiting > 0 then
    if tonumber(book[4]) < tonumber(first_at) then first_at = book[4] end
    if tonumber(book[5]) > tonumber(last_at) then last_at = book[5] end
end
noted = noted + tonumber(ARGV[1])
redis.call('HSET', KEYS[1], 'token', token, 'noted', noted, 'first_at', first_at, 'last_at', last_at)
return {token, noted, noted - tonumber(book[3] or '0'), first_at, last_at}
"""
_SETTLE: Final = """
local book = redis.call('HMGET', KEYS[1], 'token', 'settled', 'first_at')
if book[1] ~= ARGV[1] or tonumber(ARGV[2]) <= tonumber(book[2] or '0') then return 0 end
redis.call('HSET', KEYS[1], 'settled', ARGV[2])
if tonumber(ARGV[3]) > tonumber(book[3]) then redis.call('HSET', KEYS[1], 'first_at', ARGV[3]) end
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
_FOLLOW_UP: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[1] == '1' or redis.call('HEXISTS', KEYS[1], 'trailing') == 0 then
    redis.call('HSET', KEYS[1], 'trailing', ARGV[1])
end
return 1
"""
_END: Final = """
if redis.call('HGET', KEYS[1], 'fingerprint') ~= ARGV[1] then return false end
local trailing = redis.call('HGET', KEYS[1], 'trailing')
redis.call('DEL', KEYS[1])
return trailing
"""


class RedisRetrainState:
    """The retrain state of all web and worker processes: two Redis hashes a project, changed by scripts."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._note = connection.register_script(_NOTE)
        self._settle = connection.register_script(_SETTLE)
        self._begin = connection.register_script(_BEGIN)
        self._beat = connection.register_script(_HEARTBEAT)
        self._wish = connection.register_script(_FOLLOW_UP)
        self._end = connection.register_script(_END)

    def add_events(self, project: int, events: int, *, now: float) -> Dirty:
        """Count events; see `RetrainState.note`."""
        fresh = uuid.uuid4().hex
        token, noted, count, first_at, last_at = self._note(
            keys=[_dirty_key(project)], args=[_positive(events), repr(float(now)), fresh]
        )
        return Dirty(count=count, first_at=float(first_at), last_at=float(last_at), mark=f"{_text(token)}:{noted}")

    def dirty(self, project: int) -> Dirty | None:
        """Return what waits; see `RetrainState.dirty`."""
        values = _hash(self._redis, _dirty_key(project))
        if not values:
            return None
        return _Book(
            token=values["token"],
            noted=int(values["noted"]),
            settled=int(values.get("settled", 0)),
            first_at=float(values["first_at"]),
            last_at=float(values["last_at"]),
        ).dirty()

    def settle(self, project: int, seen: Dirty) -> None:
        """Take off what was seen; see `RetrainState.settle`."""
        token, upto = _read_mark(seen)
        self._settle(keys=[_dirty_key(project)], args=[token, upto, repr(seen.last_at)])

    def begin(self, project: int, fingerprint: str, *, now: float) -> bool:
        """Start a round; see `RetrainState.begin`."""
        return bool(self._begin(keys=[_round_key(project)], args=[fingerprint, repr(float(now))]))

    def running(self, project: int) -> Running | None:
        """Return the running round; see `RetrainState.running`."""
        values = _hash(self._redis, _round_key(project))
        if not values:
            return None
        return Running(
            fingerprint=values["fingerprint"], since=float(values["since"]), heartbeat_at=float(values["heartbeat_at"])
        )

    def heartbeat(self, project: int, fingerprint: str, *, now: float) -> bool:
        """Give a sign of life; see `RetrainState.beat`."""
        return bool(self._beat(keys=[_round_key(project)], args=[fingerprint, repr(float(now))]))

    def request_follow_up(self, project: int, *, forced: bool) -> bool:
        """Wish one more round; see `RetrainState.request_follow_up`."""
        return bool(self._wish(keys=[_round_key(project)], args=[int(forced)]))

    def end(self, project: int, fingerprint: str) -> FollowUp | None:
        """End a round; see `RetrainState.end`."""
        wish = self._end(keys=[_round_key(project)], args=[fingerprint])
        return None if wish is None else FollowUp(forced=_text(wish) == "1")


def _dirty_key(project: int) -> str:
    return f"helioloop:dirty:{project:d}"


def _round_key(project: int) -> str:
    return f"helioloop:round:{project:d}"


def _positive(events: int) -> int:
    if events < 1:
        raise ValueError(f"{events} events cannot be noted; one or more can")
    return events


def _read_mark(seen: Dirty) -> tuple[str, int]:
    token, _, upto = seen.mark.rpartition(":")
    return token, int(upto)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _hash(connection: redis.Redis, key: str) -> dict[str, str]:
    values = cast("dict[Any, Any]", connection.hgetall(key))
    return {_text(name): _text(value) for name, value in values.items()}
