"""The client of Redis and its errors."""

import pytest
import redis

from helioloop.errors import ServiceError, SettingsError
from helioloop.messaging import redis_client
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
        (redis.AuthenticationError("x"), "refuses the credentials in REDIS_URL"),
        (redis.ConnectionError("x"), "cannot be reached"),
        (redis.TimeoutError("x"), "does not answer in time"),
        (redis.ResponseError("OOM command not allowed"), r"refuses a command \(ResponseError\)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_error_of_redis_is_one_sentence(error: redis.RedisError, message: str) -> None:
    settings = Settings(redis_url="redis://me:hunter2@127.0.0.1:1/3")
    with pytest.raises(ServiceError, match=message) as caught, redis_client.plain_errors(settings):
        raise error
    assert "redis://127.0.0.1:1/3" in str(caught.value)
    assert "hunter2" not in str(caught.value)
