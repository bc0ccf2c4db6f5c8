"""The backend as a process of its own, against the no-op of label-studio-ml 1.0.9, and alone while a round runs."""

import json

from tests.benchmarks.speed.servers import Servers, call, predict_request
from tests.benchmarks.speed.timing import Sides
from tests.benchmarks.speed.work import Work


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
