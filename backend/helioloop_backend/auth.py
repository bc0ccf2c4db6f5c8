"""Authentication: basic auth on every route, or the secret header on /webhook; /health and /projects/… are open.

Without credentials in the settings all routes are open, but only on a loopback address.
"""

import hmac
import ipaddress
from base64 import b64decode
from contextlib import suppress
from typing import Final

from flask import Request
from werkzeug.exceptions import Unauthorized

from helioloop.errors import SettingsError
from helioloop.messaging.messages import SECRET_HEADER
from helioloop.settings import Settings
from helioloop_backend import pages

OPEN_PATHS: Final = frozenset({"/", "/health"})
WEBHOOK_PATH: Final = "/webhook"


class Authenticator:
    """Checks requests against the credentials in the settings.

    Parameters
    ----------
    settings : Settings
        ``basic_auth_user`` with ``basic_auth_password``, ``webhook_secret``; an empty value counts as not set.

    Raises
    ------
    SettingsError
        Where only user or only password is set, where a secret is set without them, or where the backend listens on
        another address than loopback without them.
    """

    def __init__(self, settings: Settings) -> None:
        user = settings.basic_auth_user or ""
        password = settings.basic_auth_password.get_secret_value() if settings.basic_auth_password else ""
        secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
        if bool(user) != bool(password):
            raise SettingsError(
                "only one of HELIOLOOP_BASIC_AUTH_USER and HELIOLOOP_BASIC_AUTH_PASSWORD is set; set both or none"
            )
        if not user and not _is_loopback(settings.backend_host):
            raise SettingsError(
                f"the backend would be open to everybody on {settings.backend_host}: beyond loopback it needs basic "
                "auth; set HELIOLOOP_BASIC_AUTH_USER and HELIOLOOP_BASIC_AUTH_PASSWORD, or bind it to 127.0.0.1"
            )
        if secret and not user:
            raise SettingsError(
                "HELIOLOOP_WEBHOOK_SECRET is set without basic auth, but Label Studio's “Start training” sends only "
                "basic auth and would be refused; set HELIOLOOP_BASIC_AUTH_USER and HELIOLOOP_BASIC_AUTH_PASSWORD too"
            )
        self._basic = _encodings(f"{user}:{password}") if user else None
        self._secret = secret.encode() if secret else None

    def check(self, request: Request) -> None:
        """Raise a 401 where a request lacks the right credentials.

        /health needs none, because probes send none; the routes for browsers need none, because they only lead to Label
        Studio, which has its own login. Credentials that are sent there must be right, so that Label Studio reports
        wrong ones at once.
        """
        basic = self._basic_is_right(request)
        if (request.path in OPEN_PATHS or request.endpoint in pages.ENDPOINTS) and (
            "Authorization" not in request.headers
        ):
            return
        if request.path == WEBHOOK_PATH and self._secret is not None:
            secret = self._secret_is_right(request, self._secret)
            if secret or (self._basic is not None and basic):
                return
        elif basic:
            return
        raise Unauthorized("credentials are missing or wrong; enter those in the settings of the backend")

    def _basic_is_right(self, request: Request) -> bool:
        if self._basic is None:
            return True
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            given = b64decode(encoded.strip(), validate=True) if scheme.lower() == "basic" else b""
        except ValueError:  # no base64, or characters that are not ASCII
            given = b""
        matches = [hmac.compare_digest(given, right) for right in self._basic]  # all are compared, in equal time
        return any(matches)

    def _secret_is_right(self, request: Request, secret: bytes) -> bool:
        # WSGI decodes header bytes as Latin-1.
        given = request.headers.get(SECRET_HEADER, "").encode("latin-1", "replace")
        return hmac.compare_digest(given, secret)


def _encodings(text: str) -> tuple[bytes, ...]:
    """Return credentials in UTF-8, as RFC 7617 asks, and in Latin-1, as Label Studio's client sends them."""
    found = {text.encode()}
    with suppress(UnicodeEncodeError):
        found.add(text.encode("latin-1"))
    return tuple(found)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
