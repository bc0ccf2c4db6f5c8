"""Compares the model folder of this machine with the one that the backend reads, by a random word written into it."""

from typing import Any

import httpx

from helioloop.errors import ServiceError
from helioloop.messaging.backend_credentials import backend_credentials
from helioloop.registry.stamp import read_stamp, write_stamp
from helioloop.settings import Settings, plain_url
from helioloop_worker.labelstudio.outbound import make_http_client


def check_model_root(settings: Settings, *, backend_url: str) -> str:
    """Write a new word into the model root and return whether the backend reads it, as a line to print.

    A backend that cannot be reached from here is not an error: its address is the one that Label Studio uses, and this
    machine may have no way to it. The line then tells that nothing was compared.

    Raises
    ------
    ServiceError
        Where the backend reads another folder, or the model root cannot be written.
    """
    root = settings.model_root.resolve()
    try:
        written = write_stamp(root)
    except OSError as error:
        raise ServiceError(
            f"HELIOLOOP_MODEL_ROOT, {root}, cannot be written ({type(error).__name__}); let this user write there"
        ) from None
    about = _about(settings, backend_url)
    if about is None or "stamp" not in about:
        return (
            f"model folder: not compared with the backend's, because {plain_url(backend_url)} gives no answer about it "
            "to this machine; `helioloop doctor` where the backend runs compares them"
        )
    if about["stamp"] not in {written, read_stamp(root)}:  # another command may have written since
        raise ServiceError(
            f"the backend at {plain_url(backend_url)} reads another model folder than {root}, so it would never serve "
            "a model version; set HELIOLOOP_MODEL_ROOT to one shared folder for this command, the workers and the "
            "backend, and restart the backend"
        )
    return f"model folder: the backend reads {root}, too"


def _about(settings: Settings, backend_url: str) -> dict[str, Any] | None:
    """Return what the backend states about itself; None without an answer of helioloop's backend."""
    credentials = backend_credentials(settings)
    auth = None if not credentials.user else httpx.BasicAuth(credentials.user, credentials.password)
    try:
        with make_http_client(timeout=5, auth=auth) as client:
            answer = client.get(f"{backend_url.rstrip('/')}/versions", params={"about": "1"})
        body = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError):
        return None
    about = body.get("helioloop") if answer.is_success and isinstance(body, dict) else None
    return about if isinstance(about, dict) else None
