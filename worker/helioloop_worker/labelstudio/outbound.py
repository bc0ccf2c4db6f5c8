"""Makes HTTP clients in this process's environment: proxies, and the certificates of trusted authorities."""

import ssl
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from helioloop.errors import SettingsError
from helioloop.settings import plain_url

_PROXIES: Final = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY"


def make_http_client(**arguments: Any) -> httpx.Client:
    """Return a client of httpx with these arguments.

    Raises
    ------
    SettingsError
        Where a variable that names a proxy, or a file with certificates, cannot be used. No text contains the value of
        a proxy's variable, which may contain a password.
    """
    try:
        return httpx.Client(**arguments)
    except ImportError:
        raise SettingsError(
            "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names a SOCKS proxy, for which the package 'socksio' is not "
            "installed; name an HTTP proxy, unset the variable, or install 'httpx[socks]'"
        ) from None
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(
            "SSL_CERT_FILE or SSL_CERT_DIR does not name certificates that can be read "
            f"({type(error).__name__}); let SSL_CERT_FILE name a PEM file with the certificates of all authorities "
            "that you trust, or unset the variable"
        ) from None
    except (httpx.InvalidURL, ValueError):
        raise SettingsError(
            f"{_PROXIES} has a value that is not an address (not shown, it may contain a password); write a proxy as "
            "http://HOST:PORT, and NO_PROXY as names and addresses between commas, an IPv6 address without brackets"
        ) from None


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
