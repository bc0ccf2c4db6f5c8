"""What a project's retraining waits for: pending events, the running round, a pending follow-up run.

The web side only counts events. The worker checks them, runs one round per project at a time, and keeps at most one
pending follow-up run. Redis may be emptied at any time: Label Studio's annotations are the truth, and reconciliation
finds again what was lost. Times are Unix seconds.
"""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, cast

from helioloop.environment.stored_times import is_ahead
from helioloop.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEvents:
    """Annotation events of a project that no retrain check has covered yet.

    Parameters
    ----------
    count : int
        How many there are, at least 1.
    first_at, last_at : float
        Times of the oldest and the newest one. After a retrain check, the oldest time is at least that of the newest
        event that the check covered.
    position : str
        Which events are counted here; used by `RetrainState.remove_events` only.
    """

    count: int
    first_at: float
    last_at: float
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The running round: its fingerprint, when it began, and its last heartbeat."""

    fingerprint: str
    since: float
    heartbeat_at: float

    def is_still(self, now: "Running | None") -> bool:
        """Return whether `now` is the same beginning of the same round; a repeat of a round is another one."""
        return now is not None and (now.fingerprint, now.since) == (self.fingerprint, self.since)


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """One more run after the running round; `forced` where somebody pressed "Start training"."""

    forced: bool


class RetrainState(Protocol):
    """The retrain state of all projects. Every call is atomic; projects are independent of each other."""

    def add_events(self, project: int, events: int, *, now: float) -> PendingEvents:
        """Count `events` more at time `now` and return all that are pending.

        Stored times that are ahead of `now` (`helioloop.environment.stored_times`) are replaced by it.

        Raises
        ------
        ValueError
            Where `events` is less than 1.
        """

    def pending_events(self, project: int) -> PendingEvents | None:
        """Return the pending events, or None."""

    def remove_events(self, project: int, seen: PendingEvents) -> None:
        """Remove exactly the events in `seen`; later ones stay. Removing them twice changes nothing."""

    def begin(self, project: int, fingerprint: str, *, now: float) -> bool:
        """Begin a round; False, and no change, where a round is running, even one with this fingerprint."""

    def running(self, project: int) -> Running | None:
        """Return the running round, or None."""

    def heartbeat(self, project: int, fingerprint: str, *, now: float) -> bool:
        """Store a heartbeat of a round; False where it is not the running one (any more)."""

    def request_follow_up(self, project: int, *, forced: bool) -> bool:
        """Request one more run after the running round; False where none is running: begin a round instead.

        Several requests are merged into one, which is forced where any of the requests was.
        """

    def end(self, project: int, fingerprint: str) -> FollowUp | None:
        """End a round and return the pending follow-up run, if any; another running round is not changed.

        The follow-up run stays in `follow_up` until it is settled, so that none is lost between the two.
        """

    def follow_up(self, project: int) -> FollowUp | None:
        """Return the follow-up run of an ended round that nobody has sent yet, or None."""

    def settle_follow_up(self, project: int, sent: FollowUp) -> None:
        """Forget a follow-up run that was sent; a forced one that was added meanwhile stays."""


def due_at(pending: PendingEvents, settings: Settings, *, now: float) -> float:
    """Return the time at which pending events have to be checked.

    At once (the time of the newest event) where ``retrain_events`` or more are pending. Otherwise
    ``retrain_quiet_seconds`` after the newest event, and at most ``retrain_max_wait_seconds`` after the oldest. Now
    where the newest event is ahead of `now`: a clock was wrong, and since when it waits is not known.
    """
    if is_ahead(pending.last_at, now=now):
        return now
    if pending.count >= settings.retrain_events:
        return pending.last_at
    return min(
        pending.last_at + settings.retrain_quiet_seconds,
        pending.first_at + settings.retrain_max_wait_seconds,
    )


def position(token: str, added: int) -> str:
    """Return a position: how many events were ever added, under the token of this count."""
    return f"{token}:{added}"


def read_position(seen: PendingEvents) -> tuple[str, int]:
    """Return token and number of added events that `position` was made of."""
    token, _, added = seen.position.rpartition(":")
    return token, int(added)


def check_positive(events: int) -> int:
    """Return `events`; a number below 1 is a `ValueError`."""
    if events < 1:
        raise ValueError(f"{events} events cannot be added; add one or more")
    return events


@dataclass(slots=True)
class _Counters:
    """Events of a project ever added and ever removed; the token is new whenever counting starts at 0."""

    token: str
    added: int = 0
    removed: int = 0
    first_at: float = 0.0
    last_at: float = 0.0

    def pending(self) -> PendingEvents | None:
        count = self.added - self.removed
        if count <= 0:
            return None
        return PendingEvents(
            count=count, first_at=self.first_at, last_at=self.last_at, position=position(self.token, self.added)
        )


class InMemoryRetrainState:
    """The in-memory fake: for one process; nothing is stored. Methods as in `RetrainState`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[int, _Counters] = {}
        self._running: dict[int, Running] = {}
        self._follow_ups: dict[int, FollowUp] = {}
        self._unsent: dict[int, FollowUp] = {}

    def add_events(self, project: int, events: int, *, now: float) -> PendingEvents:
        """Count more events."""
        check_positive(events)
        with self._lock:
            counters = self._counters.setdefault(project, _Counters(token=uuid.uuid4().hex))
            pending = counters.pending()
            counters.first_at = now if pending is None else min(counters.first_at, now)
            is_known = pending is not None and not is_ahead(counters.last_at, now=now)
            counters.last_at = max(counters.last_at, now) if is_known else now
            counters.added += events
            return cast("PendingEvents", counters.pending())

    def pending_events(self, project: int) -> PendingEvents | None:
        """Return the pending events."""
        with self._lock:
            counters = self._counters.get(project)
            return None if counters is None else counters.pending()

    def remove_events(self, project: int, seen: PendingEvents) -> None:
        """Remove the events that were seen."""
        token, added = read_position(seen)
        with self._lock:
            counters = self._counters.get(project)
            if counters is not None and counters.token == token and added > counters.removed:
                counters.removed = added
                counters.first_at = max(counters.first_at, seen.last_at)

    def begin(self, project: int, fingerprint: str, *, now: float) -> bool:
        """Begin a round."""
        with self._lock:
            if project in self._running:
                return False
            self._running[project] = Running(fingerprint=fingerprint, since=now, heartbeat_at=now)
            return True

    def running(self, project: int) -> Running | None:
        """Return the running round."""
        with self._lock:
            return self._running.get(project)

    def heartbeat(self, project: int, fingerprint: str, *, now: float) -> bool:
        """Store a heartbeat."""
        with self._if_running(project, fingerprint) as running:
            if running is not None:
                self._running[project] = replace(running, heartbeat_at=now)
            return running is not None

    def request_follow_up(self, project: int, *, forced: bool) -> bool:
        """Request one more run."""
        with self._lock:
            if project not in self._running:
                return False
            before = self._follow_ups.get(project)
            self._follow_ups[project] = FollowUp(forced=forced or (before is not None and before.forced))
            return True

    def end(self, project: int, fingerprint: str) -> FollowUp | None:
        """End a round."""
        with self._if_running(project, fingerprint) as running:
            if running is None:
                return None
            del self._running[project]
            follow_up = self._follow_ups.pop(project, None)
            if follow_up is not None and (follow_up.forced or project not in self._unsent):
                self._unsent[project] = follow_up
            return follow_up

    def follow_up(self, project: int) -> FollowUp | None:
        """Return the follow-up run of an ended round."""
        with self._lock:
            return self._unsent.get(project)

    def settle_follow_up(self, project: int, sent: FollowUp) -> None:
        """Forget a follow-up run."""
        with self._lock:
            if self._unsent.get(project) == sent:
                del self._unsent[project]

    @contextmanager
    def _if_running(self, project: int, fingerprint: str) -> Iterator[Running | None]:
        """Hold the lock and yield the round if it is the running one."""
        with self._lock:
            running = self._running.get(project)
            yield running if running is not None and running.fingerprint == fingerprint else None
