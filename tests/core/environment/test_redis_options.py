"""Parts of REDIS_URL that the client of Redis would ignore, or fail on later, are refused; values are not shown."""

import pytest

from helioloop.environment.addresses import redis_passwords
from helioloop.errors import SettingsError


@pytest.mark.parametrize("database", ["x", "0/1", "-1", "helio", "0x1"])
def test_a_database_that_is_not_a_number_is_refused(database: str) -> None:
    """The client would use database 0, which others may use."""
    with pytest.raises(SettingsError, match="number of a database") as caught:
        redis_passwords(f"redis://:hunter2@127.0.0.1:6379/{database}")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("option", ["decode_responses=1", "encoding=klingon", "encoding_errors=ignore"])
def test_options_that_change_the_answers_are_refused(option: str) -> None:
    with pytest.raises(SettingsError, match=option.partition("=")[0]):
        redis_passwords(f"redis://127.0.0.1:6379/0?{option}")


@pytest.mark.parametrize(
    "url",
    [
        "redis://[::1]:6379/0",
        "redis://h:6379",
        "redis://h:6379/",
        "rediss://h/15?ssl_cert_reqs=none",
        "unix:///a/b?db=1",
    ],
)
def test_usual_addresses_pass(url: str) -> None:
    assert redis_passwords(url) == ()
