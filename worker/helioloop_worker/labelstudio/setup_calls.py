"""The calls to Label Studio that set a project up, through the published client (label-studio-sdk)."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx
from label_studio_sdk.core.request_options import RequestOptions

from helioloop.environment.addresses import origin
from helioloop.errors import LabelStudioError
from helioloop.settings import plain_url
from helioloop_worker.labelstudio.outbound import make_http_client
from helioloop_worker.labelstudio.own_addresses import same_address
from helioloop_worker.labelstudio.proxies import proxy_remedy
from helioloop_worker.labelstudio.setup_port import Backend, FetchedPart, Webhook
from helioloop_worker.labelstudio.transport import Calls
from helioloop_worker.labelstudio.webhook import BACKEND_TITLE

ONCE: RequestOptions = {"max_retries": 0}
"""For calls that must not be repeated; the client retries all others on 429, 5xx and a lost connection."""

MEDIA_SECONDS: Final = 30.0
"""Longest time for the first bytes of a file on another server than Label Studio."""


class SetupCalls(Calls):
    """The calls of `LabelStudioSetup`; `LabelStudioClient` has them too."""

    # -- projects --------------------------------------------------------------------------------

    def find_projects(self, title: str) -> list[int]:
        """Return the ids of the projects with exactly this title, in increasing order."""
        with self._transport.calling("listing projects"):
            found: list[Any] = list(self._client.projects.list(title=title))
        return sorted(int(project.id) for project in found if project.title == title)

    def create_project(self, *, title: str, label_config: str, instruction: str = "") -> int:
        """Create a project that presents tasks with low scores first, and return its id.

        Parameters
        ----------
        title, label_config : str
            Title and labelling configuration.
        instruction : str
            HTML that annotators see before their first task; "" for none.
        """
        what = f"creating the project {title!r}"
        with self._transport.calling(what):
            created = self._client.projects.create(
                title=title,
                label_config=label_config,
                sampling="Uncertainty sampling",
                expert_instruction=instruction,
                show_instruction=bool(instruction),
                request_options=ONCE,
            )
        return self._number(what, created, "a project")

    def update_project(self, project: int, **values: Any) -> None:
        """Change settings of a project; without any, only the event of a changed project is sent."""
        with self._transport.calling(f"changing project {project}"):
            self._client.projects.update(id=project, **values)

    # -- storage and media -----------------------------------------------------------------------

    def storages(self, project: int) -> list[str]:
        """Return the folders of local files that are served to the annotators of a project."""
        what = f"reading the storages of project {project}"
        found = self._transport.listed(what, self._client.import_storage.local.list, project=project)
        return [str(storage.path) for storage in found]

    def ensure_local_storage(self, project: int, path: str) -> None:
        """Let Label Studio serve the files under `path` to this project's annotators."""
        what = f"connecting the media folder to project {project}"
        if path in self.storages(project):
            return
        with self._transport.calling(what):
            self._client.import_storage.local.create(
                project=project, path=path, use_blob_urls=True, title="helioloop videos", request_options=ONCE
            )

    def fetch_media(self, address: str, *, n_bytes: int, page: str) -> FetchedPart:
        """Request the first bytes of a file; the token is sent to Label Studio only."""
        what = f"fetching {plain_url(address)}"
        headers = {"Range": f"bytes=0-{n_bytes - 1}", "Origin": origin(page)}
        if address.startswith("/"):
            answer = self._transport.raw("GET", address.lstrip("/"), what=what, headers=headers)
            content = answer.content
        else:
            try:
                with (
                    make_http_client(follow_redirects=True, timeout=MEDIA_SECONDS) as client,
                    client.stream("GET", address, headers=headers) as answer,
                ):
                    content = _first_bytes(answer, n_bytes, what=what)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                remedy = proxy_remedy(address) or "check that the address can be reached"
                raise LabelStudioError(f"{what}: no answer ({type(error).__name__}); {remedy}") from None
        server, own = origin(str(answer.url)), {origin(self._transport.address), origin(page)}
        return FetchedPart(
            status=answer.status_code,
            headers={name.lower(): value for name, value in answer.headers.items()},
            content=content,
            elsewhere=None if server in own else server,
        )

    # -- backend and webhook ---------------------------------------------------------------------

    def backends(self, project: int) -> list[Backend]:
        """Return the ML backends of a project, oldest first."""
        what = f"reading the backends of project {project}"
        found = self._transport.listed(what, self._client.ml.list, project=project)
        rows = [Backend(id=row.id, url=row.url, title=row.title or "") for row in found if row.id is not None]
        return sorted(rows, key=lambda row: row.id)

    def ensure_backend(self, project: int, *, url: str, user: str, password: str) -> int:
        """Connect the backend to the project, or renew the settings of the connection, and return its id."""
        what = f"connecting the backend {plain_url(url)} to project {project}"
        known = [backend for backend in self.backends(project) if same_address(backend.url, url)]
        auth: dict[str, Any] = (
            {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password}
            if user
            else {"auth_method": "NONE"}
        )
        with self._transport.calling(what):
            if known:
                self._client.ml.update(id=known[0].id, url=url, project=project, title=BACKEND_TITLE, **auth)
                return known[0].id
            created = self._client.ml.create(
                url=url, project=project, title=BACKEND_TITLE, **auth, request_options=ONCE
            )
        return self._number(what, created, "a backend")

    def delete_backend(self, backend: int) -> None:
        """Delete an ML backend; its webhook stays."""
        with self._transport.calling(f"deleting the backend {backend}"):
            self._client.ml.delete(id=backend)

    def webhooks(self, project: int) -> list[Webhook]:
        """Return the webhooks of a project, oldest first."""
        what = f"reading the webhooks of project {project}"
        found = self._transport.listed(what, self._client.webhooks.list, project=str(project))
        hooks = [
            Webhook(
                id=hook.id,
                url=hook.url,
                headers={str(name): str(value) for name, value in dict(hook.headers or {}).items()},
                actions=frozenset(map(str, hook.actions or ())),
                all_actions=bool(hook.send_for_all_actions),
            )
            for hook in found
            if hook.id is not None
        ]
        return sorted(hooks, key=lambda hook: hook.id)

    def create_webhook(self, project: int, *, url: str, headers: Mapping[str, str], actions: Sequence[str]) -> int:
        """Create a webhook that sends some events, and return its id."""
        what = f"setting the webhook of project {project}"
        with self._transport.calling(what):
            created = self._client.webhooks.create(
                url=url,
                project=project,
                headers=dict(headers),
                send_payload=True,
                send_for_all_actions=False,
                actions=list(actions),
                request_options=ONCE,
            )
        return self._number(what, created, "a webhook")

    def set_webhook_actions(self, webhook: int, actions: Sequence[str]) -> None:
        """Replace the events that a webhook sends; the client's call for it drops those that are not repeated."""
        with self._transport.calling(f"changing the events of webhook {webhook}"):
            self._client.webhooks.update(id=webhook, actions=list(actions))

    def delete_webhook(self, webhook: int) -> None:
        """Delete a webhook."""
        with self._transport.calling(f"deleting webhook {webhook}"):
            self._client.webhooks.delete(id=webhook)

    def _number(self, what: str, created: Any, kind: str) -> int:
        """Return the id of what was created."""
        number = getattr(created, "id", None)
        if not isinstance(number, int):
            raise self._transport.unexpected_answer(what, f"something other than {kind}")
        return number


def _first_bytes(answer: httpx.Response, n_bytes: int, *, what: str) -> bytes:
    """Return the first bytes of an answer that is being received; a server may send the whole file, or never end."""
    end, content = time.monotonic() + MEDIA_SECONDS, b""
    for chunk in answer.iter_bytes():
        content += chunk
        if len(content) >= n_bytes:
            break
        if time.monotonic() > end:
            raise LabelStudioError(
                f"{what}: {len(content)} bytes came within {MEDIA_SECONDS:g} s; check the server of that address"
            )
    return content[:n_bytes]
