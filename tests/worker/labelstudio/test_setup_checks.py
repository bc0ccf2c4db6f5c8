"""The trial at the end of a setup: media and one event, each failure with its cause and its remedy."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import SecretStr
from tests.worker.labelstudio.serving import call, serving

from helioloop.errors import ServiceError
from helioloop.messaging.arrived_events import PROJECT_UPDATED, arrived_events
from helioloop.settings import Settings
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.media_check import fetchable
from helioloop_worker.labelstudio.model_root_check import check_model_root
from helioloop_worker.labelstudio.setup import set_up
from helioloop_worker.labelstudio.setup_checks import check_event, check_set_up
from helioloop_worker.labelstudio.setup_port import FetchedPart
from helioloop_worker.labelstudio.webhook import WEBHOOK_ACTIONS

MP4 = b"\x00\x00\x00\x20ftypisom" + bytes(2000)
PART = {"content-range": "bytes 0-1023/2016"}


@pytest.fixture
def settings(tmp_path: Path, redis_url: str, redis_connection: redis.Redis) -> Settings:
    """Return settings with all credentials, in letters that a header may have, on an empty Redis."""
    assert redis_connection.dbsize() == 0
    return Settings(
        redis_url=redis_url,
        model_root=tmp_path / "models",
        media_root=tmp_path / "media",
        basic_auth_user="jürgen",
        basic_auth_password=SecretStr("pä:ss wörd"),
        webhook_secret=SecretStr("geheimniß ü"),
    )


@pytest.fixture
def backend(settings: Settings) -> Iterator[str]:
    """The address of a real backend."""
    with serving(settings) as url:
        yield url


@pytest.fixture
def label_studio(settings: Settings) -> FakeLabelStudio:
    """A Label Studio that serves the media root and calls backends."""
    return FakeLabelStudio(document_root=settings.media_root, call=call)


def tried(label_studio: FakeLabelStudio, settings: Settings, project: int, backend: str) -> list[str]:
    """Try a project and return what was printed."""
    said: list[str] = []
    check_set_up(label_studio, settings, project, backend_url=backend, say=said.append)
    return said


def failure(label_studio: FakeLabelStudio, settings: Settings, project: int, backend: str) -> str:
    """Try a project that fails and return the error; no secret is in it."""
    with pytest.raises(ServiceError) as caught:
        tried(label_studio, settings, project, backend)
    text = str(caught.value)
    assert text.startswith(f"project {project} is not set up: ")
    assert "geheim" not in text
    assert "wörd" not in text
    return text


def cube_task(label_studio: FakeLabelStudio, settings: Settings, project: int, *, content: bytes = MP4) -> None:
    """Write a video and import its task."""
    (settings.media_dir(project) / "made").mkdir()
    (settings.media_dir(project) / "made" / "c0.mp4").write_bytes(content)
    address = f"/data/local-files/?d=helioloop/project-{project}/made/c0.mp4"
    label_studio.import_tasks(
        project, [{"video": address, "cube": "c0", "release": "made", "sha256": "a" * 64, "curve": "", "reason": ""}]
    )


def test_a_new_project_is_tried_with_a_probe_file_that_is_removed(
    settings: Settings, label_studio: FakeLabelStudio, backend: str, redis_connection: redis.Redis
) -> None:
    """It says plainly that no video was tried; one event arrived, and the webhook no longer sends that event."""
    project = set_up(label_studio, settings, title="team", backend_url=backend)
    (settings.media_dir(project) / "init-probe-of-before.mp4").write_bytes(b"left by an interrupted command")
    assert tried(label_studio, settings, project, backend) == [
        "media: a probe file in the project's media folder was fetched through Label Studio, and removed again",
        "media: no video was fetched, because the project has none yet",
        f"model folder: the backend reads {settings.model_root.resolve()}, too",
        f"event: Label Studio sent one to {backend}/webhook, and the backend took it in",
    ]
    assert sorted(path.name for path in settings.media_dir(project).iterdir()) == ["instruction", "project.json"]
    assert arrived_events(redis_connection, project) == {PROJECT_UPDATED: 1}
    (hook,) = label_studio.webhooks(project)
    assert hook.actions == {*WEBHOOK_ACTIONS}


def test_the_latest_video_is_fetched(settings: Settings, label_studio: FakeLabelStudio, backend: str) -> None:
    """Tasks and annotations stay as they are."""
    project = set_up(label_studio, settings, title="team", backend_url=backend)
    cube_task(label_studio, settings, project)
    before = label_studio.tasks(project)
    assert "media: the video of cube c0 was fetched as a browser does" in tried(
        label_studio, settings, project, backend
    )
    assert label_studio.tasks(project) == before


def test_a_video_that_is_missing_or_no_video_is_reported(
    settings: Settings, label_studio: FakeLabelStudio, backend: str
) -> None:
    project = set_up(label_studio, settings, title="team", backend_url=backend)
    cube_task(label_studio, settings, project, content=b"<html>" * 400)
    assert "does not begin like an MP4 video" in failure(label_studio, settings, project, backend)
    (settings.media_dir(project) / "made" / "c0.mp4").unlink()
    assert "the video of cube c0; restore the media folder" in failure(label_studio, settings, project, backend)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (FetchedPart(status=404, headers={}, content=b""), "it does not find the file; mount the folder"),
        (FetchedPart(status=403, headers={}, content=b""), "set LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true"),
        (FetchedPart(status=200, headers={}, content=b"x"), "pass the header Range"),
        (FetchedPart(status=502, headers={}, content=b"x"), "status 502: read Label Studio's log"),
        (FetchedPart(status=206, headers={"content-range": "bytes 0-1/2"}, content=b"x"), "it reads another place"),
    ],
)
def test_media_that_browsers_could_not_show_are_reported(
    settings: Settings, backend: str, answer: FetchedPart, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event is tried all the same, and the probe file is removed."""
    label_studio = FakeLabelStudio(document_root=settings.media_root, call=call)
    project = set_up(label_studio, settings, title="team", backend_url=backend)
    monkeypatch.setattr(label_studio, "fetch_media", lambda *_, **__: answer)
    text = failure(label_studio, settings, project, backend)
    assert cause in text
    assert "did not arrive" not in text
    assert sorted(path.name for path in settings.media_dir(project).iterdir()) == ["instruction", "project.json"]


