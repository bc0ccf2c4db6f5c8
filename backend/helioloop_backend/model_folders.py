"""Where the files of a project's model folder are, as text: making a path takes longer than a look at its file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from helioloop.registry import label_snapshot
from helioloop.registry.project_controls import controls_path
from helioloop.registry.publications import POINTER
from helioloop.registry.random_checks import random_checks_path
from helioloop.settings import Settings

FOLDERS_IN_MEMORY: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """The paths of a model folder that every request needs."""

    path: Path
    published: str
    format: str
    controls: str
    labels: str
    random_checks: str


class ModelFolders:
    """The model folders of all projects.

    Parameters
    ----------
    settings : Settings
        Where they are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held: dict[int, ModelFolder] = {}

    def get(self, project: int) -> ModelFolder:
        """Return the paths of a project; making them takes longer than a look at the files."""
        held = self._held.get(project)
        if held is None:
            if len(self._held) >= FOLDERS_IN_MEMORY:
                self._held.clear()
            path = self._settings.model_dir(project)
            held = self._held[project] = ModelFolder(
                path=path,
                published=str(path / POINTER),
                format=str(path / "format.json"),
                controls=str(controls_path(path)),
                labels=str(path / label_snapshot.FILE_NAME),
                random_checks=str(random_checks_path(path)),
            )
        return held
