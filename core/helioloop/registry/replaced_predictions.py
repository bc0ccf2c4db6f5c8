"""When predictions of a version were replaced because another network had made them: ``replaced-predictions.json``.

Once is as after a restore, or with a copy of the model folder. The same predictions again within a day are contested:
another deployment writes into the project, too, and each replaces what the other one has written.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from helioloop.environment.stored_times import is_recent
from helioloop.files import atomic

FILE_NAME: Final = "replaced-predictions.json"
REMEMBERED_SECONDS: Final = 24 * 3600.0
"""A replacement is forgotten when no other one has followed for this long."""
FIRST_PAUSE_SECONDS: Final = 600.0
"""Pause before contested predictions are replaced again; each one is twice as long as the one before."""
LONGEST_PAUSE_SECONDS: Final = 3600.0
_TIMES: Final = 20
"""Replacements that are remembered, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacements:
    """What this deployment put in the place of what another one had written into the project.

    Parameters
    ----------
    version : str
        The version of this deployment.
    times : tuple of float
        When (Unix seconds), in order; at least one.
    """

    version: str
    times: tuple[float, ...]

    @property
    def is_contested(self) -> bool:
        """Whether the same was replaced more than once."""
        return len(self.times) > 1

    @property
    def next_at(self) -> float:
        """From when on it may be replaced again (Unix seconds)."""
        if not self.is_contested:
            return self.times[-1]
        return self.times[-1] + min(FIRST_PAUSE_SECONDS * 2.0 ** (len(self.times) - 2), LONGEST_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacedPredictions(Replacements):
    """Predictions with the name of one version that were replaced, by their tasks in Label Studio."""

    tasks: frozenset[int]


def read_replaced_predictions(model_dir: Path, version: str, *, now: float) -> ReplacedPredictions | None:
    """Return what of a version was replaced within the last day; None where nothing was, or the file is damaged."""
    try:
        values: Any = json.loads((model_dir / FILE_NAME).read_text(encoding="utf-8"))
        found = ReplacedPredictions(
            version=str(values["version"]),
            times=tuple(float(at) for at in values["times"]),
            tasks=frozenset(int(task) for task in values["tasks"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if found.version != version or not found.times:
        return None
    return found if is_recent(found.times[-1], now=now, seconds=REMEMBERED_SECONDS) else None


def add_replaced_predictions(
    model_dir: Path, version: str, tasks: Collection[int], *, now: float
) -> ReplacedPredictions:
    """Note that the predictions of these tasks were replaced now, and return what is known of the version.

    Other predictions than those replaced before do not count as replaced again: a project may be written in parts.
    """
    before = read_replaced_predictions(model_dir, version, now=now)
    times: tuple[float, ...] = (now,)
    if before is not None:
        times = (*before.times[-_TIMES + 1 :], now) if before.tasks & set(tasks) else (*before.times[:-1], now)
    found = ReplacedPredictions(
        version=version,
        times=times,
        tasks=frozenset(tasks) if before is None else before.tasks | frozenset(tasks),
    )
    values = {"version": version, "times": list(found.times), "tasks": sorted(found.tasks)}
    atomic.write_compact_json(model_dir / FILE_NAME, values)
    return found
