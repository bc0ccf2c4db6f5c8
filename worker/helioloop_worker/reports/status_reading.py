"""Reads the facts of ``helioloop status`` from the model folder, the label snapshot, Label Studio and Redis."""

import shlex
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from helioloop.errors import RegistryError, ServiceError
from helioloop.files.release_folders import missing_releases
from helioloop.files.tables import read_table
from helioloop.messaging import redis_client
from helioloop.records.labels import LabelSource
from helioloop.registry.acceptances import read_acceptances
from helioloop.registry.card import Card
from helioloop.registry.known_cards import known_card, latest_card
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.last_check import LastCheck, read_last_check
from helioloop.registry.lost_media import read_lost_media
from helioloop.registry.project_profile import find_project_profile, read_project_profile
from helioloop.registry.requested_rounds import oldest_request
from helioloop.registry.staging import Staging
from helioloop.registry.unscorable import read_unscorable
from helioloop.registry.unusable import find_damage, unusable_versions
from helioloop.registry.versions import Registry
from helioloop.registry.watched import WatchedFolder, WatchState, read_watched
from helioloop.settings import Settings, plain_url
from helioloop_worker.labelstudio.submitted import Submitted, Uncounted, try_count
from helioloop_worker.reports.audit import ProjectAudit, audit_stamp, read_audit
from helioloop_worker.reports.configuration import damaged_controls, read_configuration_change
from helioloop_worker.reports.contested import read_contested
from helioloop_worker.reports.disk_use import DiskUse, read_disk_use
from helioloop_worker.reports.other_code import read_other_code
from helioloop_worker.reports.random_checks import count_random_checks
from helioloop_worker.reports.reading import read_releases
from helioloop_worker.reports.redaction import hide_secrets, redact
from helioloop_worker.reports.service_facts import ServiceFacts, read_services
from helioloop_worker.reports.status_facts import (
    AcceptanceFacts,
    CubeReason,
    ExcludedFacts,
    LabelFacts,
    ProfileFacts,
    ProjectStatus,
    RejectedFacts,
    SetAsideFacts,
    VersionFacts,
)
from helioloop_worker.reports.times import iso_time

MARGIN_SECONDS: Final = 60.0
"""What reconciliation sees to is done after two of them and this long."""
DISK_SECONDS: Final = 60.0
"""With --watch, the disk use is measured again after this time."""


