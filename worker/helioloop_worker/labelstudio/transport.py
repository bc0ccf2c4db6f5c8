"""Makes single calls to Label Studio with its published client, and turns each failure into one plain sentence.

Answers that only look like success are failures too: a login page, a redirect that drops the data of a change, JSON of
an unexpected form. No sentence contains a header, a token or a password.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from label_studio_sdk import LabelStudio as Client
from label_studio_sdk.core.api_error import ApiError

from helioloop.environment.addresses import check_http_url, origin
from helioloop.errors import LabelStudioError, MissingInLabelStudio
from helioloop.settings import plain_url
from helioloop_worker.labelstudio.outbound import make_http_client
from helioloop_worker.labelstudio.probe import Fault, fault_of
from helioloop_worker.labelstudio.proxies import proxy_remedy

READING: Final = frozenset({"GET", "HEAD"})
DROPPING: Final = frozenset({httpx.codes.MOVED_PERMANENTLY, httpx.codes.FOUND, httpx.codes.SEE_OTHER})
"""Redirects that turn a change into a GET request: the change is lost, and the answer looks like success."""

UNTRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"
"""In the text of the error where a certificate is of an unknown authority, or of another host."""


class Transport:
    """A connection to Label Studio.

    Parameters
    ----------
    url : str
        Label Studio's address as seen from this machine.
    api_key : str
        Legacy token or personal access token.
    timeout_seconds : float
        Longest wait for one answer.

    Raises
    ------
    LabelStudioError
        Where the address or the token is malformed, or the token has expired.
    SettingsError
        Where a variable that names a proxy or certificates cannot be used.
    """

    def __init__(self, url: str, *, api_key: str, timeout_seconds: float) -> None:
        address = url.rstrip("/")
        try:
            self.address = plain_url(check_http_url(address))
        except ValueError as error:
            raise LabelStudioError(f"HELIOLOOP_LABEL_STUDIO_URL {error}") from None
        self._timeout_seconds = timeout_seconds
        self._api_key = api_key or "no token"
        self._has_answer = False
        if not (api_key.isascii() and api_key.isprintable()):
            raise LabelStudioError(
                "the access token contains a line break or a character outside ASCII, and tokens of Label Studio "
                "contain neither; copy it again into HELIOLOOP_LABEL_STUDIO_API_KEY"
            )
        checks: dict[str, list[Callable[..., Any]]] = {
            "request": [self._keep_path],
            "response": [self._refuse_seeming_success],
        }
        plain = make_http_client(timeout=timeout_seconds, follow_redirects=True, event_hooks=checks)
        with self.calling("signing in"):  # the client checks at once whether the token has expired
            self.client = Client(  # type: ignore[no-untyped-call]
                base_url=address, api_key=api_key, timeout=timeout_seconds, httpx_client=plain
            )

    def listed(self, what: str, list_: Callable[..., Any], **which: Any) -> list[Any]:
        """Return the list that one of the client's ``list`` methods returns."""
        with self.calling(what):
            found = list_(**which)
        if not isinstance(found, list):
            raise self.unexpected_answer(what, "something other than a list")
        return found

    def call(self, method: str, path: str, *, what: str, **arguments: Any) -> Any:
        """Call a route that the client has no method for, with the client's connection, token and retries."""
        return self.body_of(self.raw(method, path, what=what, **arguments), what=what)

    def body_of(self, answer: httpx.Response, *, what: str) -> Any:
        """Return the body of a successful answer, None where it is not JSON; raise a refusal."""
        try:
            body = answer.json()
        except (ValueError, RecursionError):
            body = None
        if not answer.is_success:
            raise self._refusal(what, answer.status_code, body)
        return body

    def raw(self, method: str, path: str, *, what: str, **arguments: Any) -> httpx.Response:
        """Return the answer of a route, whatever its status, with the client's connection, token and retries."""
        with self.calling(what):
            found: httpx.Response = self.client._client_wrapper.httpx_client.request(path, method=method, **arguments)  # noqa: SLF001 - the client has no public name for it
        return found

    @contextmanager
    def calling(self, what: str) -> Iterator[None]:
        """Turn a failure of one call into a `LabelStudioError`; errors in our own arguments are raised as they are."""
        self._has_answer = False
        try:
            yield
        except ApiError as error:
            if error.status_code is not None and httpx.codes.is_success(error.status_code):
                raise self.unexpected_answer(what, "something other than JSON") from None
            raise self._refusal(what, error.status_code, error.body) from None
        except _UnexpectedAnswer as error:
            raise self.unexpected_answer(what, str(error)) from None
        except httpx.TimeoutException:
            raise LabelStudioError(
                f"{what}: Label Studio at {self.address} did not answer within {self._timeout_seconds:g} s; check "
                f"whether it is overloaded, or raise HELIOLOOP_LABEL_STUDIO_TIMEOUT_SECONDS",
                may_pass=True,
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if UNTRUSTED in str(error):
                raise LabelStudioError(
                    f"{what}: the certificate of {self.address} is not trusted here; set SSL_CERT_FILE to a file with "
                    "the certificates of all authorities that you trust, your own included"
                ) from None
            fault = fault_of(error)
            cause = type(error).__name__ if fault is Fault.OTHER else f"{type(error).__name__}: it {fault}"
            remedy = proxy_remedy(self.address) or (
                "check that it runs and that HELIOLOOP_LABEL_STUDIO_URL names it as seen from here"
            )
            raise LabelStudioError(
                f"{what}: Label Studio at {self.address} did not answer ({cause}); {remedy}", may_pass=True
            ) from None
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            if not self._has_answer:  # the client failed on our arguments, not on the answer
                raise
            raise self.unexpected_answer(what, f"JSON of an unexpected form ({type(error).__name__})") from None

    def _keep_path(self, request: httpx.Request) -> None:
        """Put a request below the path of Label Studio's address; the client renews tokens without it."""
        path = urlsplit(self.address).path
        is_there = request.url.path.startswith(f"{path}/")
        if not is_there and request.url.netloc == httpx.URL(self.address).netloc:
            request.url = request.url.copy_with(raw_path=path.encode() + request.url.raw_path)

    def _refuse_seeming_success(self, answer: httpx.Response) -> None:
        """Refuse answers that only look like success: a web page, and redirects that drop or carry off a change."""
        self._has_answer = True
        if answer.has_redirect_location:
            if answer.request.method not in READING:
                self._refuse_redirected_change(answer)
        elif answer.is_success and answer.read().lstrip().startswith(b"<"):
            raise _UnexpectedAnswer("a web page")

    def _refuse_redirected_change(self, answer: httpx.Response) -> None:
        """Refuse a redirect that would drop the data of a change, or send them to another server.

        httpx takes the token out of the header there, but the data are sent again with a 307 or 308, and may contain
        a personal access token (where it is renewed), the backend's password or the webhook's secret.
        """
        if answer.status_code in DROPPING:
            raise _UnexpectedAnswer(f"a redirect ({answer.status_code}) that would drop the data to be written")
        there, own = origin(str(answer.request.url.join(answer.headers["Location"]))), origin(self.address)
        if there not in {own, own.replace("http://", "https://", 1)}:
            raise _UnexpectedAnswer(f"a redirect ({answer.status_code}) that would send the data to {there}")

    def _refusal(self, what: str, status: int | None, body: Any) -> LabelStudioError:
        """Return the error of a refused call, made of the body alone: headers contain session cookies.

        A proxy with debugging pages repeats the request, so credentials are taken out of the body.
        """
        detail = ""
        if isinstance(body, dict):
            detail = str(body.get("validation_errors") or body.get("detail") or "")
        detail = _CREDENTIALS.sub(r"\1 …", detail.replace(self._api_key, "…"))
        is_from_another = status in _OF_OTHERS and not (isinstance(body, dict) and "detail" in body)
        remedy = _NOT_LABEL_STUDIO if is_from_another else _REMEDIES.get(status or 0, READ_THE_LOG)
        if status == httpx.codes.FORBIDDEN and PRIVATE_ADDRESS.search(detail) is not None:
            remedy = ALLOW_PRIVATE
        elif httpx.codes.is_server_error(status or 0) and _NO_CREATOR.search(detail) is not None:
            remedy = _MAKE_CREATOR
        elif not isinstance(body, dict | list):  # Label Studio refuses with JSON
            remedy = proxy_remedy(self.address) or remedy
        text = f"{what}: Label Studio at {self.address} answered {status} {detail[:300]}".rstrip() + f"; {remedy}"
        if status == httpx.codes.NOT_FOUND and not is_from_another:
            return MissingInLabelStudio(text)
        failed_by_itself = status is None or status in _PASSING or httpx.codes.is_server_error(status)
        return LabelStudioError(text, may_pass=failed_by_itself or is_from_another)

    def unexpected_answer(self, what: str, found: str) -> LabelStudioError:
        """Return the error for an answer that cannot come from Label Studio; `found` describes the answer."""
        return LabelStudioError(
            f"{what}: {self.address} answered {found}, which Label Studio never does; "
            + (
                proxy_remedy(self.address)
                or "check that HELIOLOOP_LABEL_STUDIO_URL is its own address (http or https?) and that there is no "
                "login page or proxy in front of it"
            ),
            may_pass=True,  # a page about maintenance, for example
        )


class _UnexpectedAnswer(Exception):
    """An answer that cannot come from Label Studio; the text describes it."""


READ_THE_LOG: Final = "read Label Studio's log"
"""The remedy where no better one is known."""
PRIVATE_ADDRESS: Final = re.compile(r"reserved network address|URL was not allowed", re.IGNORECASE)
"""In the text with which Label Studio refuses an address in a private network, whatever the token."""
ALLOW_PRIVATE: Final = (
    "the address is in a private network, which Label Studio refuses whatever the token: start Label Studio with "
    "LABEL_STUDIO_ML_BLOCK_LOCAL_IP=false and LABEL_STUDIO_SSRF_PROTECTION_ENABLED=false"
)
_NO_CREATOR: Final = re.compile(r"'NoneType' object has no attribute '(email|auth_token)'")
"""In the text of an error with which Label Studio answers where the account that made the project was deleted."""
_MAKE_CREATOR: Final = (
    "the account that made the project was deleted, without which Label Studio exports no task and calls no backend; "
    "`helioloop doctor` has the remedy"
)
_REMEDIES: Mapping[int, str] = {
    401: "the token is wrong or expired: set HELIOLOOP_LABEL_STUDIO_API_KEY to a valid one",
    403: "the token's user may not do this: use a token of a user who may change the project",
    404: "it does not exist, or the token's user does not see it: check the project id, and use a token of a user of "
    "its organization",
    429: "it receives too many requests: try again in a minute",
}
_NOT_LABEL_STUDIO: Final = (
    "it is no answer of Label Studio itself: check that it runs, and that HELIOLOOP_LABEL_STUDIO_URL is its own address"
)
"""The remedy where a proxy in front of Label Studio answers, as many do while it is down."""
_OF_OTHERS: Final = frozenset({
    httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED,
    httpx.codes.GONE,
})  # fmt: skip
"""Refusals in which Label Studio always gives a detail; without it, something in front of it refuses."""
_PASSING: Final = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS})
"""Refusals that the same call does not meet later."""
_CREDENTIALS: Final = re.compile(r"\b(Token|Bearer|Basic) +[^\s'\",;]+", re.IGNORECASE)
"""The value of a header with credentials."""


class Calls:
    """The base of classes whose methods are calls to one Label Studio.

    Parameters
    ----------
    transport : Transport
        The connection to Label Studio.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._client = transport.client
