"""Keeps projects as read from Label Studio in the memory of a process, and reads only what has changed since.

What one correction costs must not grow with the number of tasks. A complete reading takes Label Studio about a
millisecond for each task. So it is made when a process reads a project for the first time, by reconciliation, and where
Label Studio's own counts show that changes are missing: after tasks were deleted, for example.
"""

import time
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from helioloop.environment.stored_times import is_ahead
from helioloop.labelstudio.annotations import current_label
from helioloop.labelstudio.copied_tasks import without_blind_answers
from helioloop.labelstudio.tasks import CubeTask, annotation_stamps, cube_of, cube_tasks
from helioloop.records.labels import CurrentLabel
from helioloop.registry.copied_answers import read_copied_answers
from helioloop.registry.label_snapshot import FILE_NAME, Snapshot
from helioloop.registry.project_profile import read_project_profile
from helioloop.settings import Settings
from helioloop_worker.labelstudio.data_edits import last_data_edit
from helioloop_worker.labelstudio.port import Counts, LabelStudio, ProjectInfo
from helioloop_worker.labelstudio.project import ProjectState, check_owner, make_state, read_controls

OVERLAP: Final = timedelta(seconds=120)
"""Changes up to this long before the newest one are read again: Label Studio stamps a change before it stores it."""
RECONCILE_FRACTION: Final = 0.05
"""Complete readings by reconciliation take at most about this fraction of the time, unless they are short."""
SHORT_SECONDS: Final = 5.0
"""Complete readings of this length are made each time."""
_FIRST: Final = "1970-01-01T00:00:00+00:00"


@dataclass(slots=True)
class _Kept:
    """A project as read.

    Parameters
    ----------
    state : ProjectState
        The project.
    tasks : dict
        Its tasks by id, with nothing but id, data and annotations.
    data_edit : str
        The last change of data when it was read.
    newest : str or None
        The newest change by Label Studio's clock, taken before the reading.
    newest_seen_at : float
        When this process saw it first, by its monotonic clock.
    read_at : datetime
        When the last reading began.
    written : tuple of int, optional
        Time and number of the label snapshot that this process wrote; None while it is older than the state.
    ids : dict
        Cube name -> its tasks in the order of ids.
    """

    state: ProjectState
    tasks: dict[int, dict[str, Any]]
    data_edit: str
    newest: str | None
    newest_seen_at: float
    read_at: datetime
    written: tuple[int, int] | None = None
    ids: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number in sorted(self.tasks):
            self.note(number)

    def note(self, number: int) -> None:
        """Note a new task under its cube."""
        if (name := _cube_name(self.tasks[number])) is not None:
            self.ids.setdefault(name, []).append(number)

    def counts(self) -> Counts:
        """Return what Label Studio should count."""
        skipped = [
            bool(annotation.get("was_cancelled"))
            for task in self.tasks.values()
            if task["annotations"]
            for annotation in task["annotations"]
        ]
        return Counts(tasks=len(self.tasks), annotations=len(skipped) - sum(skipped), skips=sum(skipped))


