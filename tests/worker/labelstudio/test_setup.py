"""Setting a project up: the backend accepts its webhook, and a wrong configuration is refused."""

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
from helioloop_worker.labelstudio.project_template import labeling_configuration
from helioloop_worker.labelstudio.setup import set_up

BASIC = {"basic_auth_user": "label-studio", "basic_auth_password": SecretStr("pässwörd:1")}
SECRET = {"webhook_secret": SecretStr("geheim")}
EMPTY = {"basic_auth_user": "", "basic_auth_password": SecretStr(""), "webhook_secret": SecretStr("")}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings without credentials."""
    return Settings(model_root=tmp_path / "models", media_root=tmp_path / "media")


@pytest.fixture
def label_studio() -> Mock:
    """A Label Studio that takes everything and holds no project yet."""
    found: Mock = create_autospec(LabelStudioClient, instance=True)
    found.find_project.return_value = None
    found.create_project.return_value = 7
    return found


def webhook(settings: Settings, label_studio: Mock) -> dict[str, str]:
    """Set a project up and return the headers that Label Studio will send with each event."""
    assert set_up(label_studio, settings, title="t", backend_url="http://b:9090/") == 7
    assert label_studio.ensure_webhook.call_args.kwargs["url"] == "http://b:9090/webhook"
    headers: dict[str, str] = label_studio.ensure_webhook.call_args.kwargs["headers"]
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
    settings: Settings, label_studio: Mock, credentials: dict[str, Any]
) -> None:
    """Label Studio sends no basic auth with events, so the headers of the webhook contain it."""
    own = settings.model_copy(update=credentials)
    authenticator = Authenticator(own)
    authenticator.check(event(webhook(own, label_studio)))
    if own.basic_auth_user:
        with pytest.raises(Unauthorized):
            authenticator.check(event({}))


def test_the_webhook_contains_the_password_only_without_a_secret(settings: Settings, label_studio: Mock) -> None:
    """Its headers can be read in Label Studio, and the secret opens nothing but /webhook."""
    assert webhook(settings.model_copy(update=BASIC | SECRET), label_studio) == {"X-Helioloop-Secret": "geheim"}
    assert list(webhook(settings.model_copy(update=BASIC), label_studio)) == ["Authorization"]
    assert webhook(settings, label_studio) == {}


def test_a_project_at_another_rate_is_refused_before_it_is_changed(settings: Settings, label_studio: Mock) -> None:
    """A team's own configuration without framerate: Label Studio would read every onset wrong."""
    config = labeling_configuration().replace('framerate="25"', "")
    label_studio.find_project.return_value = 7
    label_studio.project.return_value = ProjectInfo(id=7, title="t", label_config=config, model_version=None)
    with pytest.raises(ConfigurationError, match='write framerate="25"'):
        set_up(label_studio, settings, title="t", backend_url="http://b:9090")
    assert [call[0] for call in label_studio.method_calls] == ["find_project", "project"]
    label_studio.project.return_value = ProjectInfo(
        id=7, title="t", label_config=labeling_configuration(), model_version=None
    )
    assert set_up(label_studio, settings, title="t", backend_url="http://b:9090") == 7


def test_a_new_project_has_an_instruction_with_pictures(settings: Settings, label_studio: Mock) -> None:
    """Label Studio removes pictures inside the text, so they are served from the project's own folder."""
    set_up(label_studio, settings, title="t", backend_url="http://b:9090")
    label_studio.create_project.assert_called_once()
    assert "Emergence" in label_studio.create_project.call_args.kwargs["instruction"]
    (changed,) = label_studio.update_project.call_args_list
    assert (
        "/data/local-files/?d=helioloop/project-7/instruction/emergence-1.png" in changed.kwargs["expert_instruction"]
    )
    assert (settings.media_dir(7) / "instruction" / "emergence-1.png").is_file()


def test_configuration_and_instruction_of_an_existing_project_stay(settings: Settings, label_studio: Mock) -> None:
    """A team may have edited both, and tasks of an older release have no curve."""
    label_studio.find_project.return_value = 7
    label_studio.project.return_value = ProjectInfo(
        id=7, title="t", label_config=labeling_configuration(), model_version=None
    )
    set_up(label_studio, settings, title="t", backend_url="http://b:9090")
    label_studio.create_project.assert_not_called()
    assert [call.kwargs.keys() for call in label_studio.update_project.call_args_list] == [{"sampling"}]
