"""What can be wrong with a folder, whichever check looks at it."""

from helioloop_worker.doctor.finding import Cause


def silent_folder(check: str) -> Cause:
    """Return the cause that a folder does not answer, for one check."""
    return Cause(
        check=check,
        name="silent",
        remedy="Bring the server of that file system back, or mount the folder again: programs that read it wait for "
        "it.",
    )
