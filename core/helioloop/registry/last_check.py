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
RETRAIN_CHECK: Final = "retrain check"
ROUND_PLANNING: Final = "round planning"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCheck:
    """When it ended (UTC, ISO 8601), the outcome in a sentence, and which step it was: retrain check or planning."""

    at: str
    outcome: str
    step: str = RETRAIN_CHECK


def write_last_check(model_dir: Path, outcome: str, *, step: str = RETRAIN_CHECK) -> None:
    """Record the outcome of a retrain check or round planning that has just ended."""
    check = LastCheck(at=datetime.now(UTC).isoformat(timespec="seconds"), outcome=outcome, step=step)
    atomic.write_json(model_dir / LAST_CHECK, asdict(check))


def read_last_check(model_dir: Path) -> LastCheck | None:
    """Return the last check; None before the first, or where the file cannot be read."""
    try:
        values = json.loads((model_dir / LAST_CHECK).read_text())
        step = str(values.get("step", RETRAIN_CHECK))
        return LastCheck(at=str(values["at"]), outcome=str(values["outcome"]), step=step)
    except (OSError, ValueError, KeyError, TypeError):
        return None
