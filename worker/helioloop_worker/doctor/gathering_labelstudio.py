"""Asks Label Studio about itself and about the project, and then the backend at the address that Label Studio has."""

import contextlib
import tempfile
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from helioloop.environment.addresses import origin
from helioloop.errors import RegistryError, VideoError
from helioloop.messaging.backend_credentials import backend_credentials
from helioloop.registry.project_controls import read_project_controls
from helioloop.settings import Settings
from helioloop_worker.doctor.addresses import has_scheme, is_unspecified, plain
from helioloop_worker.doctor.backend_entry import CONNECTED, own_cards, url_of
from helioloop_worker.doctor.facts import Facts, VideoFacts
from helioloop_worker.doctor.label_studio import is_malformed, token_claims
from helioloop_worker.doctor.labelling import video_address
from helioloop_worker.labelstudio.probe import Answer, Fault, Prober
from helioloop_worker.labelstudio.webhook import webhook_credentials, webhook_url
from helioloop_worker.media.choice import label_studio_path

CARDS_SECONDS: Final = 9.0
"""Longest wait for the list of backends: Label Studio asks each of them, three times 1 s, before it answers."""
REFUSED_CHOICE: Final = "asked by helioloop doctor"
"""A value that Label Studio must refuse, so that a question changes nothing."""
UNKNOWN_EVENT: Final = "HELIOLOOP_DOCTOR"
"""An action that the backend ignores."""
FIRST_BYTES: Final = "bytes=0-1023"

Put = Callable[..., None]


class _Found:
    """Stores facts for the examination, and keeps them for the questions that follow."""

    def __init__(self, put: Put, settings: Settings, *, project: int | None, wanted_url: str | None) -> None:
        self._put = put
        self.facts = Facts(settings=settings, project=project, wanted_url=wanted_url)

    def __call__(self, **facts: Any) -> None:
        self.facts = replace(self.facts, **facts)
        self._put(**facts)


def ask_label_studio(
    put: Put,
    settings: Settings,
    project: int | None,
    *,
    backend_url: str | None,
    deadline: float,
    silent: Collection[Path] = (),
) -> None:
    """Store what Label Studio and the backend answer.

    Parameters
    ----------
    put : callable
        Stores facts.
    settings : Settings
        Addresses and secrets.
    project : int or None
        Label Studio project.
    backend_url : str or None
        The backend's address as Label Studio should have it.
    deadline : float
        Time of `time.monotonic` after which nothing is asked.
    silent : collection of Path
        Folders that do not answer, in which nothing is read.
    """
    found = _Found(put, settings, project=project, wanted_url=backend_url)
    if project is not None and settings.model_root not in silent:
        with contextlib.suppress(RegistryError):  # the check of the model folder reports it
            found(controls=read_project_controls(settings.model_dir(project)))
    url = settings.label_studio_url
    if not has_scheme(url):
        _ask_backend(found, deadline=deadline)
        return
    with Prober(url, deadline=deadline) as prober:
        knows = _ask_about_itself(found, prober) and project is not None and _ask_about_project(found, prober, project)
        _ask_backend(found, deadline=deadline)
        if knows and project is not None:
            _ask_about_way(found, prober, project)
            _fetch_video(found, prober, deadline=deadline)


def _ask_about_itself(found: _Found, prober: Prober) -> bool:
    """Ask for health, version and user; return whether Label Studio accepts the token."""
    health = prober.ask("GET", "/health/")
    found(health=health)
    if health is None or not health.is_success:
        return False
    found(version=prober.ask("GET", "/api/version/"))
    secret = found.facts.settings.label_studio_api_key
    token = "" if secret is None else secret.get_secret_value()
    header = None if is_malformed(token) else f"Token {token}"
    if header and token_claims(token) is not None:
        access = prober.ask("POST", "/api/token/refresh/", json={"refresh": token})
        found(access=access)
        body = access.body if access is not None and access.has_json else None
        header = f"Bearer {body.get('access')}" if isinstance(body, dict) else None
    if header:
        prober.set_header("Authorization", header)
    user = prober.ask("GET", "/api/current-user/whoami")  # also without a token: 404 shows that the path is wrong
    found(user=user)
    return header is not None and user is not None and user.has_json


def _ask_about_project(found: _Found, prober: Prober, project: int) -> bool:
    """Ask about the project and what belongs to it; return whether there is one."""
    info = prober.ask("GET", f"/api/projects/{project}/")
    found(info=info)
    if info is None or not info.has_json:
        return False
    in_bucket = found.facts.settings.media_bucket is not None
    kind = "s3" if in_bucket else "localfiles"
    if not in_bucket:
        path = found.facts.settings.storage_path(project)
        question = {"project": project, "path": path, "use_blob_urls": True}
        found(storage_check=prober.ask("POST", "/api/storages/localfiles/validate", json=question))
    found(
        change=prober.ask("PATCH", f"/api/projects/{project}/", json={"sampling": REFUSED_CHOICE}),
        storages=prober.ask("GET", f"/api/storages/{kind}/", params={"project": project}),
        hooks=prober.ask("GET", "/api/webhooks/"),  # of all projects, because some are of the whole organization
        shown=prober.ask("GET", f"/api/projects/{project}/model-versions/"),
        task=prober.ask(
            "GET", "/api/tasks/", params={"project": project, "page_size": 1, "page": 1, "resolve_uri": "true"}
        ),
    )
    found(cards=prober.ask("GET", "/api/ml/", params={"project": project}, timeout_seconds=CARDS_SECONDS))
    return True


