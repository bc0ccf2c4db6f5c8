"""The contract of the port: backends, webhooks and media."""

from dataclasses import replace

import pytest
from tests.worker.labelstudio.contract.empty_project import EmptyProject

from helioloop.errors import LabelStudioError
from helioloop_worker.labelstudio.webhook import BACKEND_TITLE, WEBHOOK_ACTIONS


def a_new_backend_brings_a_webhook_without_headers(empty: EmptyProject) -> None:
    """For all events, unless one calls that address; the backend's own is renewed, and its deletion leaves it."""
    studio, place = empty.label_studio, empty.backend
    assert studio.backends(empty.project) == studio.webhooks(empty.project) == []
    connect = {"url": place.url, "user": place.user, "password": place.password}
    number = studio.ensure_backend(empty.project, **connect)
    assert [(one.id, one.url, one.title) for one in studio.backends(empty.project)] == [
        (number, place.url, BACKEND_TITLE)
    ]
    (hook,) = studio.webhooks(empty.project)
    assert (hook.url, hook.all_actions, dict(hook.headers)) == (f"{place.url}/webhook", True, {})
    assert studio.ensure_backend(empty.project, **{**connect, "url": f"{place.url}/"}) == number
    studio.delete_backend(number)
    assert studio.backends(empty.project) == []
    assert [one.id for one in studio.webhooks(empty.project)] == [hook.id]
    with pytest.raises(LabelStudioError):
        studio.delete_backend(number)


def a_backend_with_wrong_credentials_is_not_connected(empty: EmptyProject) -> None:
    """Label Studio asks it at once; a letter outside Latin-1 cannot be sent."""
    place = empty.backend
    for password in ("wrong", "密码"):
        with pytest.raises(LabelStudioError):
            empty.label_studio.ensure_backend(empty.project, url=place.url, user=place.user, password=password)
    assert empty.label_studio.backends(empty.project) == []


def the_events_of_a_webhook_are_replaced_and_nothing_else(empty: EmptyProject) -> None:
    """Its headers and its address stay."""
    studio = empty.label_studio
    headers = {"X-Helioloop-Secret": "geheimniß ü"}
    number = studio.create_webhook(
        empty.project, url="http://127.0.0.1:9/webhook", headers=headers, actions=[*WEBHOOK_ACTIONS, "PROJECT_UPDATED"]
    )
    (before,) = studio.webhooks(empty.project)
    assert (before.id, before.headers, before.actions) == (number, headers, {*WEBHOOK_ACTIONS, "PROJECT_UPDATED"})
    studio.set_webhook_actions(number, WEBHOOK_ACTIONS)
    assert studio.webhooks(empty.project) == [replace(before, actions=frozenset(WEBHOOK_ACTIONS))]
    studio.delete_webhook(number)
    assert studio.webhooks(empty.project) == []
    with pytest.raises(LabelStudioError):
        studio.delete_webhook(number)


def a_webhook_needs_a_name_with_a_dot(empty: EmptyProject) -> None:
    """Label Studio refuses the name of a container without one, so a setup refuses it before."""
    for url in ("http://backend:9090/webhook", "http://my_host.example/webhook"):
        with pytest.raises(LabelStudioError):
            empty.label_studio.create_webhook(empty.project, url=url, headers={}, actions=WEBHOOK_ACTIONS)
    assert empty.label_studio.webhooks(empty.project) == []


def a_change_without_values_sends_an_event_and_changes_nothing(empty: EmptyProject) -> None:
    """To webhooks that take it and have the right secret."""
    studio, secret = empty.label_studio, empty.backend.secret
    empty.tasks(1)
    before = (studio.project(empty.project), studio.tasks(empty.project))
    assert _arrived(empty, secret, "PROJECT_UPDATED") == 1
    assert _arrived(empty, secret, *WEBHOOK_ACTIONS) == 0
    assert _arrived(empty, "wrong", "PROJECT_UPDATED") == 0
    assert (studio.project(empty.project), studio.tasks(empty.project)) == before


def an_event_whose_header_cannot_be_sent_is_dropped(empty: EmptyProject) -> None:
    """Without an error."""
    secret = empty.backend.secret
    for unsendable in ("密码", f" {secret}", f"{secret}\n"):
        assert _arrived(empty, unsendable, "PROJECT_UPDATED") == 0


def _arrived(empty: EmptyProject, secret: str, *actions: str) -> int:
    """Return how many events arrive at the backend when the project is changed without values."""
    studio, place = empty.label_studio, empty.backend
    number = studio.create_webhook(
        empty.project, url=f"{place.url}/webhook", headers={"X-Helioloop-Secret": secret}, actions=actions
    )
    already = place.arrived(empty.project)
    studio.update_project(empty.project)
    studio.delete_webhook(number)
    return place.arrived(empty.project) - already


PAGE = "http://labels.example.org/"


def media_of_a_storage_are_served_in_parts(empty: EmptyProject) -> None:
    """Files beside a storage are not served."""
    studio = empty.label_studio
    folder = empty.backend.media_root / "helioloop" / f"project-{empty.project}"
    folder.mkdir(parents=True)
    (folder / "a b.mp4").write_bytes(bytes(range(256)))
    address = f"/data/local-files/?d=helioloop/project-{empty.project}/a%20b.mp4"
    assert studio.fetch_media(address, n_bytes=10, page=PAGE).status == 404
    assert studio.storages(empty.project) == []
    for _ in range(2):
        studio.ensure_local_storage(empty.project, str(folder))
    assert studio.storages(empty.project) == [str(folder)]
    found = studio.fetch_media(address, n_bytes=10, page=PAGE)
    assert (found.status, found.content) == (206, bytes(range(10)))
    assert found.headers["content-range"] == "bytes 0-9/256"
    assert studio.fetch_media(address.replace("a%20b", "b"), n_bytes=10, page=PAGE).status == 404
