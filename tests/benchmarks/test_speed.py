"""The benchmark's harness; nothing here is timed to a bound."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.benchmarks.speed.document import BEGIN, DOCUMENT, END, figures, table, with_table
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
    new = table({"gridding": Times(ours=0.004, reference=0.02)}, command="make bench", on="2026-01-01")
    text = with_table(f"before {BEGIN} old {END} after", new)
    assert text.startswith("before")
    assert text.endswith("after")
    assert " old " not in text
    assert "| 4 ms | 20 ms | `numpy.interp` per pixel | **5.00** | ≥ 5 |" in text
    assert BEGIN in DOCUMENT.read_text()
    assert END in DOCUMENT.read_text()


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
