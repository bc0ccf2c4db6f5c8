"""The cause of the verdict that media files are missing, so that annotators cannot open the videos."""

from helioloop.words import count
from helioloop_worker.reports.finding import Found
from helioloop_worker.reports.status_facts import ProjectStatus


def lost_media(status: ProjectStatus) -> Found:
    """Return the cause and its next action; empty where reconciliation missed nothing."""
    if status.lost_media is None:
        return []
    releases = status.lost_media.releases
    first, n = next(iter(releases)), len(releases)
    which = f"release {first}" if n == 1 else f"release {first} and {n - 1} more"
    return [
        (
            f"Videos of {count(sum(releases.values()), 'cube')}, or what is shown beside them, are not in the media "
            f"folder ({which}; seen at {status.lost_media.at}).",
            "Mount or restore the folder HELIOLOOP_MEDIA_ROOT. Where the files are lost, run `helioloop ingest "
            f"{first} --project {status.project}` where that release is, which makes them again"
            f"{'' if n == 1 else '; and so for each of the releases'}.",
        )
    ]
