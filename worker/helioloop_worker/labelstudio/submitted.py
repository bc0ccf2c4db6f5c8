"""Counts what annotators have submitted in a project, and says which project it is, with one small request.

It needs no client: `helioloop status` runs every few seconds with ``--watch``, and importing the client takes seconds.
No redirect is followed: urllib would send the access token to the server that the redirect names.
"""

import json
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

from helioloop.environment.addresses import check_http_url
from helioloop.errors import LabelStudioError, RegistryError, SettingsError
from helioloop.registry.project_identity import check_project_identity
from helioloop.settings import Settings, plain_url
from helioloop_worker.labelstudio.proxies import check_proxies, proxy_remedy

TIMEOUT_SECONDS: Final = 3.0
"""Longest wait for one answer; the status is shown without the counts then."""
_LONGEST_DETAIL: Final = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What Label Studio counts in a project at this moment.

    Parameters
    ----------
    tasks : int
        All tasks.
    annotated : int
        Tasks with an annotation.
    annotations, skips : int
        Submitted annotations, and skipped tasks counted once for each annotator.
    """

    tasks: int
    annotated: int
    annotations: int
    skips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectOutline:
    """What Label Studio says of a project: title, when it was created (ISO 8601, None if unknown), and counts."""

    title: str
    created_at: str | None
    submitted: Submitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncounted:
    """Why there are no counts, in a sentence without a secret.

    `is_refused` is true where Label Studio answers and refuses, or has another project of this number than the model
    folder. Without a token here, or an answer, nothing is known of what the workers get.
    """

    why: str
    is_refused: bool


def try_count(settings: Settings, project: int) -> Submitted | Uncounted:
    """Return the counts of a project, or why there are none; those of another project are none."""
    try:
        seen = look_at_project(settings, project)
        check_project_identity(
            settings.model_dir(project), project=project, title=seen.title, created_at=seen.created_at, claim=False
        )
    except SettingsError as error:
        return Uncounted(why=str(error), is_refused=False)
    except LabelStudioError as error:
        return Uncounted(why=str(error), is_refused=not error.may_pass)
    except RegistryError as error:
        return Uncounted(why=str(error), is_refused=True)
    return seen.submitted


def look_at_project(settings: Settings, project: int) -> ProjectOutline:
    """Return title, time of creation and counts of a project.

    Raises
    ------
    SettingsError
        Without an access token, and where a variable that names a proxy or certificates cannot be used.
    LabelStudioError
        Where Label Studio gives no usable answer; the sentence has the cause and the remedy.
    """
    key, shown = settings.api_key(), plain_url(settings.label_studio_url.rstrip("/"))
    check_proxies()
    try:
        url = check_http_url(shown)  # urllib takes a user and password for a part of the host
        token = f"Token {key}"
        if key.count(".") == 2:  # a personal access token, which gives short-lived ones
            access = _json(f"{url}/api/token/refresh/", {}, body={"refresh": key})
            token = f"Bearer {access['access']}"
        found = _json(f"{url}/api/projects/{project:d}/", {"Authorization": token})
        submitted = Submitted(
            tasks=int(found["task_number"]),
            annotated=int(found["num_tasks_with_annotations"]),
            annotations=int(found["total_annotations_number"]),
            skips=int(found["skipped_annotations_number"]),
        )
        return ProjectOutline(
            title=str(found.get("title") or ""), created_at=found.get("created_at"), submitted=submitted
        )
    except urllib.error.HTTPError as error:
        with error:  # it is the open answer, too
            may_pass = not (error.code in _REMEDIES and _has_detail(error))
        raise LabelStudioError(f"Label Studio at {shown} answered {_refusal(error)}", may_pass=may_pass) from None
    except OSError as error:
        raise LabelStudioError(f"Label Studio at {shown} {_cause(error, shown)}", may_pass=True) from None
    except (ValueError, KeyError, TypeError, HTTPException):
        raise LabelStudioError(
            f"{shown} did not answer as Label Studio does; check that HELIOLOOP_LABEL_STUDIO_URL is its own address, "
            "and that there is no login page or proxy in front of it",
            may_pass=True,
        ) from None


_REMEDIES: Final = {
    401: "set HELIOLOOP_LABEL_STUDIO_API_KEY to a valid token",
    403: "use a token of a user who may see the project",
    404: "check the number of the project, and use a token of a user of its organization",
}


def _refusal(error: urllib.error.HTTPError) -> str:
    """Return the status of an answer that is no success, and the remedy."""
    location = error.headers.get("Location")
    if location is None or not 300 <= error.code < 400:
        return f"{error.code}; {_REMEDIES.get(error.code, 'read its log, or that of a proxy in front of it')}"
    return (
        f"{error.code}, which leads to {plain_url(urljoin(error.url, location))}; set HELIOLOOP_LABEL_STUDIO_URL to "
        "Label Studio's own address (http or https?), not that of a login page or proxy in front of it: the access "
        "token goes to no other server"
    )


def _has_detail(error: urllib.error.HTTPError) -> bool:
    """Return whether a refusal is Label Studio's own; a proxy in front of it gives no detail as JSON."""
    try:
        found = json.loads(error.read(_LONGEST_DETAIL))
    except (OSError, ValueError, HTTPException):
        return False
    return isinstance(found, dict) and "detail" in found


def _cause(error: OSError, url: str) -> str:
    """Return why there is no answer, and the remedy."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        file = os.environ.get("SSL_CERT_FILE")
        unreadable = " (which names no file now)" if file and not Path(file).is_file() else ""
        return (
            "has a certificate that is not trusted here; set SSL_CERT_FILE"
            f"{unreadable} to a file with the certificates of all authorities that you trust"
        )
    why = "did not answer in time" if isinstance(reason, TimeoutError) else f"did not answer ({reason})"
    return f"{why}; {proxy_remedy(url) or 'check that it runs, and HELIOLOOP_LABEL_STUDIO_URL'}"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves each redirect to the caller, as an error with its status."""

    def redirect_request(self, *_: Any) -> None:
        """Return None, which stands for no further request."""


def _json(url: str, headers: dict[str, str], *, body: dict[str, str] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})  # noqa: S310 - checked
    with urllib.request.build_opener(_NoRedirects).open(request, timeout=TIMEOUT_SECONDS) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
