"""Tries a project that was set up: fetches media through Label Studio, and has it send one event to the backend.

No task and no annotation is touched. The event is that of a changed project, sent without a change.
"""

import base64
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx
import redis

from helioloop.errors import LabelStudioError, ServiceError
from helioloop.labelstudio.tasks import CubeTask, cube_tasks
from helioloop.messaging import redis_client
from helioloop.messaging.arrived_events import PROJECT_UPDATED, arrived_events
from helioloop.records.controls import Controls
from helioloop.settings import Settings, plain_url
from helioloop_worker.labelstudio.own_addresses import same_address
from helioloop_worker.labelstudio.project import read_controls
from helioloop_worker.labelstudio.setup_port import LabelStudioSetup, Media, Webhook
from helioloop_worker.labelstudio.webhook import WEBHOOK_ACTIONS, webhook_url

EVENT_SECONDS: Final = 10.0
"""Longest wait for the event. Label Studio sends it before it answers, and gives up after a second."""
PROBE_BYTES: Final = 4096
FIRST_BYTES: Final = 1024
"""Bytes that are fetched of each file: the beginning of a video names its format."""
_PROBES: Final = "init-probe-"


def check_set_up(
    label_studio: LabelStudioSetup,
    settings: Settings,
    project: int,
    *,
    backend_url: str,
    say: Callable[[str], None],
) -> None:
    """Try media and event of a project; both are tried, whatever the first one gives.

    Raises
    ------
    ServiceError
        Where one of them fails, with the cause and the remedy.
    LabelStudioError
        Where Label Studio refuses a call or does not answer.
    """
    controls = read_controls(label_studio.project(project), settings=settings)
    failed: list[str] = []
    try:
        for line in check_media(label_studio, settings, project, controls):
            say(line)
    except (ServiceError, LabelStudioError) as error:
        failed.append(str(error))
    try:
        say(check_event(label_studio, settings, project, backend_url=backend_url))
    except (ServiceError, LabelStudioError) as error:
        failed.append(str(error))
    if failed:
        raise ServiceError(f"project {project} is not set up: {'; and '.join(failed)}")


def check_media(label_studio: LabelStudioSetup, settings: Settings, project: int, controls: Controls) -> list[str]:
    """Fetch a probe file and, if there is one, the latest video through Label Studio; return what was tried.

    Raises
    ------
    ServiceError
        Where Label Studio does not serve them as browsers need it; the text has the cause and the remedy.
    LabelStudioError
        Where Label Studio does not answer.
    """
    with _probe(settings.media_dir(project)) as path:
        place = path.relative_to(settings.media_root.resolve())
        address = f"/data/local-files/?d={quote(place.as_posix())}"
        media = label_studio.fetch_media(address, n_bytes=FIRST_BYTES)
        _check_part(media, address, settings)
        if media.content != path.read_bytes()[:FIRST_BYTES]:
            raise ServiceError(
                f"Label Studio serves other content at {address} than {path} has, so it reads another folder; set "
                f"HELIOLOOP_MEDIA_ROOT ({settings.media_root.resolve()}) and LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT to "
                "the same folder"
            )
    said = ["media: a probe file in the project's media folder was fetched through Label Studio, and removed again"]
    tasks = list(cube_tasks(label_studio.tasks(project)).values())
    if not tasks:
        return [*said, "media: no video was fetched, because the project has none yet"]
    address = _address(tasks[-1], controls)
    _check_video(label_studio.fetch_media(address, n_bytes=FIRST_BYTES), address, tasks[-1], settings)
    return [*said, f"media: the video of cube {tasks[-1].cube.name} was fetched as a browser does"]


def check_event(
    label_studio: LabelStudioSetup,
    settings: Settings,
    project: int,
    *,
    backend_url: str,
    patience_seconds: float = EVENT_SECONDS,
) -> str:
    """Have Label Studio send one event through the project's webhook; return a line when the backend counted it.

    Parameters
    ----------
    label_studio : LabelStudioSetup
        Label Studio.
    settings : Settings
        Redis, in which the backend counts, and the credentials.
    project : int
        Label Studio project.
    backend_url : str
        The backend's address as it was registered.
    patience_seconds : float
        Longest wait for the event.

    Raises
    ------
    ServiceError
        Where it does not arrive, with the cause and the remedy, or where Redis does not answer.
    LabelStudioError
        Where Label Studio refuses a call.
    """
    address = webhook_url(backend_url)
    hook = next((one for one in label_studio.webhooks(project) if same_address(one.url, address)), None)
    if hook is None:
        raise ServiceError(
            f"project {project} has no webhook at {address} any more, because somebody removed it meanwhile; run "
            "`helioloop init` again"
        )
    connection = redis_client.connect(settings)
    try:
        with redis_client.plain_errors(settings):
            before = _count(connection, project)
            label_studio.set_webhook_actions(hook.id, (*WEBHOOK_ACTIONS, PROJECT_UPDATED))
            try:
                label_studio.update_project(project)
                arrived = _arrives(connection, project, before, patience_seconds)
            finally:
                label_studio.set_webhook_actions(hook.id, WEBHOOK_ACTIONS)
            if not arrived:
                raise ServiceError(
                    f"an event that Label Studio sent to {plain_url(address)} did not arrive: "
                    f"{_cause(connection, project, hook)}"
                )
    finally:
        connection.close()
    return f"event: Label Studio sent one to {plain_url(address)}, and the backend took it in"


