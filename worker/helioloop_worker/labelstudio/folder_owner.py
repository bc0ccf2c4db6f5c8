"""Whether the folders with a project's number belong to the project that Label Studio has under this number."""

from helioloop.errors import LabelStudioError, SettingsError
from helioloop.registry.media_identity import check_media_identity
from helioloop.registry.project_identity import check_project_identity
from helioloop.settings import Settings
from helioloop_worker.labelstudio.submitted import look_at_project


def check_folder_owner(settings: Settings, project: int) -> str | None:
    """Do nothing where model and media folder belong to this project; return why that is not known, if it is not.

    It is for commands that change files of a project and must work while Label Studio is away.

    Raises
    ------
    RegistryError
        Where one of the folders belongs to another project.
    """
    try:
        seen = look_at_project(settings, project)
    except (SettingsError, LabelStudioError) as error:
        return f"not checked whether {settings.model_dir(project)} belongs to project {project}: {error}"
    check_project_identity(
        settings.model_dir(project), project=project, title=seen.title, created_at=seen.created_at, claim=False
    )
    check_media_identity(
        settings.media_dir(project), project=project, title=seen.title, created_at=seen.created_at, claim=False
    )
    return None
