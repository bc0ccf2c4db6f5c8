"""How long corrections take to show in predictions: measured when a version is shown for the first time."""

import time
from datetime import UTC, datetime
from pathlib import Path

from helioloop.messaging.work_figures import LAG_SECONDS, add_to_figure
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.shown_versions import read_shown_versions
from helioloop.registry.staging import PLAN_FILE
from helioloop.registry.versions import Registry
from helioloop_worker.context import Context


def was_shown(model_dir: Path, version: str) -> bool:
    """Return whether Label Studio has shown a version; True where that cannot be read, so that nothing is measured."""
    try:
        return any(shown.version == version for shown in read_shown_versions(model_dir))
    except (OSError, ValueError, TypeError):
        return True


def measure_lags(context: Context, project: int, version: str) -> list[float]:
    """Add the lags of the annotations that a version is the first to be trained on, and return them in seconds.

    These were last changed after the version before was planned, and before this one was.
    """
    registry, snapshot = context.registry(project), Snapshot.read(context.settings.model_dir(project))
    if snapshot is None:
        return []
    names = registry.versions()
    earlier = names[: names.index(version)]
    since = _planned_at(registry, earlier[-1]) if earlier else 0.0
    until, now = _planned_at(registry, version), time.time()
    times = [_seconds(text) for text in snapshot.annotations.values()]
    lags = [now - at for at in times if at is not None and since < at <= until]
    if lags:
        add_to_figure(context.connection, LAG_SECONDS, str(project), value=sum(lags), times=len(lags))
    return lags


def _planned_at(registry: Registry, version: str) -> float:
    """Return when the plan of a version was written; the plan keeps that time when it becomes a version."""
    return (registry.folder(version) / PLAN_FILE).stat().st_mtime


def _seconds(text: str) -> float | None:
    """Return a time of Label Studio in Unix seconds; None where it cannot be read."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
