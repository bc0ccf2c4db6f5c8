"""Addresses of services: how they are shown without secrets, and the rules for those of Redis and Label Studio."""

import re
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

from helioloop.errors import SettingsError

_REDIS_SCHEMES: Final = ("redis", "rediss", "unix")
_BUCKET: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([^?]*?))?/*\Z")
_PAGE: Final = re.compile(
    r"/(projects(?=/\d|/*\Z)|api(?=/(?:projects|tasks|dm|token|version|current-user)\b|/*\Z)"
    r"|user(?=/(?:login|signup|account)\b)|data(?=/(?:local-files|upload)\b)|(?:organization|version|health)(?=/*\Z))"
)
"""Where the path of a page of Label Studio, or of its API, begins. A server's own path may have the same names, as in
/projects/labels or /data, so only what follows them, or their place at the end, makes it sure.
"""
_ENCODE: Final = (
    "in user name and password write / as %2F, # as %23, ? as %3F, [ as %5B, ] as %5D, @ as %40, : as %3A and % as %25 "
    "(percent-encoding), or set HELIOLOOP_REDIS_PASSWORD instead"
)


def plain_url(url: str) -> str:
    """Return the URL of a service without user name, password and query, so that it can be shown.

    Where a password that is not percent-encoded makes it unclear where the host begins, only the scheme is shown.
    """
    parts = _split(url)
    if parts is None or "@" in parts.path + parts.query + parts.fragment:
        scheme, separator, _ = url.partition("://")
        return f"{scheme}://…" if separator and scheme.isalnum() and scheme.isascii() else "…"
    host = parts.netloc.rpartition("@")[2]
    if not host and f"{parts.scheme}:///" in url:  # urlunsplit would leave out the two slashes of unix:///PATH
        return f"{parts.scheme}://{parts.path}"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def origin(url: str) -> str:
    """Return scheme, host and, unless it is the usual one, port of an address, as browsers name it in ``Origin``."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in {None, usual} else "")


def check_http_url(url: str) -> str:
    """Return the address of a Label Studio: it starts with http:// or https://, has a host, and is not that of a page.

    Raises
    ------
    ValueError
        With the rule; the text does not contain the address.
    """
    parts = _split(url)
    is_text = url.isprintable() and not any(map(str.isspace, url))
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or not is_text:
        without = " without http:// or https:// in front" if "://" not in url else ""
        raise ValueError(
            f"is not an address{without}; write it as http://HOST:PORT or https://HOST, an IPv6 address in brackets, "
            "as in http://[::1]:8080"
        )
    page = _PAGE.search(parts.path)
    if page is not None:
        raise ValueError(
            f"is the address of a page in Label Studio and not its own; leave out {page[0]} and all that follows"
        )
    if parts.query or parts.fragment:
        raise ValueError(
            f"has something after {'?' if parts.query else '#'}, as the address of a page has (it is not shown); write "
            "http://HOST:PORT or https://HOST, and after it the path below which Label Studio is, if there is one"
        )
    return url


def bucket_and_prefix(address: str) -> tuple[str, str]:
    """Return the name of a bucket and the beginning of the keys in it, without slashes at its end.

    Parameters
    ----------
    address : str
        ``s3://BUCKET`` or ``s3://BUCKET/PREFIX``.

    Raises
    ------
    ValueError
        With the rule; the text does not contain the address, in which others write credentials.
    """
    match = _BUCKET.match(address)
    if match is not None:
        return match[1], match[2] or ""
    if set(address.partition("://")[2] or address) & set("@:?"):
        raise ValueError(
            "contains what may be credentials (it is not shown), and no part of helioloop reads them there; write "
            "s3://BUCKET or s3://BUCKET/PREFIX, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    raise ValueError(
        "is not the address of a bucket, whose name has lower-case letters, digits, dots and hyphens; write "
        "s3://BUCKET or s3://BUCKET/PREFIX"
    )


def written_passwords(url: str) -> tuple[str, ...]:
    """Return the password in an http address as it is written and percent-decoded; none where there is none."""
    parts = _split(url)
    written = [parts.password] if parts is not None and parts.password else []
    return tuple(dict.fromkeys([*written, *map(unquote, written)]))


def redis_passwords(url: str) -> tuple[str, ...]:
    """Return the passwords in the address of Redis as they are written, percent-decoded, and in its query.

    Raises
    ------
    SettingsError
        Where the address is not one of Redis, or a character in user name or password ends them. No text contains
        what could be a password.
    """
    parts = _split(url)
    if parts is None:
        raise SettingsError(
            "REDIS_URL cannot be read as an address (it is not shown, because it may contain a password); write "
            f"redis://HOST:PORT/DB; {_ENCODE}"
        )
    if parts.scheme not in _REDIS_SCHEMES or "://" not in url:
        shown = f"{plain_url(url)!r}" if "://" in url else "a value without “://” (not shown, it may be a password)"
        raise SettingsError(
            f"REDIS_URL is {shown}, which is not a Redis URL; write redis://HOST:PORT/DB, rediss://… or unix:///PATH"
        )
    if "@" in parts.query + parts.fragment + ("" if parts.scheme == "unix" else parts.path):
        raise SettingsError(
            "REDIS_URL has a character in its user name or password that ends them in an address (it is not shown); "
            f"{_ENCODE}"
        )
    _check_redis_options(parts)
    written = [parts.password] if parts.password else []
    return tuple(dict.fromkeys([*written, *map(unquote, written), *parse_qs(parts.query).get("password", [])]))


def _check_redis_options(parts: SplitResult) -> None:
    """Refuse what the client of Redis ignores, or fails on later; no value is shown."""
    number = parts.path.strip("/")
    if parts.scheme != "unix" and number and not (number.isascii() and number.isdigit()):
        raise SettingsError(
            "REDIS_URL has something other than the number of a database after the port, and the client of Redis would "
            "use database 0; write redis://HOST:PORT/0"
        )
    changed = sorted({"decode_responses", "encoding", "encoding_errors"} & parse_qs(parts.query).keys())
    if changed:
        raise SettingsError(
            f"REDIS_URL has the option {changed[0]}, which changes the form of Redis' answers, and helioloop needs the "
            "usual one; remove the option"
        )


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL; None where it cannot be read. The error's text would contain the URL."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
