"""The retrain state: the in-memory fake and Redis run the same tests."""

import threading
from collections.abc import Callable

import pytest
import redis

from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.messaging.retrain_state import FollowUp, InMemoryRetrainState, PendingEvents, RetrainState, due_at
from helioloop.settings import Settings


@pytest.fixture(params=["memory", "redis"])
def state(request: pytest.FixtureRequest) -> RetrainState:
    if request.param == "memory":
        return InMemoryRetrainState()
    return RedisRetrainState(request.getfixturevalue("redis_connection"))


def pending(state: RetrainState, project: int) -> PendingEvents:
    """The pending events of a project that has some."""
    found = state.pending_events(project)
    assert found is not None
    return found


def test_events_add_up(state: RetrainState) -> None:
    """The first and the last time are those of the oldest and the newest pending event."""
    state.add_events(1, 1, now=100.0)
    state.add_events(1, 3, now=107.25)
    added = state.add_events(1, 1, now=103.5)
    assert (added.count, added.first_at, added.last_at) == (5, 100.0, 107.25)
    assert state.pending_events(1) == added


def test_events_of_one_project_are_not_pending_in_another(state: RetrainState) -> None:
    state.add_events(1, 1, now=100.0)
    assert state.pending_events(2) is None


def test_times_keep_their_digits(state: RetrainState) -> None:
    """A time is returned exactly, microseconds included."""
    assert state.add_events(1, 1, now=1795412238.123457).first_at == 1795412238.123457


def test_adding_no_events_is_an_error_and_changes_nothing(state: RetrainState) -> None:
    before = state.add_events(1, 1, now=100.0)
    with pytest.raises(ValueError, match="0 events"):
        state.add_events(1, 0, now=200.0)
    assert state.pending_events(1) == before


def test_removing_takes_off_what_was_seen(state: RetrainState) -> None:
    """After a retrain check nothing is pending, and the next event is the oldest one."""
    state.add_events(1, 4, now=100.0)
    state.remove_events(1, pending(state, 1))
    assert state.pending_events(1) is None
    added = state.add_events(1, 1, now=900.0)
    assert (added.count, added.first_at, added.last_at) == (1, 900.0, 900.0)


def test_events_during_a_check_stay(state: RetrainState) -> None:
    """Events that come after a check has looked are not removed with those that it saw."""
    state.add_events(1, 4, now=100.0)
    seen = pending(state, 1)
    state.add_events(1, 2, now=150.0)
    state.remove_events(1, seen)
    left = pending(state, 1)
    assert (left.count, left.first_at, left.last_at) == (2, 100.0, 150.0)


def test_removing_twice_takes_off_nothing_more(state: RetrainState) -> None:
    """Two checks that saw the same events remove them once: later events are not lost."""
    state.add_events(1, 4, now=100.0)
    seen = pending(state, 1)
    state.add_events(1, 3, now=150.0)
    state.remove_events(1, seen)
    state.remove_events(1, seen)
    assert pending(state, 1).count == 3


def test_a_late_check_does_not_bring_events_back(state: RetrainState) -> None:
    """A check that ends late, and saw fewer events, does not undo a later removal."""
    state.add_events(1, 1, now=100.0)
    older = pending(state, 1)
    state.add_events(1, 1, now=101.0)
    state.remove_events(1, pending(state, 1))
    state.remove_events(1, older)
    assert state.pending_events(1) is None


def test_events_seen_before_redis_was_emptied_remove_nothing(redis_connection: redis.Redis) -> None:
    """Counting starts anew after Redis was emptied; an older position does not belong to the new count."""
    state = RedisRetrainState(redis_connection)
    state.add_events(1, 50, now=100.0)
    seen = pending(state, 1)
    redis_connection.flushall()
    state.add_events(1, 2, now=200.0)
    state.remove_events(1, seen)
    assert pending(state, 1).count == 2


def test_one_round_at_a_time(state: RetrainState) -> None:
    """While a round is running no other one begins, not even the same one again; another project's does."""
    assert state.begin(1, "aaaaaaaa", now=10.0)
    assert not state.begin(1, "bbbbbbbb", now=11.0)
    assert not state.begin(1, "aaaaaaaa", now=11.0)
    assert state.begin(2, "bbbbbbbb", now=11.0)
    running = state.running(1)
    assert running is not None
    assert (running.fingerprint, running.since, running.heartbeat_at) == ("aaaaaaaa", 10.0, 10.0)


def test_only_the_running_round_has_heartbeats(state: RetrainState) -> None:
    """A heartbeat of another round is not stored, and the answer is False."""
    state.begin(1, "aaaaaaaa", now=10.0)
    assert state.heartbeat(1, "aaaaaaaa", now=20.0)
    assert not state.heartbeat(1, "bbbbbbbb", now=30.0)
    running = state.running(1)
    assert running is not None
    assert (running.since, running.heartbeat_at) == (10.0, 20.0)


def test_ending_frees_the_project(state: RetrainState) -> None:
    """Afterwards nothing is running, no follow-up is pending, and the next round may begin."""
    state.begin(1, "aaaaaaaa", now=10.0)
    assert state.end(1, "aaaaaaaa") is None
    assert state.running(1) is None
    assert not state.heartbeat(1, "aaaaaaaa", now=11.0)
    assert state.begin(1, "bbbbbbbb", now=12.0)


def test_another_round_cannot_end_the_running_one(state: RetrainState) -> None:
    """A late end of a replaced round changes neither the running round nor its pending follow-up."""
    state.begin(1, "bbbbbbbb", now=10.0)
    state.request_follow_up(1, forced=False)
    assert state.end(1, "aaaaaaaa") is None
    assert state.end(1, "bbbbbbbb") == FollowUp(forced=False)


