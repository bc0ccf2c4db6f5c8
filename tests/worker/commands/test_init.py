"""The command ``helioloop init``: it prints what it found and tried, and exits with 1 where that failed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from tests.worker.labelstudio.serving import call, serving
from tests.worker.shell import run_one_of

from helioloop.settings import Settings
from helioloop_worker.commands import project as module
from helioloop_worker.commands.project import commands, default_backend_url
from helioloop_worker.labelstudio import client
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project_template import labeling_configuration


@pytest.fixture
def settings(
    tmp_path: Path, redis_url: str, redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Return the settings that the command reads, on an empty Redis."""
    assert redis_connection.dbsize() == 0
    found = Settings(
        redis_url=redis_url,
        model_root=tmp_path / "models",
        media_root=tmp_path / "media",
        label_studio_url="http://ls.example",
    )
    monkeypatch.setattr(module, "load_settings", lambda: found)
    return found


@pytest.fixture
def label_studio(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> FakeLabelStudio:
    """The Label Studio that the command signs in to."""
    found = FakeLabelStudio(document_root=settings.media_root, call=call)
    monkeypatch.setattr(client, "LabelStudioClient", lambda *_, **__: found)
    return found


@pytest.fixture
def backend(settings: Settings) -> Iterator[str]:
    """The address of a real backend."""
    with serving(settings) as url:
        yield url


def test_a_new_and_an_existing_project_are_set_up(label_studio: FakeLabelStudio, backend: str) -> None:
    """The second time by its id; the last lines have the address and the next command."""
    first = run_one_of(commands(), "init", "--api-key", "t", "--title", "Release 3", "--backend-url", backend)
    assert first.exit_code == 0, first.output
    assert first.output.splitlines()[0] == "project 1, 'Release 3', is created"
    again = run_one_of(commands(), "init", "--api-key", "t", "--project", "1", "--backend-url", backend)
    assert again.exit_code == 0, again.output
    assert "found: project 1, 'Release 3'" in again.output
    assert again.output.splitlines()[-2:] == [
        "project 1 is set up: http://ls.example/projects/1/data",
        "next: helioloop ingest RELEASE --project 1",
    ]
    assert len(label_studio.backends(1)) == len(label_studio.webhooks(1)) == 1


def test_the_address_of_the_project_has_no_password(
    label_studio: FakeLabelStudio, backend: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy in front of Label Studio may need one."""
    assert label_studio.find_projects("helioloop") == []
    guarded = settings.model_copy(update={"label_studio_url": "http://me:hunter2@ls.example"})
    monkeypatch.setattr(module, "load_settings", lambda: guarded)
    for more in ((), ("--url", "http://me:hunter2@ls.example")):
        result = run_one_of(commands(), "init", "--api-key", "t", "--backend-url", backend, *more)
        assert result.exit_code == 0, result.output
        assert "project 1 is set up: http://ls.example/projects/1/data" in result.output
        assert "hunter2" not in result.output


def test_words_are_asked_for_and_given(label_studio: FakeLabelStudio, backend: str) -> None:
    """The options that the message names are those of the command."""
    config = labeling_configuration(emergence="ja", non_emergence="nein")
    number = str(label_studio.create_project(title="team", label_config=config))
    asked = run_one_of(commands(), "init", "--api-key", "t", "--project", number, "--backend-url", backend)
    assert asked.exit_code == 1
    assert '<Choices name="class">: ja, nein' in asked.output
    assert "--emergence VALUE --non-emergence VALUE" in asked.output
    words = ("--emergence", "ja", "--non-emergence", "nein", "--choices", "class", "--onset", "emergence onset")
    given = run_one_of(commands(), "init", "--api-key", "t", "--project", number, "--backend-url", backend, *words)
    assert given.exit_code == 0, given.output
    assert "emergence is 'ja', non-emergence is 'nein'" in given.output


def test_what_fails_at_the_end_is_said_and_exits_with_1(
    label_studio: FakeLabelStudio, backend: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not called set up."""
    elsewhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"})
    monkeypatch.setattr(module, "load_settings", lambda: elsewhere)
    result = run_one_of(commands(), "init", "--api-key", "t", "--backend-url", backend)
    assert result.exit_code == 1
    assert "project 1 is not set up: Redis at redis://127.0.0.1:9/0 cannot be reached" in result.output
    assert "project 1 is set up" not in result.output
    assert label_studio.find_projects("helioloop") == [1]


def test_two_names_for_a_project_and_an_address_to_listen_on_are_refused(label_studio: FakeLabelStudio) -> None:
    """As wrong usage, with exit code 2, before anything is made."""
    both = run_one_of(commands(), "init", "--api-key", "t", "--project", "1", "--title", "t")
    assert (both.exit_code, "--title and --project both name a project" in both.output) == (2, True)
    everywhere = run_one_of(commands(), "init", "--api-key", "t", "--backend-url", "http://0.0.0.0:9090")
    assert everywhere.exit_code == 2
    assert "0.0.0.0 is an address to listen on" in everywhere.output
    assert label_studio.find_projects("helioloop") == []


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", "http://127.0.0.1:9090"), ("::1", "http://[::1]:9090"), ("", "http://:9090")]
)
def test_the_usual_address_is_where_the_backend_listens(host: str, url: str) -> None:
    """An address of all interfaces is then refused like a given one."""
    assert default_backend_url(Settings(backend_host=host)) == url
