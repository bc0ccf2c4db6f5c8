"""Figures of all workers together, in one hash in Redis, which the backend's /metrics shows.

Workers are many processes that come and go, and have no port of their own. Each figure is a number that only grows; an
emptied Redis lets them begin at 0 again, as Prometheus expects of a restart.
"""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast

import redis

log = logging.getLogger(__name__)

JOB_SECONDS: Final = "job_seconds"
"""Time of jobs; labels kind and outcome. Prometheus itself adds the labels job and instance, and renames ours."""
LAG_SECONDS: Final = "correction_lag_seconds"
"""Time from an annotation to the predictions of the first version trained on it; label project."""
REPAIRS: Final = "repairs"
"""What reconciliation found undone; labels project and step."""
REFUSED_JOBS: Final = "refused_jobs"
"""Jobs in Redis that are not helioloop's; without label."""
LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    JOB_SECONDS: ("kind", "outcome"),
    LAG_SECONDS: ("project",),
    REPAIRS: ("project", "step"),
    REFUSED_JOBS: (),
}
"""Figure -> its labels."""
_KEY: Final = "helioloop:work-figures"
_MOST: Final = 5000
"""Figures that are read, at most: others may write to Redis, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFigure:
    """A figure: its name, the values of its labels, how often something was added, and the sum."""

    name: str
    labels: tuple[str, ...]
    count: float
    total: float


def add_to_figure(connection: redis.Redis, name: str, *labels: str, value: float = 1.0, times: int = 1) -> None:
    """Add to a figure; nothing where Redis refuses it, because no work stops for a figure.

    Parameters
    ----------
    connection : redis.Redis
        From `redis_client`.
    name : str
        One of `LABELS`.
    *labels : str
        The values of its labels.
    value : float
        What is added to the sum.
    times : int
        What is added to the count.
    """
    key = json.dumps([name, *labels])
    with suppress(redis.RedisError), connection.pipeline(transaction=False) as pipeline:
        pipeline.hincrbyfloat(_KEY, f"sum {key}", value)
        pipeline.hincrby(_KEY, f"count {key}", times)
        pipeline.execute()


def work_figures(connection: redis.Redis) -> list[WorkFigure]:
    """Return all figures, sorted; entries of others in the hash are left out."""
    found: dict[str, dict[str, float]] = {}
    for field, value in list(cast("dict[bytes, bytes]", connection.hgetall(_KEY)).items())[:_MOST]:
        with suppress(ValueError):  # of bytes, numbers and JSON
            kind, _, key = field.decode().partition(" ")
            found.setdefault(key, {})[kind] = float(value)
    read = [_figure(key, values) for key, values in sorted(found.items())]
    return [figure for figure in read if figure is not None]


def _figure(key: str, values: Mapping[str, float]) -> WorkFigure | None:
    """Return a figure; None where it is not one of helioloop's."""
    try:
        name, *labels = json.loads(key)
        if len(labels) != len(LABELS[name]) or not all(isinstance(label, str) for label in labels):
            return None
        return WorkFigure(name=name, labels=tuple(labels), count=values["count"], total=values["sum"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
