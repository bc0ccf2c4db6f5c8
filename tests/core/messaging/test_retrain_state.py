"""The retrain state: the same sentences hold for the in-memory twin and for Redis."""

import threading
from collections.abc import Callable

import pytest
import redis

from helioloop.messaging.retrain_state import (
    Dirty,
    FollowUp,
    InMemoryRetrainState,
    RedisRetrainState,
    RetrainState,
    due_at,
)
from helioloop.settings import Settings


@pytest.fixture(params=["memory", "redis"])
def state(request: pytest.FixtureRequest) -> RetrainState:
    if request.param == "memory":
        return InMemoryRetrainState()
    return RedisRetrainState(request.getfixturevalue("redis_connection"))


def _seen(state: RetrainState, project: int) -> Dirty:
    dirty = state.dirty(project)
    assert dirty is not None
    return dirty


def test_notes_add_up(state: RetrainState) -> None:
    """Events add up; the first and the last time are those of the events that wait."""
    state.add_events(1, 1, now=100.0)
    state.add_events(1, 3, now=107.25)
    dirty = state.add_events(1, 1, now=103.5)
    assert (dirty.count, dirty.first_at, dirty.last_at) == (5, 100.0, 107.25)
    assert state.dirty(1) == dirty


def test_an_untouched_project_is_clean(state: RetrainState) -> None:
    """Projects are independent: an event of one leaves the other clean."""
    state.add_events(1, 1, now=100.0)
    assert state.dirty(2) is None


def test_times_keep_their_digits(state: RetrainState) -> None:
    """A time comes back exactly, microseconds included."""
    assert state.add_events(1, 1, now=1795412238.123457).first_at == 1795412238.123457


def test_no_events_cannot_be_noted(state: RetrainState) -> None:
    """Noting nothing is a mistake of the caller."""
    with pytest.raises(ValueError, match="0 events"):
        state.add_events(1, 0, now=100.0)


def test_settling_takes_off_what_was_seen(state: RetrainState) -> None:
    """After a judgement nothing waits, and the next event starts the clock anew."""
    state.add_events(1, 4, now=100.0)
    state.settle(1, _seen(state, 1))
    assert state.dirty(1) is None
    dirty = state.add_events(1, 1, now=900.0)
    assert (dirty.count, dirty.first_at, dirty.last_at) == (1, 900.0, 900.0)


def test_events_during_a_judgement_stay(state: RetrainState) -> None:
    """What comes after the judge has looked is not settled with what it saw."""
    state.add_events(1, 4, now=100.0)
    seen = _seen(state, 1)
    state.add_events(1, 2, now=150.0)
    state.settle(1, seen)
    left = _seen(state, 1)
    assert (left.count, left.first_at, left.last_at) == (2, 100.0, 150.0)


def test_settling_twice_takes_nothing_more(state: RetrainState) -> None:
    """Two judges that saw the same events settle them once: later ones are not lost."""
    state.add_events(1, 4, now=100.0)
    seen = _seen(state, 1)
    state.add_events(1, 3, now=150.0)
    state.settle(1, seen)
    state.settle(1, seen)
    assert _seen(state, 1).count == 3


def test_an_older_view_takes_nothing_back(state: RetrainState) -> None:
    """A judge that settles late, with an older view, does not undo a newer settlement."""
    state.add_events(1, 1, now=100.0)
    older = _seen(state, 1)
    state.add_events(1, 1, now=101.0)
    state.settle(1, _seen(state, 1))
    state.settle(1, older)
    assert state.dirty(1) is None


def test_what_was_seen_before_redis_was_emptied_settles_nothing(redis_connection: redis.Redis) -> None:
    """A view from before Redis was emptied cannot take off events noted after."""
    state = RedisRetrainState(redis_connection)
    state.add_events(1, 50, now=100.0)
    seen = _seen(state, 1)
    redis_connection.flushall()
    state.add_events(1, 2, now=200.0)
    state.settle(1, seen)
    assert _seen(state, 1).count == 2


def test_one_round_at_a_time(state: RetrainState) -> None:
    """A second round does not begin while one runs, not even the same one; another project's does."""
    assert state.begin(1, "aaaaaaaa", now=10.0)
    assert not state.begin(1, "bbbbbbbb", now=11.0)
    assert not state.begin(1, "aaaaaaaa", now=11.0)
    assert state.begin(2, "bbbbbbbb", now=11.0)
    running = state.running(1)
    assert running is not None
    assert (running.fingerprint, running.since, running.heartbeat_at) == ("aaaaaaaa", 10.0, 10.0)


