"""What our webhook in Label Studio sends: the actions, and the headers with which it authenticates to the backend."""

from base64 import b64encode
from typing import Final

from helioloop.messaging.messages import SECRET_HEADER
from helioloop.settings import Settings

BACKEND_TITLE: Final = "helioloop"
"""Title of our backend in a project."""
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
    return f"{backend_url.rstrip('/')}/webhook"


def webhook_credentials(settings: Settings) -> dict[str, str]:
    """Return the headers with which our webhook authenticates to the backend.

    Label Studio sends basic auth to a backend but not with webhooks, so the webhook has a header for it. Everyone who
    may change the project can read these headers, so the secret is preferred: it gives access to /webhook only.
    """
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    if secret:
        return {SECRET_HEADER: secret}
    user, password = settings.basic_auth_user, settings.basic_auth_password
    if not user or not password:
        return {}
    pair = f"{user}:{password.get_secret_value()}"
    return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}
