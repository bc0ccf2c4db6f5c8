"""Staging folders: one for each round that is being made, and the locks and failure counts that belong to them.

    <model-dir>/staging/<fingerprint>/               plan, weights and scores so far; safe to resume
    <model-dir>/staging/<fingerprint>/attempts.json  how often the round failed, and why it failed last
    <model-dir>/staging/<fingerprint>.lock           exists while one process makes the whole round by itself

A folder is named after the fingerprint of its plan. `helioloop train` locks its folder, so that a worker that clears up
leaves it alone, also on another machine (see `helioloop.files.lease`). The rounds of a worker are spread over jobs and
take no lock: Redis holds which of them runs. Whoever is first to rename the folder makes it a version.
"""

import json
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from helioloop.errors import RegistryError
from helioloop.files import atomic, lease
from helioloop.records.cubes import Key
from helioloop.registry.folder_format import ensure_format

PLAN_FILE: Final = "plan.json"
"""File with the plan of a round, in staging folders and in versions."""
GROWTH_ODDS_FILE: Final = "growth-odds.json"
"""File with what the local growth of a cube says, in staging folders and in versions; see `helioloop.model`."""
ATTEMPTS_FILE: Final = "attempts.json"
UNLOCATED: Final = "unlocated"
"""Folder in staging with scores that have no emergence frame yet."""
LOCATED: Final = "located"
"""Folder in staging with complete scores."""
MAX_ATTEMPTS: Final = 3
"""A round that failed this often without any progress is parked: the same inputs would fail again."""