# -- media ----------------------------------------------------------------------------------------


@contextmanager
def _probe(folder: Path) -> Iterator[Path]:
    """Write a small file of random content, and remove it; also those that an interrupted command left."""
    path = folder / f"{_PROBES}{secrets.token_hex(8)}.mp4"
    try:
        for left in folder.glob(f"{_PROBES}*"):
            left.unlink(missing_ok=True)
        path.write_bytes(secrets.token_bytes(PROBE_BYTES))
    except OSError as error:
        raise ServiceError(
            f"the media folder {folder} cannot be written ({type(error).__name__}); let this user write there"
        ) from None
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _address(task: CubeTask, controls: Controls) -> str:
    """Return the address at which a browser gets the video of a task; Label Studio leads to cloud storages itself."""
    value = task.exported["data"].get(controls.video_field)
    if not isinstance(value, str) or not value:
        raise ServiceError(
            f"task {task.ids[0]} has no ${controls.video_field}, which <Video> shows; the configuration was changed "
            "after the import: write the field that the tasks have into <Video>"
        )
    if value.startswith(("/", "http://", "https://")):
        return value
    uri = base64.urlsafe_b64encode(value.encode()).decode()
    return f"/tasks/{task.ids[0]}/resolve/?fileuri={uri}"


def _shown(address: str) -> str:
    """Return an address for a message; the query of one elsewhere may have a signature."""
    return address if address.startswith("/") else plain_url(address)


def _check_video(media: Media, address: str, task: CubeTask, settings: Settings) -> None:
    if media.status == httpx.codes.NOT_FOUND:
        raise ServiceError(
            f"Label Studio finds no file at {_shown(address)}, the video of cube {task.cube.name}; restore the media "
            f"folder, or ingest release {task.cube.release} again, which renders what is missing"
        )
    _check_part(media, address, settings)
    if media.content[4:8] != b"ftyp":
        raise ServiceError(
            f"the file at {_shown(address)} does not begin like an MP4 video; remove it and ingest release "
            f"{task.cube.release} again"
        )
    if not address.startswith("/") and "access-control-allow-origin" not in media.headers:
        raise ServiceError(
            f"the server of {_shown(address)} does not send Access-Control-Allow-Origin, so browsers do not show the "
            "video on Label Studio's page; add the header there"
        )


def _check_part(media: Media, address: str, settings: Settings) -> None:
    """Refuse an answer that is not a part of a file."""
    if media.status == httpx.codes.PARTIAL_CONTENT and "content-range" in media.headers:
        return
    if media.status == httpx.codes.NOT_FOUND:
        cause = (
            "it does not find the file; mount the folder of HELIOLOOP_MEDIA_ROOT "
            f"({settings.media_root.resolve()}) where Label Studio runs, as LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"
        )
    elif media.status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        cause = (
            "it refuses to serve the file; set LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true, and use the token of a "
            "user who may open the project"
        )
    elif media.status == httpx.codes.OK:
        cause = (
            "the whole file came instead of the part that was requested, so videos cannot be moved to a frame; let the "
            "proxy in front of Label Studio pass the header Range"
        )
    else:
        cause = "read Label Studio's log"
    raise ServiceError(f"Label Studio answered a request for {_shown(address)} with status {media.status}: {cause}")


# -- the event ------------------------------------------------------------------------------------


def _count(connection: redis.Redis, project: int) -> int:
    return arrived_events(connection, project).get(PROJECT_UPDATED, 0)


def _arrives(connection: redis.Redis, project: int, before: int, patience_seconds: float) -> bool:
    deadline = time.monotonic() + patience_seconds
    while _count(connection, project) == before:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _cause(connection: redis.Redis, project: int, hook: Webhook) -> str:
    """Send the same event from here, and return what the outcome tells about the cause, with the remedy."""
    before = _count(connection, project)
    body = {"action": PROJECT_UPDATED, "project": {"id": project}}
    try:
        status = httpx.post(hook.url, json=body, headers=_sent(hook.headers), timeout=5).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return (
            f"nothing answers there from here either ({type(error).__name__}); start the backend, and register the "
            "address at which Label Studio's machine or container reaches it"
        )
    if status == httpx.codes.UNAUTHORIZED:
        return (
            "the backend refuses the credentials; set the same HELIOLOOP_WEBHOOK_SECRET and HELIOLOOP_BASIC_AUTH_… for "
            "the backend as for this command, and restart the backend"
        )
    if not httpx.codes.is_success(status):
        return f"it was answered with status {status}, which is not helioloop's backend; check the address"
    if _count(connection, project) == before:
        return (
            "the backend answers from here, but counts in another Redis or is an older helioloop; set the REDIS_URL of "
            "this command for the backend too, and restart it"
        )
    return (
        "the same event sent from here did; let Label Studio call private addresses "
        "(LABEL_STUDIO_SSRF_PROTECTION_ENABLED=false), and let a proxy between them pass the webhook's header within a "
        "second"
    )


def _sent(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return headers as Label Studio sends them."""
    return {name.encode(): value.encode("latin-1") for name, value in headers.items()}
