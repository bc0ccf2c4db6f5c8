"""The client of Redis and its errors."""

from collections.abc import Callable, Iterator

import pytest
import redis
from pydantic import SecretStr

from helioloop.errors import ServiceError, SettingsError
from helioloop.messaging import queues, redis_client
from helioloop.messaging.event_intake import EventIntake
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.messages import RetrainCheck
from helioloop.messaging.redis_retrain_state import RedisRetrainState
from helioloop.settings import Settings


def test_connect_returns_a_client_that_answers(redis_url: str) -> None:
    with redis_client.connect(Settings(redis_url=redis_url)) as connection:
        assert connection.ping()


def test_an_absent_redis_is_named_without_its_password() -> None:
    """The error names the URL and the remedy, and no password."""
    settings = Settings(redis_url="redis://me:hunter2@127.0.0.1:1/3")
    with pytest.raises(ServiceError, match=r"redis://127\.0\.0\.1:1/3 cannot be reached") as caught:
        redis_client.connect(settings)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("redis://127.0.0.1:1/0", "cannot be reached (Connection refused); start it"),
        ("redis://nowhere.invalid/0", "cannot be reached ("),
        ("unix:///nowhere.sock", "cannot be reached (No such file or directory)"),
    ],
)
def test_the_cause_of_no_connection_is_said(url: str, cause: str) -> None:
    with pytest.raises(ServiceError) as caught:
        redis_client.connect(Settings(redis_url=url), timeout_seconds=2.0)
    assert cause in str(caught.value)


def test_a_database_that_redis_does_not_have_is_named(redis_url: str) -> None:
    with pytest.raises(ServiceError, match="has no database of that number; write a smaller one"):
        redis_client.connect(Settings(redis_url=f"{redis_url}?db=99999"))


