"""Which project of Label Studio a media folder belongs to: ``project.json`` in it.

The folder is found by the project's number. Where two Label Studios share a media root, or a project was deleted and
another one got its number, curves and reasons of one would replace those of the other, and pruning would delete them.
"""

import os
from pathlib import Path

from helioloop.errors import RegistryError
from helioloop.registry.project_stamp import FILE_NAME, ProjectStamp, parse_time, shown_time


def check_media_identity(
    media_dir: Path, *, project: int, title: str, created_at: str | None, claim: bool = True
) -> None:
    """Do nothing where a media folder belongs to this project, or is not there.

    Parameters are those of `check_project_identity`, with the media folder of the project's number; so are the errors.
    """
    now = parse_time(created_at)
    if now is None or not media_dir.is_dir():  # train workers need no media
        return
    known = ProjectStamp.read(media_dir, kind="media")
    if known is None:
        if claim and os.access(media_dir, os.W_OK):
            ProjectStamp(title=title, created_at=now).write(media_dir, project)
    elif not known.is_of(now):
        raise RegistryError(
            f"{media_dir} is not the media folder of project {project}, {title!r}, which was created "
            f"{shown_time(now)}: it belongs to {known.shown}; give each Label Studio its own HELIOLOOP_MEDIA_ROOT, "
            f"or if that project is gone, move the folder away and ingest again, or if the project was moved here "
            f"together with its annotations, delete {FILE_NAME} in it"
        )
