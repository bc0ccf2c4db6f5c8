"""Setting a project up: its webhook gets in at the backend's door, a configuration that would mislead is refused."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock, create_autospec

import pytest
from flask import Request
from pydantic import SecretStr
from werkzeug.exceptions import Unauthorized
from werkzeug.test import EnvironBuilder

from helioloop.errors import ConfigurationError
from helioloop.settings import Settings
from helioloop_backend.auth import Authenticator
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.port import ProjectInfo
from helioloop_worker.labelstudio.setup import labeling_configuration, set_up

BASIC = {"basic_auth_user": "label-studio", "basic_auth_password": SecretStr("pässwörd:1")}
SECRET = {"webhook_secret": SecretStr("geheim")}
EMPTY = {"basic_auth_user": "", "basic_auth_password": SecretStr(""), "webhook_secret": SecretStr("")}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings without credentials."""
    return Settings(model_root=tmp_path / "models", media_root=tmp_path / "media")


@pytest.fixture
def door() -> Mock:
    """A Label Studio that takes everything and holds no project yet."""
    found: Mock = create_autospec(LabelStudioClient, instance=True)
    found.find_project.return_value = None
    found.create_project.return_value = 7
    return found


def webhook(settings: Settings, door: Mock) -> dict[str, str]:
    """Set a project up and return the headers that Label Studio will send with each event."""
    assert set_up(door, settings, title="t", backend_url="http://b:9090/") == 7
    assert door.ensure_webhook.call_args.kwargs["url"] == "http://b:9090/webhook"
    headers: dict[str, str] = door.ensure_webhook.call_args.kwargs["headers"]
    return headers


def event(headers: dict[str, str]) -> Request:
    """Return an event as it reaches the backend."""
    return Request(EnvironBuilder(path="/webhook", method="POST", json={"action": "x"}, headers=headers).get_environ())


@pytest.mark.parametrize(
    "credentials",
    [{}, BASIC, BASIC | SECRET, BASIC | {"webhook_secret": SecretStr("")}, EMPTY],
    ids=["nothing", "basic auth", "basic auth and secret", "basic auth and an empty secret", "empty"],
)
def test_the_webhook_gets_in_wherever_the_backend_starts(
    settings: Settings, door: Mock, credentials: dict[str, Any]
) -> None:
    """Label Studio sends no basic auth with its events: what the backend asks for stands in the webhook's headers."""
    own = settings.model_copy(update=credentials)
    gate = Authenticator(own)
    gate.check(event(webhook(own, door)))
    if own.basic_auth_user:
        with pytest.raises(Unauthorized):
            gate.check(event({}))


def test_the_webhook_shows_the_password_only_where_there_is_no_secret(settings: Settings, door: Mock) -> None:
    """Its headers can be read in Label Studio, and the secret opens nothing but /webhook."""
    assert webhook(settings.model_copy(update=BASIC | SECRET), door) == {"X-Helioloop-Secret": "geheim"}
    assert list(webhook(settings.model_copy(update=BASIC), door)) == ["Authorization"]
    assert webhook(settings, door) == {}


def test_a_project_at_another_rate_is_refused_before_it_is_touched(settings: Settings, door: Mock) -> None:
    """A team's own configuration without framerate: Label Studio would read every onset wrong."""
    config = labeling_configuration().replace('framerate="25"', "")
    door.find_project.return_value = 7
    door.project.return_value = ProjectInfo(id=7, title="t", label_config=config, model_version=None)
    with pytest.raises(ConfigurationError, match='write framerate="25"'):
        set_up(door, settings, title="t", backend_url="http://b:9090")
    assert [call[0] for call in door.method_calls] == ["find_project", "project"]
    door.project.return_value = ProjectInfo(id=7, title="t", label_config=labeling_configuration(), model_version=None)
    assert set_up(door, settings, title="t", backend_url="http://b:9090") == 7
