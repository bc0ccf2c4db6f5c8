"""Which model root a Redis database serves: one key, claimed by those who run or send jobs.

Jobs and events name a project by its number, which another deployment has, too. So a Redis database is for one model
root, known by its identity (`helioloop.registry.root_identity`). The claim holds while workers of that root are
registered, while jobs wait, and a few minutes longer, in which workers may be restarted. After that, and in an emptied
Redis, whoever comes first claims it. Workers of an earlier helioloop claim nothing.

Where another model root is at the path and on the host of the claim, the claim holds until Redis is emptied. While it
is used, that may be another deployment, as containers have equal paths and may have equal host names. Once nobody uses
it, most likely a disk is not mounted, and a worker would train all anew in the empty folder below it.
"""

import json
import logging
import socket
import time
from dataclasses import asdict, dataclass
from typing import Any, Final, Self, cast

import redis
from rq import Worker
from rq.worker import BaseWorker

from helioloop.environment.stored_times import is_recent
from helioloop.errors import ServiceError
from helioloop.messaging import queues
from helioloop.messaging.roles import ROOT_FIELD
from helioloop.messaging.unreadable import as_text
from helioloop.settings import Settings, plain_url
from helioloop.words import count

log = logging.getLogger(__name__)

KEY: Final = "helioloop:model-root"
HELD_SECONDS: Final = 300.0
"""A claim holds this long after its last use, so that no other deployment takes the place of one that is restarted."""
RENEWED_SECONDS: Final = 20.0
"""A claim is renewed when its last use is older than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRoot:
    """A model root as a process of it has written it into Redis.

    Parameters
    ----------
    identity : str
        From the file in the model root.
    folder : str
        Its absolute path, as that process sees it.
    host : str
        The host of that process.
    used_at : float
        When the claim was last renewed (Unix seconds).
    """

    identity: str
    folder: str
    host: str
    used_at: float

    @property
    def shown(self) -> str:
        """Folder and host, for messages."""
        return f"{self.folder} on {self.host}"

    def is_place_of(self, settings: Settings) -> bool:
        """Return whether the model root in the settings of this process is at this path on this host."""
        return (self.folder, self.host) == (str(settings.model_root.absolute()), socket.gethostname())

    @classmethod
    def here(cls, settings: Settings, identity: str) -> Self:
        """Return the model root in the settings of this process, used now."""
        folder = str(settings.model_root.absolute())
        return cls(identity=identity, folder=folder, host=socket.gethostname(), used_at=time.time())

    @classmethod
    def parse(cls, raw: Any) -> Self | None:
        """Return the root that a value in Redis has; None without one, or where somebody else wrote it."""
        try:
            found = json.loads(raw)
            return cls(
                identity=str(found["identity"]),
                folder=str(found["folder"]),
                host=str(found["host"]),
                used_at=float(found["used_at"]),
            )
        except (ValueError, TypeError, KeyError):
            return None


def read_served_root(connection: redis.Redis) -> ServedRoot | None:
    """Return the model root for which this Redis was claimed last; None where it was for none."""
    return ServedRoot.parse(connection.get(KEY))


def claim_redis(connection: redis.Redis, settings: Settings, identity: str | None) -> None:
    """Claim a Redis database for the model root in the settings, or renew the claim.

    Parameters
    ----------
    connection : redis.Redis
        From `redis_client`.
    settings : Settings
        The model root, and the address of Redis for messages.
    identity : str or None
        The identity of the model root; None, where it is not known, claims nothing.

    Raises
    ------
    ServiceError
        Where it serves another model root.
    redis.RedisError
        Where Redis does not answer or takes no writes.
    """
    if identity is None:
        return
    own = ServedRoot.here(settings, identity)
    while True:
        with cast("Any", connection.pipeline()) as pipeline:  # redis-py's `watch` is untyped
            pipeline.watch(KEY)
            held = ServedRoot.parse(pipeline.get(KEY))
            if held is not None and held.identity == identity:
                if is_recent(held.used_at, now=own.used_at, seconds=RENEWED_SECONDS):
                    return
            elif held is not None:
                _refuse(connection, held, own, settings)
            try:
                pipeline.multi()
                pipeline.set(KEY, json.dumps(asdict(own)))
                pipeline.execute()
            except redis.WatchError:
                continue
        if held is not None and held.identity != identity:
            log.warning(
                "Redis at %s served the model folder %s, which nobody uses there any more; it serves %s from now on",
                plain_url(settings.redis_url), held.shown, own.shown,
            )  # fmt: skip
        return


def check_redis_is_free(connection: redis.Redis, settings: Settings) -> None:
    """Do nothing where a model root in the settings that has no identity yet could claim Redis; nothing is claimed.

    Raises
    ------
    ServiceError
        Where Redis serves another model root, as where the disk of this one is not mounted.
    redis.RedisError
        Where Redis does not answer.
    """
    held = read_served_root(connection)
    if held is not None:
        _refuse(connection, held, ServedRoot.here(settings, ""), settings)


def _refuse(connection: redis.Redis, held: ServedRoot, own: ServedRoot, settings: Settings) -> None:
    """Raise a `ServiceError` where the claim of another model root holds."""
    used = why_used(connection, held, now=own.used_at)
    if used is not None or held.is_place_of(settings):
        raise ServiceError(_refusal(held, own, used, settings))


def why_used(connection: redis.Redis, held: ServedRoot, *, now: float) -> str | None:
    """Return in words by what a claim is in use at this time (Unix seconds); None where nobody uses it any more."""
    roots = [root_of(connection, worker) for worker in Worker.all(connection=connection)]
    if n := roots.count(held.identity):
        return f"{count(n, 'worker')} of it"
    if n := sum(queues.queue_lengths(connection).values()):
        return f"{count(n, 'job')} of it waiting"
    is_used = is_recent(held.used_at, now=now, seconds=HELD_SECONDS)
    return f"used {max(0.0, now - held.used_at):.0f} s ago" if is_used else None


def root_of(connection: redis.Redis, worker: BaseWorker) -> str | None:
    """Return the identity of a worker's model root; None for a worker that has written none."""
    found = cast("bytes | None", connection.hget(worker.key, ROOT_FIELD))
    return None if found is None else as_text(found)


