"""Deletes the predictions of superseded versions, once no open task can refer to them any more."""

from datetime import UTC, datetime

from helioloop.registry.shown_versions import superseded_since
from helioloop_worker.context import Context
from helioloop_worker.loop.writing import writing


def superseded(context: Context, project: int) -> list[str]:
    """Delete the predictions of superseded versions after the grace time: submits that were open refer to them."""
    found = [
        version
        for version in context.label_studio.model_versions(project)
        if _may_be_deleted(context, project, version)
    ]
    done = []
    for version in found:
        with writing(context, project):
            # Checked again: while this process waited for the lock, a rollback may have published the version.
            shown = context.label_studio.project(project).model_version
            if _may_be_deleted(context, project, version) and shown != version:
                context.label_studio.delete_version(project, version)
                done.append(f"the grace time of the predictions of {version} is over: deleted")
    return done


def _may_be_deleted(context: Context, project: int, version: str) -> bool:
    """Tell whether a version is helioloop's, is not published, and has been superseded for the grace time.

    So is a version that the model folder has lost, because it was restored from an older backup than Label Studio.
    """
    registry = context.registry(project)
    is_ours = version in registry.versions() or registry.was_lost(version)
    if not is_ours or version == registry.published():
        return False
    since = superseded_since(context.settings.model_dir(project), version)
    return since is not None and (datetime.now(UTC) - since).total_seconds() >= context.settings.grace_seconds
