"""`helioloop ingest` is a success only where a video of the release can be fetched as a browser does."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from helioloop.errors import ServiceError
from helioloop.settings import Settings
from helioloop_worker.commands.ingest import fetched_video
from helioloop_worker.labelstudio.client import LabelStudioClient
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project_template import labeling_configuration

MP4 = b"\x00\x00\x00\x20ftypisom" + bytes(2000)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with a token; the media root is a symbolic link to elsewhere."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "media").symlink_to(tmp_path / "disk")
    return Settings(
        media_root=tmp_path / "media", model_root=tmp_path / "models", label_studio_api_key=SecretStr("t0ken")
    )


@pytest.fixture
def label_studio(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> FakeLabelStudio:
    """A Label Studio with project 1, which has a task of release "made" and serves the folder behind the link."""
    found = FakeLabelStudio(document_root=settings.media_root.resolve())
    config = labeling_configuration(emergence="emergence", non_emergence="non-emergence", onset=None)
    project = found.create_project(title="team", label_config=config)
    video = settings.media_dir(project) / "made" / "c0.mp4"
    video.parent.mkdir(parents=True)
    video.write_bytes(MP4)
    found.ensure_local_storage(project, settings.storage_path(project))
    address = f"/data/local-files/?d=helioloop/project-{project}/made/c0.mp4"
    row = {"video": address, "cube": "c0", "release": "made", "sha256": "a" * 64, "curve": "", "reason": ""}
    found.import_tasks(project, [row])
    monkeypatch.setattr(LabelStudioClient, "from_settings", lambda _: found)
    return found


def test_the_video_of_the_release_is_fetched(settings: Settings, label_studio: FakeLabelStudio) -> None:
    """A release without a task has no video to fetch, and the line tells so."""
    assert label_studio.tasks(1)
    assert fetched_video(settings, 1, "made") == "media: the video of cube c0 was fetched as a browser does"
    assert fetched_video(settings, 1, "other") == "media: no video was fetched, because the release has none yet"


def test_a_label_studio_that_sees_another_folder_is_no_success(
    settings: Settings, label_studio: FakeLabelStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was started with the document root at another place after `helioloop init`."""
    other = FakeLabelStudio(document_root=tmp_path / "another-mount")
    monkeypatch.setattr(label_studio, "connections", other.connections)
    with pytest.raises(ServiceError, match="the tasks are imported, but no annotator can see their videos: ") as caught:
        fetched_video(settings, 1, "made")
    assert "finds no file at /data/local-files/" in str(caught.value)


def test_without_a_token_the_line_tells_that_nothing_was_tried(settings: Settings) -> None:
    said = fetched_video(settings.model_copy(update={"label_studio_api_key": None}), 1, "made")
    assert said.endswith("HELIOLOOP_LABEL_STUDIO_API_KEY is not set for this command")
