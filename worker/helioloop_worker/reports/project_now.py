"""The state of a project as annotators see it: version, labels verified and estimated wrong, the running round.

`short` is for the project's description, of which Label Studio's card shows about 150 characters; `sentences` is for
the page. Both are made from files and the retrain state; Label Studio is not read.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from helioloop.evaluation.audit import RoundAudit
from helioloop.evaluation.estimates import Estimate
from helioloop.messaging.retrain_state import Running
from helioloop.registry.known_cards import known_card, latest_card
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.versions import Registry
from helioloop.words import count
from helioloop_worker.reports.audit import audit_stamp, read_audit
from helioloop_worker.reports.round_progress import RoundProgress, read_round_progress
from helioloop_worker.reports.times import minute

ESTIMATE_FRACTION: Final = 0.05
"""Estimates that are not short take at most about this fraction of the time."""
SHORT_SECONDS: Final = 0.5
"""An estimate that takes less is computed after each change."""
ESTIMATES_IN_MEMORY: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectNow:
    """A project at one moment.

    Parameters
    ----------
    at : datetime
        The moment (UTC).
    version : str or None
        The published version; None before the first.
    made_at : datetime or None
        When it was made.
    labels, labels_verified : int
        Labels that it was trained on, and how many were verified.
    rejected : str or None
        Name of the newest version and why it is not published, where the promotion check rejected it.
    cubes, verified : int
        Cubes of the project, and how many are verified now, as last read from Label Studio.
    read_at : datetime or None
        When that was; None before the first time.
    wrong_left : Estimate or None
        Estimate of the labels that are wrong among the unverified; None while the audit sample is too small.
    unverified_labels : int
        How many labels that are; a cube without a label has none that could be wrong.
    unscored : int
        Further unverified labels, of cubes that have no prediction yet. The estimate says nothing about them.
    round : RoundProgress or None
        The running round.
    """

    at: datetime
    version: str | None = None
    made_at: datetime | None = None
    labels: int = 0
    labels_verified: int = 0
    rejected: str | None = None
    cubes: int = 0
    verified: int = 0
    read_at: datetime | None = None
    wrong_left: Estimate | None = None
    unverified_labels: int = 0
    unscored: int = 0
    round: RoundProgress | None = None

    def short(self) -> str:
        """Return the state in few words, the most important ones first."""
        made = "" if self.made_at is None else f" ({self.made_at.astimezone(UTC):%d %b %H:%M} UTC)"
        shown = "No model yet" if self.version is None else f"{self.version}{made}"
        trained = "" if self.version is None else f" from {self.labels} labels"
        wrong = ""
        if self.unscored:  # an estimate of the others would be read as one of all
            wrong = f", {self.unscored} without a prediction yet"
        elif self.wrong_left is not None and self.unverified_labels:
            value, most = round(self.wrong_left.value), round(self.wrong_left.hi)
            wrong = f", about {value} labels wrong" if value else f", at most {most} labels wrong"
        running = ""
        if self.round is not None:
            running = f" Now {self.round.step}, {self.round.left} (at {self.at:%H:%M} UTC)."
        return f"{shown}{trained}. {self.verified} of {self.cubes} verified{wrong}.{running}"

    def sentences(self) -> tuple[tuple[str, str], ...]:
        """Return the state as pairs of a heading and a sentence."""
        if self.version is None:
            shown = "No version yet: the first round trains on the crude labels."
        else:
            made = "" if self.made_at is None else f"{minute(self.made_at)} UTC"
            shown = f"{self.version}, made {made} from {self.labels} labels, {self.labels_verified} of them verified."
        return (
            ("Model version shown", shown),
            *((("Not published", self.rejected),) if self.rejected else ()),
            ("Verified so far", self._verified()),
            ("Labels estimated wrong", self._wrong()),
            ("Round", self._round()),
        )

    def _verified(self) -> str:
        if self.read_at is None:
            return "The labels were not read from Label Studio yet."
        fraction = f" ({self.verified / self.cubes:.0%})" if self.cubes else ""
        return f"{self.verified} of {self.cubes} cubes{fraction}, as read {minute(self.read_at)} UTC."

    def _wrong(self) -> str:
        if self.wrong_left is None:
            return (
                "No estimate yet: it needs ten random checks answered blind. They can wait while three in four cubes "
                "of the queue have a wrong label."
            )
        left = self.wrong_left
        scored, others = "", ""
        if self.unscored:
            scored = " and whose cube has a prediction"
            others = f" Nothing is known yet about {count(self.unscored, 'more label')}, of cubes without one."
        if not self.unverified_labels:
            return f"There is no label that nobody verified{scored}.{others}"
        return (
            f"About {left.value:.0f} of the {self.unverified_labels} labels that nobody verified{scored} "
            f"({left.lo:.0f} to {left.hi:.0f} with 90% confidence).{others}"
        )

    def _round(self) -> str:
        if self.round is None:
            return "No round is running."
        now = self.round
        return (
            f"{now.version} has been in the making since {minute(now.since)} UTC, because {now.reason}: "
            f"{now.step}, {now.left}."
        )


def read_project_now(registry: Registry, running: Running | None, *, now: float | None = None) -> ProjectNow:
    """Return the state of a project.

    Parameters
    ----------
    registry : Registry
        Its model folder.
    running : Running or None
        The running round, from the retrain state.
    now : float or None
        The time in Unix seconds; None takes the clock.

    Raises
    ------
    RegistryError
        Where a file of the model folder is damaged.
    """
    at = time.time() if now is None else now
    snapshot, version, newest = Snapshot.read_if_changed(registry.root), registry.published(), latest_card(registry)
    card = None if version is None else known_card(registry, version)
    last = None if snapshot is None else _ESTIMATES.get(registry, snapshot)
    rejected = newest is not None and newest.version != version and newest.rejected is not None
    return ProjectNow(
        at=datetime.fromtimestamp(at, UTC),
        version=version,
        made_at=None if card is None else datetime.fromisoformat(card.created_at),
        labels=0 if card is None else len(card.labels),
        labels_verified=0 if card is None else card.verified,
        rejected=f"{newest.version} is {newest.rejected}." if newest is not None and rejected else None,
        cubes=0 if snapshot is None else len(snapshot.cubes),
        verified=0 if snapshot is None else sum(label.verified for label in snapshot.cubes.values()),
        read_at=None if snapshot is None else datetime.fromisoformat(snapshot.read_at),
        wrong_left=None if last is None else last.wrong_left,
        unverified_labels=0 if last is None else last.cubes - last.verified,
        unscored=0 if last is None else last.unscored,
        round=None if running is None else read_round_progress(registry, running, now=at),
    )


class PacedEstimates:
    """The audit of the latest round, with its estimate, for each project, computed again where something has changed.

    It reads all scores, so for a project of very many cubes it takes seconds. Such an estimate stays for a while after
    it was computed: at most about `ESTIMATE_FRACTION` of the time is spent on it, however many corrections come. Where
    another version is published it is computed at once, because it is shown beside that version. For one thread.

    Parameters
    ----------
    clock : callable
        Returns the time in seconds.
    work_clock : callable
        Returns the CPU time of this thread in seconds, by which an estimate is short or not.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, work_clock: Callable[[], float] = time.thread_time
    ) -> None:
        self._clock = clock
        self._work_clock = work_clock
        self._held: OrderedDict[Path, _HeldEstimate] = OrderedDict()

    def get(self, registry: Registry, snapshot: Snapshot) -> RoundAudit | None:
        """Return the audit of the latest round; None before the first."""
        root, version, stamp = registry.root, registry.published(), audit_stamp(registry, snapshot)
        held = self._held.get(root)
        if held is None or held.version != version or (held.stamp != stamp and self._clock() >= held.until):
            begun = self._work_clock()
            rounds = read_audit(registry, snapshot).rounds
            taken = self._work_clock() - begun
            held = self._held[root] = _HeldEstimate(
                version=version,
                stamp=stamp,
                last=rounds[-1] if rounds else None,
                until=self._clock() + (taken / ESTIMATE_FRACTION if taken > SHORT_SECONDS else 0.0),
            )
            while len(self._held) > ESTIMATES_IN_MEMORY:
                self._held.popitem(last=False)
        return held.last


@dataclass(frozen=True, slots=True, kw_only=True)
class _HeldEstimate:
    """The audit of a round, the published version beside which it is shown, and the time until which it stays."""

    version: str | None
    stamp: tuple[str, ...]
    last: RoundAudit | None
    until: float


_ESTIMATES: Final = PacedEstimates()
