"""The lines that ``helioloop status`` prints: versions, excluded cubes, labels, audit, round, queues and jobs."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import redis
from rq import Worker

from helioloop.errors import RegistryError
from helioloop.files.tables import read_table
from helioloop.messaging import queues
from helioloop.messaging.retrain_state import RetrainState
from helioloop.records.labels import LabelSource
from helioloop.registry.acceptances import read_acceptances
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.project_profile import find_project_profile, read_project_profile
from helioloop.registry.staging import Staging
from helioloop.registry.unscorable import read_unscorable
from helioloop.registry.versions import Registry
from helioloop.registry.watched import WatchState, read_watched
from helioloop_worker.reports.audit import read_audit
from helioloop_worker.reports.random_checks import count_random_checks
from helioloop_worker.reports.redaction import redact

NEXT_SAMPLED = 10
"""Cubes of the audit sample that are listed: an estimate needs at least ten."""
LISTED_EXCLUDED = 3
"""Excluded cubes that are listed with their reason; the file has all."""
METRIC_NAMES = {
    "cubes": "cubes scored",
    "labelled": "cubes with a label",
    "emergences": "labelled emergence",
    "agreement": "mean probability of the labels",
    "disagreeing": "fraction of labels that disagree",
    "auroc": "AUROC for the labels",
}
"""Name of a metric in a version's card -> name of its line. Probabilities and AUROC are out of fold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the status: a name and its value in words."""

    name: str
    value: str


def model_lines(registry: Registry, *, place: str) -> list[Line]:
    """Return the lines about a model folder's versions.

    Parameters
    ----------
    registry : Registry
        The model folder.
    place : str
        The command-line options that name this folder, for printed commands.
    """
    version, newest = registry.published(), registry.latest()
    lines = [
        Line(name="published version", value=version or "none yet"),
        Line(name="versions", value=", ".join(registry.versions()) or "none yet"),
        Line(name="profile", value=_profile(registry)),
    ]
    if newest is not None and newest.version != version and newest.rejected is not None:
        lines.append(
            Line(
                name="newest version",
                value=f"{newest.version}, created {newest.created_at}, is {newest.rejected}; to publish it anyway, run "
                f"`helioloop rollback {newest.version} {place}`",
            )
        )
    if version is not None:
        card = registry.card(version)
        lines += [
            Line(name="created", value=f"{card.created_at}; reason: {card.reason}"),
            Line(name="trained on", value=f"{len(card.labels)} labelled cubes, {card.verified} of them verified"),
            Line(name="members", value=f"{len(card.members)}, recipe {card.recipe.get('name', '?')}"),
            *(Line(name=METRIC_NAMES.get(name, name), value=f"{value:.3g}") for name, value in card.metrics.items()),
        ]
    return lines + [
        Line(name="failed round", value=redact(reason, model_dir=registry.root))
        for reason in Staging(registry.root).all_parked()
    ]


def _profile(registry: Registry) -> str:
    """Return the profile of a model folder in words."""
    written = find_project_profile(registry.root)
    profile = written or read_project_profile(registry.root)
    grid = profile.instrument
    in_words = (
        f"{profile.name} ({grid.n_frames} frames of {grid.cadence_seconds / 60.0:g} min, "
        f"{grid.size_px} × {grid.size_px} px over {profile.patch_deg:g}°)"
    )
    return in_words if written or registry.versions() else f"{in_words}, unless the first release has another one"


def excluded_lines(registry: Registry) -> list[Line]:
    """Return the lines about cubes that ingestion excluded or that the published version cannot score."""
    lines = [line for path in sorted((registry.root / "excluded").glob("*.csv")) for line in _excluded(path)]
    version = registry.published()
    failed = 0 if version is None else len(read_unscorable(registry.root, version))
    if failed:
        value = f"{failed} by {version}; they have no prediction, and the log of the scoring worker gives the reasons"
        lines.append(Line(name="cubes that cannot be scored", value=value))
    return lines or [Line(name="excluded cubes", value="none")]


def _excluded(path: Path) -> Iterator[Line]:
    """Yield a line if the last ingestion of a release excluded cubes; `path` is its table of them."""
    rows = [row.cells for row in read_table(path, needed=("cube", "reason"), error=RegistryError)]
    if rows:
        listed = "; ".join(
            f"{row['cube']} ({redact(row['reason'], model_dir=path.parent.parent)})" for row in rows[:LISTED_EXCLUDED]
        )
        more = f"; {len(rows) - LISTED_EXCLUDED} more" if len(rows) > LISTED_EXCLUDED else ""
        yield Line(name=f"excluded from {path.stem}", value=f"{len(rows)}: {listed}{more}; the full list is {path}")


