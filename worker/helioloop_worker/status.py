"""What a project is at: published version, labels, book, waiting events, running round, queues, workers.

Above the registry, the book and the retrain state; reads only.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

import redis
from rq import Worker

from helioloop import queues
from helioloop.records import LabelSource
from helioloop.registry import Registry
from helioloop.retrain import RetrainState
from helioloop.snapshot import Snapshot
from helioloop_worker import rounds
from helioloop_worker.bookkeeping import read_book

NEXT_CHECKS = 10
"""Cubes of the check list that are named: as many as an estimate needs at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the status: what, and how it stands."""

    what: str
    stands: str


def of_models(registry: Registry) -> list[Line]:
    """Return what a model folder holds."""
    version, newest = registry.published(), registry.latest()
    lines = [
        Line(what="published version", stands=version or "none yet"),
        Line(what="versions", stands=", ".join(registry.versions()) or "none yet"),
    ]
    if newest is not None and newest.version != version and newest.kept is not None:
        lines.append(
            Line(
                what="newest version",
                stands=f"{newest.version}, made {newest.created_at}, is {newest.kept}; `helioloop rollback "
                f"{newest.version}` publishes it all the same",
            )
        )
    if version is not None:
        card = registry.card(version)
        lines += [
            Line(what="made", stands=f"{card.created_at}, because: {card.reason}"),
            Line(what="trained on", stands=f"{len(card.labels)} labelled cubes, {card.verified} of them verified"),
            Line(what="members", stands=f"{len(card.members)}, recipe {card.recipe.get('name', '?')}"),
            *(Line(what=name.replace("_", " "), stands=f"{value:.3g}") for name, value in card.metrics.items()),
        ]
    return lines + [Line(what="parked", stands=said) for said in rounds.all_parked(registry)]


def of_labels(snapshot: Snapshot | None) -> list[Line]:
    """Return how the labels stood when Label Studio was last read."""
    if snapshot is None:
        return [Line(what="labels", stands="not read from Label Studio yet")]
    counts = Counter("none" if label.label is None else label.label.value for label in snapshot.cubes.values())
    verified = sum(label.verified for label in snapshot.cubes.values())
    tied = sorted(cube for cube, label in snapshot.cubes.items() if label.source is LabelSource.TIED)
    contradictions = {cube: label.contradiction for cube, label in snapshot.cubes.items() if label.contradiction}
    return [
        Line(what="labels read", stands=snapshot.read_at),
        Line(what="current labels", stands=", ".join(f"{n} {word}" for word, n in sorted(counts.items())) or "none"),
        Line(what="verified", stands=f"{verified} of {len(snapshot.cubes)}"),
        Line(what="tied (crude label kept)", stands=", ".join(tied) or "none"),
        *(Line(what=f"contradiction in {cube}", stands=said) for cube, said in sorted(contradictions.items())),
    ]


def of_book(registry: Registry, snapshot: Snapshot | None) -> list[Line]:
    """Return what each round of verification found, what is left, and which cubes to check at random next."""
    if snapshot is None:
        return []
    if not registry.versions():
        return [Line(what="book", stands="begins with the first version")]
    book = read_book(registry, snapshot)
    checks = ", ".join(book.checks[:NEXT_CHECKS])
    return [
        *(
            Line(what=f"book, {version}", stands=" ".join(line.sentences()))
            for version, line in zip(book.versions, book.lines, strict=True)
        ),
        Line(what="next random checks", stands=f"{checks} (label them in this order)" if checks else "none left"),
    ]


def of_queue(connection: redis.Redis, state: RetrainState, project: int) -> list[Line]:
    """Return what waits and runs for a project, and who is there to do it."""
    dirty, running = state.dirty(project), state.running(project)
    workers = Counter(name for worker in Worker.all(connection=connection) for name in worker.queue_names())
    since = "" if running is None else datetime.fromtimestamp(running.since, UTC).isoformat(timespec="seconds")
    return [
        Line(what="events not judged yet", stands=str(0 if dirty is None else dirty.count)),
        Line(what="round", stands="none runs" if running is None else f"{running.fingerprint[:16]} since {since}"),
        *(
            Line(what=f"queue {name}", stands=f"{waiting} waiting, {workers[name]} workers")
            for name, waiting in queues.depth(connection).items()
        ),
    ]
