"""What can be wrong with a folder, whichever check looks at it."""

from helioloop.registry.root_identity import FILE_NAME
from helioloop_worker.doctor.facts import FolderFacts
from helioloop_worker.doctor.finding import Cause


def silent_folder(check: str) -> Cause:
    """Return the cause that a folder does not answer, for one check."""
    return Cause(
        check=check,
        name="silent",
        remedy="Bring the server of that file system back, or mount the folder again: programs that read it wait for "
        "it.",
    )


def why_unknown(folder: FolderFacts) -> str:
    """Return why it is not known whether a folder without an identity is the one that others use."""
    if folder.is_silent:
        return f"{folder.root} {folder.fault}"
    return f"{folder.root} has no {FILE_NAME} that can be read"
