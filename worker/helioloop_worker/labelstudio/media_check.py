"""Fetches a probe file and the latest video of a project through Label Studio, as a browser does."""

import base64
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx

from helioloop.errors import ServiceError
from helioloop.labelstudio.tasks import CubeTask, cube_tasks
from helioloop.records.controls import Controls
from helioloop.settings import Settings, plain_url
from helioloop_worker.labelstudio.setup_port import FetchedPart, LabelStudioSetup
from helioloop_worker.media.choice import label_studio_path, make_media
from helioloop_worker.media.port import Media

PROBE_BYTES: Final = 4096
FIRST_BYTES: Final = 1024
"""Bytes that are fetched of each file: the beginning of a video names its format."""
_PROBES: Final = "init-probe-"


def check_media(label_studio: LabelStudioSetup, settings: Settings, project: int, controls: Controls) -> list[str]:
    """Fetch a probe file and, if there is one, the latest video through Label Studio; return what was tried.

    Raises
    ------
    ServiceError
        Where Label Studio does not serve them as browsers need it; the text has the cause and the remedy.
    LabelStudioError
        Where Label Studio does not answer.
    """
    with _probe(settings, project) as (value, content):
        address = fetchable(value, settings, owner=f"projects/{project}")
        part = _fetched(label_studio, address, settings)
        _check_part(part, value, settings)
        if part.content != content[:FIRST_BYTES]:
            raise ServiceError(f"Label Studio serves other content at {_shown(value)} than was written there, {_OTHER}")
    place = "the project's media folder" if settings.media_bucket is None else settings.media_bucket
    said = [f"media: a probe file in {place} was fetched through Label Studio, and removed again"]
    return [*said, check_latest_video(label_studio, settings, project, controls)]


def check_latest_video(
    label_studio: LabelStudioSetup, settings: Settings, project: int, controls: Controls, *, release: str | None = None
) -> str:
    """Fetch the latest video of a project, or of a release in it, through Label Studio; return what was tried.

    Raises
    ------
    ServiceError
        Where Label Studio does not serve it as browsers need it; the text has the cause and the remedy.
    LabelStudioError
        Where Label Studio does not answer.
    """
    tasks = [
        task
        for task in cube_tasks(label_studio.tasks(project)).values()
        if release is None or task.cube.release == release
    ]
    if not tasks:
        return f"media: no video was fetched, because the {'project' if release is None else 'release'} has none yet"
    value = _video_of(tasks[-1], controls)
    address = fetchable(value, settings, owner=f"tasks/{tasks[-1].ids[0]}")
    _check_video(_fetched(label_studio, address, settings), value, tasks[-1], settings)
    return f"media: the video of cube {tasks[-1].cube.name} was fetched as a browser does"


def fetchable(value: str, settings: Settings, *, owner: str) -> str:
    """Return where to fetch the file that a task's data names.

    Parameters
    ----------
    value : str
        A path below the host of Label Studio, a whole address, or the address of a cloud storage.
    settings : Settings
        The path below which browsers reach Label Studio is taken off, because requests are made below it.
    owner : str
        Whose storages lead to a cloud address: ``projects/7`` or ``tasks/12``.
    """
    if value.startswith("/"):
        return value.removeprefix(label_studio_path(settings))
    if value.startswith(("http://", "https://")):
        return value
    return f"/{owner}/resolve/?fileuri={base64.urlsafe_b64encode(value.encode()).decode()}"


def _fetched(label_studio: LabelStudioSetup, address: str, settings: Settings) -> FetchedPart:
    page = settings.label_studio_public_url or settings.label_studio_url
    return label_studio.fetch_media(address, n_bytes=FIRST_BYTES, page=page)


