"""Whether the backend may use its Redis, which serves one model root: its events would reach another one's workers."""

import logging
import threading
import time
from typing import Final

import redis

from helioloop.errors import ServiceError
from helioloop.messaging.served_root import claim_redis
from helioloop.registry.root_identity import read_root_identity
from helioloop.settings import Settings

logger = logging.getLogger(__name__)

KEPT_SECONDS: Final = 5.0
OTHER_ROOT: Final = (
    "Redis serves another model folder than that of this backend, whose log names both; give each deployment a Redis "
    "database of its own in REDIS_URL"
)


class RedisClaim:
    """Claims Redis for the model root, once per `KEPT_SECONDS` for any number of requests.

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
        self._kept: tuple[float, bool] = (0.0, False)

    def is_refused(self) -> bool:
        """Return whether Redis serves another model root; the log says which, once.

        Raises
        ------
        redis.RedisError
            Where Redis does not answer: a second question would only take as long again.
        """
        if time.monotonic() < self._kept[0] or not self._lock.acquire(blocking=False):
            return self._kept[1]
        try:
            refused = self._ask(was_refused=self._kept[1])
            self._kept = (time.monotonic() + KEPT_SECONDS, refused)
        finally:
            self._lock.release()
        return refused

    def require(self) -> None:
        """Do nothing where the backend may use Redis.

        Raises
        ------
        ServiceError
            Where it serves another model root; without a path, as it is the answer to a request.
        redis.RedisError
            Where Redis does not answer.
        """
        if self.is_refused():
            raise ServiceError(OTHER_ROOT)

    def _ask(self, *, was_refused: bool) -> bool:
        try:
            claim_redis(self._connection, self._settings, read_root_identity(self._settings.model_root))
        except ServiceError as error:
            if not was_refused:
                logger.error("events and requests for scores are refused: %s", error)
            return True
        return False
