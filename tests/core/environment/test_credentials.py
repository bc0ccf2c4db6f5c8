"""Rules for credentials: what works between Label Studio and the backend is accepted, all else is refused."""

import http.client
from base64 import b64encode
from collections.abc import Callable

import pytest

from helioloop.environment import credentials

SECRET = "hunter2"


@pytest.mark.parametrize("password", ["pässwörd", "a:b:c", "in ner", "~!@#$%^&*()", "ñ" * 200])
def test_passwords_that_arrive_are_accepted(password: str) -> None:
    assert credentials.check_sent(password) == password


@pytest.mark.parametrize("user", ["label-studio", "jürgen", "a b"])
def test_user_names_that_arrive_are_accepted(user: str) -> None:
    assert credentials.check_user(user) == user


@pytest.mark.parametrize(
    ("check", "value", "rule"),
    [
        (credentials.check_user, f"{SECRET}:x", "colon"),
        (credentials.check_user, f"{SECRET}π", "Latin-1"),
        (credentials.check_user, f" {SECRET}", "begins or ends with a space"),
        (credentials.check_sent, f"{SECRET} ", "begins or ends with a space"),
        (credentials.check_sent, f"\u00a0{SECRET}", "begins or ends with a space"),
        (credentials.check_sent, f"{SECRET}\nx", "contains a line end"),
        (credentials.check_sent, f"{SECRET}\n", "or a line end"),
        (credentials.check_sent, f"\t{SECRET}", "begins or ends with a space"),
        (credentials.check_sent, f"{SECRET}\tx", "a tab or another control character"),
        (credentials.check_sent, f"{SECRET}\x00", "control character"),
        (credentials.check_sent, f"{SECRET}\x85x", "control character"),
        (credentials.check_sent, f"{SECRET}ł", "Latin-1"),
        (credentials.check_sent, f"{SECRET}u\u0308", "Latin-1"),
        (credentials.check_sent, f"{SECRET}\udcff", "Latin-1"),
        (credentials.check_sent, f"{SECRET}\r\nX: y", "control character"),
        (credentials.check_token, f"Token {SECRET}", "without the word Token"),
        (credentials.check_token, f"{SECRET}\n", "line break"),
        (credentials.check_token, f"{SECRET}–", "outside ASCII"),
    ],
)
def test_credentials_that_would_not_arrive_are_refused(check: Callable[[str], str], value: str, rule: str) -> None:
    """The sentence has the rule and a remedy, and nothing of the value."""
    with pytest.raises(ValueError, match=rule) as caught:
        check(value)
    assert SECRET not in str(caught.value)
    assert ";" in str(caught.value)


@pytest.mark.parametrize("code", range(0x20, 0x180))
def test_the_rules_accept_what_the_client_of_label_studio_can_send(code: int) -> None:
    """It encodes credentials in Latin-1, and http.client encodes headers so; the rules accept no letter beyond."""
    value = f"a{chr(code)}b"
    try:
        header = "Basic " + b64encode(value.encode("latin-1")).decode()
        connection = http.client.HTTPConnection("127.0.0.1", 1)
        connection.putrequest("GET", "/")
        connection.putheader("Authorization", header)
        sent = True
    except (UnicodeEncodeError, ValueError):
        sent = False
    try:
        credentials.check_sent(value)
        accepted = True
    except ValueError:
        accepted = False
    assert accepted == (sent and chr(code).isprintable())
