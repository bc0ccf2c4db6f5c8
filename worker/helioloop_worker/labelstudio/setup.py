"""Sets a Label Studio project up for the loop: project, configuration, storage, backend, webhook, sampling, tabs.

The setup can be repeated: it adds what is missing, and renews sampling, backend and webhook. Configuration and
instruction are set when the project is created and never changed afterwards: the tasks that are there fit the
configuration, and a team may have edited both.
"""

from base64 import b64encode
from urllib.parse import quote, urlsplit

from helioloop.labelstudio.config import parse_config
from helioloop.labelstudio.tab_names import DISAGREEMENTS_FIRST
from helioloop.messaging.messages import SECRET_HEADER
from helioloop.settings import Settings
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.project_template import copy_stills, instruction, labeling_configuration
from helioloop_worker.labelstudio.tabs import update_tabs

STILLS = "instruction"
"""Folder of the instruction's pictures below a project's media folder."""
TAB = DISAGREEMENTS_FIRST


def set_up(label_studio: LabelStudioClient, settings: Settings, *, title: str, backend_url: str) -> int:
    """Create the project with this title, or complete it, and return its id.

    Parameters
    ----------
    label_studio : LabelStudioClient
        Label Studio.
    settings : Settings
        The names of the classes, the media folder and the secrets.
    title : str
        The project's title; an existing project is completed.
    backend_url : str
        The backend's address as seen from Label Studio.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses a call, for example because it cannot reach the backend.
    ConfigurationError
        Where the project's labelling configuration lacks the controls or the videos' rate.
    """
    project, created = label_studio.find_project(title), False
    if project is None:
        config = labeling_configuration()
        parse_config(config, emergence=settings.class_emergence, non_emergence=settings.class_non_emergence)
        project = label_studio.create_project(title=title, label_config=config, instruction=instruction(None))
        created = True
    else:
        info = label_studio.project(project)
        parse_config(info.label_config, emergence=settings.class_emergence, non_emergence=settings.class_non_emergence)
        label_studio.update_project(project, sampling="Uncertainty sampling")
    settings.model_dir(project).mkdir(parents=True, exist_ok=True)
    media = settings.media_dir(project)
    media.mkdir(parents=True, exist_ok=True)
    if settings.media_bucket is None:
        label_studio.ensure_local_storage(project, settings.storage_path(project))
    if created and settings.media_bucket is None:
        copy_stills(media / STILLS)
        base = urlsplit(settings.label_studio_public_url or settings.label_studio_url).path.rstrip("/")
        address = f"{base}/data/local-files/?d={quote(f'helioloop/{media.name}/{STILLS}')}"
        label_studio.update_project(project, expert_instruction=instruction(address))
    password = settings.basic_auth_password
    label_studio.ensure_backend(
        project,
        url=backend_url,
        user=settings.basic_auth_user,
        password=None if password is None else password.get_secret_value(),
    )
    webhook = f"{backend_url.rstrip('/')}/webhook"
    label_studio.ensure_webhook(project, url=webhook, headers=_webhook_credentials(settings))
    update_tabs(label_studio, project, settings.model_dir(project), restore=True)
    return project


def _webhook_credentials(settings: Settings) -> dict[str, str]:
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
