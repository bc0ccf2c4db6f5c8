"""Authentication: basic auth on every route, or the secret header on /webhook.

Open to everybody are /health, /ready and /projects/….

Without credentials in the settings all routes are open, but only on a loopback address and to this machine.
"""

import base64
import hmac
import ipaddress
from collections.abc import Set
from typing import Final

from flask import Request
from werkzeug.exceptions import Forbidden, Unauthorized

from helioloop.errors import SettingsError
from helioloop.messaging.backend_credentials import SECRET_HEADER, backend_credentials, encodings
from helioloop.settings import Settings
from helioloop_backend import pages

OPEN_PATHS: Final = frozenset({"/", "/health", "/ready"})
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
        Where Label Studio cannot send a credential, where only user or only password is set, where a secret is set
        without them, or where the backend listens on another address than loopback without them.
    """

    def __init__(self, settings: Settings) -> None:
        given = backend_credentials(settings)
        user, password, secret = given.user, given.password, given.secret
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
        self._basic = encodings(f"{user}:{password}") if user else None
        self._secret = encodings(secret) if secret else None

    def check(self, request: Request) -> None:
        """Raise a 401 where a request lacks the right credentials; a 403 for other machines where none are set.

        /health and /ready need none, because probes send none; the routes for browsers need none, because they only
        lead to Label Studio, which has its own login. Credentials that are sent there must be right, so that Label
        Studio reports wrong ones at once.
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
        elif self._basic is None and request.remote_addr and not _is_loopback(request.remote_addr):
            # A server of label-studio-ml binds to any address without this class being asked. A Unix socket has none.
            raise Forbidden(
                "without credentials the backend answers this machine only; set HELIOLOOP_BASIC_AUTH_USER and "
                "HELIOLOOP_BASIC_AUTH_PASSWORD, and enter them in the settings of the backend in Label Studio"
            )
        elif basic:
            return
        raise Unauthorized("credentials are missing or wrong; enter those in the settings of the backend")

    def _basic_is_right(self, request: Request) -> bool:
        if self._basic is None:
            return True
        # Flask reads basic auth as UTF-8 only, and Label Studio sends it in Latin-1.
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            pair = base64.b64decode(encoded.strip(), validate=True)
        except ValueError:  # not base64, or not ASCII
            pair = b""
        return _is_one_of(pair, self._basic) and scheme.lower() == "basic"

    def _secret_is_right(self, request: Request, secret: Set[bytes]) -> bool:
        # WSGI decodes header bytes as Latin-1.
        return _is_one_of(request.headers.get(SECRET_HEADER, "").encode("latin-1", "replace"), secret)


def _is_one_of(given: bytes, right: Set[bytes]) -> bool:
    """Compare with each in constant time."""
    found = [hmac.compare_digest(given, one) for one in right]
    return any(found)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
