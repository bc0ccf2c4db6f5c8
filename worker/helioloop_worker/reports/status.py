"""What a project is at: published version, cubes left out, labels, book, waiting events, running round, queues, jobs.

Above the registry, the book and the retrain state; reads only. What others raised or wrote is shown without secrets and
without the folders it speaks of: a status is passed on to colleagues.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import redis
from pydantic import SecretStr
from rq import Worker
from rq.job import Job
from rq.registry import FailedJobRegistry

from helioloop.errors import RegistryError
from helioloop.messaging import job_monitor, queues
from helioloop.messaging.retrain_state import RetrainState
from helioloop.records import LabelSource
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop.tables import read_table
from helioloop_worker.loop import rounds, writeback
from helioloop_worker.reports.audit import read_audit

NEXT_CHECKS = 10
"""Cubes of the check list that are named: as many as an estimate needs at least."""
NAMED_CUBES = 3
"""Cubes set aside that are named with their reason; the file has them all."""

_KINDS: Final = {
    "ingest": "ingestion",
    "retrain-check": "retrain check",
    "write-back": "write-back",
    "score": "scoring",
    "bulk": "scoring of many cubes",
    "reconcile": "reconciliation",
}
"""How a job's name begins -> what it is called here. Steps of a round are told by the round itself."""
_JOB_ID: Final = re.compile(rf"({'|'.join(_KINDS)})-(\d+)(?:-|\Z)")
_PATH: Final = r"""(?<![\w:/.~)\]-])/[^\s/'"`,;:()][^\s'"`,;:()]*"""
"""An absolute path, not the one in a URL."""
_LOGIN: Final = re.compile(r"(?<=://)[^/\s@]*@|(?<=Token )[\w.+/=-]{16,}|(?<=Bearer )[\w.+/=-]{16,}")
"""User and password in a URL, and a token in a header."""
_OWN_ERROR: Final = re.compile(r"helioloop\.errors\.\w+: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the status: what, and how it stands."""

    what: str
    stands: str


def of_models(registry: Registry, *, place: str) -> list[Line]:
    """Return what a model folder holds; `place` are the options that name it to a command."""
    version, newest = registry.published(), registry.latest()
    lines = [
        Line(what="published version", stands=version or "none yet"),
        Line(what="versions", stands=", ".join(registry.versions()) or "none yet"),
    ]
    if newest is not None and newest.version != version and newest.rejected is not None:
        lines.append(
            Line(
                what="newest version",
                stands=f"{newest.version}, made {newest.created_at}, is {newest.rejected}; `helioloop rollback "
                f"{newest.version} {place}` publishes it all the same",
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
    return lines + [Line(what="parked", stands=_plain(said, registry.root)) for said in rounds.all_parked(registry)]


def of_cubes(registry: Registry) -> list[Line]:
    """Return which cubes were left out: set aside at ingestion, or beyond what the published version can score."""
    lines = [line for path in sorted((registry.root / "set-aside").glob("*.csv")) for line in _set_aside(path)]
    version = registry.published()
    failed = 0 if version is None else len(writeback.read_unscorable(registry.root, version))
    if failed:
        said = f"{failed}, by {version}: they have no prediction; the log of the worker that scores says why"
        lines.append(Line(what="cubes that cannot be scored", stands=said))
    return lines or [Line(what="cubes left out", stands="none")]


def _set_aside(path: Path) -> Iterator[Line]:
    """Return what the last ingestion of a release set aside, if anything."""
    rows = [row.cells for row in read_table(path, needed=("cube", "reason"), error=RegistryError)]
    if rows:
        named = "; ".join(f"{row['cube']} ({_plain(row['reason'], path.parent.parent)})" for row in rows[:NAMED_CUBES])
        more = f"; {len(rows) - NAMED_CUBES} more" if len(rows) > NAMED_CUBES else ""
        yield Line(what=f"set aside from {path.stem}", stands=f"{len(rows)}: {named}{more}; all are named in {path}")


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
    book = read_audit(registry, snapshot)
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


def of_jobs(connection: redis.Redis, settings: Settings, project: int) -> list[Line]:
    """Return how far a project's running jobs are, and of each kind the one that failed last: when, and its sentence.

    A job that is sent again is no longer a failed one.
    """
    failed = dict.fromkeys(_KINDS.values(), "")
    for name in queues.QUEUES:
        registry = FailedJobRegistry(queue=queues.queue(connection, name))
        for job_id in registry.get_job_ids(cleanup=False):  # in the order of their failing: all are kept equally long
            if kind := _kind(job_id, project):
                failed[kind] = job_id
    told = [
        Line(what=f"last failed {kind}", stands=_failure(job, settings, project))
        for kind, job_id in failed.items()
        if job_id and (job := job_monitor.find_job(connection, job_id)) is not None
    ]
    return [*_running(connection, project), *(told or [Line(what="failed jobs", stands="none")])]


def _kind(job_id: str, project: int) -> str | None:
    """Return what kind of job of the project this is; None for a round's steps and for another project's."""
    found = _JOB_ID.match(job_id)
    return _KINDS[found[1]] if found is not None and int(found[2]) == project else None


def _running(connection: redis.Redis, project: int) -> Iterator[Line]:
    for job_id in job_monitor.running(connection):
        kind = _kind(job_id, project)
        if kind is not None and (job := job_monitor.find_job(connection, job_id)) is not None:
            said = job.get_meta().get("progress")
            how_far = f"{said['what']}, {said['done']} of {said['total']}" if said else "has begun"
            yield Line(what=f"{kind} runs", stands=f"{_about(job)}{how_far}")


def _failure(job: Job, settings: Settings, project: int) -> str:
    """Return when a job failed, what it was about, and the sentence it failed with."""
    result = job.latest_result()
    at = "" if result is None else f"{result.created_at.isoformat(timespec='seconds')}, "
    sentence = job_monitor.failure(job)
    for secret in _secrets(settings):
        sentence = sentence.replace(secret, "…")
    return f"{at}{_about(job)}{_plain(sentence, settings.model_dir(project))}"


def _about(job: Job) -> str:
    """Return the release or version that a job is about."""
    about = job.kwargs.get("release") or job.kwargs.get("version")
    return f"{about}: " if about else ""


def _secrets(settings: Settings) -> Iterator[str]:
    """Return what must not be shown; a token is looked for without the white space that makes a header fail."""
    for _, value in settings:
        if isinstance(value, SecretStr) and value.get_secret_value().strip():
            yield value.get_secret_value().strip()
    if password := urlsplit(settings.redis_url).password:
        yield password


def _plain(said: str, model_dir: Path) -> str:
    """Return on one line what was raised or noted elsewhere, without logins and, outside the model folder, folders."""
    here = str(model_dir)
    paths = re.compile(f"{re.escape(here)}|{_PATH}")
    said = _LOGIN.sub("…", _OWN_ERROR.sub("", said))
    said = paths.sub(lambda found: here if found[0] == here else found[0].rstrip("/").rpartition("/")[2], said)
    return "".join(letter for letter in " ".join(said.split()) if letter.isprintable())
