"""The Redis of this deployment: opened, and refused where it serves another model root."""

from contextlib import suppress

import redis

from helioloop.messaging import redis_client
from helioloop.messaging.served_root import check_redis_is_free, claim_redis
from helioloop.registry.root_identity import lacks_root_identity, make_root_identity
from helioloop.settings import Settings


def open_redis(settings: Settings, *, timeout_seconds: float = 5.0) -> redis.Redis:
    """Return a client of the Redis in the settings, claimed for the model root in the settings.

    Raises
    ------
    ServiceError
        Where no Redis answers, or it serves another model root, so that jobs would go astray.
    SettingsError
        Where ``redis_url`` is not a Redis URL.
    """
    connection = redis_client.connect(settings, timeout_seconds=timeout_seconds)
    with redis_client.plain_errors(settings):
        claim_redis(connection, settings, make_root_identity(settings.model_root))
    return connection


def claim_if_it_answers(settings: Settings) -> None:
    """Claim the Redis in the settings; one that does not answer is left to whoever needs it.

    Raises
    ------
    ServiceError
        Where it serves another model root.
    SettingsError
        Where ``redis_url`` is not a Redis URL.
    """
    connection = redis_client.make_client(settings)
    try:
        with suppress(redis.RedisError):
            claim_redis(connection, settings, make_model_root(settings))
    finally:
        connection.close()


def check_if_it_answers(settings: Settings) -> None:
    """Do nothing unless there is no model root and Redis serves one; nothing is claimed, and no folder is made.

    Raises
    ------
    ServiceError
        Where Redis serves one that is not here, as where a disk is not mounted.
    SettingsError
        Where ``redis_url`` is not a Redis URL.
    """
    if not lacks_root_identity(settings.model_root):
        return
    connection = redis_client.make_client(settings)
    try:
        with suppress(redis.RedisError):
            check_redis_is_free(connection, settings)
    finally:
        connection.close()


def make_model_root(settings: Settings) -> str | None:
    """Make the folder of the model folders where it is missing, and return its identity.

    None where it cannot be made, or where it has no identity and this account may not write there.
    """
    with suppress(OSError):  # whoever writes there says so
        settings.model_root.mkdir(parents=True, exist_ok=True)
    return make_root_identity(settings.model_root)
