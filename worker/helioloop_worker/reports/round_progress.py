"""How far the running round is, and about how long it still takes, from the files that its steps have written.

The files are the truth of a round: a step that is repeated does only what is missing. Times come from the files'
times of modification, in this round and in the latest version.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from helioloop.messaging.retrain_state import Running
from helioloop.records.cubes import Key
from helioloop.registry.known_cards import latest_card
from helioloop.registry.score_store import read_score_file
from helioloop.registry.staging import LOCATED, PLAN_FILE, UNLOCATED, RoundOutline, Staging
from helioloop.registry.version_names import number_of, version_name
from helioloop.registry.versions import Registry
from helioloop.words import duration

FILES_IN_MEMORY: Final = 4096
"""Score files of rounds whose cubes are kept in memory."""

Phase = Literal["training", "scoring", "locating", "finishing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundProgress:
    """The progress of a round.

    Parameters
    ----------
    version : str
        The name that its version will get.
    since : datetime
        When it began (UTC).
    reason : str
        Why, in a sentence.
    phase : str
        What it does: train members, score cubes, locate emergences, or make the version.
    done, total : int
        Members trained while it trains; cubes located while it locates emergences; else 0 of 0.
    left_seconds : float or None
        About how long it still takes; None where nothing is known to estimate it from.
    training_only : bool
        True where `left_seconds` is for the training alone, because no earlier round shows how long the rest takes.
    """

    version: str
    since: datetime
    reason: str
    phase: Phase
    done: int = 0
    total: int = 0
    left_seconds: float | None = None
    training_only: bool = False

    @property
    def step(self) -> str:
        """What it does now, in words."""
        if self.phase == "training":
            return f"training member {min(self.done + 1, self.total)} of {self.total}"
        if self.phase == "locating":
            return f"locating emergences, {self.done} of {self.total} cubes done"
        return {"scoring": "scoring all cubes", "finishing": "making the version"}[self.phase]

    @property
    def summary(self) -> str:
        """Version, step, time left and reason in words: "v0007, member 6 of 10, about 2 min left, because …"."""
        return f"{self.short}, {self.left}, because {self.reason}"

    @property
    def short(self) -> str:
        """Version and step in words: "v0007, member 6 of 10"."""
        return f"{self.version}, {self.step.removeprefix('training ')}"

    @property
    def left(self) -> str:
        """The time left in words."""
        if self.left_seconds is None:
            return "time left not known yet"
        return f"about {duration(self.left_seconds)} {'of training ' if self.training_only else ''}left"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pace:
    """How long the latest version took: seconds for each member, and from the last member to the version."""

    member_seconds: float
    rest_seconds: float


def read_round_progress(registry: Registry, running: Running, *, now: float) -> RoundProgress | None:
    """Return the progress of the running round; None where its files are not there, because it has just ended.

    Parameters
    ----------
    registry : Registry
        The model folder.
    running : Running
        From the retrain state.
    now : float
        The time, in Unix seconds.
    """
    staging = Staging(registry.root)
    folder, plan = staging.folder(running.fingerprint), _outline(staging, running.fingerprint)
    if plan is None:
        return None
    trained = _times(folder / file for file in plan.member_files)
    last, names = _pace(registry), registry.versions()
    done, total, phase = len(trained), len(plan.member_files), "training"
    if done == total:
        scored, located = _scored(folder / UNLOCATED, plan), _scored(folder / LOCATED, plan)
        if not located and scored < len(plan.cubes):
            done, total, phase = scored, len(plan.cubes), "scoring"
        else:
            done, total, phase = located, scored, "locating" if located < scored else "finishing"
        if phase == "finishing":
            done = total = 0
    training = phase == "training"
    left = _training_left(running, trained, total - done, last, now=now) if training else 0.0
    rest = None if last is None else last.rest_seconds if training else _rest_left(last, trained, now=now)
    if not training and rest is None:
        left = None
    return RoundProgress(
        version=version_name(number_of(names[-1]) + 1 if names else 1),
        since=datetime.fromtimestamp(running.since, UTC),
        reason=plan.reason,
        phase=phase,  # type: ignore[arg-type]
        done=done,
        total=total,
        left_seconds=None if left is None else left + (rest or 0.0),
        training_only=training and rest is None,
    )


def _training_left(
    running: Running, trained: list[float], to_train: int, last: _Pace | None, *, now: float
) -> float | None:
    """Return the seconds until the last member is trained, from the members trained so far or the latest version.

    Members that were trained before the round began again say nothing about its pace.
    """
    mine = [at for at in trained if at >= running.since]
    newest = mine[-1] if mine else running.since
    pace = (newest - running.since) / len(mine) if mine else None if last is None else last.member_seconds
    return None if pace is None else max(pace * to_train - (now - newest), 0.0)


def _rest_left(last: _Pace, trained: list[float], *, now: float) -> float:
    return max(last.rest_seconds - (now - trained[-1]), 0.0)


def _pace(registry: Registry) -> _Pace | None:
    """Return the pace of the latest version; None without one, or where its files do not show it."""
    card = latest_card(registry)
    if card is None:
        return None
    folder = registry.folder(card.version)
    trained = _times(folder / str(member["file"]) for member in card.members.values())
    begun = _times([folder / PLAN_FILE])
    made = datetime.fromisoformat(card.created_at).timestamp()
    if not trained or not begun or not begun[0] <= trained[-1] <= made + 1.0:  # the card has whole seconds; a copy none
        return None
    return _Pace(member_seconds=(trained[-1] - begun[0]) / len(trained), rest_seconds=max(made - trained[-1], 0.0))


def _times(paths: Iterable[Path]) -> list[float]:
    """Return when the files that exist were written, in order."""
    found = []
    for path in paths:
        try:
            found.append(path.stat().st_mtime)
        except FileNotFoundError:
            continue
    return sorted(found)


def _scored(folder: Path, plan: RoundOutline) -> int:
    """Return how many cubes of a round have a score in a folder of staging.

    A cube may have several scores there, and a resumed round those of cubes that it no longer has.
    """
    found: set[Key] = set()
    for path in folder.glob("*.jsonl"):
        with suppress(FileNotFoundError):  # the round was admitted or discarded just now
            found |= _keys_in(path)
    return len(found & plan.cubes)


@lru_cache(maxsize=FILES_IN_MEMORY)
def _keys_in(path: Path) -> frozenset[Key]:
    """Return the cubes of a score file, which is written once: a round has hundreds, and is looked at every seconds."""
    return frozenset(score.key for score in read_score_file(path, curves=False))


def _outline(staging: Staging, fingerprint: str) -> RoundOutline | None:
    """Return the outline of a round, read again only where its plan was written again; None without a plan."""
    try:
        found = (staging.folder(fingerprint) / PLAN_FILE).stat()
    except FileNotFoundError:
        return None
    return _read_outline(staging.root, fingerprint, (found.st_mtime_ns, found.st_ino))


@lru_cache(maxsize=2)
def _read_outline(root: Path, fingerprint: str, stamp: tuple[int, int]) -> RoundOutline | None:  # noqa: ARG001 - the key
    return Staging(root.parent).outline(fingerprint)
