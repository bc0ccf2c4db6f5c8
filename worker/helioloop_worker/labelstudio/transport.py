"""The wire to Label Studio: its client, and one plain sentence for whatever goes wrong in a call.

Below `gateway`, above label-studio-sdk. What only looks like success counts as going wrong: a login page, a redirect
that loses what is to be written, JSON of another shape. No sentence carries a header, a token or a password.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx
from label_studio_sdk import LabelStudio as Client
from label_studio_sdk.core.api_error import ApiError

from helioloop.errors import LabelStudioError
from helioloop.settings import plain_url

READING: Final = frozenset({"GET", "HEAD"})
REWRITING: Final = frozenset({httpx.codes.MOVED_PERMANENTLY, httpx.codes.FOUND, httpx.codes.SEE_OTHER})
"""Redirects after which a change arrives as a mere question: it would seem to have been made."""


class Transport:
    """A connection to Label Studio.

    Parameters
    ----------
    url : str
        Label Studio as reached from here.
    api_key : str
        Legacy token or personal access token.
    timeout_seconds : float
        Longest wait for one answer.

    Raises
    ------
    LabelStudioError
        Where the address or the token cannot be one, or the token has expired.
    """

    def __init__(self, url: str, *, api_key: str, timeout_seconds: float) -> None:
        address = url.rstrip("/")
        try:
            self._shown = plain_url(address)
        except ValueError:
            raise LabelStudioError(
                "HELIOLOOP_LABEL_STUDIO_URL is no address; write it as http://HOST:PORT or https://HOST"
            ) from None
        self._timeout_seconds = timeout_seconds
        self._answered = False
        if not (api_key.isascii() and api_key.isprintable()):
            raise LabelStudioError(
                "the access token holds a line break or a letter beyond ASCII, which no token of Label Studio has; "
                "copy it again into HELIOLOOP_LABEL_STUDIO_API_KEY"
            )
        plain = httpx.Client(timeout=timeout_seconds, follow_redirects=True, event_hooks={"response": [self._look_at]})
        with self.calling("signing in"):  # the client refuses an expired token at once
            self.client = Client(  # type: ignore[no-untyped-call]
                base_url=address, api_key=api_key, timeout=timeout_seconds, httpx_client=plain
            )

    def listed(self, what: str, list_: Callable[..., Any], **which: Any) -> list[Any]:
        """Return what one of the client's ``list`` methods gives, if it is a list."""
        with self.calling(what):
            found = list_(**which)
        if not isinstance(found, list):
            raise self.foreign(what, "no list")
        return found

    def call(self, method: str, path: str, *, what: str, **arguments: Any) -> Any:
        """Call a route that the client has no fitting method for, with its own connection, token and retries."""
        with self.calling(what):
            answer = self.client._client_wrapper.httpx_client.request(path, method=method, **arguments)  # noqa: SLF001 - no public door to the connection
        try:
            body = answer.json()
        except (ValueError, RecursionError):
            body = None
        if not answer.is_success:
            raise LabelStudioError(_refusal(what, self._shown, answer.status_code, body))
        return body

    @contextmanager
    def calling(self, what: str) -> Iterator[None]:
        """Turn what goes wrong in one call of the client into a sentence; a mistake of our own shows itself."""
        self._answered = False
        try:
            yield
        except ApiError as error:
            if error.status_code is not None and httpx.codes.is_success(error.status_code):
                raise self.foreign(what, "no JSON") from None
            raise LabelStudioError(_refusal(what, self._shown, error.status_code, error.body)) from None
        except _Foreign as error:
            raise self.foreign(what, str(error)) from None
        except httpx.TimeoutException:
            raise LabelStudioError(
                f"{what}: Label Studio at {self._shown} did not answer within {self._timeout_seconds:g} s; look "
                f"whether it is overloaded, or raise HELIOLOOP_LABEL_STUDIO_TIMEOUT_SECONDS"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LabelStudioError(
                f"{what}: Label Studio at {self._shown} did not answer ({type(error).__name__}); check that it "
                f"runs and that HELIOLOOP_LABEL_STUDIO_URL names it as seen from here"
            ) from None
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            if not self._answered:  # it was not the answer that the client stumbled over, but what we gave it
                raise
            raise self.foreign(what, f"JSON of another shape ({type(error).__name__})") from None

    def _look_at(self, answer: httpx.Response) -> None:
        """Refuse what only looks like success: a web page, and a redirect on which a change would get lost."""
        self._answered = True
        if answer.has_redirect_location:
            if answer.status_code in REWRITING and answer.request.method not in READING:
                raise _Foreign(f"a redirect ({answer.status_code}) that would lose what is to be written")
        elif answer.is_success and answer.read().lstrip().startswith(b"<"):
            raise _Foreign("a web page")

    def foreign(self, what: str, found: str) -> LabelStudioError:
        """Return the error for an answer that cannot be Label Studio's; `found` names what it is instead."""
        return LabelStudioError(
            f"{what}: {self._shown} answered {found}, which is not Label Studio's; check that "
            f"HELIOLOOP_LABEL_STUDIO_URL is its own address (http or https?) and that no login page or proxy stands "
            f"before it"
        )


class _Foreign(Exception):
    """An answer that cannot be Label Studio's; the text names what it is instead."""


_REMEDIES: Mapping[int, str] = {
    401: "the token is wrong or expired: set HELIOLOOP_LABEL_STUDIO_API_KEY to a valid one",
    403: "the token's user may not do this: use a token of a user who may change the project",
    404: "there is no such thing: check the project id",
    429: "it is asked too often: try again in a minute",
}


def _refusal(what: str, url: str, status: int | None, body: Any) -> str:
    """Say what was refused and why, from the body alone: headers carry session cookies."""
    detail = ""
    if isinstance(body, dict):
        detail = str(body.get("validation_errors") or body.get("detail") or "")
    remedy = _REMEDIES.get(status or 0, "look at Label Studio's log")
    return f"{what}: Label Studio at {url} answered {status} {detail[:300]}".rstrip() + f"; {remedy}"