def read_status(
    registry: Registry, *, project: int | None = None, settings: Settings | None = None, now: float | None = None
) -> ProjectStatus:
    """Return the facts about a model folder, and with `project` also those about its labels and jobs.

    Parameters
    ----------
    registry : Registry
        The model folder.
    project : int, optional
        Label Studio project.
    settings : Settings, optional
        Needed with `project`: for Redis, for the address of Label Studio, and for secrets to hide.
    now : float, optional
        The time in Unix seconds; else that of the clock.

    Raises
    ------
    RegistryError
        If a file of the model folder is damaged.
    """
    at = time.time() if now is None else now
    services, reason, tasks_url = None, None, None
    place = f"--model-dir {shlex.quote(str(registry.root))}" if project is None else f"--project {project}"
    snapshot = None if project is None else Snapshot.read_if_changed(registry.root)
    if project is not None and settings is not None:
        base = (settings.label_studio_public_url or settings.label_studio_url).rstrip("/")
        tasks_url = f"{plain_url(base)}/projects/{project}/data"
        try:
            services = _services(registry, settings, project, now=at)
        except ServiceError as error:
            reason = hide_secrets(str(error), settings)
    counted = None if project is None or settings is None else try_count(settings, project)
    version = registry.published()
    card = None if version is None else known_card(registry, version)
    lacking = None if version is None else find_damage(registry, version)
    watched = [row for row in read_watched(registry.root).values() if Path(row.folder).is_dir()]
    return ProjectStatus(
        at=iso_time(at),
        project=project,
        place=place,
        tasks_url=tasks_url,
        model_dir=str(registry.root),
        profile=_profile(registry),
        versions=tuple(registry.versions()),
        published=None if card is None else _version(card),
        rejected=_rejected(registry, version, place=place),
        failed_rounds=tuple(_redacted(reason, registry, settings) for reason in Staging(registry.root).all_parked()),
        unusable=tuple(_redacted(reason, registry, settings) for reason in unusable_versions(registry).values()),
        damaged=None if lacking is None else _redacted(lacking, registry, settings),
        releases=tuple(read_releases(registry)),
        excluded=tuple(_excluded(registry)),
        unscorable=0 if version is None else len(read_unscorable(registry.root, version)),
        set_aside=_set_aside(registry, watched),
        without_predictions=tuple(Path(row.folder).name for row in watched if row.state is WatchState.INGESTED),
        acceptances=() if project is None else _acceptances(registry, snapshot),
        labels=None if snapshot is None else _labels(registry, snapshot),
        submitted=counted if isinstance(counted, Submitted) else None,
        no_submitted=counted.why if isinstance(counted, Uncounted) else None,
        is_refused=isinstance(counted, Uncounted) and counted.is_refused,
        audit=None if snapshot is None else _audit(registry.root, audit_stamp(registry, snapshot)),
        services=services,
        no_services=reason,
        last_check=None if project is None else _last_check(registry, settings),
        round_requested_at=None if settings is None else _unplanned_request(registry, settings, now=at),
        contested_predictions=None
        if settings is None or version is None
        else read_contested(registry.root, version, now=at, shown_seconds=_seen_to_seconds(settings)),
        configuration=None if project is None else read_configuration_change(registry, version),
        damaged_controls=None if project is None else _damaged_controls(registry, settings),
        disk=_disk(
            registry.root,
            None if project is None or settings is None else settings.media_dir(project),
            int(at // DISK_SECONDS),
        ),
        missing_releases=_missing_releases(registry, snapshot, card, settings),
        lost_media=None if project is None else read_lost_media(registry.root),
        other_code=read_other_code(registry, card),
    )


def _profile(registry: Registry) -> ProfileFacts:
    written = find_project_profile(registry.root)
    profile = written or read_project_profile(registry.root)
    grid = profile.instrument
    return ProfileFacts(
        name=profile.name,
        frames=grid.n_frames,
        cadence_minutes=grid.cadence_seconds / 60.0,
        size_px=grid.size_px,
        patch_deg=profile.patch_deg,
        is_set=bool(written or registry.versions()),
    )


def _version(card: Card) -> VersionFacts:
    return VersionFacts(
        version=card.version,
        created_at=card.created_at,
        reason=card.reason,
        labels=len(card.labels),
        verified=card.verified,
        members=len(card.members),
        recipe=str(card.recipe.get("name", "?")),
        metrics=dict(card.metrics),
    )


def _rejected(registry: Registry, version: str | None, *, place: str) -> RejectedFacts | None:
    newest = latest_card(registry)
    if newest is None or newest.version == version or newest.rejected is None:
        return None
    return RejectedFacts(
        version=newest.version,
        created_at=newest.created_at,
        reason=newest.rejected,
        command=f"helioloop rollback {newest.version} {place}",
    )


def _excluded(registry: Registry) -> list[ExcludedFacts]:
    found = []
    for path in sorted((registry.root / "excluded").glob("*.csv")):
        rows = [row.cells for row in read_table(path, needed=("cube", "reason"), error=RegistryError)]
        cubes = tuple(
            CubeReason(cube=row["cube"], reason=redact(row["reason"], model_dir=registry.root)) for row in rows
        )
        if cubes:
            found.append(ExcludedFacts(release=path.stem, cubes=cubes, table=str(path)))
    return found


def _set_aside(registry: Registry, rows: Sequence[WatchedFolder]) -> tuple[SetAsideFacts, ...]:
    return tuple(
        SetAsideFacts(folder=Path(row.folder).name, since=row.at, reason=redact(row.reason, model_dir=registry.root))
        for row in rows
        if row.state is WatchState.SET_ASIDE
    )


def _acceptances(registry: Registry, snapshot: Snapshot | None) -> tuple[AcceptanceFacts, ...]:
    labels = {} if snapshot is None else snapshot.cubes
    return tuple(
        AcceptanceFacts(
            release=found.release,
            version=found.version,
            accepted=len(found.accepted),
            cubes=found.n_cubes,
            sentences=found.sentences,
            random_checks=len(found.random_checks),
            random_checks_verified=sum(cube in labels and labels[cube].verified for cube in found.random_checks),
            random_checks_blind=sum(cube in labels and labels[cube].blind is not None for cube in found.random_checks),
        )
        for found in read_acceptances(registry.root).values()
    )


def _labels(registry: Registry, snapshot: Snapshot) -> LabelFacts:
    labels = sorted(snapshot.cubes.items())
    counts = Counter("none" if label.label is None else label.label.value for _, label in labels)
    return LabelFacts(
        read_at=snapshot.read_at,
        counts=dict(sorted(counts.items())),
        cubes=len(labels),
        verified=sum(label.verified for _, label in labels),
        tied=tuple(cube for cube, label in labels if label.source is LabelSource.TIED),
        contradictions=tuple(
            CubeReason(cube=cube, reason=redact(label.contradiction, model_dir=registry.root))
            for cube, label in labels
            if label.contradiction
        ),
        skipped=sum(label.skips > 0 for _, label in labels),
        skipped_unanswered=sum(label.skips > 0 and not label.answered for _, label in labels),
        random_checks=count_random_checks(registry, snapshot),
    )


@lru_cache(maxsize=4)
def _disk(root: Path, media: Path | None, minute: int) -> DiskUse:  # noqa: ARG001 - the minute is part of the key
    """Return the disk use, measured again after `DISK_SECONDS`: it walks over all files."""
    return read_disk_use(root, media)


@lru_cache(maxsize=4)
def _audit(root: Path, stamp: tuple[str, ...]) -> ProjectAudit | None:  # noqa: ARG001 - the stamp is the key
    """Return the audit, computed again only after a change: with `--watch` it is wanted every few seconds."""
    snapshot = Snapshot.read_if_changed(root)
    if snapshot is None:
        return None
    return read_audit(Registry(root), snapshot)


def _services(registry: Registry, settings: Settings, project: int, *, now: float) -> ServiceFacts:
    connection = redis_client.make_client(settings)  # `connect` refuses a Redis that cannot save, because it pings
    try:
        with redis_client.plain_errors(settings):
            return read_services(connection, registry, settings, project, now=now)
    finally:
        connection.close()


def _last_check(registry: Registry, settings: Settings | None) -> LastCheck | None:
    """Return the last retrain check; its outcome may quote why a planning failed."""
    found = read_last_check(registry.root)
    return None if found is None else replace(found, outcome=_redacted(found.outcome, registry, settings))


def _unplanned_request(registry: Registry, settings: Settings, *, now: float) -> str | None:
    """Return since when a round is requested; None where that is so short ago that reconciliation may see to it."""
    at = oldest_request(registry.root)
    return None if at is None or now - at < _seen_to_seconds(settings) else iso_time(at)


def _seen_to_seconds(settings: Settings) -> float:
    """Return after how long what reconciliation sees to is done."""
    return MARGIN_SECONDS + 2 * settings.reconcile_seconds


def _missing_releases(
    registry: Registry, snapshot: Snapshot | None, card: Card | None, settings: Settings | None
) -> tuple[str, ...]:
    """Return the missing releases of the published version, and of the project's cubes that an earlier one knows."""
    if card is None or settings is None or not settings.release_roots:
        return ()
    unknown = set() if snapshot is None else snapshot.cubes.keys() - card.labels.keys()
    releases = set(card.releases)
    for version in reversed(registry.versions()):
        if not unknown:
            break
        labels = known_card(registry, version).labels
        releases |= {labels[cube]["release"] for cube in unknown & labels.keys()}
        unknown -= labels.keys()
    return missing_releases(settings.release_roots, releases)


def _damaged_controls(registry: Registry, settings: Settings | None) -> str | None:
    found = damaged_controls(registry)
    return None if found is None else _redacted(found, registry, settings)


def _redacted(message: str, registry: Registry, settings: Settings | None) -> str:
    shown = message if settings is None else hide_secrets(message, settings)
    return redact(shown, model_dir=registry.root)
