"""Metrics of the workers, as the backend shows them: their figures in Redis in the form of Prometheus."""

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

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


class WorkCollector(Collector):
    """Yields the figures that the last scrape has read; none while Redis does not answer."""

    def __init__(self) -> None:
        self.figures: Sequence[WorkFigure] = ()

    def collect(self) -> Iterator[Metric]:
        """Return one family for each kind of figure."""
        for name, about in _ABOUT.items():
            found = [figure for figure in self.figures if figure.name == name]
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
