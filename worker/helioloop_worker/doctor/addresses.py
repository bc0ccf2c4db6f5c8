"""What can be wrong with the address of a service, and whether the service answers there."""

import ipaddress
from urllib.parse import urlsplit

from helioloop.settings import plain_url
from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.finding import Cause, Finding
from helioloop_worker.labelstudio.probe import Answer, Fault


class Address:
    """The causes that an address can have, for one check.

    Parameters
    ----------
    check : str
        Name of the check.
    service : str
        The service, for sentences.
    setting : str
        How the address is set.
    start : str
        How the service is started.
    """

    def __init__(self, check: str, *, service: str, setting: str, start: str) -> None:
        self.service = service
        self.no_address = Cause(
            check=check, name="no-address", remedy=f"Write {setting} as http://HOST:PORT or https://HOST."
        )
        self.unknown_host = Cause(
            check=check,
            name="unknown-host",
            remedy=f"Correct the host name in {setting}, or make this machine's name service resolve it.",
        )
        self.refused = Cause(check=check, name="refused", remedy=f"{start}, or correct host and port in {setting}.")
        self.container = Cause(
            check=check,
            name="localhost-in-container",
            remedy=f"Inside a container, localhost is the container itself: name the service or the host in {setting}.",
        )
        self.no_answer = Cause(
            check=check,
            name="no-answer",
            remedy=f"Check the firewall and whether {service} is overloaded, or correct {setting} (http or https?).",
        )
        self.certificate = Cause(
            check=check,
            name="certificate",
            remedy="Set SSL_CERT_FILE to a file with your certificate authority, for the worker too.",
        )
        self.no_tls = Cause(
            check=check, name="no-tls", remedy=f"Write http:// instead of https:// in {setting}, or correct the port."
        )
        self.environment = Cause(
            check=check,
            name="environment",
            remedy="Correct or unset the variable that names the proxy or the certificates, for the worker too.",
        )
        self.causes = (
            self.no_address, self.unknown_host, self.refused, self.container, self.no_answer, self.certificate,
            self.no_tls, self.environment,
        )  # fmt: skip

    def unreachable(self, facts: Facts, url: str, answer: Answer) -> Finding | None:
        """Return why there is no answer from an address; None where there is one."""
        if not has_scheme(url):
            return self.no_address.found(facts, f"{plain(url)} has no http:// or https:// or no host")
        seen = f"{plain(url)} {answer.short}"
        if answer.fault is Fault.REFUSED and is_loopback(url) and facts.machine and facts.machine.in_container:
            return self.container.found(facts, f"{seen}, and this is a container")
        cause = {
            Fault.ADDRESS: self.no_address,
            Fault.NAME: self.unknown_host,
            Fault.REFUSED: self.refused,
            Fault.TIMEOUT: self.no_answer,
            Fault.OTHER: self.no_answer,
            Fault.CERTIFICATE: self.certificate,
            Fault.NO_TLS: self.no_tls,
            Fault.ENVIRONMENT: self.environment,
            None: None,
        }[answer.fault]
        return None if cause is None else cause.found(facts, seen)


def plain(url: str) -> str:
    """Return an address without login and query; as it is where it is not an address."""
    try:
        return plain_url(url)
    except ValueError:
        return url.rpartition("@")[2]


def has_scheme(url: str) -> bool:
    """Return whether an address has http:// or https:// and a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def is_unspecified(url: str) -> bool:
    """Return whether the host is 0.0.0.0 or [::], to which a server binds but which is not a server's address."""
    found = _ip(url)
    return found is not None and found.is_unspecified


def is_loopback(url: str) -> bool:
    """Return whether the host is this machine itself, for whoever uses the address."""
    found = _ip(url)
    return _host(url) == "localhost" or (found is not None and (found.is_loopback or found.is_unspecified))


def same_place(one: str, other: str) -> bool:
    """Return whether two addresses are equal except for a slash at the end and capitals in the host."""
    return _comparable(one) == _comparable(other)


def _comparable(url: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(url.strip())
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return (url,)
    return parts.scheme, parts.hostname or "", str(port), parts.path.rstrip("/")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _ip(url: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(_host(url))
    except ValueError:
        return None
