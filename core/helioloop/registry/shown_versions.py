"""Which model version Label Studio has shown since when: ``writebacks.jsonl`` in the model folder."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from helioloop.files import atomic

SHOWN_VERSIONS = "writebacks.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownVersion:
    """One line of the file: Label Studio has shown `version` since `at` (UTC, ISO 8601)."""

    version: str
    at: str


def read_shown_versions(model_dir: Path) -> list[ShownVersion]:
    """Return the versions that Label Studio has shown, in order of time; one that was shown again is there again."""
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


def add_shown_version(model_dir: Path, version: str) -> None:
    """Record that Label Studio shows `version` from now on, unless it is the one shown already."""
    shown = read_shown_versions(model_dir)
    if shown and shown[-1].version == version:
        return
    line = ShownVersion(version=version, at=datetime.now(UTC).isoformat())
    atomic.write_json_lines(model_dir / SHOWN_VERSIONS, [asdict(entry) for entry in [*shown, line]])
