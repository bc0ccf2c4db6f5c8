"""The JSON of ``helioloop status --json``: the findings and all facts, under the names of their fields."""

import json
import math
from dataclasses import asdict
from datetime import datetime
from typing import Any

from helioloop_worker.reports.status_facts import ProjectStatus
from helioloop_worker.reports.verdict import find_all


def status_json(status: ProjectStatus) -> str:
    """Return the findings and facts as one line of JSON; lists are not capped, and numbers that are not finite null."""
    verdict, *also = (asdict(finding) for finding in find_all(status))
    values = {"verdict": verdict, "also": also, **asdict(status)}
    running = None if status.services is None else status.services.running_round
    if running is not None and running.progress is not None:
        values["services"]["running_round"]["progress"] |= {
            "step": running.progress.step,
            "left": running.progress.left,
            "summary": running.progress.summary,
        }
    return json.dumps(_plain(values), allow_nan=False, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Return a value of types that JSON has."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
