"""Titles of projects: the rule for them, and the project that has one."""

from typing import Final

from helioloop.errors import WrongUsage
from helioloop.registry.project_stamp import parse_time, shown_time
from helioloop_worker.labelstudio.port import ProjectInfo
from helioloop_worker.labelstudio.setup_port import LabelStudioSetup

SHORTEST: Final = 3
LONGEST: Final = 50
"""Numbers of characters between which Label Studio takes the title of a project, or none at all."""


def check_title(title: str) -> str:
    """Return a title without the blanks at its ends, which Label Studio removes, too.

    Raises
    ------
    WrongUsage
        Where Label Studio takes no such title, or would make a project without one.
    """
    kept = title.strip()
    if not SHORTEST <= len(kept) <= LONGEST:
        raise WrongUsage(
            f"the title {kept!r} has {len(kept)} characters, and titles in Label Studio have {SHORTEST} to {LONGEST}; "
            "give another one with --title"
        )
    return kept


def find_titled(label_studio: LabelStudioSetup, title: str) -> int | None:
    """Return the id of the project with a title; None where there is none.

    Raises
    ------
    WrongUsage
        Where several projects have it, which Label Studio allows; the text lists them.
    """
    found = label_studio.find_projects(title)
    if len(found) > 1:
        listed = ", ".join(_shown(label_studio.project(number)) for number in found)
        raise WrongUsage(
            f"{len(found)} projects have the title {title!r}: {listed}; name the one that is meant with --project ID"
        )
    return found[0] if found else None


def _shown(info: ProjectInfo) -> str:
    created_at = parse_time(info.created_at)
    return str(info.id) if created_at is None else f"{info.id} (created {shown_time(created_at)})"
