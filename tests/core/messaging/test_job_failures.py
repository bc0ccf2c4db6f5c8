"""Failing jobs: pauses that grow, a limit after which they are parked, and how they are put back."""

import json
import time
from dataclasses import replace

import pytest
import redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from helioloop.messaging import job_failures, queues
from helioloop.messaging.job_failure import MAX_LOST, JobFailure
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.messages import Ingest, Reconcile, RetrainCheck, Score, ScoreBulk, TrainMember, WriteBack
from helioloop.messaging.parked import find_parked
from helioloop.records.cubes import CubeInfo

KEY = "write-back-1-v0001"
WRITE_BACK = WriteBack(project=1, version="v0001")
RECONCILE_SECONDS = 300.0


def fail(
    failures: JobFailures,
    *,
    key: str = KEY,
    reason: str = "no space",
    may_pass: bool = False,
    reconcile_seconds: float = RECONCILE_SECONDS,
) -> JobFailure:
    return failures.fail(1, key, reason, limit=4, may_pass=may_pass, reconcile_seconds=reconcile_seconds)


def parked(connection: redis.Redis) -> JobFailures:
    """The failures of a write-back that failed four times."""
    failures = JobFailures(connection)
    assert failures.begin(WRITE_BACK) is None
    for _ in range(4):
        failures.fail(
            1, KEY, "no space", limit=4, may_pass=False, reconcile_seconds=RECONCILE_SECONDS, message=WRITE_BACK
        )
    return failures


@pytest.mark.parametrize(
    ("reconcile_seconds", "may_pass", "pauses"),
    [
        (300.0, False, [60, 240, 960]),
        (5.0, False, [5, 20, 80]),
        (300.0, True, [60, 240, 300, 300, 300]),
        (5.0, True, [5, 5, 5, 5, 5]),
    ],
    ids=[
        "a failure",
        "a failure where reconciliations are frequent",
        "an outage",
        "an outage where reconciliations are frequent",
    ],
)
def test_pauses_grow_fourfold_and_those_of_an_outage_end_with_the_next_reconciliation(
    redis_connection: redis.Redis, reconcile_seconds: float, may_pass: bool, pauses: list[float]
) -> None:
    """In seconds after each failure; an outage never parks a job."""
    failures = JobFailures(redis_connection)
    found = [fail(failures, may_pass=may_pass, reconcile_seconds=reconcile_seconds) for _ in pauses]
    assert [known.next_at - known.failed_at for known in found] == pytest.approx(pauses)
    assert not any(known.is_parked for known in found)


def test_the_fourth_failure_parks_a_job_with_its_last_reason(redis_connection: redis.Redis) -> None:
    """And a success before that starts the count again."""
    failures = JobFailures(redis_connection)
    for _ in range(3):
        fail(failures)
    failures.succeed(WRITE_BACK)
    assert [fail(failures, reason=f"reason {k}").is_parked for k in range(4)] == [False, False, False, True]
    (known,) = failures.failing(1)
    assert (known.key, known.failures, known.reason) == (KEY, 4, "reason 3")
    assert failures.failing(2) == []


def test_a_parked_job_is_not_sent_and_not_run_until_it_is_put_back(redis_connection: redis.Redis) -> None:
    """Another version's write-back is another job."""
    failures = parked(redis_connection)
    assert queues.is_parked(redis_connection, WRITE_BACK)
    assert not queues.send(redis_connection, WRITE_BACK)
    assert failures.begin(WRITE_BACK) is not None
    assert queues.send(redis_connection, WriteBack(project=1, version="v0002"))
    (known,) = failures.put_back(1)
    assert known.payload == WRITE_BACK.payload()
    assert queues.send(redis_connection, WRITE_BACK)
    assert failures.put_back(1) == []


def test_a_request_of_a_human_forgets_earlier_failures(redis_connection: redis.Redis) -> None:
    failures = parked(redis_connection)
    assert queues.send(redis_connection, WRITE_BACK, anew=True)
    assert failures.failing(1) == []


def test_a_job_that_failed_lately_is_scheduled_for_the_end_of_its_pause(redis_connection: redis.Redis) -> None:
    """Whoever sends it; a longer delay is kept."""
    failures = JobFailures(redis_connection)
    check = RetrainCheck(project=1)
    fail(failures, key=check.failure_key)
    assert queues.send(redis_connection, check)
    schedule = f"rq:scheduled:{check.queue}"
    assert redis_connection.zscore(schedule, check.job_id) == pytest.approx(time.time() + 60, abs=3)
    assert Job.fetch(check.job_id, redis_connection, serializer=JSONSerializer).get_status() is JobStatus.SCHEDULED
    queues.send(redis_connection, check, delay_seconds=500)
    assert redis_connection.zscore(schedule, check.job_id) == pytest.approx(time.time() + 500, abs=3)


