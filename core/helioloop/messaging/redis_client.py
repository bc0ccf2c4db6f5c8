"""The client of Redis: how web and workers connect to it, and what its errors mean.

Nothing is opened at import; each process makes its client when it starts.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from helioloop.errors import ServiceError, SettingsError
from helioloop.settings import Settings, plain_url


def make_client(settings: Settings, *, timeout_seconds: float = 5.0) -> redis.Redis:
    """Return a client of the Redis in the settings, without connecting yet.

    Parameters
    ----------
    settings : Settings
        ``redis_url`` is used.
    timeout_seconds : float
        Longest wait for a connection and for one answer; rq lengthens it for a worker's blocking reads.

    Raises
    ------
    SettingsError
        Where ``redis_url`` is not a Redis URL.
    """
    try:
        return redis.Redis.from_url(
            settings.redis_url,
            socket_connect_timeout=timeout_seconds,
            socket_timeout=timeout_seconds,
            health_check_interval=30,
            # One retry replaces a connection that the server closed. Timeouts are not retried: the caller has waited
            # long enough.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
    except ValueError as error:
        raise SettingsError(
            f"REDIS_URL is {plain_url(settings.redis_url)!r}, which is not a Redis URL ({error}); "
            "write redis://HOST:PORT/DB, rediss://… or unix:///PATH"
        ) from None


def connect(settings: Settings, *, timeout_seconds: float = 5.0) -> redis.Redis:
    """Return a client of the Redis in the settings after one answer from it.

    Raises
    ------
    ServiceError
        Where no Redis answers.
    SettingsError
        Where ``redis_url`` is not a Redis URL.
    """
    connection = make_client(settings, timeout_seconds=timeout_seconds)
    with plain_errors(settings):
        connection.ping()
    return connection


@contextmanager
def plain_errors(settings: Settings) -> Iterator[None]:
    """Turn an error of Redis in the block into a `ServiceError`: one sentence without secrets."""
    url = plain_url(settings.redis_url)
    try:
        yield
    except redis.AuthenticationError:
        raise ServiceError(f"Redis at {url} refuses the credentials in REDIS_URL; correct them") from None
    except redis.ConnectionError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise ServiceError(
                f"the certificate of Redis at {url} is not trusted here; set SSL_CERT_FILE to a file with the "
                "certificates of all authorities that you trust, your own included"
            ) from None
        raise ServiceError(f"Redis at {url} cannot be reached; start it or set REDIS_URL to the one in use") from None
    except redis.TimeoutError:
        raise ServiceError(f"Redis at {url} does not answer in time; look at its load and memory") from None
    except redis.RedisError as error:
        raise ServiceError(f"Redis at {url} refuses a command ({type(error).__name__}); read its log") from None
