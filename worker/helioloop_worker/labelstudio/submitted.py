"""Counts what annotators have submitted in a project, with one small request to Label Studio.

It needs no client: `helioloop status` runs every few seconds with ``--watch``, and importing the client takes seconds.
"""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final

from helioloop.settings import Settings

TIMEOUT_SECONDS: Final = 3.0
"""Longest wait for one answer; the status is shown without the counts then."""


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


def count_submitted(settings: Settings, project: int) -> Submitted | None:
    """Return the counts of a project; None without an access token and where Label Studio gives no usable answer."""
    if settings.label_studio_api_key is None:
        return None
    url, key = settings.label_studio_url.rstrip("/"), settings.api_key()
    if not url.startswith(("http://", "https://")):
        return None
    try:
        token = f"Token {key}"
        if key.count(".") == 2:  # a personal access token, which gives short-lived ones
            access = _json(f"{url}/api/token/refresh", {}, body={"refresh": key})
            token = f"Bearer {access['access']}"
        found = _json(f"{url}/api/projects/{project:d}", {"Authorization": token})
        return Submitted(
            tasks=int(found["task_number"]),
            annotated=int(found["num_tasks_with_annotations"]),
            annotations=int(found["total_annotations_number"]),
            skips=int(found["skipped_annotations_number"]),
        )
    except urllib.error.HTTPError as error:
        error.close()  # it is the open answer, too
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _json(url: str, headers: dict[str, str], *, body: dict[str, str] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})  # noqa: S310 - checked
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - checked
        found: dict[str, Any] = json.load(answer)
    return found
