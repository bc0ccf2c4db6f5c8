"""A live project's book: its pages read off the model folder and the labels as last read.

Above the registry and the snapshot, below `status`; reads only. The rules are those of `helioloop.evaluation.audit`.

Each version is a round. It lasts until the next one is trained: what is verified then, and was not before, was verified
in it. The ranking people saw meanwhile is that of the version Label Studio showed, which is an earlier one where the
gate kept the round's own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from helioloop.evaluation.audit import RoundAudit, RoundRecord, audit_rounds
from helioloop.evaluation.audit_order import audit_order
from helioloop.records import CubeInfo, CubeScore, Label
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.versions import Card, Publication, Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The book of a project.

    Parameters
    ----------
    versions : tuple of str
        The version of each round.
    lines : tuple of RoundAudit
        What the book says of each.
    checks : tuple of str
        Cubes of the check list that nobody has verified, in its order: verified one after the other they are the random
        draws that the estimate of the wrong labels left stands on.
    """

    versions: tuple[str, ...]
    lines: tuple[RoundAudit, ...]
    checks: tuple[str, ...]


def read_audit(registry: Registry, snapshot: Snapshot) -> Book:
    """Return a project's book; before the first version it is empty."""
    cards = [registry.card(version) for version in registry.versions()]
    if not cards:
        return Book(versions=(), lines=(), checks=())
    pages = read_pages(registry, cards, snapshot)
    refs = {cube: _cube(cube, entry) for card in cards for cube, entry in card.labels.items()}
    order = audit_order(refs.values())
    already = {cube for cube, entry in cards[0].labels.items() if entry["verified"]}
    last = pages[-1]
    return Book(
        versions=tuple(card.version for card in cards),
        lines=tuple(audit_rounds(pages, order, verified_before=already)),
        checks=tuple(cube for cube in order if cube in last.disagreement and cube not in last.verified),
    )


def read_pages(registry: Registry, cards: Sequence[Card], snapshot: Snapshot) -> list[RoundRecord]:
    """Return one page per version.

    The cubes that take part are those with a crude label that the version was trained on and the version shown has
    scored. A cube that is unlabelled before a human sees it has no label that could be wrong.
    """
    crude = {cube: label.crude for cube, label in snapshot.cubes.items() if label.crude is not None}
    now = {cube: label.label for cube, label in snapshot.cubes.items() if label.verified}
    scores: dict[str, Mapping[tuple[str, str], CubeScore]] = {}
    history, pages = registry.history(), []
    for number, (card, following) in enumerate(zip_longest(cards, cards[1:]), start=1):
        shown = _shown(cards[:number], following, history)
        if shown not in scores:
            scores = {shown: registry.scores(shown)}  # one at a time: each holds a curve per cube
        found = {cube: scores[shown].get((cube, entry["sha256"])) for cube, entry in card.labels.items()}
        disagreement = {
            cube: 1.0 - score.agreement(crude[cube])
            for cube, score in found.items()
            if score is not None and cube in crude
        }
        verified = now if following is None else _verified(following)
        flips = {cube: label is not crude[cube] for cube, label in verified.items() if cube in disagreement}
        pages.append(RoundRecord(disagreement=disagreement, verified=flips))
    return pages


def _verified(card: Card) -> dict[str, Label | None]:
    return {cube: Label(entry["label"]) for cube, entry in card.labels.items() if entry["verified"]}


def _shown(until_now: Sequence[Card], following: Card | None, history: Iterable[Publication]) -> str:
    """Return the version last published when the round of the last of `until_now` ended; that one where none was."""
    known = {card.version for card in until_now}
    end = None if following is None else datetime.fromisoformat(following.created_at)
    published = [
        line.version
        for line in history
        if line.version in known and (end is None or datetime.fromisoformat(line.at) <= end)
    ]
    return published[-1] if published else until_now[-1].version


def _cube(name: str, entry: Mapping[str, str]) -> CubeInfo:
    return CubeInfo(release=entry["release"], name=name, sha256=entry["sha256"])
