"""Ingestion: the cubes of a release are checked, rendered as videos and imported as tasks, each once.

An ingestion can be interrupted and repeated at any point: the video of a cube is complete before its task is imported,
and the tasks in Label Studio are read before others are imported. A cube that cannot be used is excluded with its
reason, and the others are imported. Crude labels of cubes that have their task follow the release's table.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from helioloop.data.cube_report import CubeReport, Verdict
from helioloop.data.inspection import refused
from helioloop.data.other_files import other_fits_files
from helioloop.data.reading_table import write_reading
from helioloop.data.release import LABELS_FILE, Release
from helioloop.data.release_profile import read_release_profile
from helioloop.files import tables
from helioloop.files.names import file_name, shown_name
from helioloop.files.release_folders import missing_releases
from helioloop.progress import Report
from helioloop.records.profiles import Profile
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project import check_owner, claim_media, read_controls
from helioloop_worker.loop.copied_tasks import show_own_files
from helioloop_worker.loop.crude_labels import FIELD, ChangedLabel, crude_text, follow_table, with_others
from helioloop_worker.loop.importing import import_cubes
from helioloop_worker.loop.known_cubes import KnownCubes
from helioloop_worker.loop.preparation import (
    OtherFile,
    Preparation,
    died,
    inspect_other,
    other_died,
    prepare,
)
from helioloop_worker.loop.processes import in_order, in_processes
from helioloop_worker.loop.project_profiles import check_profile
from helioloop_worker.loop.renamed_releases import other_releases, release_doubts
from helioloop_worker.loop.running_ingestions import marked
from helioloop_worker.loop.written_back import require_whole_write_back

log = logging.getLogger(__name__)

IMPORT_EVERY = 60
"""Tasks are imported as soon as this many are ready, so that annotators can begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeReason:
    """A cube and why it is excluded, or what is doubtful about it."""

    cube: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """The result of an ingestion.

    Parameters
    ----------
    release : str
        Name of the release.
    imported, present : int
        Tasks imported, and cubes that had one.
    excluded, warned : tuple of CubeReason
        Cubes that cannot be used, and cubes that are used although something is doubtful.
    relabelled : tuple of ChangedLabel
        Crude labels that were changed in Label Studio, because the label table has another one.
    doubts : tuple of str
        What is doubtful about the label table, and about the tasks that were there, one sentence each.
    """

    release: str
    imported: int
    present: int
    excluded: tuple[CubeReason, ...]
    warned: tuple[CubeReason, ...] = ()
    relabelled: tuple[ChangedLabel, ...] = ()
    doubts: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def ingest(context: Context, project: int, release_name: str, *, report: Report) -> Ingested:
    """Ingest a release that is in one of the release roots.

    Parameters
    ----------
    context : Context
        Settings, Redis and Label Studio.
    project : int
        Label Studio project.
    release_name : str
        Name of the release's folder.
    report : Report
        Called with the number of cubes done.

    Raises
    ------
    ReleaseError
        Where no release root holds the release, its table cannot be read, or its profile is not the project's.
    ConfigurationError
        Where the project's labelling configuration lacks the controls.
    LabelStudioError
        Where Label Studio refuses a call; repeat the ingestion.
    ServiceError
        Where another ingestion of the project imports for too long, or Redis is emptied during an import; repeat the
        ingestion.
    """
    with marked(context, project, release_name, report) as marking:
        return _ingest(context, project, release_name, report=marking)


