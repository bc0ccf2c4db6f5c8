"""Chooses the place of media by the settings."""

from urllib.parse import urlsplit

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
    if settings.media_bucket is not None:
        return BucketMedia.from_address(settings.media_bucket)
    return FolderMedia(label_studio_path(settings))


def label_studio_path(settings: Settings) -> str:
    """Return the path below which browsers reach Label Studio, such as ``/label-studio``; empty at the root."""
    return urlsplit(settings.label_studio_public_url or settings.label_studio_url).path.rstrip("/")
