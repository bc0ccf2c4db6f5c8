"""Cards of versions, kept in memory: a card names all labels that a version was trained on, and never changes."""

from functools import lru_cache
from pathlib import Path

from helioloop.registry.versions import Card, Registry


def known_card(registry: Registry, version: str) -> Card:
    """Return the card of a version; it is read again only where its file is another one than before.

    Raises
    ------
    UnknownVersion
        If there is no such version.
    RegistryError
        If the card is missing or damaged.
    """
    path = registry.folder(version) / "card.json"
    try:
        found = path.stat()
    except FileNotFoundError:
        return registry.card(version)  # raises the error that names the remedy
    return _read(path, (found.st_mtime_ns, found.st_ino, found.st_size))


def latest_card(registry: Registry) -> Card | None:
    """Return the card of the newest version, as `known_card` does; None where there is no version."""
    names = registry.versions()
    return known_card(registry, names[-1]) if names else None


@lru_cache(maxsize=8)  # of up to four projects: the published version, and a newer one that was rejected
def _read(path: Path, stamp: tuple[int, int, int]) -> Card:  # noqa: ARG001 - the stamp is part of the key
    return Card.read(path)
