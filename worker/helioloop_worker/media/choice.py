"""Chooses the place of media by the settings."""

from helioloop.settings import Settings
from helioloop_worker.media.bucket import BucketMedia
from helioloop_worker.media.folder import FolderMedia
from helioloop_worker.media.port import Media


def make_media(settings: Settings) -> Media:
    """Return the place from which Label Studio gets media.

    Raises
    ------
    SettingsError
        If ``media_bucket`` is not the address of a bucket.
    """
    return FolderMedia() if settings.media_bucket is None else BucketMedia.from_address(settings.media_bucket)
