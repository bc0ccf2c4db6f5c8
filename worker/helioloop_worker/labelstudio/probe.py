"""Single requests to Label Studio and to the backend that never fail: an answer, or the reason why there is none.

The doctor uses them instead of the client, because it has to tell apart what the client turns into one sentence, and
because nothing is retried here. Requests that only ask whether Label Studio would accept something contain a value
that it must refuse, so nothing is changed.
"""

import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final, Self

import httpx

from helioloop.environment.addresses import origin
from helioloop.errors import SettingsError
from helioloop_worker.labelstudio.outbound import make_http_client

LONGEST_BODY: Final = 64 * 2**20
"""Bytes of an answer that are read at most."""


class Fault(StrEnum):
    """Why there is no answer."""

    ADDRESS = "is not an address"
    NAME = "has an unknown host name"
    REFUSED = "refuses the connection"
    TIMEOUT = "does not answer in time"
    CERTIFICATE = "has a certificate that is not trusted"
    NO_TLS = "does not use TLS (https)"
    OTHER = "breaks the connection off"
    ENVIRONMENT = "is not called"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one request.

    Parameters
    ----------
    status : int or None
        HTTP status; None without an answer.
    body : any
        The JSON; None where the answer is not JSON.
    content : bytes
        The raw answer, for videos.
    headers : mapping
        Response headers, names in lower case; without cookies.
    fault : Fault or None
        Why there is no answer.
    detail : str
        The variable of the environment because of which nothing was called, in a sentence.
    skew_seconds : float or None
        By how much the clock of the server is ahead of that of this machine, from the header Date.
    server : str
        Scheme and host of the server that answered, which is another one after a redirect; empty without an answer.
    """

    status: int | None = None
    body: Any = None
    content: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None
    detail: str = ""
    skew_seconds: float | None = None
    server: str = ""

    @property
    def is_success(self) -> bool:
        """True for a status from 200 to 299."""
        return self.status is not None and httpx.codes.is_success(self.status)

    @property
    def has_json(self) -> bool:
        """True for a success with JSON."""
        return self.is_success and self.body is not None

    @property
    def short(self) -> str:
        """The outcome in a few words."""
        if self.fault is not None:
            return f"{self.fault}: {self.detail}" if self.detail else str(self.fault)
        if self.is_success and self.body is None:
            return f"answers {self.status} without JSON"
        return f"answers {self.status}"

    def text(self, limit: int = 300) -> str:
        """Return what a refusal says, on one line."""
        found = self.body
        if isinstance(found, dict):
            found = found.get("validation_errors") or found.get("detail") or found
        words = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
        return " ".join(words.split())[:limit]


class Prober:
    """Makes single requests to one server until a deadline.

    Parameters
    ----------
    url : str
        The server's address; a path in it is kept.
    headers : mapping
        Sent with every request.
    auth : tuple of str, optional
        User name and password for basic auth.
    deadline : float
        Time of `time.monotonic` after which no request is made.
    """

    def __init__(
        self,
        url: str,
        *,
        deadline: float,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._deadline = deadline
        self._client: httpx.Client | None = None
        self._refusal = ""
        try:
            self._client = make_http_client(headers=dict(headers or {}), auth=auth)
        except SettingsError as error:  # a proxy, or certificates
            self._refusal = str(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()

    def set_header(self, name: str, value: str) -> None:
        """Send a header with all later requests."""
        if self._client is not None:
            self._client.headers[name] = value

    def ask(self, method: str, path: str, *, timeout_seconds: float = 3.0, **arguments: Any) -> Answer | None:
        """Return the answer to one request; None where the time is over.

        Parameters
        ----------
        method, path : str
            The request; a path that is a whole address is used as it is.
        timeout_seconds : float
            Longest wait.
        arguments : any
            ``params``, ``json`` and ``headers`` of httpx.
        """
        left = self._deadline - time.monotonic()
        if self._client is None or left < 0.2:
            return Answer(fault=Fault.ENVIRONMENT, detail=self._refusal) if self._client is None else None
        address = path if "://" in path else f"{self._url}{path}"
        end = time.monotonic() + min(timeout_seconds, left)
        try:
            with self._client.stream(method, address, timeout=min(timeout_seconds, left), **arguments) as answer:
                content = b""
                for chunk in answer.iter_bytes():
                    content += chunk
                    if len(content) > LONGEST_BODY or time.monotonic() > end:
                        return Answer(fault=Fault.TIMEOUT)
                return _read(answer, content)
        except httpx.TimeoutException:
            return Answer(fault=Fault.TIMEOUT)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError, ValueError):
            return Answer(fault=Fault.ADDRESS)
        except httpx.HTTPError as error:
            return Answer(fault=fault_of(error))


def _read(answer: httpx.Response, content: bytes) -> Answer:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    return Answer(
        status=answer.status_code,
        body=body,
        content=content,
        headers={name.lower(): value for name, value in answer.headers.items() if name.lower() != "set-cookie"},
        skew_seconds=_skew_seconds(answer.headers.get("date")),
        server=origin(str(answer.url)),
    )


def _skew_seconds(date: str | None) -> float | None:
    """Return how far the header Date is ahead; it has whole seconds, so half a second is added."""
    if date is None:
        return None
    try:
        return parsedate_to_datetime(date).timestamp() + 0.5 - time.time()
    except (ValueError, TypeError):
        return None


def fault_of(error: BaseException) -> Fault:
    """Return the fault that is behind an error of the connection."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLCertVerificationError):
            return Fault.CERTIFICATE
        if isinstance(found, ssl.SSLError):
            return Fault.NO_TLS
        if isinstance(found, socket.gaierror):
            return Fault.NAME
        if isinstance(found, ConnectionRefusedError):
            return Fault.REFUSED
        found = found.__cause__ or found.__context__
    return Fault.OTHER
