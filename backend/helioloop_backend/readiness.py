"""Whether the backend can serve: Redis answers, and the model folders can be read."""

import os
import threading
import time
from typing import Final

import redis

from helioloop.errors import ServiceError
from helioloop.messaging import redis_client
from helioloop.settings import Settings

KEPT_SECONDS: Final = 1.0
NO_REDIS: Final = "Redis does not answer; start it or correct REDIS_URL"
NO_FOLDER: Final = "the folder HELIOLOOP_MODEL_ROOT cannot be read; mount it or correct its rights"


class Readiness:
    """Looks at Redis and at the model root, once per `KEPT_SECONDS` for any number of probes.

    Parameters
    ----------
    settings : Settings
        Redis and model root.
    connection : redis.Redis
        From `redis_client`, with a short timeout.
    """

    def __init__(self, settings: Settings, connection: redis.Redis) -> None:
        self._settings = settings
        self._connection = connection
        self._lock = threading.Lock()
        self._kept: tuple[float, str | None] = (0.0, NO_REDIS)  # until the first look is over

    def reason(self) -> str | None:
        """Return why the backend cannot serve, in one sentence without path or address; None where it can."""
        if time.monotonic() < self._kept[0] or not self._lock.acquire(blocking=False):
            return self._kept[1]
        try:
            reason = self._look()
            self._kept = (time.monotonic() + KEPT_SECONDS, reason)
        finally:
            self._lock.release()
        return reason

    def _look(self) -> str | None:
        try:
            with redis_client.plain_errors(self._settings):
                self._connection.ping()
        except ServiceError:
            return NO_REDIS
        try:
            with os.scandir(self._settings.model_root) as entries:
                next(entries, None)
        except OSError:
            return NO_FOLDER
        return None
