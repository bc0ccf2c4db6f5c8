"""Which project of Label Studio a model folder belongs to: ``project.json``, with the project's time of creation.

The folder is found by the project's number. A new Label Studio counts from 1 again, so its first project would
otherwise take over the versions, labels and profile of another Label Studio's first project.
"""

import json
import logging
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from helioloop.errors import RegistryError
from helioloop.registry import label_snapshot
from helioloop.registry.folder_format import check_format, ensure_format
from helioloop.registry.project_stamp import FILE_NAME, ProjectStamp, parse_time, shown_time

_CLOCKS_DIFFER: Final = timedelta(hours=1)
"""Clocks of two machines differ by less."""

log = logging.getLogger(__name__)


def check_project_identity(
    model_dir: Path, *, project: int, title: str, created_at: str | None, claim: bool = True
) -> None:
    """Do nothing where a model folder belongs to this project; a folder without a project becomes this project's.

    Parameters
    ----------
    model_dir : Path
        The model folder; it need not exist.
    project : int
        The project's number.
    title : str
        Its title, for messages; it may change.
    created_at : str or None
        When Label Studio created the project (ISO 8601); None where it does not say, and then nothing is checked.
    claim : bool
        Write the project into a folder that has none yet.

    Raises
    ------
    RegistryError
        Where the folder belongs to another project, or its file is damaged.
    """
    now = parse_time(created_at)
    if now is None:
        return
    check_format(model_dir)
    known = ProjectStamp.read(model_dir, kind="model")
    if known is None:
        read_at = _labels_read_at(model_dir)
        if read_at is not None and read_at + _CLOCKS_DIFFER < now:
            raise _stranger(model_dir, project, title, now, f"its labels were read on {shown_time(read_at)}")
        if claim:
            _write(model_dir, project, title, now)
    elif not known.is_of(now):
        raise _stranger(model_dir, project, title, now, f"it belongs to {known.shown}")


def _write(model_dir: Path, project: int, title: str, created_at: datetime) -> None:
    """Write the file, unless the folder cannot be written: readers of a project need no right to write."""
    is_old = model_dir.is_dir() and any(model_dir.iterdir())
    if model_dir.exists() and not os.access(model_dir, os.W_OK):
        return
    ensure_format(model_dir)
    ProjectStamp(title=title, created_at=created_at).write(model_dir, project)
    if is_old:
        log.info("%s belongs to project %d, %r, from now on", model_dir, project, title)


def _stranger(model_dir: Path, project: int, title: str, created_at: datetime, why: str) -> RegistryError:
    return RegistryError(
        f"{model_dir} is not the model folder of project {project}, {title!r}, which was created "
        f"{shown_time(created_at)}: {why}; move the folder away, so that the project begins with its own, or if the "
        f"project was moved here together with its annotations, delete {FILE_NAME} and {label_snapshot.FILE_NAME} in it"
    )


def _labels_read_at(model_dir: Path) -> datetime | None:
    """Return when the labels in a folder were last read; None where they never were, or the file is damaged."""
    try:
        return parse_time(json.loads((model_dir / label_snapshot.FILE_NAME).read_text(encoding="utf-8"))["read_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a damaged snapshot is reported by its reader
