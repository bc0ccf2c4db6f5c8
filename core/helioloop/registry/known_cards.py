"""Cards of versions, kept in memory: a card names all labels that a version was trained on, and never changes."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from helioloop.registry.card import Card
from helioloop.registry.version_names import CARD_FILE
from helioloop.registry.versions import Registry

CARDS_IN_MEMORY: Final = 8
"""Those of up to four projects: the published version, and a newer one that the promotion check rejected."""
VERSIONS_IN_MEMORY: Final = 4096
"""Versions of which only the fingerprint and the names of the weights' files are kept."""

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRound:
    """Fingerprint of the round that made a version, and the names of its weights' files."""

    fingerprint: str
    member_files: tuple[str, ...]


def known_card(registry: Registry, version: str) -> Card:
    """Return the card of a version; it is read again only where its file is another one than before.

    Raises
    ------
    UnknownVersion
        If there is no such version.
    RegistryError
        If the card is missing or damaged.
    """
    path, stamp = _found(registry, version)
    return registry.card(version) if stamp is None else _read(path, stamp)


def known_round(registry: Registry, version: str) -> KnownRound:
    """Return fingerprint and weights' files of a version's round; read and raised as by `known_card`.

    The card itself is not kept, so that all versions of a project can be looked at again and again.
    """
    path, stamp = _found(registry, version)
    return _round_of(registry.card(version)) if stamp is None else _read_round(path, stamp)


def latest_card(registry: Registry) -> Card | None:
    """Return the card of the newest version, as `known_card` does; None where there is no version."""
    names = registry.versions()
    return known_card(registry, names[-1]) if names else None


def _found(registry: Registry, version: str) -> tuple[Path, _Stamp | None]:
    """Return the path of a card, and what changes when it is replaced; None where it is missing."""
    path = registry.folder(version) / CARD_FILE
    try:
        found = path.stat()
    except FileNotFoundError:
        return path, None  # reading it raises the error that names the remedy
    return path, (found.st_mtime_ns, found.st_ino, found.st_size)


@lru_cache(maxsize=CARDS_IN_MEMORY)
def _read(path: Path, stamp: _Stamp) -> Card:  # noqa: ARG001 - the stamp is part of the key
    return replace(Card.read(path), version=path.parent.name)


@lru_cache(maxsize=VERSIONS_IN_MEMORY)
def _read_round(path: Path, stamp: _Stamp) -> KnownRound:  # noqa: ARG001 - the stamp is part of the key
    return _round_of(Card.read(path))


def _round_of(card: Card) -> KnownRound:
    return KnownRound(fingerprint=card.fingerprint, member_files=tuple(card.member_files))
