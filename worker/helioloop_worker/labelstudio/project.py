"""A project as Label Studio shows it at one moment: its cubes, its current labels, its controls.

Above `gateway`, below rounds, write-back and sweep. Reading it also leaves the label snapshot that the web side,
scoring jobs, the book and `helioloop status` use.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from helioloop.errors import CubeError
from helioloop.instrument import Instrument
from helioloop.labelstudio.annotations import current_label
from helioloop.labelstudio.config import Controls, parse_config
from helioloop.labelstudio.tasks import cube_of
from helioloop.model.inputs import Load
from helioloop.records import CubeInfo, CurrentLabel
from helioloop.registry.label_snapshot import Snapshot
from helioloop.settings import Settings
from helioloop_worker.labelstudio.port import LabelStudio, ProjectInfo

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeTask:
    """A cube and the tasks of Label Studio that show it.

    Parameters
    ----------
    cube : CubeInfo
        The cube, as its task data describe it: without a label.
    ids : tuple of int
        The tasks; several where an exported task was imported again. The first was imported first.
    """

    cube: CubeInfo
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectState:
    """What a project holds, read in one go.

    Parameters
    ----------
    project : ProjectInfo
        Title, configuration, model version.
    controls : Controls
        The control names found in the configuration.
    tasks : mapping
        Cube name -> task, in the order of import. A cube name stands for one cube in a project.
    snapshot : Snapshot
        Current labels by cube, and the annotations they come from.
    """

    project: ProjectInfo
    controls: Controls
    tasks: Mapping[str, CubeTask]
    snapshot: Snapshot

    def label(self, cube: str) -> CurrentLabel:
        """Return a cube's current label."""
        return self.snapshot.cubes[cube]

    def labelled(self, task: CubeTask) -> CubeInfo:
        """Return a task's cube with its current label."""
        label = self.label(task.cube.name)
        return replace(task.cube, label=label.label, verified=label.verified)

    def planned(self, load: Load) -> list[CubeInfo]:
        """Return the cubes of a round; those that cannot be read any more are left out, and logged."""
        cubes = []
        for name, task in self.tasks.items():
            try:
                load(task.cube)
            except CubeError as error:
                log.warning("cube %s is left out of the round: %s", name, error)
                continue
            cubes.append(self.labelled(task))
        return cubes


def read_project(gateway: LabelStudio, project: int, *, settings: Settings, instrument: Instrument) -> ProjectState:
    """Read a project from Label Studio and leave its label snapshot in its model folder.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses or does not answer.
    ConfigurationError
        Where the project's labelling configuration lacks the controls.
    """
    info = gateway.project(project)
    controls = parse_config(
        info.label_config, emergence=settings.class_emergence, non_emergence=settings.class_non_emergence
    )
    exported = gateway.tasks(project)
    tasks, entries = cube_tasks(exported), {entry.get("id"): entry for entry in exported}
    snapshot = Snapshot(
        read_at=datetime.now(UTC).isoformat(timespec="seconds"),
        annotations=annotation_stamps(exported),
        cubes={
            cube: current_label(
                _as_one([entries[number] for number in task.ids]), controls, n_frames=instrument.n_frames
            )
            for cube, task in tasks.items()
        },
    )
    snapshot.write(settings.model_dir(project))
    return ProjectState(project=info, controls=controls, tasks=tasks, snapshot=snapshot)


def annotation_stamps(exported: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return annotation id -> ``updated_at`` of all submitted annotations in exported tasks."""
    return {
        str(annotation.get("id")): str(annotation.get("updated_at"))
        for entry in exported
        for annotation in entry.get("annotations") or ()
    }


def cube_tasks(exported: Iterable[Mapping[str, Any]]) -> dict[str, CubeTask]:
    """Return cube name -> its task, of exported tasks; tasks that are not helioloop's are passed over.

    Of two tasks that show other content under one name the earlier one stands, the later one is nobody's: task data is
    fixed, and labels, folds and scores are kept by name.
    """
    found: dict[str, CubeTask] = {}
    numbered = [entry for entry in exported if isinstance(entry.get("id"), int)]
    for entry in sorted(numbered, key=lambda entry: int(entry["id"])):
        number, cube = entry["id"], cube_of(entry.get("data"))
        if cube is None:
            continue
        known = found.get(cube.name)
        if known is None:
            found[cube.name] = CubeTask(cube=cube, ids=(number,))
        elif known.cube.sha256 == cube.sha256:
            found[cube.name] = replace(known, ids=(*known.ids, number))
    return found


def _as_one(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the tasks of one cube as one task, with the annotations of all: each annotator's latest word counts."""
    annotations = [annotation for entry in entries for annotation in entry.get("annotations") or ()]
    return {"data": entries[0]["data"], "annotations": annotations}