@pytest.mark.parametrize(
    ("requests", "forced"),
    [((False,), False), ((True,), True), ((False, True), True), ((True, False), True), ((False, False), False)],
)
def test_requests_for_a_follow_up_are_merged(state: RetrainState, requests: tuple[bool, ...], forced: bool) -> None:
    """However many come during a round, one run follows, forced if any request was; it is returned once."""
    state.begin(1, "aaaaaaaa", now=10.0)
    for one in requests:
        assert state.request_follow_up(1, forced=one)
    assert state.end(1, "aaaaaaaa") == FollowUp(forced=forced)
    state.begin(1, "bbbbbbbb", now=20.0)
    assert state.end(1, "bbbbbbbb") is None


def test_no_follow_up_without_a_round(state: RetrainState) -> None:
    """A request that comes after the end of the round is refused, so that its sender begins a round instead."""
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
    """Events added from eight threads at once are all counted."""

    def add(_: int) -> None:
        for _ in range(50):
            state.add_events(1, 1, now=100.0)

    _at_once(8, add)
    assert pending(state, 1).count == 400


def test_of_many_rounds_begun_at_once_one_runs(state: RetrainState) -> None:
    """Eight workers begin a round at the same moment: one succeeds."""
    began: list[int] = []

    def begin(index: int) -> None:
        if state.begin(1, f"{index:08x}", now=10.0):
            began.append(index)

    _at_once(8, begin)
    assert len(began) == 1


@pytest.mark.parametrize(
    ("count", "first_at", "last_at", "due"),
    [
        (1, 1000.0, 1000.0, 1060.0),  # a minute after the only event
        (19, 1000.0, 1100.0, 1160.0),  # a minute after the newest
        (19, 1000.0, 1570.0, 1600.0),  # at most ten minutes after the oldest
        (20, 1000.0, 1100.0, 1100.0),  # enough events: at once
        (10_000, 1000.0, 1001.0, 1001.0),
    ],
)
def test_when_pending_events_are_checked(count: int, first_at: float, last_at: float, due: float) -> None:
    """Twenty events are checked at once; fewer after a minute of quiet, at most ten minutes after the oldest."""
    settings = Settings(retrain_events=20, retrain_quiet_seconds=60.0, retrain_max_wait_seconds=600.0)
    events = PendingEvents(count=count, first_at=first_at, last_at=last_at, position="x:1")
    assert due_at(events, settings, now=last_at) == due


def test_the_follow_up_of_an_ended_round_stays_until_it_is_settled(state: RetrainState) -> None:
    """A worker may be killed between ending the round and sending the check; an ordinary one does not hide a forced."""
    state.begin(1, "abababab", now=1.0)
    state.request_follow_up(1, forced=True)
    assert state.follow_up(1) is None
    state.end(1, "abababab")
    assert state.follow_up(1) == FollowUp(forced=True)
    assert state.follow_up(2) is None
    state.begin(1, "cdcdcdcd", now=2.0)
    state.request_follow_up(1, forced=False)
    state.end(1, "cdcdcdcd")
    assert state.follow_up(1) == FollowUp(forced=True)
    state.settle_follow_up(1, FollowUp(forced=False))
    assert state.follow_up(1) == FollowUp(forced=True)
    state.settle_follow_up(1, FollowUp(forced=True))
    assert state.follow_up(1) is None


def test_a_round_without_a_follow_up_leaves_none(state: RetrainState) -> None:
    state.begin(1, "abababab", now=1.0)
    assert state.end(1, "abababab") is None
    assert state.follow_up(1) is None


def test_a_repeat_of_a_round_is_another_running_round(state: RetrainState) -> None:
    """A process that was stopped in the first one is not the owner of the second; a heartbeat changes nothing."""
    state.begin(1, "abababab", now=1.0)
    first = state.running(1)
    assert first is not None
    state.heartbeat(1, "ab", now=5.0)
    assert first.is_still(state.running(1))
    state.end(1, "abababab")
    assert not first.is_still(state.running(1))
    state.begin(1, "abababab", now=9.0)
    assert not first.is_still(state.running(1))


# -- clocks that were ahead -----------------------------------------------------------------------

NOW = 1_795_000_000.0
DAY = 86400.0


def test_an_event_counted_while_the_clock_was_ahead_does_not_postpone_later_ones(state: RetrainState) -> None:
    """They count from the next event on; a few seconds between two machines stay."""
    state.add_events(1, 1, now=NOW + DAY)
    added = state.add_events(1, 1, now=NOW)
    assert (added.count, added.first_at, added.last_at) == (2, NOW, NOW)
    assert state.pending_events(1) == added
    state.add_events(1, 1, now=NOW + 7.0)
    added = state.add_events(1, 1, now=NOW + 2.0)
    assert (added.count, added.first_at, added.last_at) == (4, NOW, NOW + 7.0)


def test_a_check_made_while_the_clock_was_ahead_does_not_postpone_later_events(state: RetrainState) -> None:
    state.add_events(1, 2, now=NOW + DAY)
    state.remove_events(1, pending(state, 1))
    added = state.add_events(1, 1, now=NOW)
    assert (added.count, added.first_at, added.last_at) == (1, NOW, NOW)


@pytest.mark.parametrize(
    ("last_at", "due"),
    [(NOW + DAY, NOW), (NOW + 61.0, NOW), (NOW + 30.0, NOW + 90.0), (NOW, NOW + 60.0), (NOW - DAY, NOW - DAY + 60.0)],
)
def test_events_that_are_ahead_are_checked_now(last_at: float, due: float) -> None:
    events = PendingEvents(count=1, first_at=last_at, last_at=last_at, position="x:1")
    assert due_at(events, Settings(retrain_quiet_seconds=60.0), now=NOW) == due
