"""Setting a Label Studio project up for the loop: project, configuration, storage, backend, webhook, sampling, tab.

Above `gateway`. Safe to repeat: what is missing is added; of what is there, sampling, backend and webhook are set anew.
"""

from base64 import b64encode
from importlib.resources import files
from pathlib import Path

from helioloop.labelstudio.config import parse_config
from helioloop.messaging.messages import SECRET_HEADER
from helioloop.settings import Settings
from helioloop_worker.labelstudio.client import LabelStudioClient

TAB = "Model disagrees first"


def labeling_configuration() -> str:
    """Return the labelling configuration that comes with helioloop.

    An installed wheel carries it inside the package; in a source tree it lies in ``labeling_config/``.
    """
    packaged = files("helioloop_worker") / "labeling_config" / "bipoles.xml"
    if packaged.is_file():
        return packaged.read_text()
    return (Path(__file__).parents[3] / "labeling_config" / "bipoles.xml").read_text()


def set_up(gateway: LabelStudioClient, settings: Settings, *, title: str, backend_url: str) -> int:
    """Create the project of this title, or complete it, and return its id.

    Parameters
    ----------
    gateway : LabelStudioClient
        Label Studio.
    settings : Settings
        Names the classes, the media folder and the secrets.
    title : str
        The project's title; one that exists is completed.
    backend_url : str
        The backend as Label Studio reaches it.

    Raises
    ------
    LabelStudioError
        Where Label Studio refuses, for example because the backend does not answer it.
    ConfigurationError
        Where the project's labelling configuration lacks the controls or the videos' rate.
    """
    project = gateway.find_project(title)
    if project is None:
        config = labeling_configuration()
        parse_config(config, emergence=settings.class_emergence, non_emergence=settings.class_non_emergence)
        project = gateway.create_project(title=title, label_config=config)
    else:
        info = gateway.project(project)
        parse_config(info.label_config, emergence=settings.class_emergence, non_emergence=settings.class_non_emergence)
        gateway.update_project(project, sampling="Uncertainty sampling")
    settings.model_dir(project).mkdir(parents=True, exist_ok=True)
    media = settings.media_dir(project)
    media.mkdir(parents=True, exist_ok=True)
    gateway.ensure_local_storage(project, str(media))
    password = settings.basic_auth_password
    gateway.ensure_backend(
        project,
        url=backend_url,
        user=settings.basic_auth_user,
        password=None if password is None else password.get_secret_value(),
    )
    gateway.ensure_webhook(project, url=f"{backend_url.rstrip('/')}/webhook", headers=_webhook_credentials(settings))
    gateway.ensure_tab(project, title=TAB)
    return project


def _webhook_credentials(settings: Settings) -> dict[str, str]:
    """Return the headers by which the backend knows our webhook.

    Label Studio shows basic auth to a backend but not in its webhooks, so they carry it as a header of their own. The
    secret comes first: whoever may change the project can read these headers, and it opens nothing but /webhook.
    """
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    if secret:
        return {SECRET_HEADER: secret}
    user, password = settings.basic_auth_user, settings.basic_auth_password
    if not user or not password:
        return {}
    pair = f"{user}:{password.get_secret_value()}"
    return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}
