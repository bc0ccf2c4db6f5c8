"""Reads exported tasks of Label Studio: which cube a task shows, which tasks a cube has, when annotations changed.

The web side and the worker use the same rules. Everyone who may import tasks decides what their data contain, so a task
names a cube but does not open a file: `data.release` makes paths of names, and only below the release roots.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from helioloop.files.names import LONGEST_NAME, is_plain_name
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import Label

_LABELS: Final = {label.value: label for label in Label}
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")


def cube_of(data: Any) -> CubeInfo | None:
    """Return the cube that a task's data are about, without label; None for a task that is not helioloop's.

    Parameters
    ----------
    data : object
        The task's ``data``, whatever it holds. A cube's has ``cube``, ``release`` and ``sha256``, and perhaps
        ``region`` and ``start``.
    """
    if not isinstance(data, dict):
        return None
    release, cube, sha256 = data.get("release"), data.get("cube"), data.get("sha256")
    if not (is_plain_name(release) and is_plain_name(cube) and isinstance(sha256, str) and _SHA256.match(sha256)):
        return None
    return CubeInfo(
        release=release,
        name=cube,
        sha256=sha256,
        start=_start(data.get("start")),
        region=_text(data.get("region")),
    )


def crude_label(data: Mapping[str, Any]) -> Label | None:
    """Return the crude label in a task's data; None where there is none."""
    value = data.get("crude_label")
    return _LABELS.get(value) if isinstance(value, str) else None


def _text(value: Any) -> str | None:
    """Return a word that says something; data may hold anything."""
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME else None


def _start(value: Any) -> str | None:
    """Return a time as `CubeInfo.start`; None for anything else than ISO 8601, since people can edit task data."""
    text = _text(value)
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        return text if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None).isoformat()
    except (ValueError, OverflowError):  # overflow: year 1 east of Greenwich
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeTask:
    """A cube and the tasks that show it.

    Parameters
    ----------
    cube : CubeInfo
        The cube, without a label.
    ids : tuple of int
        The tasks, oldest first. There are several where somebody imported an exported task again.
    exported : mapping
        The tasks as one exported task: ``data`` of the oldest, ``annotations`` of all; in ``left_out`` the id and the
        number of annotations of each annotated task with the same cube name and other content.
    """

    cube: CubeInfo
    ids: tuple[int, ...]
    exported: Mapping[str, Any] = field(repr=False, compare=False)


def cube_tasks(exported: Iterable[Mapping[str, Any]]) -> dict[str, CubeTask]:
    """Return the tasks by cube name, oldest first; tasks without a cube are left out.

    Of two tasks with the same cube name and other content, the older one counts and the younger one is left out: the
    data of a task cannot be changed, and labels, folds and scores are stored by name.

    Parameters
    ----------
    exported : iterable of mapping
        Tasks as Label Studio exports them, with ``id``, ``data`` and perhaps ``annotations``.
    """
    entries = sorted((entry for entry in exported if isinstance(entry.get("id"), int)), key=lambda entry: entry["id"])
    found: dict[str, CubeInfo] = {}
    same: dict[str, list[Mapping[str, Any]]] = {}
    left_out: dict[str, list[tuple[int, int]]] = {}
    for entry in entries:
        cube = cube_of(entry.get("data"))
        if cube is None:
            continue
        if found.setdefault(cube.name, cube).sha256 == cube.sha256:
            same.setdefault(cube.name, []).append(entry)
        elif annotations := _annotations([entry]):
            left_out.setdefault(cube.name, []).append((entry["id"], len(annotations)))
    return {
        name: CubeTask(
            cube=cube,
            ids=tuple(entry["id"] for entry in same[name]),
            exported={
                "data": same[name][0]["data"],
                "annotations": _annotations(same[name]),
                "left_out": left_out.get(name, []),
            },
        )
        for name, cube in found.items()
    }


def annotation_stamps(exported: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return annotation id -> ``updated_at`` for all submitted annotations in exported tasks."""
    return {str(annotation.get("id")): str(annotation.get("updated_at")) for annotation in _annotations(exported)}


def _annotations(exported: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [annotation for entry in exported for annotation in entry.get("annotations") or ()]
