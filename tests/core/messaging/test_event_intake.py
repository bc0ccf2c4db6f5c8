"""An event that is counted in one round trip has the effects of counting it and sending its retrain check."""

import time
from collections.abc import Callable

import pytest
import redis
from rq.job import Job, JobStatus

from helioloop.messaging import event_intake, queues, stored_jobs
from helioloop.messaging.event_intake import EventIntake
from helioloop.messaging.messages import QUEUE_MAINTENANCE, RetrainCheck
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.messaging.retrain_state import due_at
from helioloop.settings import Settings

SCHEDULE = f"rq:scheduled:{QUEUE_MAINTENANCE}"
NOW = 1_795_000_000.25
RULES = Settings(retrain_events=4, retrain_quiet_seconds=60.0, retrain_max_wait_seconds=100.0)


def _two_steps(connection: redis.Redis) -> tuple[int, float, bool]:
    """Take in an event in the two steps that `EventIntake` makes one; return count, delay and whether a job is new."""
    pending = RedisRetrainState(connection).add_events(1, 1, now=time.time())
    delay_seconds = max(0.0, due_at(pending, RULES, now=time.time()) - time.time())
    return (
        pending.count,
        delay_seconds,
        queues.send(connection, RetrainCheck(project=1), delay_seconds=delay_seconds),
    )


def _one_step(connection: redis.Redis) -> tuple[int, float, bool]:
    taken = EventIntake(connection, RULES).take_in(1, 1)
    return taken.pending.count, taken.delay_seconds, taken.is_new


def _jobs(connection: redis.Redis) -> tuple[list[bytes], list[tuple[bytes, float]]]:
    """Return the jobs that wait and those that are scheduled, with their times."""
    return connection.lrange(f"rq:queue:{QUEUE_MAINTENANCE}", 0, -1), connection.zrange(
        SCHEDULE, 0, -1, withscores=True
    )


def test_one_step_is_the_two_steps(redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events with pauses up to and beyond each rule, in which the check is scheduled, moved, due, running and over."""
    seen = []
    for take_in in (_two_steps, _one_step):
        redis_connection.flushall()
        now = NOW
        monkeypatch.setattr(time, "time", lambda: now)  # noqa: B023 - read while it holds
        monkeypatch.setattr(stored_jobs, "move", _move_at(lambda: now))  # noqa: B023
        found = []
        for pause in (0.0, 30.5, 30.0, 30.0, 9.0, 1.0, 500.0, 0.0):
            now += pause
            found.append((take_in(redis_connection), _jobs(redis_connection)[1]))
        seen.append(found)
    counts = [taken[0] for taken, _ in seen[0]]
    assert counts == list(range(1, 9))
    # the first job is scheduled by rq itself, at the real time
    assert seen[0][1:] == seen[1][1:]


def _move_at(now: Callable[[], float]) -> Callable[..., bool]:
    """Return `stored_jobs.move` on a clock that stands still between two events."""

    def move(target: queues.Queue, job_id: str, *, delay_seconds: float) -> bool:
        schedule = target.scheduled_job_registry.key
        target.connection.zadd(schedule, {job_id: int(now() + delay_seconds)}, xx=True)
        return target.connection.zscore(schedule, job_id) is not None

    return move


def test_thousands_of_events_make_two_checks_at_most(redis_connection: redis.Redis) -> None:
    """One that starts in the middle of the burst, and one for the events after it; Redis does not grow."""
    intake = EventIntake(redis_connection, RULES)
    started = 0
    sizes = []
    for number in range(2_500):
        assert intake.take_in(1, 1).pending.count == number + 1
        if number == 1_250:  # a worker takes the check
            (job,) = redis_connection.zrange(SCHEDULE, 0, -1)
            redis_connection.zrem(SCHEDULE, job)
            redis_connection.hset(Job.key_for(job.decode()), "status", JobStatus.STARTED.value)
            redis_connection.zadd(f"rq:wip:{QUEUE_MAINTENANCE}", {f"{job.decode()}:execution": time.time() + 600})
            started += 1
        if number % 600 == 100:
            keys = redis_connection.keys()
            sizes.append((len(keys), sum(redis_connection.memory_usage(key) or 0 for key in keys)))
    waiting, scheduled = _jobs(redis_connection)
    assert started + len(waiting) + len(scheduled) == 2
    assert max(keys for keys, _ in sizes) <= 8
    assert sizes[-1][1] - sizes[0][1] < 10_000


def test_projects_without_a_model_folder_are_limited(
    redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are counted stay counted, and make room a day after their latest event."""
    intake = EventIntake(redis_connection, RULES)
    now = NOW
    monkeypatch.setattr(time, "time", lambda: now)
    admitted = [intake.admit_unknown(project) for project in range(1, event_intake.UNKNOWN_PROJECTS + 6)]
    assert admitted == [True] * event_intake.UNKNOWN_PROJECTS + [False] * 5
    assert intake.admit_unknown(1)
    assert not intake.admit_unknown(101)
    now += event_intake.UNKNOWN_SECONDS - 1.0
    assert intake.admit_unknown(7)
    now += 2.0
    assert intake.admit_unknown(101)
    assert 0 < redis_connection.ttl("helioloop:unknown-projects") <= event_intake.UNKNOWN_SECONDS


@pytest.mark.parametrize("events", [0, -1])
def test_no_events_are_an_error(redis_connection: redis.Redis, events: int) -> None:
    with pytest.raises(ValueError, match="cannot be added"):
        EventIntake(redis_connection, RULES).take_in(1, events)
    assert redis_connection.dbsize() == 0


def test_an_event_counted_while_the_clock_was_ahead_does_not_postpone_the_check(
    redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next event brings the check that was scheduled for a year later to a minute from now."""
    now = time.time()
    intake = EventIntake(redis_connection, RULES)
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda: now + 365 * 86400.0)
        intake.take_in(1, 1)
    redis_connection.zadd(SCHEDULE, {RetrainCheck(project=1).job_id: now + 365 * 86400.0}, xx=True)
    taken = intake.take_in(1, 1)
    assert (taken.pending.count, taken.delay_seconds) == (2, pytest.approx(60.0, abs=2.0))
    assert [at for _, at in _jobs(redis_connection)[1]] == [pytest.approx(now + 60.0, abs=3.0)]


def test_projects_that_sent_events_while_the_clock_was_ahead_leave_room_for_others(
    redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_intake, "UNKNOWN_PROJECTS", 2)
    intake, now = EventIntake(redis_connection, RULES), time.time()
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda: now + 365 * 86400.0)
        assert [intake.admit_unknown(project) for project in (1, 2, 3)] == [True, True, False]
    assert [intake.admit_unknown(project) for project in (3, 4, 5)] == [True, True, False]
