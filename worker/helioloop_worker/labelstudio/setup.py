"""Sets a Label Studio project up for the loop: project, configuration, storage, backend, webhook, sampling, tabs.

The setup can be repeated: it adds what is missing, and renews sampling, backend and webhook. The configuration is set
when the project is created and never changed afterwards: the tasks that are there fit it, and a team may have edited
it. So is the instruction, except that helioloop's own text gets its pictures. No task and no annotation is changed.
"""

from collections.abc import Callable

from helioloop.errors import LabelStudioError
from helioloop.labelstudio.new_controls import GivenWords, choose_controls, doubts
from helioloop.labelstudio.tab_names import DISAGREEMENTS_FIRST
from helioloop.messaging.backend_credentials import BackendCredentials, backend_credentials
from helioloop.records.controls import Controls
from helioloop.records.labels import Label
from helioloop.registry.project_controls import read_project_controls, write_project_controls
from helioloop.settings import Settings
from helioloop_worker.labelstudio.found_project import found_sentences
from helioloop_worker.labelstudio.own_addresses import (
    check_backend_address,
    earlier_backends,
    earlier_webhooks,
)
from helioloop_worker.labelstudio.own_instruction import own_instruction, place_pictures
from helioloop_worker.labelstudio.project import check_owner, claim_media
from helioloop_worker.labelstudio.project_template import labeling_configuration
from helioloop_worker.labelstudio.reused_words import reused_sentences
from helioloop_worker.labelstudio.setup_port import LabelStudioSetup
from helioloop_worker.labelstudio.tabs import update_tabs
from helioloop_worker.labelstudio.titles import check_title, find_titled
from helioloop_worker.labelstudio.transport import ALLOW_PRIVATE, READ_THE_LOG
from helioloop_worker.labelstudio.webhook import WEBHOOK_ACTIONS, webhook_credentials, webhook_url
from helioloop_worker.media.choice import make_media

ABOUT_NAME = "about.txt"
ABOUT = b"Videos, curves and reasons that helioloop made for a project in Label Studio.\n"
TAB = DISAGREEMENTS_FIRST
SAMPLING = "Uncertainty sampling"
"""Label Studio's order of tasks that takes low scores first."""


def set_up(
    label_studio: LabelStudioSetup,
    settings: Settings,
    *,
    backend_url: str,
    title: str = "helioloop",
    project: int | None = None,
    given: GivenWords | None = None,
    say: Callable[[str], None] | None = None,
) -> int:
    """Create or complete a project, and return its id.

    Parameters
    ----------
    label_studio : LabelStudioSetup
        Label Studio.
    settings : Settings
        The words for new projects, the media folder and the secrets.
    backend_url : str
        The backend's address as seen from Label Studio.
    title : str
        Title of the project, 3 to 50 characters; one that exists is completed.
    project : int, optional
        An existing project to complete, instead of one with this title.
    given : GivenWords, optional
        Words and names of the project; without them, its own are read.
    say : callable, optional
        Takes what is found and done, one line each.

    Raises
    ------
    WrongUsage
        Where Label Studio cannot call the backend's address, takes no such title, or has several projects with it.
    SettingsError
        Where Label Studio cannot send a credential.
    LabelStudioError
        Where Label Studio refuses a call, for example because it cannot reach the backend.
    ConfigurationError
        Where the project's labelling configuration lacks the controls or the videos' rate, or answers would change
        their class because it reuses a word.
    RegistryError
        Where the model folder belongs to another project, or the controls in it are damaged.
    """
    tell = say or (lambda _: None)
    backend_url = check_backend_address(backend_url)
    credentials = backend_credentials(settings)
    given = given or GivenWords()
    if project is None:
        title = check_title(title)
        project = find_titled(label_studio, title)
    created = project is None
    if project is None:
        project, controls = _create(label_studio, settings, title, given)
        tell(f"project {project}, {title!r}, is created")
    else:
        controls = _adopt(label_studio, settings, project, given, tell)
    info = label_studio.project(project)
    check_owner(info, settings=settings, claim=False)
    write_project_controls(settings.model_dir(project), controls)
    media = settings.media_dir(project)
    media.mkdir(parents=True, exist_ok=True)
    check_owner(info, settings=settings)  # both folders are there now, and become this project's
    if settings.media_bucket is None:
        _connect_media(label_studio, settings, project)
        tell(f"connected: media folder {media}")
        if place_pictures(label_studio, settings, info, controls):
            tell("set: the pictures of the instruction")
    else:
        # Label Studio accepts a bucket with a prefix only where something is below it.
        place = make_media(settings)
        claim_media(place, info, media=media)
        place.serve(f"{media.name}/{ABOUT_NAME}", lambda: ABOUT)
    if not created:  # it is created with this order
        label_studio.update_project(project, sampling=SAMPLING)
        tell("set: tasks with low scores come first (uncertainty sampling)")
    _connect_backend(label_studio, project, backend_url, credentials, tell)
    update_tabs(label_studio, project, settings.model_dir(project), restore=True)
    return project


