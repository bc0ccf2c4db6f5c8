"""Failing jobs: pauses that grow, a limit after which they are parked, and how they are put back."""

import json
import time

import pytest
import redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from helioloop.messaging import job_failures, queues
from helioloop.messaging.job_failures import MAX_LOST, JobFailure, JobFailures
from helioloop.messaging.messages import Ingest, Reconcile, RetrainCheck, Score, TrainMember, WriteBack
from helioloop.records.cubes import CubeInfo

KEY = "write-back-1-v0001"
WRITE_BACK = WriteBack(project=1, version="v0001")
SWEEP = 300.0


def fail(
    failures: JobFailures, *, key: str = KEY, reason: str = "no space", may_pass: bool = False, sweep: float = SWEEP
) -> JobFailure:
    return failures.fail(1, key, reason, limit=4, may_pass=may_pass, sweep_seconds=sweep)


def parked(connection: redis.Redis) -> JobFailures:
    """The failures of a write-back that failed four times."""
    failures = JobFailures(connection)
    assert failures.begin(WRITE_BACK) is None
    for _ in range(4):
        fail(failures)
    return failures


@pytest.mark.parametrize(
    ("sweep", "may_pass", "pauses"),
    [
        (300.0, False, [60, 240, 960]),
        (5.0, False, [5, 20, 80]),
        (300.0, True, [60, 240, 300, 300, 300]),
        (5.0, True, [5, 5, 5, 5, 5]),
    ],
    ids=["a failure", "a failure where sweeps are frequent", "an outage", "an outage where sweeps are frequent"],
)
def test_pauses_grow_fourfold_and_those_of_an_outage_end_with_the_next_sweep(
    redis_connection: redis.Redis, sweep: float, may_pass: bool, pauses: list[float]
) -> None:
    """In seconds after each failure; an outage never parks a job."""
    failures = JobFailures(redis_connection)
    found = [fail(failures, may_pass=may_pass, sweep=sweep) for _ in pauses]
    assert [known.next_at - known.failed_at for known in found] == pytest.approx(pauses)
    assert not any(known.is_parked for known in found)


def test_the_fourth_failure_parks_a_job_with_its_last_reason(redis_connection: redis.Redis) -> None:
    """And a success before that starts the count again."""
    failures = JobFailures(redis_connection)
    for _ in range(3):
        fail(failures)
    failures.succeed(1, KEY)
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
    assert (known.job, known.payload) == (WRITE_BACK.job, WRITE_BACK.payload())
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


def test_a_second_chance_is_one_attempt_and_not_at_once(
    redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that ends at each start, and is started again, does not repeat a parked job each time."""
    failures = parked(redis_connection)
    assert failures.give_second_chance(1) == []
    monkeypatch.setattr(job_failures, "SECOND_CHANCE_SECONDS", 0.0)
    assert [known.key for known in failures.give_second_chance(1)] == [KEY]
    assert failures.begin(WRITE_BACK) is None
    assert fail(failures).is_parked


def test_a_second_chance_after_lost_workers_is_one_attempt(
    redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = JobFailures(redis_connection)
    for _ in range(MAX_LOST + 1):
        failures.begin(WRITE_BACK)
    monkeypatch.setattr(job_failures, "SECOND_CHANCE_SECONDS", 0.0)
    failures.give_second_chance(1)
    assert failures.begin(WRITE_BACK) is None
    assert failures.begin(WRITE_BACK) is None  # its worker was lost once more
    assert failures.begin(WRITE_BACK) is not None


def test_scores_of_one_version_fail_together_and_are_not_repeated_by_their_payload() -> None:
    """A cube that cannot be scored fails no job; /predict and write-backs request what is missing."""
    cubes = [CubeInfo(release="r", name=name, sha256="a" * 64) for name in "ab"]
    first, second = (Score(project=1, version="v0001", cubes=(cube,)) for cube in cubes)
    assert first.job_id != second.job_id
    assert first.failure_key == second.failure_key == "score-1-v0001"
    assert first.payload_to_repeat() is None
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
