"""Model versions on disk: a folder each with card, weights and scores, and one pointer to the published one.

Files are the truth of models and scores. No torch here: the web side reads the same folders.

    <model-dir>/format.json             the format number of the folder: {"format": 1}
    <model-dir>/published.json          the one pointer: {"version": …}
    <model-dir>/history.jsonl           every publication and rollback, oldest first
    <model-dir>/staging/<fingerprint>/  a round being made; safe to resume, never read by others
    <model-dir>/versions/v0001/         card.json, *.safetensors, scores/*.jsonl
"""

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from helioloop import atomic
from helioloop.errors import RegistryError, UnknownVersion
from helioloop.records import CubeScore, Key
from helioloop.registry.folder_format import check_format, ensure_format
from helioloop.registry.score_store import read_scores, write_scores
from helioloop.registry.staging import Staging

_VERSION = re.compile(r"v(\d{4,})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a model version is and what it was made from; ``card.json`` in its folder.

    Parameters
    ----------
    version : str
        ``v0001``, ``v0002``, …; empty while the round is being made.
    parent : str or None
        The version that was published when this round started.
    created_at : str
        UTC, ISO 8601.
    reason : str
        Why the round ran, in a sentence.
    fingerprint : str
        Hash of labels, data, recipe and code: equal fingerprints make equal models.
    label_fingerprint : str
        Hash of the labels alone.
    code_version : str
        Version and source digest of the learning code.
    recipe, instrument : dict
        Settings that the members were trained with.
    labels : dict
        cube -> {"label", "verified", "fold", "sha256", "release"} of every cube trained on.
    members : dict
        Member name -> {"fold", "seed", "file"}.
    metrics : dict
        Figures of the round (out-of-fold agreement and the like), plain numbers.
    verdict : dict
        What the promotion gate said: {"publish", "reason", "metrics"}; empty in cards from before there was one.
    """

    version: str
    parent: str | None
    created_at: str
    reason: str
    fingerprint: str
    label_fingerprint: str
    code_version: str
    recipe: dict[str, Any]
    instrument: dict[str, Any]
    labels: dict[str, dict[str, Any]]
    members: dict[str, dict[str, Any]]
    metrics: dict[str, float] = field(default_factory=dict)
    verdict: dict[str, Any] = field(default_factory=dict)

    @property
    def rejected(self) -> str | None:
        """Why the gate keeps this version from being published, in a sentence; None where it does not."""
        return None if self.verdict.get("publish", True) else str(self.verdict["reason"])

    @property
    def verified(self) -> int:
        """How many of the labels trained on were a human's."""
        return sum(bool(entry["verified"]) for entry in self.labels.values())

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a card; a file that is none is a `RegistryError`."""
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            raise RegistryError(f"{path} is missing; a model version's folder holds its card: restore it") from None
        except (ValueError, TypeError) as error:
            raise RegistryError(f"{path} is no model card ({error}); restore it or delete that folder") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One line of the history: `version` was made the published one at `at` (UTC, ISO 8601)."""

    version: str
    at: str
    why: str


class Registry:
    """The model folder of one project. All writes are atomic; reading needs no lock."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # -- reading ---------------------------------------------------------------------------------

    def published(self) -> str | None:
        """Return the published version's name, or None before the first; a damaged pointer is a `RegistryError`."""
        check_format(self.root)
        path = self.root / "published.json"
        try:
            version = json.loads(path.read_text())["version"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise RegistryError(f'{path} is not {{"version": …}}; {self._mending()}') from None
        if not isinstance(version, str) or not _VERSION.match(version):
            raise RegistryError(f"{path} names {version!r}; versions are named v0001, v0002, …: {self._mending()}")
        return version

    def published_if_readable(self) -> str | None:
        """Return the same, and None for a damaged pointer too: for whoever is about to write it anew."""
        check_format(self.root)
        try:
            return self.published()
        except RegistryError:
            return None

    def unpublished(self) -> Card | None:
        """Return the newest version if nobody has published it to the end; whether it may be, `Card.rejected` says.

        The pointer names another one, and in the history either no line names this one, or the last line does:
        `publish` was killed between its two writes. Where a later line names another version, this one was published
        and taken back.
        """
        newest = self.latest()
        # The pointer before the history: read the other way round, a rollback in between would look like a publication
        # that broke off, and be taken back.
        if newest is None or newest.version == self.published_if_readable():
            return None
        told = [line.version for line in self.history()]
        return newest if newest.version not in told or newest.version == told[-1] else None

    def versions(self) -> list[str]:
        """Return the names of all whole versions, oldest first."""
        check_format(self.root)
        folder = self.root / "versions"
        if not folder.is_dir():
            return []
        names = [entry.name for entry in folder.iterdir() if _VERSION.match(entry.name) and entry.is_dir()]
        return sorted(names, key=lambda name: int(name[1:]))

    def folder(self, version: str) -> Path:
        """Return a version's folder; an unknown name is an `UnknownVersion`."""
        check_format(self.root)
        path = self.root / "versions" / version
        if not _VERSION.match(version) or not path.is_dir():
            known = ", ".join(self.versions()) or "none yet"
            raise UnknownVersion(f"version {version!r} is not in {self.root}; it holds: {known}")
        return path

    def card(self, version: str) -> Card:
        """Return a version's card."""
        return Card.read(self.folder(version) / "card.json")

    def latest(self) -> Card | None:
        """Return the card of the newest version, published or not: the last candidate."""
        names = self.versions()
        return self.card(names[-1]) if names else None

    def scores(self, version: str) -> dict[Key, CubeScore]:
        """Return a version's scores by (cube, sha256); of two for one cube the later written counts."""
        return read_scores(self.folder(version) / "scores")

    def history(self) -> list[Publication]:
        """Return all publications and rollbacks, oldest first."""
        check_format(self.root)
        path = self.root / "history.jsonl"
        if not path.exists():
            return []
        try:
            return [Publication(**json.loads(line)) for line in path.read_text().splitlines()]
        except (ValueError, TypeError) as error:
            raise RegistryError(f"{path} holds a line that is no publication ({error}); delete that line") from None

    def last_published(self) -> str | None:
        """Return the version that a lost pointer most likely named; None where there is no version.

        It is the one that the history names last; the newest one where the history names none or cannot be read.
        """
        names = self.versions()
        try:
            told = [line.version for line in self.history() if line.version in names]
        except RegistryError:
            told = []
        known = told or names
        return known[-1] if known else None

    def rollback_command(self, version: str) -> str:
        """Return the command that publishes `version` by hand, as a shell takes it."""
        return f"helioloop rollback {version} --model-dir {shlex.quote(str(self.root))}"

    def _mending(self) -> str:
        version = self.last_published()
        if version is None:
            return "delete it: there is no version that it could name"
        return f"run `{self.rollback_command(version)}`"

    # -- writing ---------------------------------------------------------------------------------

    def staging(self, fingerprint: str) -> Path:
        """Return (and create) the folder in which the round with this fingerprint is made."""
        return Staging(self.root).create(fingerprint)

    def admit(self, staging: Path, card: Card) -> Card:
        """Turn a finished staging folder into the next version, unpublished, and return its card.

        The folder gets its card and is renamed into place, so a version is there whole or not at all. Two writers
        cannot take one name: renaming onto a folder that is not empty fails, and the next name is tried.
        """
        ensure_format(self.root)
        versions = self.root / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        number = int(self.versions()[-1][1:]) if self.versions() else 0
        while True:
            number += 1
            named = replace(card, version=f"v{number:04d}")
            atomic.write_json(staging / "card.json", named.as_dict())
            try:
                staging.rename(versions / named.version)
            except FileExistsError:
                continue
            except OSError as error:
                if (versions / named.version).exists():
                    continue
                raise RegistryError(f"{staging} cannot become {named.version}: {error.strerror}") from error
            atomic.sync_folder(versions)
            return named

    def publish(self, version: str, *, why: str) -> None:
        """Point at `version`: files first, pointer last; a damaged one is replaced. Repeating it changes nothing."""
        self.folder(version)
        if self.published_if_readable() == version:
            return
        line = Publication(version=version, at=datetime.now(UTC).isoformat(timespec="seconds"), why=why)
        lines = self.history()
        if not lines or lines[-1].version != version:  # else a publication was interrupted right here
            lines.append(line)
        atomic.write_json_lines(self.root / "history.jsonl", [asdict(entry) for entry in lines])
        atomic.write_json(self.root / "published.json", {"version": version})

    def add_scores(self, version: str, scores: Iterable[CubeScore]) -> None:
        """Add scores of further cubes to a version; several writers do not meet, each writes a file of its own."""
        write_scores(self.folder(version) / "scores", scores)
