"""What somebody else wrote into the loop's keys: it is deleted, named in the log, and counts as absent."""

from collections.abc import Callable

import pytest
import redis
from rq.job import Job, JobStatus

from helioloop.messaging import queues
from helioloop.messaging.arrived_events import arrived_events, count_arrived_event
from helioloop.messaging.event_intake import EventIntake
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.messages import RetrainCheck, Score, WriteBack
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.messaging.retrain_state import FollowUp
from helioloop.messaging.unreadable import as_time, read_or_discard
from helioloop.records.cubes import CubeInfo
from helioloop.settings import Settings

Write = Callable[[redis.Redis, str], object]

CUBE = CubeInfo(release="r", name="A", sha256="a" * 64)
FINGERPRINT = "ab" * 32
NOW = 1_795_000_000.0
WRONG_TYPES: dict[str, Write] = {
    "a text": lambda connection, key: connection.set(key, "x"),
    "a list": lambda connection, key: connection.rpush(key, "x"),
    "a set": lambda connection, key: connection.sadd(key, "x"),
}


def _hash(**fields: str | bytes) -> Write:
    return lambda connection, key: connection.hset(key, mapping=dict(fields))


ROUNDS: dict[str, Write] = {
    **WRONG_TYPES,
    "no fingerprint": _hash(follow_up="1"),
    "no time": _hash(fingerprint=FINGERPRINT),
    "no number": _hash(fingerprint=FINGERPRINT, since="x", heartbeat_at="1"),
    "not a number": _hash(fingerprint=FINGERPRINT, since="1", heartbeat_at="nan"),
    "no date": _hash(fingerprint=FINGERPRINT, since="1e300", heartbeat_at="1"),
    "a path": _hash(fingerprint="../../x", since="1", heartbeat_at="1"),
    "no text": _hash(fingerprint=b"\xff\xfe", since="1", heartbeat_at="1"),
}
EVENTS: dict[str, Write] = {
    **WRONG_TYPES,
    "no number": _hash(added="x"),
    "no times": _hash(added="3"),
    "no token": _hash(added="3", first_at="1", last_at="1"),
    "no date": _hash(added="3", token="t", first_at="1", last_at="inf"),
    "no text": _hash(added=b"\xff"),
}
FOLLOW_UPS: dict[str, Write] = {
    "a hash": _hash(a="x"),
    "a list": WRONG_TYPES["a list"],
    "another text": WRONG_TYPES["a text"],
}


@pytest.fixture
def state(redis_connection: redis.Redis) -> RedisRetrainState:
    return RedisRetrainState(redis_connection)


