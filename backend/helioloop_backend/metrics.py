"""Metrics for Prometheus: what the backend counts, and what `observed` reads for each scrape.

The backend is one process, so its counters are complete. They start at 0 with it, as Prometheus expects.
Each app has a registry of its own, so that several apps in one process do not share counters.
"""

import threading
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from helioloop_backend.observed import Observed
from helioloop_backend.work_metrics import WorkCollector

LATENCY_BUCKETS_SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OUTCOMES: Final = ("hit", "miss", "unscorable", "foreign", "blind")
REFUSALS: Final = (400, 401, 403, 404, 405, 413, 500, 503)
"""Statuses that are shown with 0 from the start: Prometheus sees no increase where a counter appears with 30."""
_OTHER: Final = "other"


class Metrics:
    """Counters and gauges of one app."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._rendering = threading.Lock()
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
        self._answered: dict[tuple[str | None, int], Histogram] = {}
        self._refused = Counter(
            "helioloop_refused", "Requests that were refused, by status.", ["status"], registry=self._registry
        )
        for status in REFUSALS:
            self._refused.labels(status=str(status))
        self._redis = Gauge(
            "helioloop_redis_up", "1 where Redis answered during this scrape, else 0.", registry=self._registry
        )
        absent = "; absent while Redis does not answer."
        self._depth = self._gauge("queue_depth", f"Jobs that wait, by queue{absent}", "queue")
        self._age = self._gauge("queue_oldest_seconds", f"How long the next job of a queue has waited{absent}", "queue")
        self._failed = self._gauge("failed_jobs", f"Jobs that failed during the last days{absent}", "queue")
        self._workers = self._gauge("workers", f"Workers that serve a queue{absent}", "queue")
        self._pending = self._gauge("pending_events", "Events that no retrain check has covered.", "project")
        self._lag = self._gauge("oldest_event_seconds", "Age of the oldest of these events.", "project")
        self._running = self._gauge("round_running", "1 while a round runs, else 0.", "project")
        self._parked = self._gauge("parked_rounds", "Rounds that failed too often and wait for a human.", "project")
        self._parked_jobs = self._gauge(
            "parked_jobs", f"Jobs that failed too often and wait for a human{absent}", "project"
        )
        self._failing_jobs = self._gauge("failing_jobs", f"Jobs that failed and are tried again{absent}", "project")
        self._work = WorkCollector()
        self._registry.register(self._work)
        self._labels = self._gauge("labels_read_timestamp_seconds", "When annotations were read last.", "project")
        self._published = self._gauge("published_timestamp_seconds", "When a version was published last.", "project")
        self._version = self._gauge(
            "published_version_info", "The published model version of each project, always 1.", "project", "version"
        )

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"helioloop_{name}", about, labels, registry=self._registry)

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
        key = (route, status // 100)
        child = self._answered.get(key)
        if child is None:  # finding it by its labels takes as long as counting
            child = self._seconds.labels(route=route or _OTHER, status=f"{status // 100}xx")
            self._answered[key] = child
        child.observe(seconds)

    def refused(self, status: int) -> None:
        """Count a request that was refused."""
        self._refused.labels(status=str(status)).inc()

    def render(self, observed: Observed, *, now: float) -> bytes:
        """Return the text that Prometheus reads.

        Parameters
        ----------
        observed : Observed
            What this scrape has read.
        now : float
            The time (Unix seconds).
        """
        with self._rendering:  # two scrapes at once would clear each other's values
            return self._render(observed, now=now)

    def _render(self, observed: Observed, *, now: float) -> bytes:
        self._redis.set(0 if observed.queues is None else 1)
        for gauge in (
            self._depth, self._age, self._failed, self._workers, self._pending, self._lag, self._running, self._parked,
            self._labels, self._published, self._version, self._parked_jobs, self._failing_jobs,
        ):  # fmt: skip
            gauge.clear()
        self._work.figures = None if observed.queues is None else observed.work
        self._work.projects = observed.projects.keys()
        for queue, state in (observed.queues or {}).items():
            self._depth.labels(queue=queue).set(state.waiting)
            self._age.labels(queue=queue).set(0.0 if state.oldest_at is None else max(0.0, now - state.oldest_at))
            self._failed.labels(queue=queue).set(state.failed)
            self._workers.labels(queue=queue).set(state.workers)
        for number, project in observed.projects.items():
            name = str(number)
            self._parked.labels(project=name).set(project.parked)
            if observed.queues is not None:
                pending = project.pending
                self._pending.labels(project=name).set(0 if pending is None else pending.count)
                self._lag.labels(project=name).set(0.0 if pending is None else max(0.0, now - pending.first_at))
                self._running.labels(project=name).set(int(project.is_running))
                self._parked_jobs.labels(project=name).set(sum(job.is_parked for job in project.failing))
                self._failing_jobs.labels(project=name).set(sum(not job.is_parked for job in project.failing))
            if project.labels_read_at is not None:
                self._labels.labels(project=name).set(project.labels_read_at)
            if project.published is not None:
                self._version.labels(project=name, version=project.published).set(1)
                if project.published_at is not None:
                    self._published.labels(project=name).set(project.published_at)
        return generate_latest(self._registry)
