"""Payloads of jobs, as they come from Redis: read into messages, or refused where they are of no message."""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from helioloop.errors import ServiceError
from helioloop.files.names import is_plain_name
from helioloop.messaging.messages import FORMAT, Message

_HEX: Final = re.compile(r"[0-9a-f]{8,64}\Z")
_RULES: Final[Mapping[str, Callable[[str], object]]] = {
    "fingerprint": _HEX.match, "sha256": _HEX.match, "release": is_plain_name, "name": is_plain_name,
    "version": is_plain_name, "member": is_plain_name,
}  # fmt: skip
"""The fields that become part of a path, and what they must be."""


def read_message(job: str, payload: Mapping[str, Any]) -> Message:
    """Return the message that a payload of a job was made from.

    Parameters
    ----------
    job : str
        The dotted path of the job.
    payload : mapping
        Its keyword arguments, from Redis.

    Raises
    ------
    ServiceError
        If helioloop has no such job, or the payload has another format, lacks a field, has one more, or a value of
        another type or one that could lead out of a folder.
    """
    kind = _kinds().get(job)
    if kind is None:
        raise ServiceError(f"{job[:80]!r} is not a job of helioloop; it was not run: find who else writes to Redis")
    values = {name: value for name, value in payload.items() if name != "format"}
    number = payload.get("format", FORMAT)
    if number != FORMAT or isinstance(number, bool):
        raise ServiceError(
            f"the payload of {job} has format {str(number)[:20]!r}, and this worker reads format {FORMAT}; run one "
            "version of helioloop everywhere"
        )
    try:
        message: Message = TypeAdapter(kind).validate_json(json.dumps(values, allow_nan=False))
    except (ValidationError, ValueError, TypeError) as error:
        raise ServiceError(f"the payload of {job} was refused: {_first_fault(error)}") from None
    _check_texts(job, values)
    return message


def job_kinds() -> list[str]:
    """Return the names of all kinds of jobs, sorted: that of their function."""
    return sorted(job.rpartition(".")[2] for job in _kinds())


@cache
def _kinds() -> dict[str, type[Message]]:
    """Return the messages by their job. Two kinds of one job have the same fields."""
    found: dict[str, type[Message]] = {}
    waiting: list[type[Message]] = [Message]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__ == Message.__module__ and hasattr(kind, "job"):
            found.setdefault(kind.job, kind)
    return found


def _first_fault(error: Exception) -> str:
    """Return what is wrong with a payload, without its values."""
    if not isinstance(error, ValidationError):
        return "it is not JSON"
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])[:80]}: {first['msg']}"


def _check_texts(job: str, values: Mapping[str, Any]) -> None:
    """Refuse texts that could lead out of a folder; those of cubes too."""
    for name, value in values.items():
        if isinstance(value, list):
            for entry in value:
                _check_texts(job, entry)
        elif isinstance(value, str) and name in _RULES and not _RULES[name](value):
            raise ServiceError(f"the payload of {job} was refused: {name} is not a plain name or hash")