def test_only_the_named_jobs_are_put_back(redis_connection: redis.Redis) -> None:
    failures = parked(redis_connection)
    fail(failures, key="report-1")
    assert [known.key for known in failures.put_back(1, ["report-1", "unknown"])] == ["report-1"]
    assert [known.key for known in failures.failing(1)] == [KEY]


def test_a_job_whose_worker_is_lost_again_and_again_is_parked(redis_connection: redis.Redis) -> None:
    """Each attempt begins and none ends; before that no attempt is delayed."""
    failures = JobFailures(redis_connection)
    begun = [failures.begin(WRITE_BACK) for _ in range(MAX_LOST + 1)]
    assert begun[:-1] == [None] * MAX_LOST
    last = begun[-1]
    assert last is not None
    assert last.reason == f"its worker was lost {MAX_LOST} times: killed, or out of memory"
    assert queues.is_parked(redis_connection, WRITE_BACK)
    failures.put_back(1)
    assert failures.begin(WRITE_BACK) is None


def test_a_running_job_is_neither_failing_nor_put_back(redis_connection: redis.Redis) -> None:
    failures = JobFailures(redis_connection)
    failures.begin(WRITE_BACK)
    assert failures.failing(1) == []
    assert failures.put_back(1) == []
    assert [known.key for known in failures.all(1)] == [KEY]


