"""Locks in Redis that worker processes take turns with."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from redis.exceptions import LockError
from redis.lock import Lock

from helioloop.errors import ServiceError
from helioloop.messaging.expiries import bring_back


@contextmanager
def exclusive(
    connection: redis.Redis, name: str, *, held_seconds: float, wait_seconds: float, busy: str, lost: str
) -> Iterator[Lock]:
    """Hold a lock; call `reacquire` on it before each step that only its holder may take.

    Parameters
    ----------
    connection : redis.Redis
        Redis.
    name : str
        The key.
    held_seconds : float
        The lock of a process that died is free after this long, also where the clock of Redis was ahead when it was
        taken; `reacquire` starts the time anew.
    wait_seconds : float
        Longest wait for another holder.
    busy, lost : str
        Messages of the errors: another process held the lock for too long; this process lost it, because Redis was
        emptied or a step took longer than `held_seconds`.

    Raises
    ------
    ServiceError
        With one of the two messages.
    """
    bring_back(connection, {name: held_seconds})
    lock = connection.lock(name, timeout=held_seconds, blocking_timeout=wait_seconds)
    if not lock.acquire():
        raise ServiceError(busy, may_pass=True)
    try:
        yield lock
    except LockError:
        raise ServiceError(lost, may_pass=True) from None
    finally:
        with suppress(LockError):
            lock.release()
