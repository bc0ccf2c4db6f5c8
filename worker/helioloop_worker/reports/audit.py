"""The audit of a project, read from its model folder and from the labels as last read from Label Studio.

The rules are those of `helioloop.evaluation.audit`. Each model version is a round. A round ends when the next version
is trained: cubes that are verified then, and were not before, were verified in that round. Cubes that join in a round,
such as those of the next release, take part in it once they have a score. Which of the verified ones were answered
blind, without a prediction, is read from Label Studio's annotations as they are now. The ranking that people saw
in a round is that of the version that Label Studio showed. This is an earlier version if the promotion check rejected
the round's own.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from helioloop.evaluation.audit import RoundAudit, RoundRecord, audit_rounds
from helioloop.evaluation.audit_order import audit_order
from helioloop.records.cubes import CubeInfo, Key
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from helioloop.registry.acceptances import accepted_labels, read_acceptances
from helioloop.registry.card import Card
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.publications import Publication
from helioloop.registry.random_checks import RandomChecks
from helioloop.registry.unscorable import read_unscorable
from helioloop.registry.versions import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectAudit:
    """The audit of a project.

    Parameters
    ----------
    versions : tuple of str
        The version of each round.
    rounds : tuple of RoundAudit
        The audit of each round.
    next_sampled : tuple of str
        Random checks that nobody has answered, in audit order. Answered one after the other, they extend the audit
        sample, from which the number of wrong labels left is estimated.
    disagreements, disagreements_checked : int
        Cubes on whose crude label and prediction of the version shown disagree, and how many of them are verified.
    """

    versions: tuple[str, ...]
    rounds: tuple[RoundAudit, ...]
    next_sampled: tuple[str, ...]
    disagreements: int = 0
    disagreements_checked: int = 0


def read_audit(registry: Registry, snapshot: Snapshot) -> ProjectAudit:
    """Return the audit of a project; it is empty before the first version."""
    cards = [registry.card(version) for version in registry.versions()]
    if not cards:
        return ProjectAudit(versions=(), rounds=(), next_sampled=())
    records, contents = _read(registry, cards, snapshot)
    order = audit_order(CubeInfo(release="", name=cube, sha256=sha256) for cube, sha256 in contents.items())
    verified_before = {cube for cube, entry in cards[0].labels.items() if entry["verified"]}
    last = records[-1]
    disagreeing = [cube for cube, value in last.disagreement.items() if value > 0.5]
    checks = RandomChecks.read(registry.root)
    waiting = set(order) if checks is None else checks.blind(snapshot.cubes)
    return ProjectAudit(
        versions=tuple(card.version for card in cards),
        rounds=tuple(audit_rounds(records, order, verified_before=verified_before)),
        next_sampled=tuple(
            cube for cube in order if cube in last.disagreement and cube not in last.verified and cube in waiting
        ),
        disagreements=len(disagreeing),
        disagreements_checked=sum(cube in last.verified for cube in disagreeing),
    )


def audit_stamp(registry: Registry, snapshot: Snapshot) -> tuple[str, ...]:
    """Return what the audit is computed from: if it is the same as before, so is the audit."""
    files = [f"{version}/{file}" for version in registry.versions() for file in sorted(registry.score_files(version))]
    chosen = RandomChecks.read(registry.root), read_acceptances(registry.root)
    return snapshot.read_at, str(len(registry.history())), *map(str, chosen), *files


def read_rounds(registry: Registry, cards: Sequence[Card], snapshot: Snapshot) -> list[RoundRecord]:
    """Return what each version's round contributes to the audit.

    Only cubes with a crude label take part that were in the project when the round ended, and of these only cubes that
    the version shown in Label Studio has scored. A cube without a crude label has no label that could be wrong.

    Parameters
    ----------
    registry : Registry
        The project's model folder.
    cards : sequence of Card
        The cards of its versions, oldest first.
    snapshot : Snapshot
        The labels as last read from Label Studio.
    """
    return _read(registry, cards, snapshot)[0]


def _read(registry: Registry, cards: Sequence[Card], snapshot: Snapshot) -> tuple[list[RoundRecord], Mapping[str, str]]:
    """Return the records of `read_rounds`, and the content hash of each cube in them."""
    crude = {cube: label.crude for cube, label in snapshot.cubes.items() if label.crude is not None}
    now = {cube: label.label for cube, label in snapshot.cubes.items() if label.verified}
    answers = {cube: label.blind.label for cube, label in snapshot.cubes.items() if label.blind is not None}
    scores: dict[str, Mapping[Key, CubeScore]] = {}
    history, records = registry.history(), []
    contents: dict[str, str] = {}
    checks = RandomChecks.read(registry.root)
    hidden = frozenset() if checks is None else frozenset(checks.cubes)
    for number, (card, following) in enumerate(zip_longest(cards, cards[1:]), start=1):
        shown = _shown(cards[:number], following, history)
        if shown not in scores:
            scores = {shown: registry.scores(shown, curves=False)}
        present = _present(card, following, scores[shown], snapshot)
        contents |= present
        disagreement = {
            cube: 1.0 - scores[shown][cube, sha256].agreement(crude[cube])
            for cube, sha256 in present.items()
            if cube in crude and (cube, sha256) in scores[shown]
        }
        verified = now if following is None else _verified(following)
        flips = {cube: label is not crude[cube] for cube, label in verified.items() if cube in disagreement}
        blind = {cube: answers[cube] is not crude[cube] for cube in flips if cube in answers}
        # Of a version that is no longer shown, nothing is known about which labels it had accepted.
        accepted = accepted_labels(registry.root, shown).keys()
        records.append(
            RoundRecord(
                disagreement=disagreement,
                verified=flips,
                blind=blind,
                hidden=hidden,
                accepted=accepted,
                unscored=0
                if following
                else _unscored(
                    crude.keys() - disagreement.keys() - now.keys(), contents, read_unscorable(registry.root, shown)
                ),
                joined=disagreement.keys() - card.labels.keys(),
            )
        )
    return records, contents


def _unscored(cubes: Set[str], contents: Mapping[str, str], unscorable: Set[str]) -> int:
    """Return how many of the unverified cubes without a score will have one.

    The others cannot be scored; they are reported as such, and nobody waits for them. Of a cube that no version was
    trained on the content hash is not known here, so hashes of no known cube are taken for those of such cubes.
    """
    waiting = {cube for cube in cubes if contents.get(cube) not in unscorable}
    unknown = len(waiting - contents.keys())
    return len(waiting) - min(len(unscorable - {*contents.values()}), unknown)


def _present(card: Card, following: Card | None, scores: Iterable[Key], snapshot: Snapshot) -> dict[str, str]:
    """Return the content hash of each cube that was in the project when the round of `card` ended."""
    joined = {cube: sha256 for cube, sha256 in scores if following is None and cube in snapshot.cubes}
    for one in (following, card):
        joined |= {} if one is None else {cube: entry["sha256"] for cube, entry in one.labels.items()}
    return joined


def _verified(card: Card) -> dict[str, Label | None]:
    return {cube: Label(entry["label"]) for cube, entry in card.labels.items() if entry["verified"]}


def _shown(until_now: Sequence[Card], following: Card | None, history: Iterable[Publication]) -> str:
    """Return the version that was published when the round of the last card in `until_now` ended.

    If no version was published by then, it is the last card's version.
    """
    known = {card.version for card in until_now}
    end = None if following is None else datetime.fromisoformat(following.created_at)
    published = [
        line.version
        for line in history
        if line.version in known and (end is None or datetime.fromisoformat(line.at) <= end)
    ]
    return published[-1] if published else until_now[-1].version
