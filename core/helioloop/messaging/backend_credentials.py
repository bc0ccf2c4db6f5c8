"""The credentials with which Label Studio authenticates to the backend, checked against what it can send.

Label Studio sends user and password as HTTP basic auth and the webhook secret as a header, both in Latin-1, without
white space at their ends. Other values would be stored but never arrive, without a word about it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from helioloop.environment import credentials
from helioloop.errors import SettingsError
from helioloop.settings import Settings

SECRET_HEADER: Final = "X-Helioloop-Secret"  # noqa: S105 - the header's name, not its value
"""Header that Label Studio sends with every event, as configured by ``helioloop init``, and the backend checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendCredentials:
    """User, password and webhook secret; "" for what is not set."""

    user: str = ""
    password: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)


def backend_credentials(settings: Settings) -> BackendCredentials:
    """Return the credentials in the settings; an empty value counts as not set.

    Raises
    ------
    SettingsError
        Where Label Studio cannot send one of them. The text names the variable and the rule, never the value.
    """
    user = settings.basic_auth_user or ""
    password = settings.basic_auth_password.get_secret_value() if settings.basic_auth_password else ""
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    _check("HELIOLOOP_BASIC_AUTH_USER", user, credentials.check_user)
    _check("HELIOLOOP_BASIC_AUTH_PASSWORD", password, credentials.check_sent)
    _check("HELIOLOOP_WEBHOOK_SECRET", secret, credentials.check_sent)
    return BackendCredentials(user=user, password=password, secret=secret)


def encodings(text: str) -> frozenset[bytes]:
    """Return the bytes as which a credential may arrive: UTF-8, and Latin-1, in which Label Studio sends it."""
    return frozenset({text.encode("utf-8"), text.encode("latin-1")})


def _check(variable: str, value: str, check: Callable[[str], str]) -> None:
    """Refuse a value that breaks a rule; settings that were read from the environment follow them already."""
    try:
        check(value)
    except ValueError as error:
        raise SettingsError(f"{variable} {error}") from None
