"""A small HTTP server on loopback that answers in place of Label Studio, and all calls of the client."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from helioloop.errors import LabelStudioError
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.port import PredictionRow

TOKEN = "t0ken-of-the-team"

COOKIE = "sessionid=c00kie"

LOGIN_PAGE = b"\n<!DOCTYPE html><form><input name=csrf value=s3cret></form>"


@dataclass(frozen=True)
class Answer:
    """The answer of the server to one request; a slow answer waits until the test is over."""

    status: int
    body: Any = None
    location: str | None = None
    slow: bool = False
    is_json: bool = False  # although the body is bytes

    def raw(self) -> bytes:
        """Return the body as bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Server:
    """A server that gives its answers in order, repeats the last one, and records the requests."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    clients: dict[float, LabelStudioClient] = field(default_factory=dict)

    def client(self, *, timeout_seconds: float = 5.0) -> LabelStudioClient:
        """Return a client of this server; one for all tests, because making one loads all certificates."""
        if timeout_seconds not in self.clients:
            self.clients[timeout_seconds] = LabelStudioClient(self.url, api_key=TOKEN, timeout_seconds=timeout_seconds)
        return self.clients[timeout_seconds]


CALLS: dict[str, Callable[[LabelStudioClient], Any]] = {
    "project": lambda client: client.project(1),
    "tasks": lambda client: client.tasks(1),
    "tasks_after": lambda client: client.tasks_after(1, 7),
    "last_change": lambda client: client.last_change(1),
    "changed_tasks": lambda client: client.changed_tasks(1, "2026-01-02T03:04:05+01:00"),
    "tasks_now": lambda client: client.tasks_now(1, [7]),
    "annotated_tasks": lambda client: client.annotated_tasks(1),
    "predictions": lambda client: client.predictions(1),
    "model_versions": lambda client: client.model_versions(1),
    "import_tasks": lambda client: client.import_tasks(1, [{"cube": "c0"}]),
    "import_predictions": lambda client: client.import_predictions(1, [{"task": 1, "result": [], "score": 0.5}]),
    "set_model_version": lambda client: client.set_model_version(1, "v0001"),
    "delete_version": lambda client: client.delete_version(1, "v0001"),
    "delete_predictions": lambda client: client.delete_predictions(
        [PredictionRow(id=1, task=1, model_version="v0001")]
    ),
    "rescore": lambda client: client.rescore(PredictionRow(id=1, task=1, model_version="v0001"), 0.5),
    "find_projects": lambda client: client.find_projects("t"),
    "create_project": lambda client: client.create_project(title="t", label_config="<View/>"),
    "update_project": lambda client: client.update_project(1, sampling="Uncertainty sampling"),
    "ensure_local_storage": lambda client: client.ensure_local_storage(1, "/media"),
    "ensure_backend": lambda client: client.ensure_backend(1, url="http://b:9090", user="u", password="hunter2"),
    "storages": lambda client: client.storages(1),
    "backends": lambda client: client.backends(1),
    "delete_backend": lambda client: client.delete_backend(1),
    "webhooks": lambda client: client.webhooks(1),
    "create_webhook": lambda client: client.create_webhook(
        1, url="http://b:9090/webhook", headers={"X": "hunter2"}, actions=["TASKS_CREATED"]
    ),
    "set_webhook_actions": lambda client: client.set_webhook_actions(1, ["TASKS_CREATED"]),
    "delete_webhook": lambda client: client.delete_webhook(1),
    "tabs": lambda client: client.tabs(1),
    "create_tab": lambda client: client.create_tab(1, {"title": "t"}),
    "change_tab": lambda client: client.change_tab(1, 2, {"title": "t"}),
}
"""Every call of the client."""


def refusal(call: Callable[[], Any]) -> str:
    """Return the message of the error that a call raises; it has one line and contains no secret."""
    with pytest.raises(LabelStudioError) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said
    for secret in (TOKEN, "c00kie", "s3cret", "hunter2"):
        assert secret not in said
    return said