def _create(label_studio: LabelStudioSetup, settings: Settings, title: str, given: GivenWords) -> tuple[int, Controls]:
    """Create a project whose configuration has the given words, or those of the settings."""
    config = labeling_configuration(
        emergence=given.emergence or settings.class_emergence,
        non_emergence=given.non_emergence or settings.class_non_emergence,
        onset=given.onset,
    )
    controls = _controls(config, settings, given, None)
    text = own_instruction(controls)
    return label_studio.create_project(title=title, label_config=config, instruction=text), controls


def _adopt(
    label_studio: LabelStudioSetup,
    settings: Settings,
    project: int,
    given: GivenWords,
    tell: Callable[[str], None],
) -> Controls:
    """Return the controls of an existing project, and tell what it has; nothing is changed."""
    info = label_studio.project(project)
    check_owner(info, settings=settings, claim=False)
    kept = read_project_controls(settings.model_dir(project))
    controls = _controls(info.label_config, settings, given, kept).after(kept)
    for sentence in found_sentences(label_studio, info, controls):
        tell(sentence)
    for sentence in (
        *doubts(info.label_config, controls),
        *reused_sentences(label_studio, info, controls, kept, given),
    ):
        tell(f"warning: {sentence}")
    if not _is_current(info.label_config, controls):
        tell(
            "kept: the labelling configuration and the instruction of this project; new projects get another "
            "configuration, which does not fit tasks that have no curve"
        )
    return controls


def _is_current(config: str, controls: Controls) -> bool:
    """Return True for the configuration of a new project with these words."""
    names = controls.class_names
    current = labeling_configuration(
        emergence=names[Label.EMERGENCE],
        non_emergence=names[Label.NON_EMERGENCE],
        onset=controls.timeline_label,
    )
    return config.split() == current.split()


def _controls(config: str, settings: Settings, given: GivenWords, kept: Controls | None) -> Controls:
    return choose_controls(
        config,
        given,
        kept,
        emergence=settings.class_emergence,
        non_emergence=settings.class_non_emergence,
    )


def _connect_media(label_studio: LabelStudioSetup, settings: Settings, project: int) -> None:
    try:
        label_studio.ensure_local_storage(project, settings.storage_path(project))
    except LabelStudioError as error:
        raise LabelStudioError(
            f"{_without_remedy(error)}; set LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true for Label Studio, and "
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT to the folder of HELIOLOOP_MEDIA_ROOT"
        ) from None


def _connect_backend(
    label_studio: LabelStudioSetup,
    project: int,
    backend_url: str,
    credentials: BackendCredentials,
    tell: Callable[[str], None],
) -> None:
    """Register backend and webhook at an address, then remove those that helioloop registered before.

    The new webhook is there before the earlier ones are removed, so that no event is lost meanwhile.
    """
    try:
        backend = label_studio.ensure_backend(
            project, url=backend_url, user=credentials.user, password=credentials.password
        )
    except LabelStudioError as error:
        if str(error).endswith(ALLOW_PRIVATE):
            raise
        raise LabelStudioError(
            f"{_without_remedy(error)}; start the backend with the HELIOLOOP_BASIC_AUTH_… of this command, give its "
            "address as Label Studio's machine or container reaches it, and at a private address set "
            "LABEL_STUDIO_ML_BLOCK_LOCAL_IP=false for Label Studio"
        ) from None
    webhook = label_studio.create_webhook(
        project, url=webhook_url(backend_url), headers=webhook_credentials(credentials), actions=WEBHOOK_ACTIONS
    )
    tell(f"connected: backend {backend_url} and its webhook")
    backends, webhooks = label_studio.backends(project), label_studio.webhooks(project)
    earlier = earlier_backends(backends, webhooks, current=backend)
    own = [*earlier, *(one for one in backends if one.id == backend)]
    for hook in earlier_webhooks(webhooks, current=webhook, own_backends=own):
        label_studio.delete_webhook(hook.id)
        if hook.url != webhook_url(backend_url):
            tell(f"removed: helioloop's earlier webhook at {hook.url}")
    for one in earlier:
        label_studio.delete_backend(one.id)
        tell(f"removed: helioloop's earlier backend at {one.url}")


def _without_remedy(error: LabelStudioError) -> str:
    """Return the text of an error without the general remedy at its end, for a better one."""
    return str(error).removesuffix(f"; {READ_THE_LOG}")