def test_a_url_of_another_service_is_a_wrong_setting() -> None:
    """It is refused before anything is connected, without its password."""
    settings = Settings(redis_url="http://me:hunter2@example.org/x?key=hunter3")
    message = r"REDIS_URL is 'http://example\.org/x', which is not a Redis URL"
    with pytest.raises(SettingsError, match=message) as caught:
        redis_client.make_client(settings)
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (redis.AuthenticationError("x"), "refuses the credentials in REDIS_URL and REDIS_PASSWORD; correct them"),
        (redis.ConnectionError("x"), "cannot be reached"),
        (redis.TimeoutError("x"), "does not answer in time"),
        (redis.OutOfMemoryError("x"), "is full and stores nothing more; raise its maxmemory"),
        (redis.ResponseError("error in a script: OOM command not allowed"), "is full and stores nothing more"),
        (
            redis.ReadOnlyError("You can't write against a read only replica."),
            "is a replica, which takes no writes; set",
        ),
        (
            redis.ResponseError("Command # 1 (DEL a) caused error: NOREPLICAS Not enough"),
            "start them, or lower that number",
        ),
        (
            redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
            "cannot save to its disk; free space",
        ),
        (redis.exceptions.ClusterDownError("Hash slot not served"), "is part of a Redis Cluster.*; set REDIS_URL to"),
        (redis.exceptions.MovedError("3999 127.0.0.1:6381"), "is part of a Redis Cluster"),
        (redis.ResponseError("unknown command"), r"refuses a command \(ResponseError\)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_error_of_redis_is_one_sentence(error: redis.RedisError, message: str) -> None:
    settings = Settings(redis_url="redis://me:hunter2@127.0.0.1:1/3")
    with pytest.raises(ServiceError, match=message) as caught, redis_client.plain_errors(settings):
        raise error
    assert "redis://127.0.0.1:1/3" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("letter", "/#?[]")
def test_a_password_that_is_not_percent_encoded_is_never_shown(letter: str) -> None:
    """It is a wrong setting, and the error names percent-encoding; so do errors of Redis show no part of it."""
    settings = Settings(redis_url=f"redis://:hun{letter}ter2@127.0.0.1:6379/0")
    with pytest.raises(SettingsError, match=r"%2F.*percent-encoding") as caught:
        redis_client.make_client(settings)
    with pytest.raises(ServiceError) as refused, redis_client.plain_errors(settings):
        raise redis.ConnectionError("hunter2")
    for text in (str(caught.value), str(refused.value), repr(settings)):
        assert "hun" not in text
        assert "ter2" not in text


def test_a_password_apart_from_the_address_is_sent_as_it_is() -> None:
    """No character needs encoding; the same password may be in the address too, another one may not."""
    settings = Settings(redis_url="redis://me@127.0.0.1:1/3", redis_password=SecretStr("hun/ter#2"))
    assert redis_client.make_client(settings).connection_pool.connection_kwargs["password"] == "hun/ter#2"
    same = settings.model_copy(update={"redis_url": "redis://me:hun%2Fter%232@127.0.0.1:1/3"})
    assert redis_client.make_client(same).connection_pool.connection_kwargs["password"] == "hun/ter#2"
    other = settings.model_copy(update={"redis_url": "redis://:hunter3@127.0.0.1:1/3"})
    with pytest.raises(SettingsError, match="another password than HELIOLOOP_REDIS_PASSWORD") as caught:
        redis_client.make_client(other)
    assert "hun" not in str(caught.value)


@pytest.mark.parametrize("option", ["timeout=hunter2", "socket_timeout=hunter2", "db=1&unknown=hunter2"])
def test_an_unknown_option_in_the_address_is_a_wrong_setting(option: str) -> None:
    """Not a traceback at the first command."""
    with pytest.raises(SettingsError, match="option after the question mark") as caught:
        redis_client.make_client(Settings(redis_url=f"redis://127.0.0.1:1/0?{option}"))
    assert "hunter2" not in str(caught.value)


def test_a_wrong_value_of_an_option_of_tls_is_a_wrong_setting() -> None:
    """The client of Redis raises an error of its own there, with the value in its text."""
    with pytest.raises(SettingsError, match="a value that an option excludes") as caught:
        redis_client.make_client(Settings(redis_url="rediss://:hunter2@127.0.0.1:1/0?ssl_cert_reqs=hunter2"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "write",
    [
        lambda connection: connection.set("a", "b"),
        lambda connection: queues.send(connection, RetrainCheck(project=1)),
        lambda connection: EventIntake(connection, Settings()).take_in(1, 1),
        lambda connection: JobFailures(connection).begin(RetrainCheck(project=1)),
        lambda connection: connection.lock("a", timeout=1).acquire(blocking=False),
    ],
    ids=["a value", "a job", "an event", "a failure", "a lock"],
)
def test_a_redis_that_fills_up_after_the_first_answer_is_named(
    redis_connection: redis.Redis, write: Callable[[redis.Redis], object]
) -> None:
    """It answers every ping; the remedy is its memory, whichever command is refused. What it has can still be read."""
    redis_connection.config_set("maxmemory", 1)
    try:
        with (
            pytest.raises(ServiceError, match="is full and stores nothing more; raise its maxmemory"),
            redis_client.plain_errors(Settings()),
        ):
            write(redis_connection)
        assert redis_connection.ping()
        assert JobFailures(redis_connection).all(1) == []
    finally:
        redis_connection.config_set("maxmemory", 0)


@pytest.fixture
def refusing(redis_connection: redis.Redis) -> Iterator[redis.Redis]:
    """A server that answers and takes no writes, in one of several ways; it takes them afterwards."""
    yield redis_connection
    redis_connection.execute_command("REPLICAOF", "NO", "ONE")
    redis_connection.config_set("min-replicas-to-write", 0)
    redis_connection.execute_command("ACL", "DELUSER", "limited")


WRITES: list[Callable[[redis.Redis], object]] = [
    lambda connection: connection.set("a", "b"),
    lambda connection: connection.pipeline().delete("a").execute(),
    lambda connection: RedisRetrainState(connection).add_events(1, 1, now=1.0),
]


@pytest.mark.parametrize("write", WRITES, ids=["a value", "a transaction", "a script"])
@pytest.mark.parametrize(
    ("refuse", "message"),
    [
        (
            ("REPLICAOF", "127.0.0.1", "1"),
            "is a replica, which takes no writes; set REDIS_URL to the Redis that it copies",
        ),
        (("CONFIG", "SET", "min-replicas-to-write", "5"), "has fewer replicas than its min-replicas-to-write"),
    ],
    ids=["a replica", "no replicas"],
)
def test_a_redis_that_answers_and_takes_no_writes_is_named(
    redis_url: str, refusing: redis.Redis, refuse: tuple[str, ...], message: str, write: Callable[[redis.Redis], object]
) -> None:
    """It may pass, as where a replica is made the master; so nothing is parked because of it."""
    settings = Settings(redis_url=redis_url)
    refusing.execute_command(*refuse)
    with redis_client.connect(settings) as connection:
        with pytest.raises(ServiceError, match=message) as caught, redis_client.plain_errors(settings):
            write(connection)
        assert caught.value.may_pass


@pytest.mark.parametrize(
    ("rights", "use", "denied"),
    [
        (("~*", "&*", "+@all", "-info"), lambda connection: connection.info(), "run the command info"),
        (("~helioloop:*", "&*", "+@all"), lambda connection: connection.set("rq:a", 1), "needs on its keys"),
        (("~*", "resetchannels", "+@all"), lambda connection: connection.publish("a", "b"), "needs on its channels"),
    ],
    ids=["a command", "keys", "channels"],
)
def test_what_a_user_of_redis_may_not_do_is_said_with_the_remedy(
    redis_url: str, refusing: redis.Redis, rights: tuple[str, ...], use: Callable[[redis.Redis], object], denied: str
) -> None:
    """The log of Redis, to which the sentence pointed, has nothing of it."""
    refusing.execute_command("ACL", "SETUSER", "limited", "on", ">hunter2", *rights)
    settings = Settings(redis_url=redis_url.replace("unix://", "unix://limited:hunter2@"))
    connection = redis_client.connect(settings)
    with connection, pytest.raises(ServiceError, match=denied) as caught, redis_client.plain_errors(settings):
        use(connection)
    assert "ACL SETUSER NAME ~* &* +@all" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "rq:a" not in str(caught.value)
