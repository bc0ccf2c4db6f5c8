"""The benchmark's harness; nothing here is timed to a bound."""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from helioloop.errors import ServiceError
from tests.benchmarks.speed import correction_parts
from tests.benchmarks.speed.correction_parts import Moments, Way, logged_events, logged_jobs, way
from tests.benchmarks.speed.document import (
    BEGIN,
    CORRECTION_MARKS,
    DOCUMENT,
    END,
    figures,
    merged,
    table,
    with_table,
)
from tests.benchmarks.speed.rows import ROWS
from tests.benchmarks.speed.timing import Sides, Times, measure
from tests.benchmarks.speed.work import Work


def test_ratios_go_the_way_of_their_row() -> None:
    """Ten times the reference's speed is 10, and 3 times the time of `--help` is 3."""
    found = figures({"gridding": Times(ours=0.2, reference=2.0), "status": Times(ours=0.9, reference=0.3)})
    assert [(row["name"], row["ratio"]) for row in found["rows"]] == [("gridding", 10.0), ("status", 3.0)]


def test_sides_are_timed_alternately_and_the_shortest_time_counts() -> None:
    """The order of calls with three rounds of ours and two of the reference."""
    calls: list[str] = []
    times = measure(
        Sides(ours=lambda: calls.append("ours"), reference=lambda: calls.append("ref"), rounds=3, reference_rounds=2)
    )
    assert calls == ["ours", "ref", "ours", "ref", "ours"]
    assert 0.0 <= times.ours < 1.0


def test_the_document_keeps_what_is_around_the_table() -> None:
    """A new table replaces the old one."""
    new = table({"gridding": Times(ours=0.004, reference=0.02)}, machine="`make bench`: 2 cores.")
    text = with_table(f"before {BEGIN} old {END} after", new)
    assert text.startswith("before")
    assert text.endswith("after")
    assert " old " not in text
    assert "| 4 ms | 20 ms | `numpy.interp` per pixel | **5.00** | ≥ 5 |" in text
    assert BEGIN in DOCUMENT.read_text()
    assert END in DOCUMENT.read_text()


# A correction at 12:00:00; each line is when a job ended, its name, and how long it took.
WORKER_LOG = """\
11:59:50 check_retraining 1.0
12:01:04 check_retraining 2.0
12:01:08 plan_round 3.0
12:01:30 train_member 20.0
12:01:50 train_member 19.5
12:02:00 score_round 10.0
12:02:05 locate 4.0
12:02:06 locate 5.0
12:02:08 close_round 1.0
12:02:20 write_back 12.0"""
SUBMITTED = 1_767_268_800.0
"""12:00:00 on 2026-01-01, UTC."""


def test_the_parts_of_a_correction_and_the_rest_are_the_whole() -> None:
    """Every part has the time that the log has, and pauses of 1, 2, 1 and 1 s between jobs are not explained."""
    found = _way()
    assert [round(part.seconds, 1) for part in found.parts] == [1, 60, 1, 2, 3, 40, 10, 5, 1, 7, 5, 0.5]
    assert [len(part.jobs) for part in found.parts] == [0, 0, 0, 1, 1, 2, 1, 2, 1, 1, 0, 0]
    assert found.seconds == pytest.approx(140.5)
    assert found.not_explained == pytest.approx(5.0)
    assert sum(part.seconds for part in found.parts) + found.not_explained == pytest.approx(found.seconds)
    assert "| members are trained | 70.0 s | 40.0 s | 2, 19.5 to 20.0 s each |" in correction_parts.table(found)


def test_a_step_without_a_record_is_not_counted_as_no_time() -> None:
    """Neither a missing job nor a missing event passes for a fast one."""
    with pytest.raises(ServiceError, match="no job locate"):
        _way(without="locate")
    with pytest.raises(ServiceError, match="no event"):
        _way(events=[SUBMITTED - 5])


def test_a_job_counts_until_the_one_that_it_sends_begins() -> None:
    """Planning begins 0.6 s before its check has ended; before the check begins, it would be of another round."""
    parts = _way(log=WORKER_LOG.replace("plan_round 3.0", "plan_round 4.6")).parts
    assert [round(part.seconds, 1) for part in parts[3:5]] == [1.4, 4.6]
    with pytest.raises(ServiceError, match="no job check_retraining"):
        _way(log=WORKER_LOG.replace("plan_round 3.0", "plan_round 6.5"))
    with pytest.raises(ServiceError, match=r"members are trained.* before it"):
        _way(log=WORKER_LOG.replace("score_round 10.0", "score_round 50.5"))


def test_the_log_of_a_running_worker_is_read() -> None:
    """Failed jobs are told apart; lines of other kinds, and a line that is being written, are skipped."""
    lines = [_line("12:00:00", "job locate failed after 2.0 s"), _line("12:00:01", "scoring: 3 of 5"), "text", '{"me']
    (job,) = logged_jobs(lines)
    assert (job.name, job.failed, job.begun) == ("locate", True, SUBMITTED - 2)


def test_a_correction_has_a_row_without_a_ratio_that_replaces_the_one_before() -> None:
    """`make bench ARGS=correction` leaves the other rows of the figures as they are."""
    before = {"rows": [{"name": "gridding", "ratio": 5.0}, {"name": "correction", "ours": 1.0}]}
    gridding, row = merged(before, figures({}, _way()))["rows"]
    assert gridding == {"name": "gridding", "ratio": 5.0}
    assert (row["name"], row["ours"], row["ratio"], row["unit"]) == ("correction", 140.5, None, "s")
    assert sum(row["parts"].values()) + row["not_explained"] == pytest.approx(140.5)
    assert all(mark in DOCUMENT.read_text() for mark in CORRECTION_MARKS)


def _way(*, log: str = WORKER_LOG, without: str = "", events: list[float] | None = None) -> Way:
    rows = [row.split() for row in log.splitlines()]
    lines = [
        _line(at, f"job {name} is done after {seconds} s", **({"version": "v0002"} if name == "write_back" else {}))
        for at, name, seconds in rows
        if name != without
    ]
    event = _line("12:00:01", "ANNOTATION_CREATED: it waits", action="ANNOTATION_CREATED", outcome="joined")
    at = {"submitted": 0.0, "predicted": 128.5, "switched": 135.0, "ended": 140.5}
    return way(
        Moments(**{name: SUBMITTED + seconds for name, seconds in at.items()}),
        jobs=logged_jobs(lines),
        events=logged_events([event]) if events is None else events,
        version="v0002",
        quiet_seconds=60.0,
    )


def _line(at: str, message: str, **fields: str) -> str:
    return json.dumps({"time": f"2026-01-01T{at}.000+00:00", "message": message, **fields})


@pytest.mark.parametrize("name", ["gridding", "masking_per_frame", "training_bare_loop", "status", "predict_100"])
def test_both_sides_of_a_row_run(name: str, work: Work) -> None:
    """On a small release; the curves of both sides are compared while the sides are made."""
    sides = ROWS[name].sides(work)
    assert callable(sides.ours)
    assert callable(sides.reference)
    if name != "masking_per_frame":  # its reference takes seconds
        sides.ours()


@pytest.fixture(scope="module")
def work() -> Iterator[Work]:
    """The smallest release on which members can be trained."""
    with TemporaryDirectory(prefix="helioloop-bench-") as folder:  # paths of sockets have at most 107 characters
        work = Work(Path(folder), 40)
        yield work
        work.close()
