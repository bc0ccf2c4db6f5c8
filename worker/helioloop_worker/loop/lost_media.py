"""Finds media files that tasks show and that are not in the media folder, as where its disk is not mounted.

Annotators see an error in place of the video then. Without the facts beside it, curve and reason do not follow the
model any more. Only an ingestion of the release makes both again.
"""

import logging
import os
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from helioloop.registry.lost_media import LostMedia, read_lost_media, write_lost_media
from helioloop.words import count
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project import ProjectState
from helioloop_worker.loop.media_names import MediaNames
from helioloop_worker.loop.seen_project import SeenProject

log = logging.getLogger(__name__)


def media(context: Context, project: int, found: SeenProject) -> None:
    """Note for the status which releases lack media files, and log it where that has changed."""
    model_dir, releases = context.settings.model_dir(project), count_lost(context, found.state)
    before = read_lost_media(model_dir)
    if releases != ({} if before is None else before.releases):
        for release, cubes in releases.items():
            log.warning(
                "project %d: media files of %s of release %s are not in %s; mount or restore that folder, or run "
                "`helioloop ingest %s --project %d`",
                project, count(cubes, "cube"), release, context.settings.media_dir(project), release, project,
            )  # fmt: skip
    at = datetime.now(UTC).isoformat(timespec="seconds")
    write_lost_media(model_dir, LostMedia(at=at, releases=releases))


def count_lost(context: Context, state: ProjectState) -> dict[str, int]:
    """Return release -> its number of cubes that lack the video, or the facts, that their task needs.

    A task whose addresses lead elsewhere, as that of a copied project, lacks nothing here.
    """
    folder = context.settings.media_dir(state.info.id)
    names_in = cache(_names_in)
    lost: Counter[str] = Counter()
    for task in state.tasks.values():
        cube, data = task.cube, task.exported["data"]
        names = MediaNames(
            media=folder,
            release=cube.release,
            cube=cube.name,
            sha256=cube.sha256,
            instrument=state.profile.instrument,
        )
        needed = _needed(context, names, data, video_field=state.controls.video_field)
        if any(path.name not in names_in(path.parent) for path in needed):
            lost[cube.release] += 1
    return dict(sorted(lost.items()))


def _needed(context: Context, names: MediaNames, data: Mapping[str, Any], *, video_field: str) -> list[Path]:
    """Return the files of this project that a task cannot do without, by its addresses."""
    of_field = ((video_field, names.video, names.video), ("curve", names.curve, names.facts))
    return [needed for field, shown, needed in of_field if data.get(field) == context.media.address(names.name(shown))]


def _names_in(folder: Path) -> frozenset[str]:
    """Return the names of the files in a folder; none where there is no such folder."""
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 - three files for each cube of an archive
    except FileNotFoundError:
        return frozenset()
