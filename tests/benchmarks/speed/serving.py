"""The backend as a process of its own, against the no-op of label-studio-ml 1.0.9, and alone while a round runs."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.speed.servers import Servers, call, event_request, latencies, predict_request
from tests.benchmarks.speed.timing import Sides, Times
from tests.benchmarks.speed.work import Work

CHECKS = 2
"""Retrain checks that any number of events may leave."""


def predict_1(work: Work) -> Sides:
    """Return both sides for a request with one task, as when an annotator opens a task."""
    return _predict(work.servers, 1, rounds=300)


def predict_100(work: Work) -> Sides:
    """Return both sides for a request with 100 tasks."""
    return _predict(work.servers, 100, rounds=150)


def predict_1000(work: Work) -> Sides:
    """Return both sides for a request with 1,000 tasks, as of "Retrieve predictions"."""
    return _predict(work.servers, 1000, rounds=60)


def _predict(servers: Servers, n: int, *, rounds: int) -> Sides:
    sent = predict_request(n)
    for port in (servers.backend, servers.reference):
        results = json.loads(call(port, sent))["results"]
        if len(results) != n or [] in results:
            raise AssertionError(f"the server on port {port} did not answer all of {n} tasks")
    return Sides(
        ours=lambda: call(servers.backend, sent),
        reference=lambda: call(servers.reference, sent),
        rounds=rounds,
    )


def webhook_sequence(work: Work) -> Times:
    """Return the p99 of 1,000 events one after the other, while a round runs and idle."""
    return _events(work, 1, total=1_000)


def webhook_parallel(work: Work) -> Times:
    """Return the p99 of 10,000 events, always 50 at once, while a round runs and idle."""
    return _events(work, 50, total=10_000)


def _events(work: Work, at_once: int, *, total: int) -> Times:
    port, sent = work.servers.backend, event_request()
    latencies(port, sent, total=200, at_once=at_once)
    before = work.servers.held()
    idle = latencies(port, sent, total=total, at_once=at_once)
    with _round(work):
        busy = latencies(port, sent, total=total, at_once=at_once)
    half, most = total // 2, total * 99 // 100
    more = {"p50": busy[half], "p50_idle": idle[half], "longest": busy[-1], "longest_idle": idle[-1]}
    held = work.servers.held()
    if held["jobs"] > CHECKS:
        raise AssertionError(f"{2 * total} events left {held['jobs']:.0f} jobs")
    more |= {f"{name}_grown": held[name] - before[name] for name in held}
    return Times(ours=busy[most], reference=idle[most], more=more)


@contextmanager
def _round(work: Work) -> Iterator[None]:
    """Train members in two processes, with all cores and the priority of workers."""
    begun = work.new_folder("round")
    release = work.release.folder
    command = [sys.executable, "-m", "tests.benchmarks.speed.busy", str(release), str(work.folder), str(begun)]
    processes = [subprocess.Popen([*command, str(number)], cwd=Path(__file__).parents[3]) for number in range(2)]
    try:
        while len(list(begun.iterdir())) < len(processes):
            if any(process.poll() is not None for process in processes):
                raise AssertionError("a process that trains ended")
            time.sleep(0.2)
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait()
