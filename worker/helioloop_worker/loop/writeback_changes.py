"""Writes back what is new since the last write-back of the same version: scores, annotations and tasks.

The number of calls to Label Studio, and of rows in them, depends on how much is new and not on how many tasks there
are. What went wrong otherwise, such as a prediction that somebody deleted, is found by reconciliation; it has the next
write-back look at all tasks.
"""

import logging
from dataclasses import replace

from helioloop.labelstudio.control_changes import control_changes
from helioloop.progress import Report
from helioloop.registry.shown_versions import add_shown_version
from helioloop_worker.context import Context
from helioloop_worker.loop.changed_controls import noted_controls
from helioloop_worker.loop.hiding import hide_new_random_checks
from helioloop_worker.loop.screen_files import write_screens
from helioloop_worker.loop.stored_predictions import delete_differing
from helioloop_worker.loop.unscored import unscored_chunks
from helioloop_worker.loop.updating import Update, update_predictions
from helioloop_worker.loop.writeback import Written, delete_duplicates, show_version
from helioloop_worker.loop.writing import holding, writing
from helioloop_worker.loop.written_back import (
    WrittenBack,
    needs_whole_write_back,
    new_in,
    read_written,
    write_written,
    written_now,
)
from helioloop_worker.loop.written_screens import has_last_screens, note_screens

log = logging.getLogger(__name__)


def write_back_changes(context: Context, project: int, version: str, *, report: Report) -> Written | None:
    """Give tasks with something new their prediction of `version`, or change its score.

    Parameters are those of `write_back`, and so are the errors.

    Returns
    -------
    Written or None
        What was done; None where all tasks have to be looked at.
    """
    if _begun(context, project, version) is None:
        return None
    with writing(context, project) as lock:
        before = _begun(context, project, version)  # another write-back may have ended meanwhile
        registry = context.registry(project)
        if registry.published() != version:
            return Written(written=0, present=0)
        if before is None:
            return None
        model_dir, whole = context.settings.model_dir(project), context.projects.read(project)
        noted = noted_controls(context, project, version)
        if noted is None or control_changes(noted, whole.controls) is not None:
            return None
        now = written_now(whole, registry, version)
        new = new_in(before, now, whole, registry)
        there = context.label_studio.tasks_now(project, [number for task in new.tasks.values() for number in task.ids])
        part = replace(whole, tasks=new.tasks).with_data_of(there)
        scores = registry.scores_of(version, [task.cube for task in new.tasks.values()])
        blind, hidden = hide_new_random_checks(
            context,
            project,
            whole,
            part,
            version=version,
            there=there,
            have_joined=bool(new.imported),
            lock=lock,
            report=report,
        )
        rows = [
            row for task in there for row in task.predictions if row.model_version == version and row.id not in hidden
        ]
        update = Update.of(context, part, version, scores=scores, lock=lock, report=report)
        entries, differing = update_predictions(update, rows, without=blind)
        have = {row.task for row in rows}
        after = context.label_studio.tasks_now(project, [task.id for task in there]) if entries else there
        deleted = delete_duplicates(context, project, version, [row for task in after for row in task.predictions])
        if entries or have:
            show_version(context, whole.info, version)
        # After the predictions: an answer to a task that has none of the shown version counts as blind.
        write_screens(
            part,
            scores,
            version=version,
            media=context.settings.media_dir(project),
            blind=blind,
            served=context.media,
            report=holding(lock, report),
        )
        delete_differing(context, differing, lock, without=deleted)
        add_shown_version(model_dir, version)
        write_written(model_dir, now)
        note_screens(model_dir, context.settings.media_dir(project))
    chunks = unscored_chunks(whole, scores, update.unscorable, among=new.imported) if new.imported else ()
    log.info(
        "project %d: %s: %d cubes with something new: %d predictions written",
        project, version, len(new.tasks), len(entries),
    )  # fmt: skip
    return Written(written=len(entries), present=len(have), chunks=chunks, whole=False)


def _begun(context: Context, project: int, version: str) -> WrittenBack | None:
    """Return what the last write-back covered; None where the next one has to look at all tasks."""
    model_dir, media = context.settings.model_dir(project), context.settings.media_dir(project)
    if needs_whole_write_back(model_dir) or not has_last_screens(model_dir, media):
        return None
    before = read_written(model_dir)
    return before if before is not None and before.version == version else None
