"""The part of the in-memory fake of Label Studio that has backends, webhooks, storages and media.

It calls backends and webhooks as Label Studio 1.23.2 does: credentials in Latin-1, a webhook at most once and without a
word where it fails, and a webhook without headers for each new backend.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from helioloop.errors import LabelStudioError
from helioloop_worker.labelstudio.own_addresses import same_address
from helioloop_worker.labelstudio.setup_port import Backend, FetchedPart, Webhook
from helioloop_worker.labelstudio.webhook import BACKEND_TITLE

Call = Callable[[str, str, Mapping[str, str], Mapping[str, Any]], int]
"""Sends a request (method, address, headers, body) and returns the status; raises `OSError` where nobody answers."""
_HOST: Final = re.compile(
    r"localhost|\d+(\.\d+){3}|[0-9a-f]*:[0-9a-f:.]+|([^\W_]([^\W_]|-)*\.)+[a-z-]{2,}", re.IGNORECASE
)


@dataclass(slots=True)
class Connections:
    """What a project is connected with."""

    backends: dict[int, tuple[Backend, tuple[str, str]]] = field(default_factory=dict)
    webhooks: dict[int, Webhook] = field(default_factory=dict)
    storages: list[str] = field(default_factory=list)


class FakeConnections:
    """Backends, webhooks, storages and media of all projects of a fake Label Studio.

    Parameters
    ----------
    ids : iterator of int
        Gives ids.
    document_root : Path or None
        Folder whose files are served; None serves none.
    call : callable or None
        Takes the requests to backends; None answers each of them with 200.
    """

    def __init__(self, ids: Iterator[int], *, document_root: Path | None, call: Call | None) -> None:
        self._ids = ids
        self._document_root = document_root
        self.call: Call = call or (lambda *_: 200)
        self._projects: dict[int, Connections] = {}

    def of(self, project: int) -> Connections:
        """Return what a project is connected with."""
        return self._projects.setdefault(project, Connections())

    # -- backends --------------------------------------------------------------------------------

    def ensure_backend(self, project: int, *, url: str, user: str, password: str) -> int:
        """Connect a backend; Label Studio asks for its health and sets it up at once, and takes white space off."""
        own = self.of(project)
        pair = (user.strip(), password.strip())
        try:
            headers = {"Authorization": _basic(*pair)} if user else {}
            refused = [
                self.call("GET", f"{url.rstrip('/')}/health", headers, {}),
                self.call("POST", f"{url.rstrip('/')}/setup", headers, {"project": f"{project}.1", "schema": ""}),
            ]
        except UnicodeEncodeError:
            raise LabelStudioError("connecting the backend: Label Studio answered 500 'latin-1' codec") from None
        except OSError:
            raise LabelStudioError(f"connecting the backend: Label Studio can't connect to {url}") from None
        if any(status >= 400 for status in refused):
            raise LabelStudioError(f"connecting the backend: Label Studio answered 400, {url} answered {refused}")
        known = [number for number, (backend, _) in own.backends.items() if same_address(backend.url, url)]
        number = known[0] if known else next(self._ids)
        own.backends[number] = (Backend(id=number, url=url, title=BACKEND_TITLE), pair)
        if not known:
            self.add_hook_of_backend(project, url)
        return number

    def add_foreign_backend(self, project: int, *, url: str, title: str) -> int:
        """Connect a backend of somebody else, as the settings page does."""
        number = next(self._ids)
        self.of(project).backends[number] = (Backend(id=number, url=url, title=title), ("", ""))
        self.add_hook_of_backend(project, url)
        return number

    def add_hook_of_backend(self, project: int, url: str) -> None:
        """Make the webhook that Label Studio makes for a new backend, unless one calls that address."""
        address = f"{url.rstrip('/')}/webhook"
        hooks = self.of(project).webhooks
        if _HOST.fullmatch(urlsplit(address).hostname or "") and address not in [hook.url for hook in hooks.values()]:
            number = next(self._ids)
            hooks[number] = Webhook(id=number, url=address, all_actions=True)

    def delete_backend(self, backend: int) -> None:
        """Delete a backend; its webhook stays."""
        for own in self._projects.values():
            if own.backends.pop(backend, None) is not None:
                return
        raise LabelStudioError(f"there is no backend {backend}; read the backends again")

    # -- webhooks --------------------------------------------------------------------------------

    def create_webhook(self, project: int, *, url: str, headers: Mapping[str, str], actions: Sequence[str]) -> int:
        """Create a webhook; names without a dot are refused."""
        if not _HOST.fullmatch(urlsplit(url).hostname or ""):
            raise LabelStudioError("setting the webhook: Label Studio answered 400 {'url': ['Enter a valid URL.']}")
        number = next(self._ids)
        self.of(project).webhooks[number] = Webhook(
            id=number, url=url, headers=dict(headers), actions=frozenset(actions)
        )
        return number

    def set_webhook_actions(self, webhook: int, actions: Sequence[str]) -> None:
        """Replace the events of a webhook."""
        own = self._holding(webhook)
        own.webhooks[webhook] = replace(own.webhooks[webhook], actions=frozenset(actions))

    def delete_webhook(self, webhook: int) -> None:
        """Delete a webhook."""
        del self._holding(webhook).webhooks[webhook]

    def emit(self, project: int, action: str, payload: Mapping[str, Any]) -> None:
        """Send an event to the webhooks that take it, each once; whatever fails is not told to anybody."""
        body = {"action": action, **payload, "project": {"id": project}}
        for hook in self.of(project).webhooks.values():
            if not (hook.all_actions or action in hook.actions) or not all(map(_can_be_sent, hook.headers.values())):
                continue
            try:
                self.call("POST", hook.url, hook.headers, body)
            except OSError:
                continue

    def _holding(self, webhook: int) -> Connections:
        for own in self._projects.values():
            if webhook in own.webhooks:
                return own
        raise LabelStudioError(f"there is no webhook {webhook}; read the webhooks again")

    # -- media -----------------------------------------------------------------------------------

    def fetch_media(self, address: str, *, n_bytes: int) -> FetchedPart:
        """Return the first bytes of a file in a storage of any project; 404 for any other."""
        parts = urlsplit(address)
        relative = unquote(parse_qs(parts.query).get("d", [""])[0])
        if self._document_root is None or parts.path != "/data/local-files/" or not relative:
            return FetchedPart(status=404, headers={}, content=b"")
        path = self._document_root / relative
        served = [Path(one) for own in self._projects.values() for one in own.storages]
        if not path.is_file() or not any(path.is_relative_to(folder) for folder in served):
            return FetchedPart(status=404, headers={}, content=b"")
        content = path.read_bytes()
        part = content[:n_bytes]
        headers = {"content-range": f"bytes 0-{len(part) - 1}/{len(content)}", "content-type": "video/mp4"}
        return FetchedPart(status=206, headers=headers, content=part)


def _basic(user: str, password: str) -> str:
    """Return the header as the library requests makes it."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode("latin-1")).decode()


def _can_be_sent(value: str) -> bool:
    """Tell whether the library requests sends a header value: Latin-1, no white space before it, no line end in it."""
    encodable = all(ord(letter) <= 0xFF for letter in value)
    return encodable and re.fullmatch(r"\S[^\r\n]*|", value) is not None