def _ask_about_way(found: _Found, prober: Prober, project: int) -> None:
    """Ask whether Label Studio may call the backend, and why it shows it as disconnected."""
    cards = own_cards(found.facts)
    if not cards:
        return
    card, url = cards[0], url_of(cards[0])
    found(
        card_address=prober.ask(
            "POST", "/api/ml/", json={"project": project, "url": url, "auth_method": REFUSED_CHOICE}
        ),
        hook_address=prober.ask(
            "POST", "/api/webhooks/", json={"project": project, "url": webhook_url(url), "actions": [REFUSED_CHOICE]}
        ),
    )
    if card.get("state") not in CONNECTED and isinstance(card.get("id"), int):
        same = {name: card[name] for name in ("url", "auth_method", "basic_auth_user") if card.get(name) is not None}
        # An empty password keeps the one that is stored.
        same |= {"project": project} | ({"basic_auth_pass": ""} if card.get("basic_auth_pass_is_set") else {})
        found(card_trial=prober.ask("PATCH", f"/api/ml/{card['id']}", json=same, timeout_seconds=CARDS_SECONDS))


def _ask_backend(found: _Found, *, deadline: float) -> None:
    """Ask the backend at the first address at which one answers."""
    settings = found.facts.settings
    default = f"http://{settings.backend_address}"
    if is_unspecified(default):
        default = f"http://127.0.0.1:{settings.backend_port}"
    registered = [url_of(card) for card in own_cards(found.facts)]
    candidates = [found.facts.wanted_url] if found.facts.wanted_url else [*registered, default]
    user = settings.basic_auth_user or ""
    password = settings.basic_auth_password.get_secret_value() if settings.basic_auth_password else ""
    for url in dict.fromkeys(url for url in candidates if url):
        if not has_scheme(url):
            answer: Answer | None = Answer(fault=Fault.ADDRESS)
        else:
            with Prober(url, deadline=deadline) as prober:
                answer = prober.ask("GET", "/health", timeout_seconds=2.0)
        if found.facts.backend is None or (answer is not None and answer.is_success):
            found(backend=answer, backend_url=url)
        if answer is not None and answer.is_success:
            break
    if found.facts.backend is None or not found.facts.backend.is_success:
        return
    with Prober(found.facts.backend_url, deadline=deadline) as prober:
        found(backend_open=prober.ask("GET", "/versions"))
        event = {"action": UNKNOWN_EVENT, "project": {"id": found.facts.project or 1}}
        found(
            backend_hook=prober.ask(
                "POST", "/webhook", json=event, headers=webhook_credentials(backend_credentials(settings))
            )
        )
    with Prober(
        found.facts.backend_url, deadline=deadline, auth=(user, password) if user and password else None
    ) as prober:
        found(backend_versions=prober.ask("GET", "/versions", params={"about": "1"}))
        if found.facts.project is not None:
            info = found.facts.info
            config = info.body.get("label_config") if info is not None and isinstance(info.body, dict) else ""
            found(
                backend_setup=prober.ask(
                    "POST", "/setup", json={"project": f"{found.facts.project}.1", "schema": config}
                )
            )


def _fetch_video(found: _Found, prober: Prober, *, deadline: float) -> None:
    """Fetch the video of the first task: its first bytes as a browser does, then all of it, and decode it."""
    settings = found.facts.settings
    address, base = video_address(found.facts), settings.label_studio_url
    if address is None:
        return
    address = address.removeprefix(label_studio_path(settings))
    page = origin(settings.label_studio_public_url or base)
    foreign = has_scheme(address) and origin(address) != origin(base)
    shown = plain(address) if foreign else address.partition("&")[0]
    with Prober(base, deadline=deadline) as stranger:  # another origin must not get the token
        asking = stranger if foreign else prober
        headers = {"Range": FIRST_BYTES, "Origin": page}
        first = asking.ask("GET", address, headers=headers, follow_redirects=True)
        led_away = first is not None and first.server not in {"", origin(base), page}
        video = VideoFacts(address=shown, foreign=foreign or led_away, first=first)
        found(video=video)
        if first is None or not first.is_success:
            return
        whole = asking.ask("GET", address, follow_redirects=True, timeout_seconds=6.0)
    if whole is not None and whole.is_success:
        found(video=_decoded(video, whole.content))


def _decoded(video: VideoFacts, content: bytes) -> VideoFacts:
    from helioloop_worker.loop.video import check_video  # noqa: PLC0415 - takes a second to import

    with tempfile.TemporaryDirectory(prefix="helioloop-doctor-") as folder:
        path = Path(folder) / "video.mp4"
        path.write_bytes(content)
        try:
            info = check_video(path)
        except VideoError as error:
            return replace(video, fault=str(error))
    return replace(video, n_frames=info.n_frames, fps=info.fps)