def _ingest(context: Context, project: int, release_name: str, *, report: Report) -> Ingested:
    release = Release.open(context.roots.folder(release_name))
    profile = read_release_profile(release.folder)
    info = context.label_studio.project(project)
    check_owner(info, settings=context.settings)
    controls = read_controls(info, settings=context.settings)
    known = KnownCubes(context.label_studio, project)
    check_profile(context, project, release_name, profile, has_cubes=not known.empty)
    loader = context.loader(profile)
    settings = context.settings
    media = settings.media_dir(project)
    (media / release_name).mkdir(parents=True, exist_ok=True)
    check_owner(info, settings=settings)  # a new media folder becomes this project's before its first video
    claim_media(context.media, info, media=media)
    if settings.media_bucket is None:
        context.label_studio.ensure_local_storage(project, settings.storage_path(project))

    reports = {cube: refused(cube, f"in {LABELS_FILE}, but its file is missing") for cube in release.missing}
    rows = {row.cube: row for row in release.rows if row.cube not in reports}
    preparations = [
        Preparation(
            release=release_name,
            cube=cube,
            known=known.sha256(cube),
            task_release=None if (task := known.find(cube)) is None else task.release,
            loader=loader,
            media=media,
            class_names=controls.class_names,
            video_field=controls.video_field,
            served=context.media,
        )
        for cube in rows
    ]
    ready: list[dict[str, str]] = []
    present = imported = 0
    report(0, len(rows), "preparing cubes")
    finished = in_processes(prepare, preparations, died=died)
    for done, due in enumerate(in_order(finished, preparations), start=1):  # of two copies the first one gets the task
        for preparation, prepared in due:
            reports[preparation.cube] = prepared.report
            if prepared.data is not None:
                ready.append({**prepared.data, FIELD: crude_text(rows[preparation.cube].label)})
            elif prepared.report.verdict is not Verdict.REFUSED:
                present += 1
        if ready and (len(ready) >= IMPORT_EVERY or done == len(rows)):
            chunk = import_cubes(context, project, ready, known, profile)
            imported, present = imported + chunk[0], present + chunk[1]
            reports.update((other.cube, other) for other in chunk[2])
            ready = []
        report(done, len(rows), "preparing cubes")
    found = [reports[row.cube] for row in release.rows]
    others = _others(release, profile, report)
    write_reports(context.settings.model_dir(project), release_name, found, others=others)
    readable = {row.cube for row, cube in zip(release.rows, found, strict=True) if cube.verdict is not Verdict.REFUSED}
    listed = {cube: row for cube, row in rows.items() if cube in readable and cube not in release.unlisted}
    if present:  # files of their screens that were lost are there again, without a score
        require_whole_write_back(context.settings.model_dir(project))
    others_of = other_releases(release_name, readable, known)
    renamed = missing_releases(context.roots.roots, others_of)
    copied = show_own_files(
        context,
        project,
        known.copied,
        cubes=readable,
        video_field=controls.video_field,
        instrument=loader.instrument,
    )
    relabelled, kept = follow_table(context, project, release_name, listed, known, renamed=renamed)
    ingested = Ingested(
        release=release_name,
        imported=imported,
        present=present,
        excluded=_with_verdict(found, Verdict.REFUSED),
        warned=_with_verdict(found, Verdict.WARNED),
        relabelled=relabelled,
        doubts=(
            *release.doubts,
            *release_doubts(release_name, others_of, renamed),
            *_label_doubts(release, known),
            *kept,
            *copied,
        ),
    )
    _log(project, ingested)
    return ingested


def _others(release: Release, profile: Profile, report: Report) -> list[CubeReport]:
    """Return the reports of the FITS files in a release's folder that are not read as cubes, by name."""
    files = [OtherFile(folder=release.folder, path=path, profile=profile) for path in other_fits_files(release.folder)]
    found = []
    for done, (_, other) in enumerate(in_processes(inspect_other, files, died=other_died), start=1):
        found.append(other)
        report(done, len(files), "reading other files")
    return sorted(found, key=lambda other: other.cube)


def _label_doubts(release: Release, known: KnownCubes) -> list[str]:
    """Return what the label table of a release has or lacks that has no effect in Label Studio."""
    doubts = []
    verified = [row.cube for row in release.rows if row.verified]
    if verified:
        doubts.append(
            f"{LABELS_FILE} has verified 1 for cube {with_others(verified)}, which counts as a crude label in Label "
            "Studio, where only annotations are labels of humans; submit it there to verify it"
        )
    unlisted = [cube for cube in release.unlisted if (task := known.find(cube)) is not None and task.crude is not None]
    if unlisted:
        doubts.append(
            f"{LABELS_FILE} has no row for cube {with_others(unlisted)}, which keeps the crude label that it has in "
            "Label Studio; give it a row with an empty label to remove it"
        )
    return doubts


def _with_verdict(reports: Sequence[CubeReport], verdict: Verdict) -> tuple[CubeReason, ...]:
    """Return the cubes with a verdict and all reasons, in a form that can be printed and stored."""
    return tuple(
        CubeReason(cube=shown_name(report.cube), reason=shown_name("; ".join(report.reasons)))
        for report in reports
        if report.verdict is verdict
    )


def _log(project: int, ingested: Ingested) -> None:
    for entry in ingested.excluded:
        log.warning("cube %s is excluded: %s", entry.cube, entry.reason)
    for entry in ingested.warned:
        log.warning("cube %s: %s", entry.cube, entry.reason)
    for change in ingested.relabelled:
        log.info("cube %s: crude label %s, was %s", change.cube, change.new or "none", change.old or "none")
    for doubt in ingested.doubts:
        log.warning("release %s: %s", ingested.release, doubt)
    log.info(
        "project %d: release %s: %d imported, %d already present, %d excluded, %d warned, %d crude labels changed",
        project, ingested.release, ingested.imported, ingested.present, len(ingested.excluded), len(ingested.warned),
        len(ingested.relabelled),
    )  # fmt: skip


def write_reports(
    model_dir: Path, release: str, reports: Sequence[CubeReport], *, others: Sequence[CubeReport] = ()
) -> None:
    """Write what was read from each file, ``reading/<release>.csv``, and refused cubes, ``excluded/<release>.csv``.

    The next ingestion of the release replaces both. `others` are the reports of files that are not cubes.
    """
    write_reading(model_dir / "reading" / file_name(release, ".csv"), [*reports, *others])
    excluded = sorted(_with_verdict(reports, Verdict.REFUSED), key=lambda entry: entry.cube)
    path = model_dir / "excluded" / file_name(release, ".csv")
    tables.write_table(path, ("cube", "reason"), map(asdict, excluded))
