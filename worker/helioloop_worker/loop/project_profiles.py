"""The profile of a project: the first import of cubes sets it, and releases of another one are refused."""

from helioloop.errors import ReleaseError
from helioloop.records.profiles import Profile
from helioloop.registry.project_profile import profile_conflict, write_project_profile
from helioloop.registry.staging import Staging
from helioloop_worker.context import Context


def check_profile(context: Context, project: int, release: str, profile: Profile, *, has_cubes: bool) -> None:
    """Refuse a release of another profile than the project's: its frames would be placed on the wrong grid.

    A project without cubes, versions and rounds takes any profile, whatever an earlier ingestion has left.

    Parameters
    ----------
    context : Context
        Has the model folders.
    project : int
        Label Studio project.
    release : str
        Name of the release.
    profile : Profile
        Its profile.
    has_cubes : bool
        True where the project has cubes.

    Raises
    ------
    ReleaseError
        If the profiles differ.
    """
    registry = context.registry(project)
    if not (has_cubes or registry.versions() or Staging(registry.root).fingerprints()):
        return
    conflict = profile_conflict(registry, profile, has_cubes=has_cubes)
    if conflict is not None:
        raise ReleaseError(
            f"release {release} has profile {profile.name!r}, but project {project} has {conflict}, and all cubes of a "
            "project have one profile; correct the release's release.toml, or ingest it into a project of its own, "
            "which `helioloop init --title TITLE` makes"
        )


def set_profile(context: Context, project: int, release: str, profile: Profile, *, has_cubes: bool) -> None:
    """Make a release's profile that of the project, right before its cubes are imported.

    Raises
    ------
    ReleaseError
        If the project has another profile by now, because another ingestion was faster.
    """
    check_profile(context, project, release, profile, has_cubes=has_cubes)
    write_project_profile(context.settings.model_dir(project), profile)
