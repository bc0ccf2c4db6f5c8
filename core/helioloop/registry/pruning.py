"""Finds and removes what a model folder no longer needs: weights and masking curves of superseded versions, leftovers.

Cards, plans and scores of all versions stay: the audit, the report and the promotion check read them.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from helioloop.files import atomic
from helioloop.registry.score_store import curve_bytes, remove_curves
from helioloop.registry.staging import Staging
from helioloop.registry.versions import PRUNED_FILE, Registry

LEFT_SECONDS: Final = 24 * 3600.0
"""An unfinished file or round that has not changed for this long was left by a process that died."""

_WEIGHTS: Final = "*.safetensors"
_UNSCORABLE: Final = re.compile(r"(v\d{4,})\.json\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prunable:
    """Something that can go: what it is, in words, how many files it has, and how many bytes they take."""

    what: str
    files: int
    n_bytes: int


def kept_versions(registry: Registry, *, keep: int) -> frozenset[str]:
    """Return the versions whose weights stay.

    Parameters
    ----------
    registry : Registry
        The model folder.
    keep : int
        Versions that were published last, the published one included; without any publication, the newest ones. The
        newest version stays in any case: it may be about to be published, or somebody may publish it by hand.

    Raises
    ------
    RegistryError
        If ``published.json`` or the history is damaged.
    """
    published = registry.published()
    names = [name for name in registry.versions() if not registry.is_pruned(name)]
    order = list(dict.fromkeys(line.version for line in reversed(registry.history()) if line.version in names))
    if not order:
        order = names[::-1]
    return frozenset({*order[:keep], *names[-1:], *([] if published is None else [published])})


def superseded_versions(registry: Registry, *, keep: int) -> list[str]:
    """Return the versions that have weights or masking curves which are not needed, oldest first."""
    kept = kept_versions(registry, keep=keep)
    return [name for name in registry.versions() if name not in kept and not _is_done(registry.folder(name))]


def find_superseded(registry: Registry, *, keep: int) -> Prunable:
    """Return the weights and masking curves that are not needed."""
    names = superseded_versions(registry, keep=keep)
    folders = [registry.folder(name) for name in names]
    weights = [path for folder in folders for path in folder.glob(_WEIGHTS)]
    return Prunable(
        what=f"weights and masking curves of {shortened(names)}" if names else "weights of superseded versions",
        files=len(weights),
        n_bytes=sizes(weights) + sum(curve_bytes(folder / "scores") for folder in folders),
    )


def remove_superseded(registry: Registry, *, keep: int) -> None:
    """Remove the weights and masking curves that are not needed.

    Each version is marked first, so that an interrupted removal leaves no version that seems complete. No version is
    published meanwhile.

    Raises
    ------
    RegistryError
        If another process publishes for too long.
    """
    with registry.publishing():
        for name in superseded_versions(registry, keep=keep):
            folder = registry.folder(name)
            at = datetime.now(UTC).isoformat(timespec="seconds")
            atomic.write_json(folder / PRUNED_FILE, {"at": at, "done": False})
            for path in folder.glob(_WEIGHTS):
                path.unlink(missing_ok=True)
            remove_curves(folder / "scores")
            atomic.write_json(folder / PRUNED_FILE, {"at": at, "done": True})


def abandoned_rounds(registry: Registry, *, running: Collection[str], now: float) -> list[str]:
    """Return the fingerprints of rounds in the making that were left a day ago; see `Staging.abandoned`."""
    return Staging(registry.root).abandoned(but=running, before=now - LEFT_SECONDS)


def old_unscorable(registry: Registry) -> list[Path]:
    """Return the lists of cubes that versions could not score, except that of the published version."""
    published = registry.published()
    found = ((path, _UNSCORABLE.match(path.name)) for path in sorted((registry.root / "unscorable").glob("*.json")))
    return [path for path, match in found if match is not None and match[1] != published]


def unfinished_files(folder: Path, *, now: float) -> list[Path]:
    """Return the files below `folder` that a process which was killed had begun to write."""
    found = (path for path in sorted(folder.rglob(".*")) if atomic.is_unfinished(path.name) and path.is_file())
    return [path for path in found if now - path.stat().st_mtime > LEFT_SECONDS]


def sizes(paths: Collection[Path]) -> int:
    """Return how many bytes the files at `paths`, and in the folders at `paths`, have; missing ones count as 0."""
    total = 0
    for path in paths:
        files = path.rglob("*") if path.is_dir() else [path]
        for file in files:
            try:
                total += file.stat().st_size if file.is_file() else 0
            except FileNotFoundError:
                continue
    return total


def shortened(names: Collection[str], *, shown: int = 10) -> str:
    """Return names in one line; of many the first ones, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - shown} more" if len(listed) > shown else ""
    return ", ".join(listed[:shown]) + more


def _is_done(folder: Path) -> bool:
    """Return whether a version was pruned completely."""
    path = folder / PRUNED_FILE
    return path.exists() and '"done": true' in path.read_text()
