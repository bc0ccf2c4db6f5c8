"""A project as Label Studio shows it at one moment: its cubes, its current labels, its controls.

Above `gateway`, below rounds, write-back and sweep. Reading it also leaves the label snapshot that the web side and
the sweep use.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from helioloop.errors import CubeError
from helioloop.inputs import Load
from helioloop.instrument import Instrument
from helioloop.labels import Controls, current_label, parse_config
from helioloop.records import CubeRef, CurrentLabel, PlannedCube
from helioloop.settings import Settings
from helioloop.snapshot import Snapshot
from helioloop_worker.gateway import LabelStudio, ProjectInfo

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeTask:
    """One task of Label Studio and the cube it shows."""

    id: int
    ref: CubeRef
    start: str | None
    region: str | None


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
        Cube name -> task. A cube name stands for one cube in a project; ingestion sees to it.
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
            label = self.label(name)
            cubes.append(
                PlannedCube(
                    ref=task.ref, start=task.start, region=task.region, label=label.label, verified=label.verified
                )
            )
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
    tasks = {task.ref.cube: task for entry in exported if (task := _cube_task(entry)) is not None}
    ids = {task.id for task in tasks.values()}
    ours = [entry for entry in exported if entry.get("id") in ids]
    snapshot = Snapshot(
        read_at=datetime.now(UTC).isoformat(timespec="seconds"),
        annotations=annotation_stamps(exported),
        cubes={
            label.cube: label
            for entry in ours
            if (label := current_label(entry, controls, n_frames=instrument.n_frames))
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


def _cube_task(entry: Mapping[str, Any]) -> CubeTask | None:
    """Return the cube that an exported task shows; None for a task that is not helioloop's."""
    data = entry.get("data") or {}
    values = {field: data.get(field) for field in ("cube", "release", "sha256")}
    if not all(isinstance(value, str) and value for value in values.values()) or not isinstance(entry.get("id"), int):
        return None
    start = str(data.get("start") or "").removesuffix("Z") or None
    return CubeTask(
        id=entry["id"],
        ref=CubeRef(release=str(values["release"]), cube=str(values["cube"]), sha256=str(values["sha256"])),
        start=start,
        region=str(data.get("region") or "") or None,
    )