def _refusal(held: ServedRoot, own: ServedRoot, used: str | None, settings: Settings) -> str:
    """Return why a model root is refused, and the remedies; `used` is None where nobody uses the one of the claim.

    To empty Redis comes last, and with what is stopped before: it may be the Redis of somebody's production.
    """
    server = f"Redis at {plain_url(settings.redis_url)}"
    own_database = (
        "give each deployment a Redis database of its own (REDIS_URL with another number at its end, such as …/1)"
    )
    if used is None:
        return (
            f"{server} was in use for another model folder than the one that is at {own.shown} now, as where its disk "
            "is not mounted, or where it was made anew or restored without model-root-id.txt; mount the disk; where "
            "the folder that is there now is the right one, take another database of Redis (REDIS_URL with another "
            "number at its end, such as …/1), or stop workers and backend and empty that one (FLUSHDB)"
        )
    if held.is_place_of(settings):
        return (
            f"{server} serves another model folder ({used}) than the one that is at {own.shown} here; {own_database}; "
            "where there is only one deployment, mount the disk of that folder, or restore model-root-id.txt in it; "
            "where the other folder is given up for good, stop its workers and backend and empty that database "
            "(FLUSHDB)"
        )
    return (
        f"{server} serves another model folder, {held.shown} ({used}), than HELIOLOOP_MODEL_ROOT here, {own.shown}; "
        f"{own_database}, or set HELIOLOOP_MODEL_ROOT to the same folder; where {held.folder} is given up for good, "
        "stop its workers and backend and empty that database (FLUSHDB)"
    )
