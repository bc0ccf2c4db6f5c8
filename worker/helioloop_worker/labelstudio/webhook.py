"""What our webhook in Label Studio sends: the actions, and the headers with which it authenticates to the backend."""

from base64 import b64encode
from typing import Final

from helioloop.messaging.backend_credentials import SECRET_HEADER, BackendCredentials

BACKEND_TITLE: Final = "helioloop"
"""Title of our backend in a project."""
WEBHOOK_PATH: Final = "/webhook"
WEBHOOK_ACTIONS: Final = (
    "ANNOTATION_CREATED",
    "ANNOTATIONS_CREATED",
    "ANNOTATION_UPDATED",
    "ANNOTATIONS_DELETED",
    "TASKS_CREATED",
    "TASKS_DELETED",
)


def webhook_url(backend_url: str) -> str:
    """Return the address that the webhook calls."""
    return backend_url.rstrip("/") + WEBHOOK_PATH


def webhook_credentials(credentials: BackendCredentials) -> dict[str, str]:
    """Return the headers with which our webhook authenticates to the backend.

    Label Studio sends basic auth to a backend but not with webhooks, so the webhook has a header for it. Everyone who
    may change the project can read these headers, so the secret is preferred: it gives access to /webhook only.
    """
    if credentials.secret:
        return {SECRET_HEADER: credentials.secret}
    if not credentials.user or not credentials.password:
        return {}
    pair = f"{credentials.user}:{credentials.password}"
    return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}