@contextmanager
def _probe(settings: Settings, project: int) -> Iterator[tuple[str, bytes]]:
    """Make a small file of random content available, yield its address in tasks and its content, and remove it.

    Files that an interrupted command left are removed too.
    """
    folder, served = settings.media_dir(project), make_media(settings)
    path, content = folder / f"{_PROBES}{secrets.token_hex(8)}.mp4", secrets.token_bytes(PROBE_BYTES)
    try:
        left = [*folder.glob(f"{_PROBES}*")]
        path.write_bytes(content)
    except OSError as error:
        raise ServiceError(
            f"the media folder {folder} cannot be written ({type(error).__name__}); let this user write there"
        ) from None
    try:
        served.serve(_name(path), lambda: content)
        yield served.address(_name(path)), content
    except BaseException:
        with suppress(ServiceError):  # the error before it is the cause
            _remove(served, [*left, path])
        raise
    _remove(served, [*left, path])


def _remove(served: Media, paths: Iterable[Path]) -> None:
    """Remove files from the place of media, and then those of the folder: a later call finds what is still there."""
    for path in paths:
        served.withdraw([_name(path)])
        path.unlink(missing_ok=True)


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _video_of(task: CubeTask, controls: Controls) -> str:
    value = task.exported["data"].get(controls.video_field)
    if not isinstance(value, str) or not value:
        raise ServiceError(
            f"task {task.ids[0]} has no ${controls.video_field}, which <Video> shows; the configuration was changed "
            "after the import: write the field that the tasks have into <Video>"
        )
    return value


def _shown(value: str) -> str:
    """Return an address for a message; the query of one elsewhere may have a signature."""
    return plain_url(value) if value.startswith(("http://", "https://")) else value


def _check_video(part: FetchedPart, value: str, task: CubeTask, settings: Settings) -> None:
    if part.status == httpx.codes.NOT_FOUND and value.startswith("/"):
        raise ServiceError(
            f"Label Studio finds no file at {_shown(value)}, the video of cube {task.cube.name}; restore the media "
            f"folder, or ingest release {task.cube.release} again, which renders what is missing"
        )
    _check_part(part, value, settings)
    if part.content[4:8] != b"ftyp":
        raise ServiceError(
            f"the file at {_shown(value)} does not begin like an MP4 video; remove it and ingest release "
            f"{task.cube.release} again"
        )


def _check_part(part: FetchedPart, value: str, settings: Settings) -> None:
    """Refuse an answer that is not a part of a file, and one that a browser would not show on Label Studio's page."""
    if part.status != httpx.codes.PARTIAL_CONTENT or "content-range" not in part.headers:
        cause = _causes(settings, value).get(part.status, "read Label Studio's log")
        raise ServiceError(f"Label Studio answered a request for {_shown(value)} with status {part.status}: {cause}")
    if part.elsewhere is not None and "access-control-allow-origin" not in part.headers:
        raise ServiceError(
            f"{part.elsewhere}, the server of {_shown(value)}, does not send Access-Control-Allow-Origin, so browsers "
            "do not show the video on Label Studio's page; allow Label Studio's address there (CORS)"
        )


_OTHER: Final = (
    "so it reads another place; set HELIOLOOP_MEDIA_ROOT and LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT to the same "
    "folder, and give the bucket of HELIOLOOP_MEDIA_BUCKET to the project's storage"
)
_NO_RANGE: Final = (
    "the whole file came instead of the part that was requested, so videos cannot be moved to a frame; let the proxy "
    "in front of Label Studio pass the header Range"
)


def _causes(settings: Settings, value: str) -> dict[int, str]:
    """Return what a status tells about the cause, with the remedy."""
    if value.startswith("s3://"):
        missing = (
            "no storage of the project covers it, or it is not there; in the project's settings, add the bucket as a "
            "source storage (Cloud Storage, Amazon S3), do not synchronise it, and run `helioloop init` again"
        )
        refused = "the credentials of the project's storage in Label Studio must be allowed to read it (s3:GetObject)"
        failed = f"its storage cannot read the bucket; {refused}, and have the right endpoint"
        return {200: _NO_RANGE, 401: refused, 403: refused, 404: missing, 424: failed}
    missing = (
        "it does not find the file; mount the folder of HELIOLOOP_MEDIA_ROOT "
        f"({settings.media_root.resolve()}) where Label Studio runs, as LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"
    )
    refused = (
        "it refuses to serve the file; set LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true, and use the token of a "
        "user who may open the project"
    )
    return {200: _NO_RANGE, 401: refused, 403: refused, 404: missing}