@pytest.mark.parametrize(
    "case",
    [
        (FetchedPart(status=404, headers={}, content=b""), "no storage of the project covers it"),
        (FetchedPart(status=403, headers={}, content=b""), "must be allowed to read it (s3:GetObject)"),
        (FetchedPart(status=424, headers={}, content=b""), "its storage cannot read the bucket"),
        (FetchedPart(status=200, headers={}, content=b"x"), "pass the header Range"),
        (
            FetchedPart(status=206, headers=PART, content=MP4[:1024], elsewhere="https://s3.example.org"),
            "https://s3.example.org, the server of s3://media/team/helioloop/project-1/made/c0.mp4, does not send",
        ),
    ],
)
def test_a_video_in_a_bucket_that_browsers_could_not_show_is_reported(
    settings: Settings,
    label_studio: FakeLabelStudio,
    backend: str,
    case: tuple[FetchedPart, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the remedy of a bucket; its address has no secret and is shown whole."""
    value = "s3://media/team/helioloop/project-1/made/c0.mp4"
    project = set_up(label_studio, settings, title="team", backend_url=backend)
    row = {"video": value, "cube": "c0", "release": "made", "sha256": "a" * 64, "curve": "", "reason": ""}
    (task,) = label_studio.import_tasks(project, [row])
    encoded, fetch = base64.urlsafe_b64encode(value.encode()).decode(), label_studio.fetch_media
    answer, cause = case

    def fetched(address: str, **how: Any) -> FetchedPart:
        return answer if address == f"/tasks/{task}/resolve/?fileuri={encoded}" else fetch(address, **how)

    monkeypatch.setattr(label_studio, "fetch_media", fetched)
    text = failure(label_studio, settings, project, backend)
    assert value in text
    assert cause in text


def test_paths_are_fetched_below_the_address_of_label_studio(settings: Settings) -> None:
    """Tasks have the path at which browsers reach Label Studio; requests are made below its own address."""
    below = settings.model_copy(
        update={"label_studio_url": "http://labels:8080", "label_studio_public_url": "https://sun.example.org/labels/"}
    )
    assert fetchable("/labels/data/local-files/?d=a.mp4", below, owner="tasks/1") == "/data/local-files/?d=a.mp4"
    assert fetchable("/data/local-files/?d=a.mp4", settings, owner="tasks/1") == "/data/local-files/?d=a.mp4"
    assert fetchable("https://sun.example.org/a.mp4", below, owner="tasks/1") == "https://sun.example.org/a.mp4"


def event_failure(label_studio: FakeLabelStudio, settings: Settings, project: int, backend: str) -> str:
    """Try the event only, with little patience, and return the error."""
    with pytest.raises(ServiceError, match="did not arrive") as caught:
        check_event(label_studio, settings, project, backend_url=backend, patience_seconds=0.3)
    assert [hook.actions for hook in label_studio.webhooks(project)] == [{*WEBHOOK_ACTIONS}]
    assert "geheim" not in str(caught.value)
    return str(caught.value)


def test_a_backend_with_another_secret_is_reported(settings: Settings, label_studio: FakeLabelStudio) -> None:
    """The backend was started in another environment."""
    other = settings.model_copy(update={"webhook_secret": SecretStr("another")})
    with serving(other) as url:
        project = set_up(label_studio, settings, title="team", backend_url=url)
        assert "set the same HELIOLOOP_WEBHOOK_SECRET" in event_failure(label_studio, settings, project, url)


def test_a_backend_with_another_redis_is_reported(settings: Settings, label_studio: FakeLabelStudio) -> None:
    """It answers, but what it counts is not seen here."""
    with serving(settings.model_copy(update={"redis_url": f"{settings.redis_url}?db=7"})) as url:
        project = set_up(label_studio, settings, title="team", backend_url=url)
        assert "counts in another Redis" in event_failure(label_studio, settings, project, url)


def test_a_label_studio_that_cannot_call_the_backend_is_reported(
    settings: Settings, label_studio: FakeLabelStudio, backend: str
) -> None:
    """Its protection against private addresses stops webhooks without a word; from here the event arrives."""
    project = set_up(label_studio, settings, title="team", backend_url=backend)

    def protected(*_: Any) -> int:
        raise ConnectionError

    label_studio.connections.call = protected
    text = event_failure(label_studio, settings, project, backend)
    assert "LABEL_STUDIO_SSRF_PROTECTION_ENABLED=false" in text


def test_a_backend_that_stopped_is_reported(settings: Settings, label_studio: FakeLabelStudio) -> None:
    with serving(settings) as url:
        project = set_up(label_studio, settings, title="team", backend_url=url)
    assert "nothing answers there from here either (ConnectError)" in event_failure(
        label_studio, settings, project, url
    )


def test_without_redis_the_trial_fails_in_a_sentence(
    settings: Settings, label_studio: FakeLabelStudio, backend: str
) -> None:
    project = set_up(label_studio, settings, title="team", backend_url=backend)
    elsewhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"})
    assert "Redis at redis://127.0.0.1:9/0 cannot be reached" in failure(label_studio, elsewhere, project, backend)


def test_a_backend_with_another_model_folder_is_reported(
    settings: Settings, label_studio: FakeLabelStudio, tmp_path: Path
) -> None:
    """Events arrive and every media file is served, but no version would ever be: it is no success."""
    with serving(settings.model_copy(update={"model_root": tmp_path / "elsewhere"})) as url:
        project = set_up(label_studio, settings, title="team", backend_url=url)
        text = failure(label_studio, settings, project, url)
    assert f"reads another model folder than {settings.model_root}" in text
    assert "did not arrive" not in text


def test_a_backend_that_only_label_studio_reaches_is_not_compared(settings: Settings) -> None:
    """Its address may be one inside a network of containers; the line tells that nothing was compared."""
    settings.model_root.mkdir()
    said = check_model_root(settings, backend_url="http://127.0.0.1:9")
    assert said.startswith("model folder: not compared with the backend's, because http://127.0.0.1:9 gives no answer")


def test_a_model_root_that_is_missing_is_reported(settings: Settings) -> None:
    with pytest.raises(ServiceError, match=r"models, cannot be written \(FileNotFoundError\)"):
        check_model_root(settings, backend_url="http://127.0.0.1:9")