def watched_lines(registry: Registry) -> list[Line]:
    """Return the lines about folders that ``helioloop watch`` set aside or whose predictions it waits for."""
    rows = [row for row in read_watched(registry.root).values() if Path(row.folder).is_dir()]
    aside = [row for row in rows if row.state is WatchState.SET_ASIDE]
    waiting = [Path(row.folder).name for row in rows if row.state is WatchState.INGESTED]
    lines = [
        Line(
            name=f"set aside by watch, {Path(row.folder).name}",
            value=f"{redact(row.reason, model_dir=registry.root)} (since {row.at}; taken again once changed)",
        )
        for row in aside
    ]
    return lines + ([Line(name="ingested, predictions follow", value=", ".join(waiting))] if waiting else [])


def acceptance_lines(registry: Registry, snapshot: Snapshot | None) -> list[Line]:
    """Return one line per release whose labels are accepted under a risk guarantee, or are to be."""
    lines = []
    labels = {} if snapshot is None else snapshot.cubes
    for found in read_acceptances(registry.root).values():
        if found.version is None:
            lines.append(Line(name=f"accepted in {found.release}", value="none yet; the acceptance is queued"))
            continue
        checks = found.random_checks
        verified = sum(cube in labels and labels[cube].verified for cube in checks)
        value = (
            f"{len(found.accepted)} of {found.n_cubes} cubes, by {found.version}. {' '.join(found.sentences)} Random "
            f"checks: {verified} of {len(checks)} verified"
        )
        lines.append(Line(name=f"accepted in {found.release}", value=value))
    return lines


def label_lines(snapshot: Snapshot | None) -> list[Line]:
    """Return the lines about the labels as last read from Label Studio."""
    if snapshot is None:
        return [Line(name="labels", value="not read from Label Studio yet")]
    counts = Counter("none" if label.label is None else label.label.value for label in snapshot.cubes.values())
    verified = sum(label.verified for label in snapshot.cubes.values())
    tied = sorted(cube for cube, label in snapshot.cubes.items() if label.source is LabelSource.TIED)
    contradictions = {cube: label.contradiction for cube, label in snapshot.cubes.items() if label.contradiction}
    return [
        Line(name="labels read at", value=snapshot.read_at),
        Line(name="current labels", value=", ".join(f"{n} {word}" for word, n in sorted(counts.items())) or "none"),
        Line(name="verified", value=f"{verified} of {len(snapshot.cubes)}"),
        Line(name="tied votes (crude label used)", value=", ".join(tied) or "none"),
        *(Line(name=f"contradiction in {cube}", value=why) for cube, why in sorted(contradictions.items())),
    ]


def audit_lines(registry: Registry, snapshot: Snapshot | None) -> list[Line]:
    """Return one line per round of verification, and the cubes to verify next for the audit sample."""
    if snapshot is None:
        return []
    if not registry.versions():
        return [Line(name="audit", value="starts with the first version")]
    audit = read_audit(registry, snapshot)
    sampled = ", ".join(audit.next_sampled[:NEXT_SAMPLED])
    return [
        *(
            Line(name=f"audit, {version}", value=" ".join(one.sentences()))
            for version, one in zip(audit.versions, audit.rounds, strict=True)
        ),
        Line(name="random checks", value=count_random_checks(registry, snapshot).sentence()),
        Line(name="audit sample, next", value=f"{sampled} (label them in this order)" if sampled else "none left"),
    ]


def queue_lines(connection: redis.Redis, state: RetrainState, project: int) -> list[Line]:
    """Return the lines about a project's waiting events, its running round, and the queues with their workers."""
    pending, running = state.pending_events(project), state.running(project)
    workers = Counter(name for worker in Worker.all(connection=connection) for name in worker.queue_names())
    since = "" if running is None else datetime.fromtimestamp(running.since, UTC).isoformat(timespec="seconds")
    return [
        Line(name="annotation events waiting", value=str(0 if pending is None else pending.count)),
        Line(name="running round", value="none" if running is None else f"{running.fingerprint[:16]} since {since}"),
        *(
            Line(name=f"queue {name}", value=f"{waiting} waiting, {workers[name]} workers")
            for name, waiting in queues.queue_lengths(connection).items()
        ),
    ]
