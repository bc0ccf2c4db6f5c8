"""Metrics of the workers, as the backend shows them: their figures in Redis in the form of Prometheus.

A figure that workers have not counted yet is 0, so that Prometheus sees it grow: the increase of a counter that appears
with 3 is 0 for it, and an alert on a first refused job would never come.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import product
from typing import Final

from prometheus_client.core import CounterMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from helioloop.messaging.payloads import job_kinds
from helioloop.messaging.work_figures import (
    JOB_SECONDS,
    LABELS,
    LAG_SECONDS,
    REFUSED_JOBS,
    REPAIRS,
    WorkFigure,
)

_ABOUT: Final = {
    JOB_SECONDS: "Time of the jobs of all workers; outcome is done or failed.",
    LAG_SECONDS: "Time from an annotation to the predictions of the first version that was trained on it.",
    REPAIRS: "What reconciliation found undone and had done, by step.",
    REFUSED_JOBS: "Jobs in Redis that are not helioloop's, and were not run.",
}
_COUNTERS: Final = frozenset({REPAIRS, REFUSED_JOBS})
_OUTCOMES: Final = ("done", "failed")


class WorkCollector(Collector):
    """Yields the figures that the last scrape has read; none while Redis does not answer, when they are None."""

    def __init__(self) -> None:
        self.figures: Sequence[WorkFigure] | None = None
        self.projects: Collection[int] = ()

    def collect(self) -> Iterator[Metric]:
        """Return one family for each kind of figure."""
        for name, about in _ABOUT.items():
            found = self._of(name)
            if name in _COUNTERS:
                counter = CounterMetricFamily(f"helioloop_{name}", about, labels=LABELS[name])
                for figure in found:
                    counter.add_metric(figure.labels, figure.total)
                yield counter
                continue
            summary = SummaryMetricFamily(f"helioloop_{name}", about, labels=LABELS[name])
            for figure in found:
                summary.add_metric(figure.labels, count_value=int(figure.count), sum_value=figure.total)
            yield summary

    def _of(self, name: str) -> list[WorkFigure]:
        """Return the figures of a name, and those that are 0."""
        if self.figures is None:
            return []
        found = [figure for figure in self.figures if figure.name == name]
        counted = {figure.labels for figure in found}
        nothing = [labels for labels in self._expected(name) if labels not in counted]
        return [*found, *(WorkFigure(name=name, labels=labels, count=0, total=0.0) for labels in nothing)]

    def _expected(self, name: str) -> list[tuple[str, ...]]:
        """Return the labels that a figure will have; of repairs, workers write the 0 of each step themselves."""
        if name == JOB_SECONDS:
            return list(product(job_kinds(), _OUTCOMES))
        if name == LAG_SECONDS:
            return [(str(project),) for project in self.projects]
        return [()] if name == REFUSED_JOBS else []