_FINGERPRINT: Final = re.compile(r"[0-9a-f]{8,64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """How often a round failed without progress, how many files it had then, and the reasons of the last failure."""

    attempts: int
    files: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundOutline:
    """Why a round was started, the files that its members will have, and the cubes that it scores.

    For reports, without the packages of plans.
    """

    reason: str
    member_files: tuple[str, ...]
    cubes: frozenset[Key]


def gone(folder: Path) -> RegistryError:
    """Return the error of a staging folder that is not there any more."""
    return RegistryError(
        f"{folder} is gone, because another process has admitted or discarded it; nothing is left to do here"
    )


class Staging:
    """The staging folders of one model folder.

    Parameters
    ----------
    model_dir : Path
        The model folder.
    """

    def __init__(self, model_dir: Path) -> None:
        self.root = model_dir / "staging"

    def folder(self, fingerprint: str) -> Path:
        """Return the folder of a round, whether it exists or not; a malformed fingerprint is a `RegistryError`."""
        if not _FINGERPRINT.match(fingerprint):
            raise RegistryError(f"{fingerprint!r} is not a fingerprint; a fingerprint has 8 to 64 hex digits")
        return self.root / fingerprint

    def create(self, fingerprint: str) -> Path:
        """Create the folder of a round, unless it exists, and return it."""
        path = self.folder(fingerprint)
        ensure_format(self.root.parent)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def has_plan(self, fingerprint: str) -> bool:
        """Tell whether a round was begun and is not admitted yet."""
        return (self.folder(fingerprint) / PLAN_FILE).exists()

    def outline(self, fingerprint: str) -> RoundOutline | None:
        """Return the outline of a round; None where it has no plan, because it was admitted or not begun."""
        path = self.folder(fingerprint) / PLAN_FILE
        try:
            plan = json.loads(path.read_text())
            files = tuple(f"{member['name']}.safetensors" for member in plan["members"])
            cubes = frozenset((str(cube["name"]), str(cube["sha256"])) for cube in plan["cubes"])
            return RoundOutline(reason=str(plan["reason"]), member_files=files, cubes=cubes)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise RegistryError(f"{path} is not a plan ({error!r}); restore it or delete its folder") from None

    def fingerprints(self) -> list[str]:
        """Return the fingerprints of all staging folders, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(path.name for path in self.root.iterdir() if path.is_dir() and _FINGERPRINT.match(path.name))

    # -- locks -----------------------------------------------------------------------------------

    @contextmanager
    def locked(self, fingerprint: str) -> Iterator[Path]:
        """Create the folder of a round and keep it locked, so that no other process discards or makes it.

        Raises
        ------
        RegistryError
            Where another process has locked it.
        """
        with lease.holding(self._lock_file(fingerprint)) as is_held:
            if not is_held:
                raise RegistryError(
                    f"round {fingerprint[:16]} in {self.root.parent} is being made by another process; "
                    "wait until it has ended, or stop it, and repeat this"
                )
            yield self.create(fingerprint)

    def is_locked(self, fingerprint: str) -> bool:
        """Tell whether a process makes this round by itself now; False for a command that was killed."""
        return lease.is_held(self._lock_file(fingerprint))

    def discard(self, *, but: str | None = None) -> None:
        """Delete all staging folders but one and those that are locked.

        Parameters
        ----------
        but : str, optional
            Fingerprint of the round whose folder stays.
        """
        for fingerprint in self.fingerprints():
            if fingerprint != but:
                self.delete(fingerprint)

    def _lock_file(self, fingerprint: str) -> Path:
        # Beside the folder, which is renamed as a whole when the round is admitted.
        return self.folder(fingerprint).with_suffix(".lock")

    def abandoned(self, *, but: Collection[str], before: float) -> list[str]:
        """Return the rounds that nobody makes and nobody needs: not locked, not parked, and unchanged for long.

        Parameters
        ----------
        but : collection of str
            Fingerprints of rounds that run.
        before : float
            Unix time; rounds of which a file was written later are left out.
        """
        return [
            fingerprint
            for fingerprint in self.fingerprints()
            if fingerprint not in but
            and self.parked(fingerprint) is None
            and _changed_at(self.folder(fingerprint)) < before
            and not self.is_locked(fingerprint)
        ]

    def delete(self, fingerprint: str) -> bool:
        """Delete the folder of a round, unless a process makes the round; return whether it was deleted."""
        with lease.holding(self._lock_file(fingerprint)) as is_held:
            if is_held:
                shutil.rmtree(self.folder(fingerprint), ignore_errors=True)
            return is_held

    # -- failures --------------------------------------------------------------------------------

    def count_attempt(self, fingerprint: str, reasons: list[str]) -> int:
        """Count a failed attempt and return how many there were; a round with more files than before restarts at one.

        Parameters
        ----------
        fingerprint : str
            The round.
        reasons : list of str
            Why its steps failed; empty where a worker was lost.
        """
        folder, before = self.folder(fingerprint), self._attempts(fingerprint)
        files = sum(entry.is_file() and entry.name != ATTEMPTS_FILE for entry in folder.rglob("*"))
        attempts = 1 if before is None or files > before.files else before.attempts + 1
        counted = Attempts(attempts=attempts, files=files, reasons=tuple(reasons))
        atomic.write_json(folder / ATTEMPTS_FILE, asdict(counted))
        return attempts

    def forget_attempts(self, fingerprint: str) -> None:
        """Let a round begin to count its failures anew."""
        (self.folder(fingerprint) / ATTEMPTS_FILE).unlink(missing_ok=True)

    def parked(self, fingerprint: str) -> str | None:
        """Return why a round is parked, in one sentence; None where it is not."""
        known = self._attempts(fingerprint)
        if known is None or known.attempts < MAX_ATTEMPTS:
            return None
        return (
            f"round {fingerprint[:16]} failed {known.attempts} times and is parked "
            f'({"; ".join(known.reasons) or "workers were lost"}); remove the cause, then press "Start training"'
        )

    def all_parked(self) -> list[str]:
        """Return the sentences of all parked rounds."""
        return [sentence for fingerprint in self.fingerprints() if (sentence := self.parked(fingerprint)) is not None]

    def _attempts(self, fingerprint: str) -> Attempts | None:
        path = self.folder(fingerprint) / ATTEMPTS_FILE
        try:
            values = json.loads(path.read_text())
            return Attempts(attempts=values["attempts"], files=values["files"], reasons=tuple(values["reasons"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise RegistryError(f"{path} is not a count of attempts ({error!r}); delete it") from None


def _changed_at(folder: Path) -> float:
    """Return when a folder or something in it was changed last, in Unix seconds."""
    times = [0.0]
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times)
