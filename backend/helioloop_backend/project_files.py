"""The published version of each project, its grid and the controls: read again only after their files were replaced."""

from typing import Final

from helioloop.labelstudio.config import project_controls
from helioloop.records.controls import Controls
from helioloop.registry.project_controls import read_project_controls
from helioloop.registry.version_names import CARD_FILE, FOLDER
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop_backend.file_cache import FileCache, Stamp, stamp_of
from helioloop_backend.model_folders import ModelFolders

CONFIGURATIONS_IN_MEMORY: Final = 64


class PublishedVersions:
    """The published version of each project.

    Parameters
    ----------
    folders : ModelFolders
        The model folders.
    """

    def __init__(self, folders: ModelFolders) -> None:
        self._folders = folders
        self._held: dict[int, tuple[tuple[Stamp | None, Stamp | None], str]] = {}

    def get(self, project: int) -> str | None:
        """Return the published version of a project, or None.

        Raises
        ------
        RegistryError
            Where the pointer is damaged, or the folder has another format.
        """
        folder = self._folders.get(project)
        stamps = stamp_of(folder.published), stamp_of(folder.format)
        held = self._held.get(project)
        if held is None or held[0] != stamps:
            self._held.pop(project, None)
            version = Registry(folder.path).published()
            if version is None:
                return None
            held = self._held[project] = (stamps, version)
        return held[1]


class VersionFrames:
    """The number of frames on the grid of each version.

    Parameters
    ----------
    folders : ModelFolders
        The model folders.
    """

    def __init__(self, folders: ModelFolders) -> None:
        self._folders = folders
        self._held: FileCache[int] = FileCache()

    def get(self, project: int, version: str) -> int:
        """Return the frames on the grid of a version; another model folder may have another grid under its name.

        Raises
        ------
        UnknownVersion
            Where the project does not have this version.
        RegistryError
            Where its card is missing or damaged.
        """
        path = self._folders.get(project).path

        def read() -> int:
            return int(Registry(path).card(version).instrument["n_frames"])

        found = self._held.get_sound(f"{path}/{FOLDER}/{version}/{CARD_FILE}", read)
        return read() if found is None else found


class ProjectControls:
    """The controls of each project under the labelling configuration in a request.

    Parameters
    ----------
    settings : Settings
        Class words of projects that have none of their own.
    folders : ModelFolders
        The model folders.
    """

    def __init__(self, settings: Settings, folders: ModelFolders) -> None:
        self._settings = settings
        self._folders = folders
        self._kept: FileCache[Controls | None] = FileCache()
        self._parsed: dict[tuple[int, str], tuple[Controls | None, Controls]] = {}

    def get(self, project: int, label_config: str) -> Controls:
        """Return the controls of a project, by the words that its model folder keeps.

        Raises
        ------
        ConfigurationError
            Where the configuration lacks the controls to write to.
        RegistryError
            Where ``controls.json`` is damaged.
        """
        folder = self._folders.get(project)
        kept = self._kept.get_sound(folder.controls, lambda: read_project_controls(folder.path))
        key = (project, label_config)
        parsed = self._parsed.get(key)
        if parsed is None or parsed[0] is not kept:
            settings = self._settings
            controls = project_controls(
                label_config, kept, emergence=settings.class_emergence, non_emergence=settings.class_non_emergence
            )
            if len(self._parsed) >= CONFIGURATIONS_IN_MEMORY:
                self._parsed.clear()
            parsed = self._parsed[key] = (kept, controls)
        return parsed[1]
