"""Which of the releases that a version was trained on are in none of the release roots."""

from collections.abc import Sequence
from pathlib import Path

from helioloop.files.names import is_plain_name
from helioloop.registry.versions import Card


def lost_releases(card: Card, roots: Sequence[Path]) -> tuple[str, ...]:
    """Return the names of these releases, sorted; none where no release root is set."""
    if not roots:
        return ()
    names = {str(entry.get("release")) for entry in card.labels.values() if entry.get("release")}
    return tuple(
        name for name in sorted(names) if not (is_plain_name(name) and any((root / name).is_dir() for root in roots))
    )
