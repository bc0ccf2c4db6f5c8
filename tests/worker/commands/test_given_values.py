"""Values given to `helioloop init` follow the rules of the settings; a refusal names the option and hides the token."""

import pytest
from click.testing import CliRunner

from helioloop.errors import WrongUsage
from helioloop_worker.commands.project import init


@pytest.mark.parametrize("token", ["Token s3cret", "s3cret\n", "s3crét"])
def test_a_token_that_cannot_be_one_is_refused(token: str) -> None:
    found = CliRunner().invoke(init, ["--project", "1", "--api-key", token]).exception
    assert isinstance(found, WrongUsage)
    assert str(found).startswith("--api-key ")
    assert "s3cr" not in str(found)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("localhost:8080", "without http:// or https:// in front"),
        ("http://::1:8080", "an IPv6 address in brackets, as in http://[::1]:8080"),
        ("http://[::1", "an IPv6 address in brackets"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(url: str, rule: str) -> None:
    found = CliRunner().invoke(init, ["--project", "1", "--url", url, "--api-key", "t0ken"]).exception
    assert isinstance(found, WrongUsage)
    assert str(found).startswith("--url ")
    assert rule in str(found)