@pytest.mark.parametrize("write", ROUNDS.values(), ids=ROUNDS)
def test_a_round_that_cannot_be_read_does_not_run(
    redis_connection: redis.Redis, state: RedisRetrainState, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    """Another one begins, and nothing raises, whatever is called first."""
    key = "helioloop:round:1"
    calls: dict[str, tuple[Callable[[], object], object]] = {
        "running": (lambda: state.running(1), None),
        "heartbeat": (lambda: state.heartbeat(1, "cd" * 32, now=NOW), False),
        "follow-up": (lambda: state.request_follow_up(1, forced=True), False),
        "end": (lambda: state.end(1, "cd" * 32), None),
        "begin": (lambda: state.begin(1, FINGERPRINT, now=NOW), True),
    }
    for call, answer in calls.values():
        redis_connection.delete(key)
        write(redis_connection, key)
        assert call() == answer
        state.begin(1, FINGERPRINT, now=NOW)
        running = state.running(1)
        assert running is not None
        assert running.heartbeat_at == NOW
    assert "helioloop:round:1 in Redis cannot be read (" in caplog.text
    assert "it is deleted, and reconciliation finds what it was for" in caplog.text


@pytest.mark.parametrize("write", EVENTS.values(), ids=EVENTS)
def test_events_that_cannot_be_read_count_from_0(
    redis_connection: redis.Redis, state: RedisRetrainState, write: Write
) -> None:
    """Also where they are counted before they are read, by both ways of counting."""
    key, intake = "helioloop:pending-events:1", EventIntake(redis_connection, Settings())
    write(redis_connection, key)
    assert state.pending_events(1) is None
    seen = state.add_events(1, 2, now=NOW)
    for count in (lambda: state.add_events(1, 1, now=NOW).count, lambda: intake.take_in(1, 1).pending.count):
        redis_connection.delete(key)
        write(redis_connection, key)
        state.remove_events(1, seen)
        state.pending_events(1)
        assert count() == 1
        redis_connection.delete(key)
        write(redis_connection, key)
        count()
        state.pending_events(1)  # what still cannot be read is discarded here
        count()
        assert state.pending_events(1) is not None


@pytest.mark.parametrize("write", FOLLOW_UPS.values(), ids=FOLLOW_UPS)
def test_a_follow_up_that_cannot_be_read_hides_none(
    redis_connection: redis.Redis, state: RedisRetrainState, write: Write
) -> None:
    write(redis_connection, "helioloop:follow-up:1")
    assert state.follow_up(1) is None
    write(redis_connection, "helioloop:follow-up:1")
    state.settle_follow_up(1, FollowUp(forced=True))
    state.begin(1, FINGERPRINT, now=NOW)
    state.request_follow_up(1, forced=False)
    write(redis_connection, "helioloop:follow-up:1")
    assert state.end(1, FINGERPRINT) == state.follow_up(1) == FollowUp(forced=False)


@pytest.mark.parametrize("key", ["helioloop:failing-jobs:1", "helioloop:jobs-put-back:1"])
@pytest.mark.parametrize("write", WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_failures_that_cannot_be_read_stop_no_job(redis_connection: redis.Redis, key: str, write: Write) -> None:
    """Neither sending, nor counting, nor putting back."""
    failures, message = JobFailures(redis_connection), WriteBack(project=1, version="v0001")
    write(redis_connection, key)
    assert queues.send(redis_connection, message)
    for _ in range(4):
        failures.fail(
            1, message.failure_key, "no space", limit=4, may_pass=False, reconcile_seconds=300.0, message=message
        )
    assert [known.is_parked for known in failures.failing(1)] == [True]
    assert queues.send(redis_connection, message, anew=True) is False  # it waits
    assert failures.failing(1) == []
    assert list(failures.put_back_at(1)) == [message.failure_key]


@pytest.mark.parametrize("value", ["x", '{"key": "a", "failures": 1, "failed_at": 1e300}', '{"key":"a","next_at":NaN}'])
def test_a_record_of_failures_that_cannot_be_read_is_deleted(
    redis_connection: redis.Redis, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    redis_connection.hset("helioloop:failing-jobs:1", "a", value)
    assert JobFailures(redis_connection).all(1) == []
    assert not redis_connection.exists("helioloop:failing-jobs:1")
    assert "b'a' of helioloop:failing-jobs:1 in Redis cannot be read" in caplog.text


@pytest.mark.parametrize("write", [*WRONG_TYPES.values(), _hash(PROJECT_UPDATED="x"), _hash(other=b"\xff")])
def test_counts_of_events_that_cannot_be_read_count_from_0(redis_connection: redis.Redis, write: Write) -> None:
    write(redis_connection, "helioloop:arrived-events:1")
    assert arrived_events(redis_connection, 1) == {}
    write(redis_connection, "helioloop:arrived-events:1")
    count_arrived_event(redis_connection, 1, "PROJECT_UPDATED")
    assert arrived_events(redis_connection, 1) == {"PROJECT_UPDATED": 1}


@pytest.mark.parametrize("enqueued_at", ["x", "", b"\xff", "2026-13-41T00:00:00Z"])
@pytest.mark.parametrize(
    "message",
    [
        RetrainCheck(project=1),
        Score(project=1, version="v0001", cubes=(CUBE,)),
    ],
    ids=["check", "score"],
)
def test_a_job_whose_time_cannot_be_read_does_not_block(
    redis_connection: redis.Redis, enqueued_at: str | bytes, message: RetrainCheck | Score
) -> None:
    redis_connection.hset(Job.key_for(message.job_id), mapping={"status": "queued", "enqueued_at": enqueued_at})
    assert queues.job_status(redis_connection, message) is None
    assert queues.send(redis_connection, message)
    assert queues.job_status(redis_connection, message) is JobStatus.QUEUED


def test_an_error_of_redis_itself_is_raised_and_deletes_nothing(redis_connection: redis.Redis) -> None:
    """Such as a memory that is full."""
    redis_connection.set("helioloop:x", "kept")

    def refuses() -> None:
        raise redis.ResponseError("OOM command not allowed when used memory > 'maxmemory'.")

    with pytest.raises(redis.ResponseError, match="OOM"):
        read_or_discard(redis_connection, "helioloop:x", refuses)
    assert redis_connection.get("helioloop:x") == b"kept"


@pytest.mark.parametrize("value", ["x", "", "nan", "inf", "-1", "1e300", b"\xff"])
def test_only_times_that_have_a_date_are_times(value: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"no time|could not convert|decode"):
        as_time(value)
    assert as_time(b"1795000000.25") == 1795000000.25
