"""Reads a project from Label Studio: its cubes, their current labels and the controls of its configuration.

Each reading also writes the label snapshot into the model folder, where the web side, scoring jobs, the audit and
`helioloop status` read the labels.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from helioloop.errors import RegistryError
from helioloop.labelstudio.annotations import current_label
from helioloop.labelstudio.config import project_controls
from helioloop.labelstudio.copied_tasks import without_blind_answers
from helioloop.labelstudio.tasks import CubeTask, annotation_stamps, cube_tasks
from helioloop.records.controls import Controls
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import CurrentLabel
from helioloop.records.profiles import Profile
from helioloop.registry.copied_answers import read_copied_answers
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.media_identity import check_media_identity
from helioloop.registry.project_controls import read_project_controls
from helioloop.registry.project_identity import check_project_identity
from helioloop.registry.project_profile import read_project_profile
from helioloop.registry.project_stamp import parse_time
from helioloop.settings import Settings
from helioloop_worker.labelstudio.port import LabelStudio, ProjectInfo, TaskNow
from helioloop_worker.media.port import Media

OWNER_NAME: Final = "project-created.txt"
"""File in a bucket with the time at which the project of its media was created."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectState:
    """A project as read from Label Studio at one moment.

    Parameters
    ----------
    info : ProjectInfo
        Title, configuration, model version.
    controls : Controls
        The names of the controls in the configuration.
    tasks : mapping
        Cube name -> tasks, in the order of import. A name belongs to one cube of a project.
    snapshot : Snapshot
        Current labels by cube, and the annotations that they were resolved from.
    profile : Profile
        The profile of all its cubes.
    """

    info: ProjectInfo
    controls: Controls
    tasks: Mapping[str, CubeTask]
    snapshot: Snapshot
    profile: Profile

    def label(self, cube: str) -> CurrentLabel:
        """Return the current label of a cube."""
        return self.snapshot.cubes[cube]

    def cubes(self) -> list[CubeInfo]:
        """Return all cubes with their current labels."""
        labels = self.snapshot.cubes
        return [
            replace(task.cube, label=labels[name].label, verified=labels[name].verified)
            for name, task in self.tasks.items()
        ]

    def with_data_of(self, there: Iterable[TaskNow]) -> Self:
        """Return a state whose tasks have the data that Label Studio has now."""
        data = {task.id: task.data for task in there}
        return replace(
            self,
            tasks={
                cube: replace(task, exported={**task.exported, "data": data.get(task.ids[0], task.exported["data"])})
                for cube, task in self.tasks.items()
            },
        )


def read_controls(info: ProjectInfo, *, settings: Settings) -> Controls:
    """Return the controls of a project, by the words that its model folder keeps.

    The folder must be this project's, not that of another Label Studio's project with the same number: see
    `check_owner`, which each job calls once where it reads the project.

    Raises
    ------
    ConfigurationError
        Where the project's labelling configuration lacks the controls.
    RegistryError
        Where the controls in the model folder are damaged.
    """
    return project_controls(
        info.label_config,
        read_project_controls(settings.model_dir(info.id)),
        emergence=settings.class_emergence,
        non_emergence=settings.class_non_emergence,
    )


def check_owner(info: ProjectInfo, *, settings: Settings, claim: bool = True) -> None:
    """Do nothing where the model folder and the media folder with a project's number belong to this project.

    A folder without a project becomes this project's if `claim`; see `helioloop.registry.project_identity` and
    `helioloop.registry.media_identity`.

    Raises
    ------
    RegistryError
        Where one of them belongs to another project.
    """
    check_project_identity(
        settings.model_dir(info.id), project=info.id, title=info.title, created_at=info.created_at, claim=claim
    )
    check_media_identity(
        settings.media_dir(info.id), project=info.id, title=info.title, created_at=info.created_at, claim=claim
    )


def claim_media(served: Media, info: ProjectInfo, *, media: Path) -> None:
    """Do nothing where the place of the media belongs to this project; one without a project becomes this project's.

    Parameters
    ----------
    served : Media
        From where Label Studio gets the files.
    info : ProjectInfo
        The project.
    media : Path
        The project's media folder.

    Raises
    ------
    RegistryError
        Where a bucket belongs to another project with this number; of folders `check_owner` finds that.
    ServiceError
        Where the bucket cannot be read or written.
    """
    created_at = parse_time(info.created_at)
    name = f"{media.name}/{OWNER_NAME}"
    # Moving Label Studio's database by way of JSON cuts its times to milliseconds.
    if created_at is None or served.claim(name, created_at.isoformat(timespec="milliseconds").encode()):
        return
    raise RegistryError(
        f"{served.address(name)} says that its media belong to another project with the number {info.id}, created at "
        f"another time than {info.title!r}; give each deployment its own prefix in HELIOLOOP_MEDIA_BUCKET, or if that "
        "project is gone or was moved here, delete that object"
    )


def read_project(label_studio: LabelStudio, project: int, *, settings: Settings) -> ProjectState:
    """Read a project and write its label snapshot into its model folder.

    Parameters
    ----------
    label_studio : LabelStudio
        Where to read it.
    project : int
        Label Studio project.
    settings : Settings
        The model folder, which has the profile and the class words; the words for a project without any.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses a call or does not answer.
    ConfigurationError
        Where the project's labelling configuration lacks the controls.
    RegistryError
        Where the model folder belongs to another project, or the profile or the controls in it are damaged.
    """
    state = make_state(label_studio.project(project), label_studio.tasks(project), settings=settings)
    state.snapshot.write(settings.model_dir(project))
    return state


def make_state(info: ProjectInfo, exported: Iterable[Mapping[str, Any]], *, settings: Settings) -> ProjectState:
    """Return the state of a project from its exported tasks.

    Raises
    ------
    ConfigurationError
        Where the project's labelling configuration lacks the controls.
    RegistryError
        Where the model folder belongs to another project, or the profile or the controls in it are damaged.
    """
    check_owner(info, settings=settings)
    profile = read_project_profile(settings.model_dir(info.id))
    n_frames = profile.instrument.n_frames
    controls, exported = read_controls(info, settings=settings), list(exported)
    before = read_copied_answers(settings.model_dir(info.id))
    tasks = cube_tasks(without_blind_answers(entry, info.id, before=before) for entry in exported)
    snapshot = Snapshot(
        read_at=datetime.now(UTC).isoformat(timespec="seconds"),
        annotations=annotation_stamps(exported),
        cubes={cube: current_label(task.exported, controls, n_frames=n_frames) for cube, task in tasks.items()},
    )
    return ProjectState(info=info, controls=controls, tasks=tasks, snapshot=snapshot, profile=profile)
