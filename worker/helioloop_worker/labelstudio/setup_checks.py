"""Tries a project that was set up: its media, the backend's model folder, and one event that Label Studio sends.

No task and no annotation is touched. The event is that of a changed project, sent without a change.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

import httpx
import redis

from helioloop.errors import LabelStudioError, ServiceError
from helioloop.messaging import redis_client
from helioloop.messaging.arrived_events import PROJECT_UPDATED, arrived_events
from helioloop.settings import Settings, plain_url
from helioloop_worker.labelstudio.media_check import check_media
from helioloop_worker.labelstudio.model_root_check import check_model_root
from helioloop_worker.labelstudio.outbound import make_http_client
from helioloop_worker.labelstudio.own_addresses import same_address
from helioloop_worker.labelstudio.project import read_controls
from helioloop_worker.labelstudio.proxies import proxy_remedy
from helioloop_worker.labelstudio.setup_port import LabelStudioSetup, Webhook
from helioloop_worker.labelstudio.webhook import WEBHOOK_ACTIONS, webhook_url

EVENT_SECONDS: Final = 10.0
"""Longest wait for the event. Label Studio sends it before it answers, and gives up after a second."""


def check_set_up(
    label_studio: LabelStudioSetup,
    settings: Settings,
    project: int,
    *,
    backend_url: str,
    say: Callable[[str], None],
) -> None:
    """Try media, model folder and event of a project; all are tried, whatever the first one gives.

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
        say(check_model_root(settings, backend_url=backend_url))
    except ServiceError as error:
        failed.append(str(error))
    try:
        say(check_event(label_studio, settings, project, backend_url=backend_url))
    except (ServiceError, LabelStudioError) as error:
        failed.append(str(error))
    if failed:
        raise ServiceError(f"project {project} is not set up: {'; and '.join(failed)}")


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
        with make_http_client(timeout=5) as client:
            status = client.post(hook.url, json=body, headers=_sent(hook.headers)).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        remedy = proxy_remedy(hook.url) or (
            "start the backend, and register the address at which Label Studio's machine or container reaches it"
        )
        return f"nothing answers there from here either ({type(error).__name__}); {remedy}"
    if status == httpx.codes.UNAUTHORIZED:
        return (
            "the backend refuses the credentials; set the same HELIOLOOP_WEBHOOK_SECRET and HELIOLOOP_BASIC_AUTH_… for "
            "the backend as for this command, and restart the backend"
        )
    if not httpx.codes.is_success(status):
        remedy = proxy_remedy(hook.url) or "check the address"
        return f"it was answered with status {status}, which is not helioloop's backend; {remedy}"
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
