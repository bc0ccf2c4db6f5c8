"""The cause of the verdict that a release of the project is in none of the release roots."""

from helioloop_worker.reports.finding import Found
from helioloop_worker.reports.status_facts import ProjectStatus


def missing_release(status: ProjectStatus) -> Found:
    """Return the cause and its next action; empty where all releases are there."""
    if not status.missing_releases:
        return []
    first, n = status.missing_releases[0], len(status.missing_releases)
    releases = f"Release {first}" if n == 1 else f"Release {first} (and {n - 1} more)"
    return [
        (
            f"{releases}, on which versions were trained, is in none of the release roots.",
            "Give the folder its name back, or name its parent folder in HELIOLOOP_RELEASE_ROOTS; rounds wait for "
            "cubes that no other release has.",
        )
    ]