class KeptProjects:
    """The projects that one process works on.

    Parameters
    ----------
    label_studio : LabelStudio
        Where the projects are.
    settings : Settings
        Their model folders.
    """

    def __init__(self, label_studio: LabelStudio, settings: Settings) -> None:
        self._label_studio = label_studio
        self._settings = settings
        self._kept: dict[int, _Kept] = {}
        self._next_complete: dict[int, float] = {}

    def read(self, project: int) -> ProjectState:
        """Return a project as it is now, and write its label snapshot where it is another one; see `read_project`."""
        self.refresh(project)
        return self._write(project)

    def read_fully(self, project: int) -> ProjectState:
        """Return a project from a complete reading, and write its label snapshot."""
        self._read_all(project)
        return self._write(project)

    def refresh(self, project: int) -> ProjectState:
        """Return a project as it is now, from the changes since the last reading; no label snapshot is written."""
        # Taken out until it is whole again: a reading that breaks off half-way must not be continued.
        kept = self._kept.pop(project, None)
        if kept is None or kept.data_edit != last_data_edit(self._settings.model_dir(project)):
            return self._read_all(project)
        for _ in range(2):  # the second time, because annotations may come in between
            info = self._label_studio.project(project)
            if info.counts is None or not self._has_same_rules(kept, info) or not self._add_changes(kept, info):
                break
            if kept.counts() == info.counts:
                self._kept[project] = kept
                return kept.state
        return self._read_all(project)

    def read_completely(self, project: int) -> ProjectState:
        """Return a project from a complete reading by reconciliation; no label snapshot is written."""
        begun = time.monotonic()
        state = self._read_all(project)
        ended = time.monotonic()
        pause = (ended - begun) / RECONCILE_FRACTION if ended - begun > SHORT_SECONDS else 0.0
        self._next_complete[project] = ended + pause
        return state

    def _read_all(self, project: int) -> ProjectState:
        begun, read_at = time.monotonic(), datetime.now(UTC)
        data_edit = last_data_edit(self._settings.model_dir(project))
        newest = self._label_studio.last_change(project)
        info = self._label_studio.project(project)
        tasks = {entry["id"]: _slim(entry) for entry in self._label_studio.tasks(project)}
        state = make_state(info, tasks.values(), settings=self._settings)
        self._kept[project] = _Kept(
            state=state, tasks=tasks, data_edit=data_edit, newest=newest, newest_seen_at=begun, read_at=read_at
        )
        return state

    def may_read_completely(self, project: int) -> bool:
        """Return whether the last complete reading was long ago, compared with the time that it took."""
        return time.monotonic() >= self._next_complete.get(project, 0.0)

    def _has_same_rules(self, kept: _Kept, info: ProjectInfo) -> bool:
        """Return whether labels are still derived by the same controls on the same grid, in this project's folder."""
        check_owner(info, settings=self._settings)
        profile = read_project_profile(self._settings.model_dir(info.id))
        return profile == kept.state.profile and read_controls(info, settings=self._settings) == kept.state.controls

    def _add_changes(self, kept: _Kept, info: ProjectInfo) -> bool:
        """Add what has changed since the last reading; False where only a complete reading can."""
        begun, begun_at, project = time.monotonic(), datetime.now(UTC), info.id
        newest = self._label_studio.last_change(project)
        if newest is not None and kept.newest is not None and _time(newest) < _time(kept.newest):
            return False  # Label Studio's database was restored from a backup
        changed = self._label_studio.changed_tasks(project, _since(kept, begun))
        kept.read_at = begun_at
        if newest != kept.newest:
            kept.newest, kept.newest_seen_at = newest, begun
        added = _with_changes(kept, changed, before=read_copied_answers(self._settings.model_dir(project)))
        if added is None:
            return False
        read_at = datetime.now(UTC).isoformat(timespec="seconds")
        if added:
            tasks, annotations, cubes = added
            snapshot = Snapshot(read_at=read_at, annotations=annotations, cubes=cubes)
            kept.state = replace(kept.state, info=info, tasks=tasks, snapshot=snapshot)
            kept.written = None
        else:
            kept.state = replace(kept.state, info=info)
        return True

    def _write(self, project: int) -> ProjectState:
        kept = self._kept[project]
        model_dir = self._settings.model_dir(project)
        if kept.written is None or kept.written != _file_stamp(model_dir / FILE_NAME):  # another process wrote its own
            kept.state.snapshot.write(model_dir)
            kept.written = _file_stamp(model_dir / FILE_NAME)
        return kept.state


def _file_stamp(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file is replaced; None where it is absent."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino


_Changed = tuple[dict[str, CubeTask], dict[str, str], dict[str, CurrentLabel]]


def _with_changes(
    kept: _Kept, changed: Iterable[Mapping[str, Any]], *, before: Set[str]
) -> _Changed | tuple[()] | None:
    """Return tasks, annotations and labels with the changed tasks; empty without a change, None where that cannot be.

    A task that is older than others and was not known, or that shows another cube than before, needs a complete
    reading: the order of tasks decides which of two tasks counts. The annotations in `before` are never blind.
    """
    newest, names = max(kept.tasks, default=0), dict[str, None]()
    annotations = dict(kept.state.snapshot.annotations)
    for entry in changed:
        task = _slim(entry)
        number, old = task["id"], kept.tasks.get(entry["id"])
        if old is not None and old["data"] == task["data"] and annotation_stamps([old]) == annotation_stamps([task]):
            continue
        if (old is None and number < newest) or (old is not None and _cube_name(old) != _cube_name(task)):
            return None
        kept.tasks[number] = task
        if old is None:
            kept.note(number)
        for stamp in annotation_stamps([old] if old is not None else []):
            annotations.pop(stamp, None)
        annotations |= annotation_stamps([task])
        names[_cube_name(task) or ""] = None
    if not names:
        return ()
    state = kept.state
    tasks, cubes = dict(state.tasks), dict(state.snapshot.cubes)
    for name in names:
        own = (kept.tasks[number] for number in kept.ids.get(name, ()))
        shown = (without_blind_answers(entry, state.info.id, before=before) for entry in own)
        for cube, found in cube_tasks(shown).items():
            tasks[cube] = found
            cubes[cube] = current_label(found.exported, state.controls, n_frames=state.profile.instrument.n_frames)
    return tasks, annotations, cubes


def _since(kept: _Kept, now: float) -> str:
    """Return from when on changes have to be read: with an overlap, until all changes of that time are stored.

    Where the newest change is ahead of this machine's clock, from the last reading on: later changes may be older.
    """
    if kept.newest is None:
        return _FIRST
    newest = _time(kept.newest)
    if is_ahead(newest.timestamp(), now=time.time()):
        return (kept.read_at - OVERLAP).isoformat()
    is_settled = now - kept.newest_seen_at > OVERLAP.total_seconds()
    return (newest if is_settled else newest - OVERLAP).isoformat()


def _time(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)


def _slim(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": entry["id"], "data": entry.get("data"), "annotations": entry.get("annotations") or []}


def _cube_name(task: Mapping[str, Any]) -> str | None:
    cube = cube_of(task.get("data"))
    return None if cube is None else cube.name
