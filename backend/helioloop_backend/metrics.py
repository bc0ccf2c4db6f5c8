"""Metrics for Prometheus: events, predicted tasks, latencies, queue lengths, published versions.

Each app has a registry of its own, so that several apps in one process do not share counters.
"""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LATENCY_BUCKETS_SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OUTCOMES: Final = ("hit", "miss", "unscorable", "foreign", "blind")
_OTHER: Final = "other"


class Metrics:
    """Counters and gauges of one app."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._events = Counter(
            "helioloop_events", "Webhook events of Label Studio, by action.", ["action"], registry=self._registry
        )
        self._tasks = Counter(
            "helioloop_predict_tasks",
            "Tasks in /predict: hit = score stored, miss = not scored yet, unscorable = the version could not score "
            "the cube, blind = random check that nobody has answered, foreign = not a helioloop task, or no version "
            "published yet.",
            ["outcome"],
            registry=self._registry,
        )
        self._outcomes = [self._tasks.labels(outcome=outcome) for outcome in OUTCOMES]
        self._seconds = Histogram(
            "helioloop_request_seconds",
            "Time to answer a request.",
            ["route", "status"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=self._registry,
        )
        self._depth = Gauge(
            "helioloop_queue_depth",
            "Jobs that wait, by queue; absent while Redis does not answer.",
            ["queue"],
            registry=self._registry,
        )
        self._redis = Gauge(
            "helioloop_redis_up", "1 where Redis answered during this scrape, else 0.", registry=self._registry
        )
        self._version = Gauge(
            "helioloop_published_version_info",
            "The published model version of each project, always 1.",
            ["project", "version"],
            registry=self._registry,
        )

    def event(self, action: str, *, known: bool) -> None:
        """Count an event; unknown actions share one label, so that callers cannot add any number of them."""
        self._events.labels(action=action if known else _OTHER).inc()

    def predicted(self, *, hits: int, misses: int, unscorable: int, foreign: int, blind: int) -> None:
        """Count the tasks of one answer."""
        for outcome, count in zip(self._outcomes, (hits, misses, unscorable, foreign, blind), strict=True):
            if count:
                outcome.inc(count)

    def answered(self, route: str | None, status: int, *, seconds: float) -> None:
        """Record how long an answer took; requests without a route share one label."""
        self._seconds.labels(route=route or _OTHER, status=f"{status // 100}xx").observe(seconds)

    def render(self, *, queue_lengths: Mapping[str, int] | None, published: Mapping[int, str]) -> bytes:
        """Return the text that Prometheus reads; `queue_lengths` is None where Redis does not answer."""
        self._redis.set(0 if queue_lengths is None else 1)
        self._depth.clear()
        for queue, jobs in (queue_lengths or {}).items():
            self._depth.labels(queue=queue).set(jobs)
        self._version.clear()
        for project, version in published.items():
            self._version.labels(project=str(project), version=version).set(1)
        return generate_latest(self._registry)
