"""Whether the backend can serve: Redis answers, takes writes and is its own, and the model folders can be read."""

import logging
import os
import threading
import time
from typing import Final

import redis

from helioloop.environment.answering import silent_folders
from helioloop.messaging import redis_client
from helioloop.registry import label_snapshot
from helioloop.registry.publications import POINTER
from helioloop.settings import Settings
from helioloop_backend.redis_claim import OTHER_ROOT, RedisClaim
from helioloop_backend.unreadable import MODEL_ROOT, NO_FOLDER, unreadable

logger = logging.getLogger(__name__)

KEPT_SECONDS: Final = 1.0
FOLDER_SECONDS: Final = 0.5
"""Longest wait for the model root: Label Studio waits one second for the answer to a webhook."""
NO_REDIS: Final = "Redis does not answer; start it or correct REDIS_URL"
NO_WRITES: Final = "Redis takes no writes of the backend, so events are refused; `helioloop doctor` names the cause"
SILENT_FOLDER: Final = (
    "the folder HELIOLOOP_MODEL_ROOT does not answer, as on a network file system whose server is away; bring that back"
)


class Readiness:
    """Looks at Redis and at the model root, once per `KEPT_SECONDS` for any number of probes.

    Parameters
    ----------
    settings : Settings
        Redis and model root.
    connection : redis.Redis
        From `redis_client`, with a short timeout.
    redis_claim : RedisClaim
        Whether Redis serves this model root.
    """

    def __init__(self, settings: Settings, connection: redis.Redis, redis_claim: RedisClaim) -> None:
        self._settings = settings
        self._connection = connection
        self._redis_claim = redis_claim
        self._lock, self._folder_lock = threading.Lock(), threading.Lock()
        self._kept: tuple[float, str | None] = (0.0, NO_REDIS)  # until the first look is over
        self._folder_kept: tuple[float, bool] = (0.0, False)
        self._logged: str | None = None

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
        if reason := self._fault_of_redis():
            return reason
        if self.has_silent_folder():
            return SILENT_FOLDER
        try:
            if self._redis_claim.is_refused():
                return OTHER_ROOT
            with os.scandir(self._settings.model_root) as entries:
                next(entries, None)
            return self._closed_file()
        except redis.RedisError:
            return NO_REDIS
        except OSError as error:
            self._log(error)
            return NO_FOLDER

    def _fault_of_redis(self) -> str | None:
        """Return why Redis stores nothing; None where it does."""
        try:
            self._connection.ping()
        except redis.RedisError:
            return NO_REDIS
        try:
            redis_client.try_to_write(self._connection)
        except (redis.ConnectionError, redis.TimeoutError):
            return NO_REDIS
        except redis.RedisError:
            return NO_WRITES
        return None

    def _closed_file(self) -> str | None:
        """Return which file cannot be read, in a sentence, where that is so of every project; None elsewhere.

        A project that cannot be read alone is named in the log and answered with 503. Without it the others are served,
        which a load balancer would end if one of them made the whole backend count as not ready.
        """
        closed: list[tuple[OSError, str]] = []
        projects = self._settings.projects()
        for project in projects:
            folder = self._settings.model_dir(project)
            for name in (POINTER, label_snapshot.FILE_NAME):
                try:
                    os.close(os.open(folder / name, os.O_RDONLY | os.O_NONBLOCK))
                except (FileNotFoundError, NotADirectoryError):
                    continue
                except OSError as error:
                    closed.append((error, f"{folder.name}/{name}"))
                    break
        if not closed:
            self._logged = None
            return None
        first, file = closed[0]
        self._log(first)
        if len(closed) < len(projects):
            return None
        return f"{file} in {MODEL_ROOT} cannot be read; the backend's log names the remedy"

    def _log(self, error: OSError) -> None:
        """Log what cannot be read, once for any number of looks; everybody may ask, so the answer names no user."""
        sentence = unreadable(error)
        if sentence != self._logged:
            logger.error("a project is not served: %s", sentence)
            self._logged = sentence

    def has_silent_folder(self) -> bool:
        """Return whether the model root does not answer, so that whoever reads it may wait for ever.

        It is asked once per `KEPT_SECONDS`, for any number of requests.
        """
        if time.monotonic() < self._folder_kept[0] or not self._folder_lock.acquire(blocking=False):
            return self._folder_kept[1]
        try:
            is_silent = bool(silent_folders([self._settings.model_root], seconds=FOLDER_SECONDS))
            self._folder_kept = (time.monotonic() + KEPT_SECONDS, is_silent)
        finally:
            self._folder_lock.release()
        return is_silent
