"""The client of Redis: how web and workers connect to it, and what its errors mean.

Nothing is opened at import; each process makes its client when it starts.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from helioloop.environment.addresses import redis_passwords
from helioloop.errors import ServiceError, SettingsError
from helioloop.settings import Settings, plain_url

FULL: Final = "is full and stores nothing more; raise its maxmemory, or remove what others keep in it"
REPLICA: Final = (
    "is a replica, which takes no writes; set REDIS_URL to the Redis that it copies, or let this one take writes "
    "(REPLICAOF NO ONE)"
)
FEW_REPLICAS: Final = (
    "takes no writes, because it has fewer replicas than its min-replicas-to-write; start them, or lower that number"
)
UNSAVED: Final = (
    "takes no writes, because it cannot save to its disk; free space there, or give it the right to write into its "
    "folder (CONFIG GET dir)"
)
_TRIAL_SECONDS: Final = 60
"""A key that is written to see whether that is possible goes by itself after this, whatever happens."""
_IN_TEXTS: Final = {
    "OOM command not allowed": FULL,
    "read only replica": REPLICA,
    "NOREPLICAS": FEW_REPLICAS,
    "MISCONF": UNSAVED,
}
"""In the text of an error, also of one of a script, which is an ordinary one -> why Redis does not write."""


def make_client(settings: Settings, *, timeout_seconds: float = 5.0) -> redis.Redis:
    """Return a client of the Redis in the settings, without connecting yet.

    Parameters
    ----------
    settings : Settings
        ``redis_url`` and ``redis_password`` are used.
    timeout_seconds : float
        Longest wait for a connection and for one answer; rq lengthens it for a worker's blocking reads.

    Raises
    ------
    SettingsError
        Where ``redis_url`` is not a Redis URL, or contains another password than ``redis_password``.
    """
    password = _password(settings)
    try:
        client = redis.Redis.from_url(
            settings.redis_url,
            **({} if password is None else {"password": password}),
            socket_connect_timeout=timeout_seconds,
            socket_timeout=timeout_seconds,
            health_check_interval=30,
            # One retry replaces a connection that the server closed. Timeouts are not retried: the caller has waited
            # long enough.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
        client.connection_pool.make_connection()  # connects to nothing, and fails for unknown options in the address
    except (ValueError, TypeError, redis.RedisError):  # the text may contain the value of an option
        raise SettingsError(
            f"REDIS_URL, {plain_url(settings.redis_url)!r}, has an unknown option after the question mark, or a value "
            "that an option excludes; correct or remove the options"
        ) from None
    return client


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


def try_to_write(connection: redis.Redis) -> None:
    """Write a key and delete it. A Redis that only answers reads looks sound to everything else that is asked."""
    key = f"helioloop:trial:{secrets.token_hex(8)}"
    connection.set(key, 1, ex=_TRIAL_SECONDS)
    connection.delete(key)


def why_it_takes_no_writes(connection: redis.Redis, settings: Settings) -> str | None:
    """Return why Redis, which answers, stores nothing now, and the remedy, in a sentence; None where it does.

    None, too, for a user with the right to read only, such as a monitor's: that is no fault of Redis.
    """
    try:
        try_to_write(connection)
    except redis.ResponseError as error:
        return None if why_no_writes(error) is None else sentence(error, settings)
    return None


def _password(settings: Settings) -> str | None:
    """Return the password that is set apart from the address; None without one."""
    in_url = redis_passwords(settings.redis_url)
    password = settings.redis_password.get_secret_value() if settings.redis_password else ""
    if in_url and password and password not in in_url:
        raise SettingsError(
            "REDIS_URL contains another password than HELIOLOOP_REDIS_PASSWORD or REDIS_PASSWORD; remove one of the two"
        )
    return password or None


@contextmanager
def plain_errors(settings: Settings) -> Iterator[None]:
    """Turn an error of Redis in the block into a `ServiceError`: one sentence without secrets."""
    url = plain_url(settings.redis_url)
    try:
        yield
    except redis.AuthenticationError:
        raise ServiceError(
            f"Redis at {url} refuses the credentials in REDIS_URL and REDIS_PASSWORD; correct them"
        ) from None
    except redis.ConnectionError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise ServiceError(
                f"the certificate of Redis at {url} is not trusted here; set SSL_CERT_FILE to a file with the "
                "certificates of all authorities that you trust, your own included"
            ) from None
        cause = _cause_in(error)
        raise ServiceError(
            f"Redis at {url} cannot be reached{cause and f' ({cause})'}; start it or set REDIS_URL to the one in use",
            may_pass=True,
        ) from None
    except redis.TimeoutError:
        plain = ", or write redis:// if it does not use TLS" if url.startswith("rediss:") else ""
        raise ServiceError(
            f"Redis at {url} does not answer in time; look at its load and memory{plain}", may_pass=True
        ) from None
    except redis.RedisError as error:
        why = why_no_writes(error)
        if why is not None:
            raise ServiceError(f"Redis at {url} {why}", may_pass=True) from None
        if isinstance(error, redis.exceptions.NoPermissionError):
            raise ServiceError(
                f"Redis at {url} does not let the user in REDIS_URL run {_denied(error)}; give that user all commands, "
                "keys and channels: `ACL SETUSER NAME ~* &* +@all`"
            ) from None
        if isinstance(error, redis.exceptions.ClusterError | redis.exceptions.AskError):
            raise ServiceError(
                f"Redis at {url} is part of a Redis Cluster, which has some of the keys only; set REDIS_URL to a Redis "
                "that is not (cluster-enabled no)"
            ) from None
        if "DB index" in str(error):
            raise ServiceError(
                f"Redis at {url} has no database of that number; write a smaller one at the end of REDIS_URL"
            ) from None
        raise ServiceError(f"Redis at {url} refuses a command ({type(error).__name__}); read its log") from None


def why_no_writes(error: redis.RedisError) -> str | None:
    """Return why Redis, which answers, does not write, and the remedy; None for any other error.

    It may pass without anybody's doing, as where a replica becomes the master in place of one that failed.
    """
    if isinstance(error, redis.OutOfMemoryError):
        return FULL
    return next((why for text, why in _IN_TEXTS.items() if text in str(error)), None)


def sentence(error: redis.RedisError, settings: Settings) -> str:
    """Return what an error of Redis means and the remedy, without secrets; see `plain_errors`."""
    try:
        with plain_errors(settings):
            raise error
    except ServiceError as plain:
        return str(plain)


def _denied(error: redis.exceptions.NoPermissionError) -> str:
    """Return what a user of Redis may not do, in words that do not repeat keys or names."""
    found = re.search(r"run the '([\w|-]+)' command", str(error))
    if found:
        return f"the command {found[1]}"
    return "what helioloop needs on " + ("its channels" if "channel" in str(error) else "its keys")


def _cause_in(error: BaseException) -> str:
    """Return why a connection failed, as the system says it; empty where it does not."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and found.strerror and not isinstance(found, redis.RedisError):
            return found.strerror
        found = found.__cause__ or found.__context__
    return ""
