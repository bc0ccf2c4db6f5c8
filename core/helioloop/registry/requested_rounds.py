"""Requests for rounds, as files in a model folder: since when one waits to be planned.

`helioloop_worker.loop.round_requests` writes them and deletes those that were dealt with.
"""

import json
from pathlib import Path
from typing import Final, Literal

from helioloop.registry.project_stamp import parse_time

Request = Literal["check", "forced"]

REQUESTS: Final[tuple[Request, ...]] = ("check", "forced")


def request_path(model_dir: Path, name: str) -> Path:
    """Return the file of a request, or of another note on requests."""
    return model_dir / "round-requests" / f"{name}.json"


def oldest_request(model_dir: Path) -> float | None:
    """Return when the oldest waiting request was made, in Unix seconds; None without one that can be read."""
    found = []
    for name in REQUESTS:
        try:
            at = parse_time(json.loads(request_path(model_dir, name).read_text(encoding="utf-8"))["requested_at"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if at is not None:
            found.append(at.timestamp())
    return min(found, default=None)
