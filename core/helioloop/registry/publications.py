"""Which version of a model folder is published, and which were: a pointer, and a history of all publications."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from helioloop.errors import RegistryError
from helioloop.files import atomic, lease
from helioloop.registry.card import Card
from helioloop.registry.folder_format import check_format
from helioloop.registry.version_names import is_version_name, number_of, version_names

POINTER: Final = "published.json"
HISTORY: Final = "history.jsonl"
PUBLISHING_SECONDS: Final = 60.0
"""Longest wait for another process that publishes a version or removes weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One line of the history: `version` was published at `at` (UTC, ISO 8601), and why."""

    version: str
    at: str
    why: str


class Publications:
    """Pointer and history of one model folder; the history is written first, so it is never behind the pointer.

    All methods that read raise a `RegistryError` where the folder has another format; see `folder_format`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def published(self) -> str | None:
        """Return the name of the published version, or None; a damaged pointer is a `RegistryError`."""
        check_format(self.root)
        path = self.root / POINTER
        try:
            version = json.loads(path.read_text())["version"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise RegistryError(f'{path} is not {{"version": …}}; {self._remedy()}') from None
        if not isinstance(version, str) or not is_version_name(version):
            raise RegistryError(f"{path} names {version!r}, but versions are named v0001, v0002, …; {self._remedy()}")
        return version

    def published_if_readable(self) -> str | None:
        """Return the name of the published version, None where there is none or the pointer is damaged."""
        check_format(self.root)
        try:
            return self.published()
        except RegistryError:
            return None

    def history(self) -> list[Publication]:
        """Return all publications and rollbacks, oldest first."""
        check_format(self.root)
        path = self.root / HISTORY
        if not path.exists():
            return []
        try:
            return [Publication(**json.loads(line)) for line in path.read_text().splitlines()]
        except (ValueError, TypeError) as error:
            raise RegistryError(
                f"{path} has a line that is not a publication ({error}); delete that "
                f"line; if another version should be published then, run `{self.rollback_command('VERSION')}`"
            ) from None

    def last(self) -> str | None:
        """Return the version that a lost pointer most likely named; None where there is no version.

        This is the last version in the history, or the newest one where the history is empty or damaged.
        """
        check_format(self.root)
        names = version_names(self.root)
        try:
            published = [line.version for line in self.history() if line.version in names]
        except RegistryError:
            published = []
        known = published or names
        return known[-1] if known else None

    def rollback_command(self, version: str) -> str:
        """Return the shell command that publishes `version`."""
        return f"helioloop rollback {version} --model-dir {shlex.quote(str(self.root))}"

    def overtaken(self, card: Card) -> str | None:
        """Return why a version is not published without a human's request, in a sentence; None where it may be."""
        published, lines = self.published_if_readable(), self.history()
        by_hand = f"to publish it, run `{self.rollback_command(card.version)}`"
        if lines and lines[-1].version == card.version:
            return None  # a publication that broke off
        if any(line.version == card.version for line in lines):
            return f"{card.version} was published before, and {lines[-1].version} since; {by_hand}"
        if published is not None and number_of(published) > number_of(card.version):
            return f"{card.version} is older than {published}, which is published; {by_hand}"
        compared = card.verdict.get("publications")
        if compared is not None and len(lines) > compared:
            return f"{lines[-1].version} was published while the round of {card.version} was closed; {by_hand}"
        if compared is not None and len(lines) < compared:
            return f"lines of the history were lost since the round of {card.version} was closed; {by_hand}"
        return None

    def record(self, version: str, *, why: str, lines_before: int | None = None) -> None:
        """Write the history, then the pointer; only while `publishing`.

        Raises
        ------
        RegistryError
            If the history has not `lines_before` lines any more: this process was stopped for so long that another one
            took over the lock and published.
        """
        line = Publication(version=version, at=datetime.now(UTC).isoformat(timespec="seconds"), why=why)
        lines = self.history()
        if lines_before is not None and len(lines) != lines_before:
            raise RegistryError(
                f"{version} in {self.root} is not published, because another process has published "
                f"{lines[-1].version if lines else 'a version'} meanwhile; to publish it all the same, run "
                f"`{self.rollback_command(version)}`"
            )
        if not lines or lines[-1].version != version:  # else the last publication was interrupted here
            lines.append(line)
        atomic.write_json_lines(self.root / HISTORY, [asdict(entry) for entry in lines])
        atomic.write_json(self.root / POINTER, {"version": version})

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Keep other processes from publishing a version, and from removing weights.

        Raises
        ------
        RegistryError
            If another process does so for too long.
        """
        path = self.root / ".publishing.lock"
        with lease.holding(path, wait_seconds=PUBLISHING_SECONDS) as is_held:
            if not is_held:
                raise RegistryError(
                    f"another process has been publishing a version or pruning in {self.root} for over "
                    f"{PUBLISHING_SECONDS:.0f} s; wait until it has ended, and repeat this"
                )
            yield

    def _remedy(self) -> str:
        version = self.last()
        if version is None:
            return "delete it, because there is no version"
        return f"run `{self.rollback_command(version)}`"
