"""Which ML backends and webhooks of a project are helioloop's own, and at which addresses they may be registered.

A backend is recognised by its title, a webhook by its secret header or by the address of one of these backends.
Everything else is left alone.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

from helioloop.errors import WrongUsage
from helioloop.messaging.backend_credentials import SECRET_HEADER
from helioloop.settings import plain_url
from helioloop_worker.labelstudio.setup_port import Backend, Webhook
from helioloop_worker.labelstudio.webhook import BACKEND_TITLE, WEBHOOK_ACTIONS, WEBHOOK_PATH, webhook_url

_PORTS: Final = {"http": 80, "https": 443}
_LABEL: Final = re.compile(r"[^\W_]([^\W_]|-)*", re.UNICODE)


def same_address(one: str, other: str) -> bool:
    """Tell whether two addresses differ at most in the case of the host, the usual port and a last slash."""
    return _plain(one) == _plain(other)


def earlier_backends(backends: Iterable[Backend], webhooks: Iterable[Webhook], *, current: int) -> list[Backend]:
    """Return helioloop's backends besides the current one.

    They have its title, the current address, or a webhook with the secret header.
    """
    found = list(backends)
    urls = [webhook_url(backend.url) for backend in found if backend.id == current]
    urls += [hook.url for hook in webhooks if _has_secret(hook)]
    return [
        backend
        for backend in found
        if backend.id != current
        and (backend.title == BACKEND_TITLE or any(same_address(webhook_url(backend.url), url) for url in urls))
    ]


def earlier_webhooks(webhooks: Iterable[Webhook], *, current: int, own_backends: Sequence[Backend]) -> list[Webhook]:
    """Return helioloop's webhooks besides the current one.

    They have the secret header, call an address of one of helioloop's backends, or have exactly the events, the path
    and the one header of a webhook that helioloop makes where no secret is set.

    Parameters
    ----------
    webhooks : iterable of Webhook
        All webhooks of a project.
    current : int
        The one to keep.
    own_backends : sequence of Backend
        Backends of helioloop, also those that were deleted.
    """
    addresses = [webhook_url(backend.url) for backend in own_backends]
    return [
        hook
        for hook in webhooks
        if hook.id != current
        and (
            _has_secret(hook)
            or any(same_address(hook.url, address) for address in addresses)
            or _has_own_password(hook)
        )
    ]


def _has_secret(hook: Webhook) -> bool:
    return SECRET_HEADER.lower() in {name.lower() for name in hook.headers}


def _has_own_password(hook: Webhook) -> bool:
    """Tell whether a webhook is like those that helioloop makes with user and password instead of a secret."""
    return (
        not hook.all_actions
        and hook.actions >= {*WEBHOOK_ACTIONS}
        and [name.lower() for name in hook.headers] == ["authorization"]
        and urlsplit(hook.url).path.endswith(WEBHOOK_PATH)
    )


def check_backend_address(url: str) -> str:
    """Return the address of the backend without a last slash.

    Raises
    ------
    WrongUsage
        Where Label Studio cannot call it: no http address, an address to listen on such as 0.0.0.0, or a host name that
        Label Studio takes for no webhook.
    """
    parts, host = _split(url)
    if _is_unspecified(host):
        raise WrongUsage(
            f"the backend's address is {plain_url(url)}, but {host or 'an empty host'} is an address to listen on, and "
            "Label Studio would call itself there; give the address at which Label Studio reaches the backend: "
            "--backend-url http://HOST:PORT"
        )
    if not _is_registrable(host):
        raise WrongUsage(
            f"the backend's address is {plain_url(url)}, but Label Studio takes a webhook only at an IP address, at "
            f"localhost or at a name with a dot and without underscores, which {host!r} is not; give the machine or "
            "container such a name (for example a network alias backend.helioloop): --backend-url http://NAME:PORT"
        )
    return f"{parts.scheme.lower()}://{parts.netloc}{parts.path}".rstrip("/")


def _split(url: str) -> tuple[SplitResult, str]:
    """Return the parts of an http address and its host."""
    shown = "the given text" if "@" in url else repr(url)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise WrongUsage(
            f"the backend's address is {shown}, which is not an address; write http://HOST:PORT or https://HOST"
        ) from None
    if parts.scheme.lower() not in _PORTS or url != url.strip() or re.search(r"\s", url):
        raise WrongUsage(
            f"the backend's address is {shown}, but Label Studio calls http and https addresses only; write "
            "http://HOST:PORT or https://HOST"
        )
    if "@" in parts.netloc:
        raise WrongUsage(
            "the backend's address contains a user or password, which everyone who may open the project's settings "
            "would see; leave them out and set HELIOLOOP_BASIC_AUTH_USER and HELIOLOOP_BASIC_AUTH_PASSWORD"
        )
    if parts.query or parts.fragment:
        raise WrongUsage(
            f"the backend's address {plain_url(url)} has something after ? or #, and Label Studio adds /predict to it; "
            "write http://HOST:PORT/PATH"
        )
    return parts, host


def _is_unspecified(host: str) -> bool:
    """Tell whether a host cannot be called, in any notation that a resolver reads: 0.0.0.0, 0, ::, [::], empty."""
    plain = host.strip("[].")
    if not plain:
        return True
    try:
        address = ipaddress.ip_address(plain.partition("%")[0])
    except ValueError:
        try:
            return socket.inet_aton(plain) == bytes(4)
        except OSError:
            return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_unspecified or (mapped is not None and mapped.is_unspecified)


def _is_registrable(host: str) -> bool:
    """Tell whether Label Studio accepts a host in the address of a webhook: Django's rule for URLs."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return True
    labels = host.rstrip(".").split(".")
    if host == "localhost":
        return True
    last = labels[-1]
    return (
        len(labels) > 1
        and all(_LABEL.fullmatch(label) is not None for label in labels)
        and (last.lower().startswith("xn--") or (len(last) > 1 and not any(letter.isdigit() for letter in last)))
    )


def _plain(url: str) -> tuple[str, str, int | None, str]:
    """Return scheme, host, port and path of an address; one that cannot be split counts as its text."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        return scheme, parts.hostname or "", parts.port or _PORTS.get(scheme), parts.path.rstrip("/")
    except ValueError:
        return url, "", None, ""
