"""Project ids as Label Studio sends them: ``"1.<created>"`` in calls, ``{"id": 1, …}`` in webhooks.

Anything else is refused before it becomes part of a path.
"""

import re
from typing import Any, Final

from werkzeug.exceptions import BadRequest

_UID: Final = re.compile(r"([0-9]{1,18})(?:\.[0-9]{1,18})?\Z")
_LARGEST: Final = 10**18


def from_uid(value: Any) -> int:
    """Return the project id in ``"1.<created>"``; anything else is a 400."""
    match = _UID.match(value) if isinstance(value, str) else None
    if match is None or int(match.group(1)) == 0:
        raise BadRequest(
            'the field "project" must be "<id>.<created>" as Label Studio sends it, for example "1.1700000000"'
        )
    return int(match.group(1))


def from_webhook(payload: dict[str, Any]) -> int:
    """Return the project id in the payload of a webhook; a payload without one is a 400."""
    project = payload.get("project")
    value = project.get("id") if isinstance(project, dict) else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _LARGEST:
        raise BadRequest(
            'the event has no project; switch on "Send payload" for this webhook in Label Studio '
            "(project settings, Webhooks)"
        )
    return value