def test_a_beat_moves_the_sign_of_life_of_the_running_round_only(state: RetrainState) -> None:
    """The running round's beat is kept; a round that was replaced learns that it is no longer the one."""
    state.begin(1, "aaaaaaaa", now=10.0)
    assert state.heartbeat(1, "aaaaaaaa", now=20.0)
    assert not state.heartbeat(1, "bbbbbbbb", now=30.0)
    running = state.running(1)
    assert running is not None
    assert (running.since, running.heartbeat_at) == (10.0, 20.0)


def test_ending_frees_the_project(state: RetrainState) -> None:
    """After its end nothing runs, nothing trails, and the next round may begin."""
    state.begin(1, "aaaaaaaa", now=10.0)
    assert state.end(1, "aaaaaaaa") is None
    assert state.running(1) is None
    assert not state.heartbeat(1, "aaaaaaaa", now=11.0)
    assert state.begin(1, "bbbbbbbb", now=12.0)


def test_a_stranger_cannot_end_a_round(state: RetrainState) -> None:
    """A late end of a replaced round leaves the running one and its wish alone."""
    state.begin(1, "bbbbbbbb", now=10.0)
    state.request_follow_up(1, forced=False)
    assert state.end(1, "aaaaaaaa") is None
    assert state.end(1, "bbbbbbbb") == FollowUp(forced=False)


@pytest.mark.parametrize(
    ("wishes", "forced"),
    [((False,), False), ((True,), True), ((False, True), True), ((True, False), True), ((False, False), False)],
)
def test_wishes_merge_into_one(state: RetrainState, wishes: tuple[bool, ...], forced: bool) -> None:
    """However many wishes come during a round, one trails it, forced if any was; it is handed over once."""
    state.begin(1, "aaaaaaaa", now=10.0)
    for wish in wishes:
        assert state.request_follow_up(1, forced=wish)
    assert state.end(1, "aaaaaaaa") == FollowUp(forced=forced)
    state.begin(1, "bbbbbbbb", now=20.0)
    assert state.end(1, "bbbbbbbb") is None


def test_no_wish_without_a_round(state: RetrainState) -> None:
    """A wish that comes after the round's end is refused, so that its sender begins a round instead."""
    assert not state.request_follow_up(1, forced=True)
    state.begin(1, "aaaaaaaa", now=10.0)
    state.end(1, "aaaaaaaa")
    assert not state.request_follow_up(1, forced=True)


def _at_once(count: int, action: Callable[[int], object]) -> None:
    start = threading.Barrier(count)

    def run(index: int) -> None:
        start.wait()
        action(index)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_many_writers_at_once_lose_no_event(state: RetrainState) -> None:
    """Events noted from eight threads at once are all counted."""

    def note(_: int) -> None:
        for _ in range(50):
            state.add_events(1, 1, now=100.0)

    _at_once(8, note)
    assert _seen(state, 1).count == 400


def test_of_many_rounds_begun_at_once_one_runs(state: RetrainState) -> None:
    """Eight workers that begin a round at the same moment: one may."""
    began: list[int] = []

    def begin(index: int) -> None:
        if state.begin(1, f"{index:08x}", now=10.0):
            began.append(index)

    _at_once(8, begin)
    assert len(began) == 1


def _settings() -> Settings:
    return Settings(retrain_events=20, retrain_quiet_seconds=60.0, retrain_max_wait_seconds=600.0)


@pytest.mark.parametrize(
    ("count", "first_at", "last_at", "due"),
    [
        (1, 1000.0, 1000.0, 1060.0),  # quiet after the only event
        (19, 1000.0, 1100.0, 1160.0),  # quiet after the last
        (19, 1000.0, 1570.0, 1600.0),  # at the latest ten minutes after the first
        (20, 1000.0, 1100.0, 1100.0),  # enough events: at once
        (10_000, 1000.0, 1001.0, 1001.0),
    ],
)
def test_when_waiting_events_are_judged(count: int, first_at: float, last_at: float, due: float) -> None:
    """Twenty events are judged at once; fewer after a minute of quiet, at the latest ten minutes after the first."""
    dirty = Dirty(count=count, first_at=first_at, last_at=last_at, mark="x:1")
    assert due_at(dirty, _settings()) == due
