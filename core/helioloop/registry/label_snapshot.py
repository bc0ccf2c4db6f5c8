"""Current labels as last read from Label Studio: ``labels.json`` in a project's model folder.

The worker writes it each time it has read the annotations. The web side, scoring jobs, the audit and
``helioloop status`` read current labels from it; Label Studio's annotations remain the truth. Whether annotations have
been checked, reconciliation sees in ``checked.json``, which is written only after a complete retrain check; this
file it corrects.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.records.labels import CurrentLabel
from helioloop.registry.folder_format import check_format, ensure_format

FILE_NAME = "labels.json"
SNAPSHOTS_IN_MEMORY: Final = 4
"""Snapshots that `Snapshot.read_if_changed` keeps, of as many model folders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Current labels and the annotations they were resolved from.

    Parameters
    ----------
    read_at : str
        When Label Studio was read (UTC, ISO 8601).
    annotations : mapping
        Annotation id (as text) -> its ``updated_at``.
    cubes : mapping
        Cube name -> current label.
    """

    read_at: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    cubes: Mapping[str, CurrentLabel] = field(default_factory=dict)

    def write(self, model_dir: Path) -> None:
        """Write the snapshot into a model folder; a reader sees the old one or the new one."""
        ensure_format(model_dir)
        _KEPT.pop(model_dir, None)
        text = atomic.compact_json(
            {
                "read_at": self.read_at,
                "annotations": dict(self.annotations),
                "cubes": {cube: label.as_dict() for cube, label in self.cubes.items()},
            }
        )
        with atomic.replacing(model_dir / FILE_NAME) as new:
            new.write_text(text)
            stamp = _stamp(new)  # afterwards the file may be that of another process
        if stamp is not None:
            _keep(model_dir, stamp, self)

    @classmethod
    def read(cls, model_dir: Path) -> Self | None:
        """Return the snapshot in a model folder, or None; a damaged one is a `RegistryError`."""
        check_format(model_dir)
        path = model_dir / FILE_NAME
        try:
            values = json.loads(path.read_text())
            return cls(
                read_at=values["read_at"],
                annotations=dict(values["annotations"]),
                cubes={cube: CurrentLabel.from_dict(entry) for cube, entry in values["cubes"].items()},
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RegistryError(f"{path} is not a label snapshot ({error}); delete it: it is written again") from None

    @classmethod
    def read_if_changed(cls, model_dir: Path) -> "Snapshot | None":
        """Return what `read` does, from memory where this process has read or written the file as it is now."""
        stamp, kept = _stamp(model_dir / FILE_NAME), _KEPT.get(model_dir)
        if stamp is None or kept is None or kept[0] != stamp:
            snapshot = cls.read(model_dir)
            if stamp is None or snapshot is None:
                return snapshot
            kept = _keep(model_dir, stamp, snapshot)
        return kept[1]


_Stamp = tuple[int, int, int]
_KEPT: Final[OrderedDict[Path, tuple[_Stamp, Snapshot]]] = OrderedDict()


def _stamp(path: Path) -> _Stamp | None:
    """Return what changes when a file is replaced; None where it is absent."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _keep(model_dir: Path, stamp: _Stamp, snapshot: Snapshot) -> tuple[_Stamp, Snapshot]:
    """Keep a snapshot in memory, and drop the one that was kept first where there are too many."""
    while len(_KEPT) >= SNAPSHOTS_IN_MEMORY:
        with suppress(KeyError):  # another thread has dropped it
            _KEPT.popitem(last=False)
    _KEPT[model_dir] = stamp, snapshot
    return stamp, snapshot
