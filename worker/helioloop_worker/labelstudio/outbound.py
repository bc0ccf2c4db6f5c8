"""Makes HTTP clients in this process's environment: proxies, and the certificates of trusted authorities."""

import ssl
from typing import Any

import httpx

from helioloop.errors import SettingsError
from helioloop_worker.labelstudio.proxies import NO_ADDRESS, check_proxies


def make_http_client(**arguments: Any) -> httpx.Client:
    """Return a client of httpx with these arguments.

    Raises
    ------
    SettingsError
        Where a variable that names a proxy, or a file with certificates, cannot be used. No text contains the value of
        a proxy's variable, which may contain a password.
    """
    check_proxies()
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
        raise SettingsError(f"HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY {NO_ADDRESS}") from None
