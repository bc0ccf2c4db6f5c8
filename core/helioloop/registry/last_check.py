"""What the last retrain check or planning of a project decided: ``last-check.json`` in the model folder.

It is shown by ``helioloop status`` only; nothing is decided by it.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from helioloop.files import atomic

LAST_CHECK: Final = "last-check.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCheck:
    """When the labels were checked last (UTC, ISO 8601), and the outcome in a sentence."""

    at: str
    outcome: str


def write_last_check(model_dir: Path, outcome: str) -> None:
    """Record the outcome of a check that has just ended."""
    check = LastCheck(at=datetime.now(UTC).isoformat(timespec="seconds"), outcome=outcome)
    atomic.write_json(model_dir / LAST_CHECK, asdict(check))


def read_last_check(model_dir: Path) -> LastCheck | None:
    """Return the last check; None before the first, or where the file cannot be read."""
    try:
        values = json.loads((model_dir / LAST_CHECK).read_text())
        return LastCheck(at=str(values["at"]), outcome=str(values["outcome"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
