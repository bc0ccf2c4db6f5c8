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
from helioloop.records import CubeRef, CurrentLabel, PlannedCube
from helioloop.registry.label_snapshot import Snapshot
from helioloop.settings import Settings
from helioloop_worker.labelstudio.port import LabelStudio, ProjectInfo

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeTask:
    """A cube and the task of Label Studio that shows it.

    Parameters
    ----------
    id : int
        The task; of several the one imported first.
    ref : CubeRef
        Which cube.
    start, region : str or None
        When and where on the Sun, as in `PlannedCube`.
    twins : tuple of int
        Further tasks of the same cube: somebody imported an exported task again.
    """

    id: int
    ref: CubeRef
    start: str | None
    region: str | None
    twins: tuple[int, ...] = ()

    @property
    def ids(self) -> tuple[int, ...]:
        """All tasks of the cube."""
        return (self.id, *self.twins)

    def planned(self, label: CurrentLabel | None = None) -> PlannedCube:
        """Return the cube as rounds and ensembles see it."""
        return PlannedCube(
            ref=self.ref,
            start=self.start,
            region=self.region,
            label=None if label is None else label.label,
            verified=label is not None and label.verified,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
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

    def planned(self, load: Load) -> list[PlannedCube]:
        """Return the cubes of a round; those that cannot be read any more are left out, and logged."""
        cubes = []
        for name, task in self.tasks.items():
            try:
                load(task.ref)
            except CubeError as error:
                log.warning("cube %s is left out of the round: %s", name, error)
                continue
            cubes.append(task.planned(self.label(name)))
        return cubes


def read_view(gateway: LabelStudio, project: int, *, settings: Settings, instrument: Instrument) -> View:
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
    return View(project=info, controls=controls, tasks=tasks, snapshot=snapshot)


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
        known = found.get(cube.ref.cube)
        if known is None:
            found[cube.ref.cube] = CubeTask(id=number, ref=cube.ref, start=cube.start, region=cube.region)
        elif known.ref.sha256 == cube.ref.sha256:
            found[cube.ref.cube] = replace(known, twins=(*known.twins, number))
    return found


def _as_one(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the tasks of one cube as one task, with the annotations of all: each annotator's latest word counts."""
    annotations = [annotation for entry in entries for annotation in entry.get("annotations") or ()]
    return {"data": entries[0]["data"], "annotations": annotations}
