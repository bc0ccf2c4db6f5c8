"""Which project of Label Studio a model folder belongs to: ``project.json``, with the project's time of creation.

The folder is found by the project's number. A new Label Studio counts from 1 again, so its first project would
otherwise take over the versions, labels and profile of another Label Studio's first project.
"""

import json
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.registry import label_snapshot
from helioloop.registry.folder_format import check_format, ensure_format

FILE_NAME: Final = "project.json"
_CLOCKS_DIFFER: Final = timedelta(hours=1)
"""Clocks of two machines differ by less."""
_SAME_WITHIN: Final = timedelta(milliseconds=1)
"""Moving Label Studio's database by way of JSON cuts its times to milliseconds."""

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
    now = _time(created_at)
    if now is None:
        return
    check_format(model_dir)
    path = model_dir / FILE_NAME
    known = _read(path)
    if known is None:
        read_at = _labels_read_at(model_dir)
        if read_at is not None and read_at + _CLOCKS_DIFFER < now:
            raise _stranger(model_dir, project, title, now, f"its labels were read on {_shown(read_at)}")
        if claim:
            _write(path, project, title, now)
    elif abs(known[1] - now) > _SAME_WITHIN:
        raise _stranger(
            model_dir, project, title, now, f"it belongs to project {known[0]!r}, created {_shown(known[1])}"
        )


def _write(path: Path, project: int, title: str, created_at: datetime) -> None:
    """Write the file, unless the folder cannot be written: readers of a project need no right to write."""
    is_old = path.parent.is_dir() and any(path.parent.iterdir())
    if path.parent.exists() and not os.access(path.parent, os.W_OK):
        return
    ensure_format(path.parent)
    atomic.write_json(path, {"project": project, "title": title, "created_at": created_at.isoformat()})
    if is_old:
        log.info("%s belongs to project %d, %r, from now on", path.parent, project, title)


def _stranger(model_dir: Path, project: int, title: str, created_at: datetime, why: str) -> RegistryError:
    return RegistryError(
        f"{model_dir} is not the model folder of project {project}, {title!r}, which was created {_shown(created_at)}: "
        f"{why}; move the folder away, so that the project begins with its own, or if the project was moved "
        f"here together with its annotations, delete {FILE_NAME} and {label_snapshot.FILE_NAME} in it"
    )


def _read(path: Path) -> tuple[str, datetime] | None:
    """Return title and time of creation of a folder's project; None where no project is written."""
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
        created = _time(values["created_at"])
        title = str(values["title"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, str(error)) from None
    if created is None:
        raise _damaged(path, "created_at is not a time")
    return title, created


def _damaged(path: Path, why: str) -> RegistryError:
    return RegistryError(
        f"{path} does not name the project of a model folder ({why}); delete it if the folder is this project's: it is "
        "written again"
    )


def _labels_read_at(model_dir: Path) -> datetime | None:
    """Return when the labels in a folder were last read; None where they never were, or the file is damaged."""
    try:
        return _time(json.loads((model_dir / label_snapshot.FILE_NAME).read_text(encoding="utf-8"))["read_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a damaged snapshot is reported by its reader


def _time(text: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
