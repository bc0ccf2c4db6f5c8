"""The proxies that the environment names: whether they can be used, and what to look at where one was used.

It imports no HTTP client: `helioloop status` uses it, and a client takes seconds to import.
"""

import os
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from helioloop.errors import SettingsError
from helioloop.settings import plain_url

_NAMES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
NO_ADDRESS: Final = (
    "has a value that is not an address (not shown, it may contain a password); write a proxy as http://HOST:PORT, and "
    "NO_PROXY as names and addresses between commas, an IPv6 address without brackets"
)


def check_proxies() -> None:
    """Refuse a variable that names a proxy by something that is no address; an empty one counts as not set.

    Raises
    ------
    SettingsError
        With the variable, the rule and the remedy. No text contains the value, which may contain a password.
    """
    for name in (*_NAMES, *map(str.lower, _NAMES)):
        value = os.environ.get(name, "")
        if value and not value.strip():
            raise SettingsError(f"{name} contains nothing but blanks, which names no proxy; unset it")
        if value != value.strip() or not value.isprintable():
            raise SettingsError(
                f"{name} has a blank or a line end around its value, which is part of it (not shown, it may contain a "
                "password); remove it"
            )
        if value and not _is_address(value if "://" in value else f"http://{value}"):
            raise SettingsError(f"{name} {NO_ADDRESS}")


def proxy_remedy(url: str) -> str | None:
    """Return what to look at where requests to this address go through a proxy; None where they do not."""
    parts = urlsplit(url)
    found = {scheme: proxy.strip() for scheme, proxy in getproxies().items()}
    scheme = next((name for name in (parts.scheme, "all") if found.get(name)), None)
    if scheme is None or not parts.hostname or proxy_bypass(parts.hostname):
        return None
    proxy = found[scheme]
    shown = plain_url(proxy if "://" in proxy else f"http://{proxy}")
    return (
        f"the request went through the proxy {shown} of {scheme.upper()}_PROXY: check that it runs and lets "
        f"{parts.hostname} through, or add {parts.hostname} to NO_PROXY"
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
