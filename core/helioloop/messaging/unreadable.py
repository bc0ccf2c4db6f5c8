"""Values in Redis that cannot be read, as somebody else wrote them: they are deleted, and count as absent.

Redis may be emptied at any time, so this loses nothing that reconciliation does not find. Left there, they would stop
whatever reads them, for ever.
"""

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

import redis

log = logging.getLogger(__name__)

_Read = TypeVar("_Read")
END_OF_TIMES: Final = 253402300800.0
"""The year 10000, in Unix seconds; later times cannot be shown as a date."""
_SHOWN: Final = 80
"""Longest part of a foreign value in a line of the log."""


def read_or_discard(connection: redis.Redis, key: str, read: Callable[[], _Read | None]) -> _Read | None:
    """Return what a function reads from a key; None, after deleting the key, where that cannot be read.

    Parameters
    ----------
    connection : redis.Redis
        From `redis_client`.
    key : str
        What is deleted.
    read : callable
        Raises `KeyError` where a field is missing, and `ValueError` where a value is wrong.
    """
    try:
        return read()
    except KeyError as error:
        fault = f"it has no {error.args[0]}"
    except ValueError as error:
        fault = str(error)
    except redis.ResponseError as error:
        if not is_wrong_type(error):
            raise
        fault = "it is of another type"
    discard(connection, key, fault)
    return None


def discard(connection: redis.Redis, key: str, fault: str) -> None:
    """Delete a key that cannot be read, and say so in the log."""
    connection.delete(key)
    log.warning(
        "%s in Redis cannot be read (%s): it is deleted, and reconciliation finds what it was for", key, fault[:_SHOWN]
    )


def discard_field(connection: redis.Redis, key: str, field: bytes, fault: str) -> None:
    """Delete a field of a hash that cannot be read, and say so in the log."""
    connection.hdel(key, cast("Any", field))
    log.warning(
        "%r of %s in Redis cannot be read (%s): it is deleted, and reconciliation finds what it was for",
        field[:_SHOWN], key, fault[:_SHOWN],
    )  # fmt: skip


def is_wrong_type(error: redis.ResponseError) -> bool:
    """Return whether Redis refused a command because a key is of another type."""
    return "WRONGTYPE" in str(error)


def read_hash(connection: redis.Redis, key: str) -> dict[str, str]:
    """Return a hash as text.

    Raises
    ------
    ValueError
        Where it is not text.
    """
    values = cast("Mapping[Any, Any]", connection.hgetall(key))
    return {as_text(name): as_text(value) for name, value in values.items()}


def as_text(value: bytes | str) -> str:
    """Return a value as text; other bytes are a `ValueError`."""
    return value.decode() if isinstance(value, bytes) else value


def as_time(value: bytes | str) -> float:
    """Return a time in Unix seconds.

    Raises
    ------
    ValueError
        Where it is no number, or no time of a date.
    """
    at = float(value)
    if not (math.isfinite(at) and 0.0 <= at < END_OF_TIMES):
        raise ValueError(f"{as_text(value)} is no time in Unix seconds")
    return at
