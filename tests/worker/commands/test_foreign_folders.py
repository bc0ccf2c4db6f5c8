"""Commands on a model folder that belongs to another project of the same number: none changes it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from pydantic import SecretStr
from tests.faults.label_studio import ServedLabelStudio
from tests.worker.conftest import LoopProject
from tests.worker.shell import run_one_of

from helioloop.registry.media_identity import check_media_identity
from helioloop.settings import Settings
from helioloop_worker.commands import learning, options, project, prune, status
from helioloop_worker.labelstudio.project_template import labeling_configuration

COMMANDS = [*learning.commands(), *project.commands(), *prune.commands()]
CHANGING = [["rollback", "v0001"], ["prune", "--dry-run"], ["prune", "--yes", "--keep", "1"]]


@pytest.fixture
def other() -> Iterator[ServedLabelStudio]:
    """Another Label Studio, with a project of the number 1."""
    found = ServedLabelStudio(seed=1)
    assert found.fake.create_project(title="Another team's", label_config=labeling_configuration()) == 1
    yield found
    found.close()


@pytest.fixture
def folder(
    loop_project: LoopProject,
    task_data: dict[str, dict[str, str]],
    other: ServedLabelStudio,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The model folder of project 1 with two versions; the settings lead to the other Label Studio."""
    assert loop_project.id == 1
    own = loop_project.label_studio._project(1)
    own.info = replace(own.info, created_at="2026-01-02T03:04:05+00:00")
    loop_project.import_cubes(task_data)
    for _ in range(2):
        loop_project.publish()
    use(loop_project, monkeypatch, f"http://127.0.0.1:{other.port}")
    return loop_project.model_dir


def use(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch, url: str) -> Settings:
    """Let the commands read settings with this address of Label Studio."""
    settings = loop_project.context.settings.model_copy(
        update={"label_studio_url": url, "label_studio_api_key": SecretStr("t0ken")}
    )
    for module in (learning, options, prune, status):
        monkeypatch.setattr(module, "load_settings", lambda: settings)
    return settings


def run(*words: str) -> Result:
    return run_one_of(COMMANDS, *words, "--project", "1")


def files(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder with their content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("words", CHANGING, ids=" ".join)
def test_a_command_that_changes_a_folder_refuses_that_of_another_project(folder: Path, words: list[str]) -> None:
    before = files(folder)
    refused = run(*words)
    assert refused.exit_code == 1
    assert f'{folder} is not the model folder of project 1, "Another team\'s"' in refused.output
    assert "it belongs to project 'loop project', created 2026-01-02 03:04 UTC" in refused.output
    assert files(folder) == before


@pytest.mark.parametrize("words", CHANGING, ids=" ".join)
def test_so_it_does_where_only_the_media_folder_is_of_another(
    folder: Path, other: ServedLabelStudio, loop_project: LoopProject, words: list[str]
) -> None:
    own = other.fake._project(1)
    own.info = replace(own.info, created_at="2026-01-02T03:04:05+00:00")
    media = loop_project.context.settings.media_dir(1)
    media.mkdir(parents=True)
    check_media_identity(media, project=1, title="third", created_at="2025-01-01T00:00:00Z")
    refused = run(*words)
    assert refused.exit_code == 1
    assert f"{media} is not the media folder of project 1" in refused.output
    assert folder.is_dir()


def test_the_status_says_whose_folder_it_is_and_shows_the_rest(folder: Path) -> None:
    """It may be what somebody needs to find out."""
    shown = run("status")
    assert shown.exit_code == 0
    assert "v0002" in shown.output
    (line,) = [line for line in shown.output.splitlines() if line.startswith("submitted until now")]
    assert f"unknown: {folder} is not the model folder of project 1" in line
    assert shown.output.splitlines()[0].split(maxsplit=1)[1].startswith(f"Not well. {folder} is not the model folder")


def test_the_own_folder_is_changed(folder: Path, other: ServedLabelStudio) -> None:
    """Without a word about it."""
    own = other.fake._project(1)
    own.info = replace(own.info, created_at="2026-01-02T03:04:05+00:00")
    rolled = run("rollback", "v0001")
    assert (rolled.exit_code, rolled.output) == (0, f"{folder}: published v0001, before v0002\n")
    assert "0 annotations of 0 of 0 tasks, 0 skips" in run("status").output


def test_without_an_answer_of_label_studio_the_folder_is_changed_and_the_doubt_said(
    folder: Path, loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback is needed in an outage, too."""
    use(loop_project, monkeypatch, "http://127.0.0.1:9")
    rolled = run("rollback", "v0001")
    assert rolled.exit_code == 0
    assert rolled.stdout == f"{folder}: published v0001, before v0002\n"
    assert f"not checked whether {folder} belongs to project 1: Label Studio at http://127.0.0.1:9" in rolled.stderr
    assert "t0ken" not in rolled.stderr
