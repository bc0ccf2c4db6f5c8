"""Addresses: none is shown with a password, and those that cannot work are refused with the rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helioloop.environment.addresses import (
    bucket_and_prefix,
    check_http_url,
    plain_url,
    redis_passwords,
    written_passwords,
)
from helioloop.errors import SettingsError

SPECIAL = "/#?[]@:%"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:hunter2@host:6379/3", "redis://host:6379/3"),
        ("redis://me:hunter2@[::1]:6379/3", "redis://[::1]:6379/3"),
        ("https://me:hunter2@host/path?token=hunter2", "https://host/path"),
        ("unix:///run/redis.sock?password=hunter2", "unix:///run/redis.sock"),
        ("redis://:hunter2/x@host:6379/0", "redis://…"),
        ("redis://:hunter2#x@host:6379/0", "redis://…"),
        ("redis://:hunter2?x@host:6379/0", "redis://…"),
        ("redis://:hunter2[x@host:6379/0", "redis://…"),
        ("redis://:x@hunter2/y@host:6379/0", "redis://…"),
        ("redis://hunter2:hunter2", "redis://…"),
        ("hunter2\u2100@host", "…"),
    ],
)
def test_what_is_shown_of_an_address(url: str, shown: str) -> None:
    """User, password and query are left out; where they cannot be told from the host, so is everything."""
    assert plain_url(url) == shown


@given(st.text(st.sampled_from([*"hunter2", *SPECIAL]), min_size=1, max_size=12), st.sampled_from(["", "me"]))
def test_no_password_is_shown_whatever_its_characters(password: str, user: str) -> None:
    """Each password stands between two marks, which no part of the host has."""
    marked = f"QX{password}QX"
    url = f"redis://{user}:{marked}@host:6379/0"
    assert "QX" not in plain_url(url)
    if set(password) & set("/#?[]@"):  # not percent-encoded; a pair of brackets alone is no error
        said = _refusal(url)
        assert "QX" not in said
        assert "%2F" in said or not said
    else:
        assert marked in redis_passwords(url)


def _refusal(url: str) -> str:
    try:
        redis_passwords(url)
    except SettingsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("letter", "/#?[]")
def test_a_password_that_ends_an_address_is_refused(letter: str) -> None:
    """Redis would be looked for at another host, with another password."""
    with pytest.raises(SettingsError, match=r"percent-encoding.*HELIOLOOP_REDIS_PASSWORD"):
        redis_passwords(f"redis://:hunter{letter}2@host:6379/0")


@pytest.mark.parametrize(
    ("url", "passwords"),
    [
        ("redis://host", ()),
        ("redis://:pa%2Fss@host", ("pa%2Fss", "pa/ss")),
        ("rediss://me:x@host", ("x",)),
        ("unix:///run/redis@1.sock", ()),
        ("unix:///run/redis.sock?password=x", ("x",)),
    ],
)
def test_the_passwords_in_an_address_of_redis(url: str, passwords: tuple[str, ...]) -> None:
    """As they are written and decoded, because either could get into a message."""
    assert redis_passwords(url) == passwords


@pytest.mark.parametrize("url", ["http://host", "host:6379", "", "redis", "file:///etc/passwd"])
def test_an_address_of_another_service_is_not_one_of_redis(url: str) -> None:
    with pytest.raises(SettingsError, match="not a Redis URL; write redis://HOST"):
        redis_passwords(url)


@pytest.mark.parametrize("value", ["hunter2", "me:hunter2", ":hunter2@host", "redis:hunter2", "redis//:hunter2@host"])
def test_a_password_in_place_of_the_address_is_not_shown(value: str) -> None:
    with pytest.raises(SettingsError, match="not a Redis URL") as caught:
        redis_passwords(value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://localhost:8080", "https://labels.example.org/studio", "http://[::1]:8080"])
def test_addresses_of_label_studio(url: str) -> None:
    assert check_http_url(url) == url


@pytest.mark.parametrize(
    "url", ["localhost:8080", "labels.example.org", "ftp://host", "http://", "http://[::1", "http://a b", "http://h:x"]
)
def test_what_is_no_address_of_label_studio_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="write it as http://HOST:PORT"):
        check_http_url(url)


@pytest.mark.parametrize("path", ["", "/", "/label-studio", "/label-studio/"])
@pytest.mark.parametrize(
    ("page", "begins"),
    [
        ("/projects/1/data?tab=3", "/projects"),
        ("/projects/1/data", "/projects"),
        ("/projects/12/settings/ml", "/projects"),
        ("/projects", "/projects"),
        ("/projects/?page=1", "/projects"),
        ("/api", "/api"),
        ("/api/", "/api"),
        ("/api/projects/1/", "/api"),
        ("/api/current-user/whoami", "/api"),
        ("/user/login/?next=/projects/", "/user"),
        ("/user/account", "/user"),
        ("/organization", "/organization"),
        ("/version", "/version"),
        ("/data/local-files/?d=helioloop/project-1/a.mp4", "/data"),
    ],
)
def test_the_address_of_a_page_is_not_that_of_label_studio(path: str, page: str, begins: str) -> None:
    """As it is copied from a browser: tasks would keep it for ever."""
    with pytest.raises(ValueError, match=f"address of a page in Label Studio.*; leave out {begins} and all") as caught:
        check_http_url(f"https://me:hunter2@labels.example.org{path.rstrip('/')}{page}")
    assert "hunter2" not in str(caught.value)
    assert check_http_url(f"https://labels.example.org{path}")


@pytest.mark.parametrize(
    "path",
    ["/projects/labels", "/projects/labels/", "/data", "/data/labels", "/api/labels", "/user/smith", "/apis",
     "/version/2", "/my-projects", "/projects2", "/organization/solar", "/team/data"],
)  # fmt: skip
def test_a_path_of_label_studio_may_have_the_names_of_its_pages(path: str) -> None:
    """A proxy may serve it below any path."""
    assert check_http_url(f"https://example.org{path}") == f"https://example.org{path}"


@pytest.mark.parametrize(
    ("rest", "mark"), [("?tab=3", "?"), ("/?token=hunter2", "?"), ("/labels#hunter2", "#"), ("/labels?a=1#b", "?")]
)
def test_an_address_has_nothing_after_a_question_mark_or_a_hash(rest: str, mark: str) -> None:
    """It was left out without a word."""
    with pytest.raises(ValueError, match=f"has something after [{mark}]") as caught:
        check_http_url(f"https://labels.example.org{rest}")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("s3://media", ("media", "")),
        ("s3://media//", ("media", "")),
        ("s3://media/team/a/", ("media", "team/a")),
        ("s3://media/team@site", ("media", "team@site")),
    ],
)
def test_an_address_of_a_bucket_has_a_name_and_a_prefix(address: str, parts: tuple[str, str]) -> None:
    """A prefix may have the sign that ends credentials elsewhere."""
    assert bucket_and_prefix(address) == parts


@given(st.text(st.sampled_from([*"hunter2AKIA", *SPECIAL]), min_size=1, max_size=12))
def test_no_credentials_in_the_address_of_a_bucket_are_taken_or_shown(secret: str) -> None:
    """Neither user nor password, whatever their characters."""
    with pytest.raises(ValueError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") as caught:
        bucket_and_prefix(f"s3://QXuser:QX{secret}QX@bucket/prefix")
    assert "QX" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "passwords"),
    [
        ("http://host:8080", ()),
        ("http://me@host", ()),
        ("http://me:pa%2Fss@host/x", ("pa%2Fss", "pa/ss")),
        ("http://[host", ()),
    ],
)
def test_the_passwords_in_an_address_of_label_studio(url: str, passwords: tuple[str, ...]) -> None:
    assert written_passwords(url) == passwords
