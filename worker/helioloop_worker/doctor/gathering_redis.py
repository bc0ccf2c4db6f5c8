"""Reads the facts of Redis and of the workers that are registered in it."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from typing import Any, Final

import redis
from rq import Worker
from rq.suspension import WORKERS_SUSPENDED
from rq.worker import WorkerStatus

from helioloop.environment.stored_times import is_ahead
from helioloop.errors import ServiceError, SettingsError
from helioloop.messaging import redis_client
from helioloop.messaging.roles import CODE_FIELD, DEVICE_FIELD, FOLDER_FIELD, ROOT_FIELD
from helioloop.messaging.served_root import read_served_root, why_used
from helioloop.messaging.unreadable import as_text
from helioloop.settings import Settings
from helioloop_worker.doctor.addresses import is_loopback
from helioloop_worker.doctor.facts import RedisFacts, WorkerFacts

_CONFIG: Final = ("save", "appendonly")
_OTHER_CHECKS: Final = (redis_client.FULL, redis_client.UNSAVED)
"""Why Redis does not write, where checks of memory and persistence name it."""


def read_redis(put: Callable[..., None], settings: Settings, *, timeout_seconds: float) -> None:
    """Store the facts of Redis and of the workers."""
    try:
        connection = redis_client.make_client(settings, timeout_seconds=timeout_seconds)
    except SettingsError as error:
        put(redis=RedisFacts(fault=str(error), fault_kind="address", info={}))
        return
    kind = "refused"
    try:
        with redis_client.plain_errors(settings):
            try:
                no_writes = _try_to_write(connection)  # before any ping, which a Redis that cannot save refuses, too
                put(redis=replace(_redis(connection, settings, timeout_seconds=timeout_seconds), no_writes=no_writes))
                # rq's own `is_suspended` reads in a transaction, which a full Redis refuses
                put(workers=_workers(connection), suspended=bool(connection.exists(WORKERS_SUSPENDED)))
            except redis.AuthenticationError:
                kind = "credentials"
                raise
            except (redis.ConnectionError, redis.TimeoutError):
                kind = "unreachable"
                raise
            except redis.ResponseError as error:
                kind = "refused" if redis_client.why_no_writes(error) is None else "no-writes"
                raise
    except ServiceError as error:
        put(redis=RedisFacts(fault=str(error), fault_kind=kind, info={}))
    finally:
        connection.close()


def _redis(connection: redis.Redis, settings: Settings, *, timeout_seconds: float) -> RedisFacts:
    options = connection.connection_pool.connection_kwargs
    before = time.time()
    seconds, microseconds = connection.time()
    skew = seconds + microseconds / 1e6 - (before + time.time()) / 2
    served = read_served_root(connection)
    return RedisFacts(
        has_channels=_has_channels(connection),
        info=_info(connection),
        config=_config(connection),
        skew_seconds=skew,
        has_password=bool(options.get("password")),
        open_without=_is_open(connection, timeout_seconds) if options.get("password") else None,
        is_local=is_local(connection),
        served=served,
        used_by=None if served is None else why_used(connection, served, now=time.time()),
        is_same_place=served is not None and served.is_place_of(settings),
    )


def is_local(connection: redis.Redis) -> bool:
    """Return whether Redis is reached by a loopback address or a Unix socket."""
    options = connection.connection_pool.connection_kwargs
    host = str(options.get("host", ""))
    return "path" in options or is_loopback(f"redis://[{host}]" if ":" in host else f"redis://{host}")


def _try_to_write(connection: redis.Redis) -> str | None:
    """Return why Redis takes no writes where another check says so, None where it does; raise any other reason."""
    try:
        redis_client.try_to_write(connection)
    except redis.ResponseError as error:
        if (why := redis_client.why_no_writes(error)) not in _OTHER_CHECKS:
            raise
        return why
    return None


def _has_channels(connection: redis.Redis) -> bool:
    """Return whether this user may listen to the channels on which rq sends commands to workers."""
    with connection.pubsub() as listener:  # type: ignore[no-untyped-call]
        try:
            listener.subscribe("rq:pubsub:helioloop-doctor")
            listener.get_message(timeout=1.0)
        except redis.exceptions.NoPermissionError:
            return False
    return True


def _info(connection: redis.Redis) -> dict[str, Any]:
    """Return the fields of INFO; none where it is not allowed."""
    try:
        return dict(connection.info())
    except redis.exceptions.NoPermissionError:
        return {}


def _config(connection: redis.Redis) -> dict[str, str] | None:
    """Return the settings about persistence; None where CONFIG is not allowed, as in rented Redis."""
    found: dict[str, Any] = {}
    try:
        for name in _CONFIG:
            found.update({str(key): value for key, value in connection.config_get(name).items()})
    except redis.ResponseError:
        return None
    return {str(name): str(value) for name, value in found.items()}


def _is_open(connection: redis.Redis, timeout_seconds: float) -> bool | None:
    """Return whether Redis answers a client without password; None where that cannot be tried."""
    pool = connection.connection_pool
    options = {name: value for name, value in pool.connection_kwargs.items() if name not in {"password", "username"}}
    options["socket_timeout"] = options["socket_connect_timeout"] = timeout_seconds
    stranger = redis.Redis(connection_pool=redis.ConnectionPool(connection_class=pool.connection_class, **options))
    try:
        return bool(stranger.ping())
    except redis.AuthenticationError:
        return False
    except redis.RedisError:
        return None
    finally:
        stranger.close()
        stranger.connection_pool.disconnect()


def _workers(connection: redis.Redis) -> tuple[WorkerFacts, ...]:
    found = []
    for worker in Worker.all(connection=connection):
        fields = connection.hmget(worker.key, CODE_FIELD, DEVICE_FIELD, ROOT_FIELD, FOLDER_FIELD)
        code, device, root, folder = (None if field is None else as_text(field) for field in fields)
        beat = worker.last_heartbeat
        if beat is not None and beat.tzinfo is None:
            beat = beat.replace(tzinfo=UTC)
        busy = worker.get_state() == WorkerStatus.BUSY
        found.append(
            WorkerFacts(
                name=f"{worker.hostname or '?'}:{worker.pid or '?'}",
                queues=tuple(worker.queue_names()),
                silent_seconds=0.0 if busy or beat is None else _seconds_since(beat.timestamp()),
                code=code,
                device=device,
                root_identity=root,
                model_root=folder,
            )
        )
    return tuple(sorted(found, key=lambda worker: worker.name))


def _seconds_since(at: float) -> float | None:
    """Return how long ago a time was; None for one that is ahead."""
    now = time.time()
    return None if is_ahead(at, now=now) else max(0.0, now - at)
