"""The routes for browsers lead to Label Studio's pages, and give nothing of their own."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr

from helioloop.settings import Settings

STATE = "/user/login/?next=/data/local-files/%3Fd%3Dhelioloop/project-7/state.html"
REPORT = "/user/login/?next=/data/local-files/%3Fd%3Dhelioloop/project-7/report.html"


@pytest.fixture
def closed(app_of: Callable[[Settings], Flask], settings: Settings) -> FlaskClient:
    """A backend with credentials, of a Label Studio with another address for browsers and a path of its own."""
    more = {
        "basic_auth_user": "label-studio",
        "basic_auth_password": SecretStr("password"),
        "label_studio_public_url": "https://labels.example.org/ls/",
    }
    return app_of(settings.model_copy(update=more)).test_client()


def test_a_visitor_is_sent_to_label_studio_which_decides(client: FlaskClient) -> None:
    """Through its login, which leads on at once for those who are logged in."""
    for path, target in (("/projects/7", STATE), ("/projects/7/report", REPORT)):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (302, f"http://127.0.0.1:8080{target}")


def test_no_credentials_of_the_backend_are_needed_or_given(closed: FlaskClient) -> None:
    """The browser is not asked for them; the address is the one for browsers, under its path."""
    answer = closed.get("/projects/7/report")
    assert answer.status_code == 302
    assert "WWW-Authenticate" not in answer.headers
    assert answer.headers["Location"] == (
        "https://labels.example.org/ls/user/login/?next=/ls/data/local-files/%3Fd%3Dhelioloop/project-7/report.html"
    )
    assert "Set-Cookie" not in answer.headers
    assert b"password" not in answer.data


def test_the_answer_is_the_same_for_every_project(closed: FlaskClient) -> None:
    """Whether a project exists is Label Studio's to say; cookies make no difference."""
    answers = {closed.get(f"/projects/{project}").data.replace(b"project-%d" % project, b"") for project in (1, 7, 999)}
    closed.set_cookie("sessionid", "stolen")
    answers.add(closed.get("/projects/7").data.replace(b"project-7", b""))
    assert len(answers) == 1


@pytest.mark.parametrize(
    "path",
    ["/projects/", "/projects/x", "/projects/-1", "/projects/1.5", "/projects/1/../2/secret", "/projects/7/other"],
)
def test_other_paths_stay_closed(closed: FlaskClient, path: str) -> None:
    """They need credentials, also where no such page exists."""
    assert closed.get(path).status_code == 401


def test_wrong_credentials_are_refused_here_too(closed: FlaskClient) -> None:
    """As on /health."""
    assert closed.get("/projects/7", headers={"Authorization": "Basic eDp5"}).status_code == 401


def test_only_reading_is_possible(closed: FlaskClient) -> None:
    """A post needs credentials, and then there is no such method."""
    assert closed.post("/projects/7").status_code == 401