def test_a_second_chance_is_one_attempt_in_ten_minutes(
    redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, where a worker starts; one that ends at each start does not repeat a parked job each time."""
    failures = parked(redis_connection)
    assert [known.key for known in failures.give_second_chance(1)] == [KEY]
    assert failures.begin(WRITE_BACK) is None
    assert fail(failures).is_parked
    assert failures.give_second_chance(1) == []
    monkeypatch.setattr(job_failures, "SECOND_CHANCE_SECONDS", 0.0)
    assert [known.key for known in failures.give_second_chance(1)] == [KEY]


def test_a_second_chance_may_be_limited_to_jobs_parked_long_ago(redis_connection: redis.Redis) -> None:
    failures = parked(redis_connection)
    assert failures.give_second_chance(1, parked_seconds=3600.0) == []
    failures._change(1, KEY, lambda known: replace(known, parked_at=time.time() - 3601))
    assert [known.key for known in failures.give_second_chance(1, parked_seconds=3600.0)] == [KEY]


def test_a_second_chance_after_lost_workers_is_one_attempt(redis_connection: redis.Redis) -> None:
    failures = JobFailures(redis_connection)
    for _ in range(MAX_LOST + 1):
        failures.begin(WRITE_BACK)
    failures.give_second_chance(1)
    assert failures.begin(WRITE_BACK) is None
    assert failures.begin(WRITE_BACK) is not None  # its worker was lost once more


def test_outages_do_not_count_towards_the_limit(redis_connection: redis.Redis) -> None:
    """Nor does an outage lengthen the pause after another failure."""
    failures = JobFailures(redis_connection)
    for _ in range(9):
        assert not fail(failures, may_pass=True).is_parked
    found = [fail(failures) for _ in range(4)]
    assert [known.is_parked for known in found] == [False, False, False, True]
    assert [known.next_at - known.failed_at for known in found[:3]] == pytest.approx([60, 240, 960])


def test_a_job_that_runs_out_of_time_is_parked_as_late_as_one_that_loses_its_worker(
    redis_connection: redis.Redis,
) -> None:
    """Label Studio may be slow for hours; a job that never ends in time does not run for ever."""
    failures = JobFailures(redis_connection)
    found = [
        failures.fail(1, KEY, "no time", limit=4, may_pass=False, timed_out=True, reconcile_seconds=RECONCILE_SECONDS)
        for _ in range(MAX_LOST)
    ]
    assert [known.is_parked for known in found] == [False] * (MAX_LOST - 1) + [True]


# -- jobs of one name side by side ----------------------------------------------------------------


def test_jobs_that_run_side_by_side_are_not_taken_for_lost_ones(redis_connection: redis.Redis) -> None:
    """A check that was sent while another one ran; rq's id is the name and a number."""
    failures, check = JobFailures(redis_connection), RetrainCheck(project=1)
    ids = [f"retrain-check-1-{slot}" for slot in range(2, 2 + MAX_LOST + 5)]
    for job_id in ids:
        assert failures.begin(check, job_id=job_id, is_alive=lambda _: True) is None
    assert failures.failing(1) == []
    failures.begin(check, job_id="retrain-check-1", is_alive=lambda job_id: job_id != ids[0])
    (known,) = failures.failing(1)
    assert known.lost == 1


@pytest.mark.parametrize("forced", [False, True])
def test_a_failure_beside_a_success_is_repeated(redis_connection: redis.Redis, forced: bool) -> None:
    """“Start training” during an ordinary check that succeeds, and the reverse; the failed one is not lost."""
    failures = JobFailures(redis_connection)
    failing, succeeding = RetrainCheck(project=1, forced=forced), RetrainCheck(project=1, forced=not forced)
    failures.begin(failing)
    failures.begin(succeeding)
    failures.succeed(succeeding)
    failures.fail(
        1,
        failing.failure_key,
        "no space",
        limit=4,
        may_pass=False,
        reconcile_seconds=RECONCILE_SECONDS,
        message=failing,
    )
    (known,) = failures.failing(1)
    assert (known.payload, known.running) == (failing.payload(), {})
    failures.succeed(succeeding)
    (known,) = failures.all(1)
    assert (known.payload, known.attempts) == (failing.payload(), 0)
    failures.succeed(failing)
    assert failures.all(1) == []


def test_a_job_that_fails_after_redis_was_emptied_can_be_repeated(redis_connection: redis.Redis) -> None:
    failures, check = JobFailures(redis_connection), RetrainCheck(project=1, forced=True)
    failures.begin(check)
    redis_connection.flushall()
    failures.fail(
        1, check.failure_key, "no space", limit=4, may_pass=False, reconcile_seconds=RECONCILE_SECONDS, message=check
    )
    (known,) = failures.failing(1)
    assert known.payload == check.payload()


def test_start_training_puts_the_ordinary_check_back(redis_connection: redis.Redis) -> None:
    failures, check = JobFailures(redis_connection), RetrainCheck(project=1)
    for _ in range(4):
        failures.fail(
            1, check.failure_key, "no", limit=4, may_pass=False, reconcile_seconds=RECONCILE_SECONDS, message=check
        )
    assert not queues.send(redis_connection, check)
    assert queues.send(redis_connection, RetrainCheck(project=1, forced=True), anew=True)
    assert queues.send(redis_connection, check)


def test_chunks_of_one_version_are_counted_apart_and_shown_together(redis_connection: redis.Redis) -> None:
    """A chunk that fails stops no other one, and a success of another one does not forget its failures."""
    failures = JobFailures(redis_connection)
    cubes = [CubeInfo(release="r", name=name, sha256="a" * 64) for name in "abc"]
    first, second, third = (ScoreBulk(project=1, version="v0001", cubes=(cube,)) for cube in cubes)
    for chunk in (first, second):
        for _ in range(4):
            failures.fail(
                1, chunk.failure_key, "no", limit=4, may_pass=False, reconcile_seconds=RECONCILE_SECONDS, message=chunk
            )
            failures.begin(third)
            failures.succeed(third)
    assert [queues.send(redis_connection, chunk) for chunk in (first, second, third)] == [False, False, True]
    assert {known.name for known in failures.failing(1)} == {"bulk-1-v0001"}
    assert len(failures.put_back(1, ["bulk-1-v0001"])) == 2
    assert queues.send(redis_connection, first)


def test_reconciliation_is_never_parked(redis_connection: redis.Redis) -> None:
    """It repairs everything else: its pauses grow to an hour."""
    failures, message = JobFailures(redis_connection), Reconcile(project=1)
    for _ in range(MAX_LOST + 5):
        assert failures.begin(message) is None
    for _ in range(7):
        known = failures.fail(
            1,
            message.failure_key,
            "no",
            limit=message.limit,
            may_pass=False,
            reconcile_seconds=RECONCILE_SECONDS,
            message=message,
        )
    assert known.next_at - known.failed_at == pytest.approx(3600)
    assert queues.send(redis_connection, message)


def test_scores_and_reconciliations_are_not_repeated_by_their_payload() -> None:
    """/predict, write-backs and workers request again what is missing."""
    cube = CubeInfo(release="r", name="a", sha256="a" * 64)
    assert Score(project=1, version="v0001", cubes=(cube,)).payload_to_repeat() is None
    assert Reconcile(project=1).payload_to_repeat() is None
    assert Ingest(project=1, release="r").payload_to_repeat() == {"project": 1, "release": "r", "format": 1}


def test_steps_of_rounds_are_not_counted_here(redis_connection: redis.Redis) -> None:
    """A round counts its failures itself."""
    step = TrainMember(project=1, fingerprint="a" * 64, member="fold0-0")
    fail(JobFailures(redis_connection), key=step.failure_key)
    assert not queues.is_parked(redis_connection, step)
    assert queues.send(redis_connection, step)


@pytest.mark.parametrize("value", [b"\xff", b"no JSON", b"[]", b"{}", b'{"key": "x", "failures": "many"}'])
def test_what_somebody_else_wrote_is_ignored(redis_connection: redis.Redis, value: bytes) -> None:
    """Whoever can write to Redis cannot stop a worker by it."""
    redis_connection.hset("helioloop:failing-jobs:1", KEY, value)
    failures = JobFailures(redis_connection)
    assert failures.failing(1) == []
    assert queues.send(redis_connection, WRITE_BACK)
    assert failures.begin(WRITE_BACK) is None
    assert json.loads(redis_connection.hget("helioloop:failing-jobs:1", KEY) or b"")["running"]


# -- clocks that were ahead -----------------------------------------------------------------------

DAY = 86400.0


def ahead(failures: JobFailures, known: JobFailure, seconds: float = 365 * DAY) -> JobFailure:
    """Return a failure as it would be if the clock had been ahead, and let Redis have it."""
    times = {name: at + seconds for name in ("failed_at", "next_at", "parked_at") if (at := getattr(known, name))}
    return failures._change(1, known.key, lambda known: replace(known, **times))


def test_a_pause_that_began_while_the_clock_was_ahead_is_over(
    redis_connection: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """The job is sent now, with a sentence in the log; not a year later."""
    failures = JobFailures(redis_connection)
    known = ahead(failures, fail(failures))
    assert not known.is_held(time.time())
    assert queues.send(redis_connection, WRITE_BACK)
    assert Job.fetch("write-back-1-v0001", redis_connection, JSONSerializer).get_status() is JobStatus.QUEUED
    assert "the last failure of write-back-1-v0001 has the time 20" in caplog.text


@pytest.mark.parametrize(
    ("failed_at", "next_at", "left"),
    [
        (-10.0, 50.0, 50.0),
        (5.0, 65.0, 65.0),  # on a machine whose clock is a few seconds ahead
        (-10.0, -1.0, 0.0),
        (-10.0, 365 * DAY, 3590.0),  # no pause is longer than an hour
        (DAY, DAY + 60.0, 0.0),
    ],
)
def test_no_pause_is_longer_than_the_longest_one(failed_at: float, next_at: float, left: float) -> None:
    known = JobFailure(key=KEY, failures=1, failed_at=1e9 + failed_at, next_at=1e9 + next_at)
    assert known.pause_left(1e9) == left
    assert known.is_held(1e9) is (left > 0)


def test_a_job_parked_while_the_clock_was_ahead_gets_its_second_chance(redis_connection: redis.Redis) -> None:
    failures = parked(redis_connection)
    (known,) = failures.failing(1)
    ahead(failures, known)
    failures._change(1, KEY, lambda known: replace(known, second_chance_at=time.time() + 365 * DAY))
    assert [known.key for known in failures.give_second_chance(1, parked_seconds=3600.0)] == [KEY]


@pytest.mark.parametrize(
    ("parked_days", "put_back_days", "is_parked"),
    [
        (-2, -1, False),
        (-1, -2, True),
        (365, -1, False),  # parked while the clock was ahead, and put back since
        (-1, 365, True),  # put back while the clock was ahead, and parked since
        (364, 365, False),
        (365, 364, True),
    ],
)
def test_what_was_written_while_the_clock_was_ahead_is_older_than_the_rest(
    redis_connection: redis.Redis, parked_days: float, put_back_days: float, is_parked: bool
) -> None:
    """`helioloop retry` has an effect, and so has the limit of failures."""
    now = time.time()
    failures = parked(redis_connection)
    failures._change(1, KEY, lambda known: replace(known, parked_at=now + parked_days * DAY))
    found = find_parked(failures, 1, {}, {KEY: now + put_back_days * DAY})
    assert (tuple(found.jobs), found.outdated) == (((KEY,), ()) if is_parked else ((), (KEY,)))
