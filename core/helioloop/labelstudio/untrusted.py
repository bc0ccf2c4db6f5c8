"""Values in Label Studio's JSON, into which scripts can write anything: read as the type that is expected."""

import math
import reprlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> list[Any]:
    """Return a list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def as_time(value: Any) -> datetime | None:
    """Return a time; None where it cannot be read."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def as_seconds(value: Any) -> float | None:
    """Return a time that can be added up; None for NaN and negative numbers, too."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < math.inf:
        return None
    return float(value)


def shown(value: Any) -> str:
    """Return a value of any kind as short text in one line."""
    return reprlib.repr(value)
