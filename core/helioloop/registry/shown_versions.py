"""Which model version Label Studio has shown since when: ``writebacks.jsonl`` in the model folder.

It also tells where another deployment, or somebody in the project's settings, has another version shown in its place.
"""

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from helioloop.environment.stored_times import is_recent
from helioloop.files import atomic
from helioloop.registry.replaced_predictions import REMEMBERED_SECONDS, Replacements

SHOWN_VERSIONS = "writebacks.jsonl"
RECENT: Final = 100
"""So many last lines are kept in any case. While two deployments show their versions in turn, the file would grow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownVersion:
    """One line of the file: Label Studio has shown `version` since `at` (UTC, ISO 8601).

    `by_another` is true where it was found in the place of the version that this deployment had shown last.
    """

    version: str
    at: str
    by_another: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the line; one of this deployment as earlier releases of helioloop read it."""
        values = asdict(self)
        return values if self.by_another else {name: values[name] for name in ("version", "at")}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacedVersions(Replacements):
    """Versions that Label Studio showed in the place of this deployment's, within a day; `other` is the last one."""

    other: str


def read_shown_versions(model_dir: Path) -> list[ShownVersion]:
    """Return the versions that Label Studio has shown, in order of time; one that was shown again is there again.

    Before the last `RECENT` ones there are only those that tell since when a version is superseded.
    """
    path = model_dir / SHOWN_VERSIONS
    if not path.exists():
        return []
    return [ShownVersion(**json.loads(line)) for line in path.read_text().splitlines()]


def superseded_since(model_dir: Path, version: str) -> datetime | None:
    """Return since when Label Studio has shown another version than `version`.

    A version that was never shown, because a later one was published before its write-back, counts as superseded since
    the last change. None for the version that is shown now, and where none is.
    """
    shown = read_shown_versions(model_dir)
    if not shown or shown[-1].version == version:
        return None
    times = [index for index, line in enumerate(shown) if line.version == version]
    return datetime.fromisoformat(shown[times[-1] + 1 if times else -1].at)


def read_replaced_versions(model_dir: Path, version: str, *, now: float) -> ReplacedVersions | None:
    """Return which versions stood in the place of `version` within the last day; None where none did.

    None, too, where the file is damaged, which reconciliation puts aside. `now` is in Unix seconds.
    """
    try:
        others = [line for line in read_shown_versions(model_dir) if line.by_another]
        times = [datetime.fromisoformat(line.at).timestamp() for line in others]
    except (OSError, ValueError, TypeError):
        return None
    recent = tuple(at for at in times if is_recent(at, now=now, seconds=REMEMBERED_SECONDS))
    return ReplacedVersions(version=version, times=recent, other=others[-1].version) if recent else None


def add_shown_version(model_dir: Path, version: str, *, instead_of: str | None = None) -> None:
    """Record that Label Studio shows `version` from now on, unless it is the one shown already.

    `instead_of` is the published version where `version` was found in its place. Where that one was shown before,
    another deployment has changed it.
    """
    shown = read_shown_versions(model_dir)
    last = shown[-1].version if shown else None
    if last != version:
        at, by_another = datetime.fromtimestamp(time.time(), UTC).isoformat(), last is not None and last == instead_of
        line = ShownVersion(version=version, at=at, by_another=by_another)
        atomic.write_json_lines(model_dir / SHOWN_VERSIONS, [entry.as_dict() for entry in _needed([*shown, line])])


def _needed(shown: list[ShownVersion]) -> list[ShownVersion]:
    """Return the last lines, and of those before them the last one of each version with the line after it."""
    last = {line.version: index for index, line in enumerate(shown)}.values()
    kept = {*last, *(index + 1 for index in last), *range(len(shown) - RECENT, len(shown))}
    return [line for index, line in enumerate(shown) if index in kept]
