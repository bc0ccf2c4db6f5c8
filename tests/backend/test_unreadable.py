"""A backend under another account than the worker's, which may not read files of the model folders."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from tests.other_user import FIRST, SECOND, TEAM, needs_root, run_as, team_folder

from helioloop.labelstudio.config import parse_config
from helioloop.records.labels import CurrentLabel, Label
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.project_controls import write_project_controls
from helioloop.settings import Settings
from helioloop_backend import readiness
from helioloop_backend.unreadable import NO_FOLDER, unreadable, without_paths

EVENT = {"action": "ANNOTATION_CREATED", "project": {"id": 1}}


@pytest.fixture
def shared(settings: Settings, made: Any) -> Iterator[Settings]:
    """Return settings with two projects, whose files belong to `FIRST` and which all may read, also Redis."""
    socket = Path(urlsplit(settings.redis_url).path)
    socket.parent.chmod(0o755)
    socket.chmod(0o777)
    with team_folder(0o755) as folder:
        given = settings.model_copy(update={"model_root": folder / "models"})
        controls = parse_config(made.config, emergence="emergence", non_emergence="non-emergence")
        for project in (1, 2):
            made.publish(given, project, [made.score("A", 0.75)])
            labels = {"A": CurrentLabel(cube="A", label=Label.EMERGENCE)}
            Snapshot(read_at="2026-01-01T00:00:00+00:00", cubes=labels).write(given.model_dir(project))
            write_project_controls(given.model_dir(project), controls)
        for path in (given.model_root, *given.model_root.rglob("*")):
            os.chown(path, FIRST, TEAM)
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield given


@pytest.fixture
def answers(
    app_of: Callable[[Settings], Flask],
    shared: Settings,
    made: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Callable[[], dict[str, tuple[int, str]]]:
    """Return a function that gives status and text of each answer to `SECOND`, and as ``log`` what was logged."""
    monkeypatch.setattr(readiness, "KEPT_SECONDS", 0.0)

    def calls(client: FlaskClient) -> dict[str, tuple[int, str]]:
        found = {
            "ready": client.get("/ready"),
            "setup": client.post("/setup", json={"project": "1.1", "schema": made.config}),
            "predict": client.post("/predict", json=made.predict([made.task("A")])),
            "predict 2": client.post("/predict", json=made.predict([made.task("A")], project="2.1")),
            "versions": client.get("/versions"),
            "versions 1": client.get("/versions?project=1.1"),
            "webhook": client.post("/webhook", json=EVENT),
            "metrics": client.get("/metrics"),
        }
        return {name: (answer.status_code, answer.text) for name, answer in found.items()} | {"log": (0, caplog.text)}

    def ask() -> dict[str, tuple[int, str]]:
        client = app_of(shared).test_client()
        calls(client)  # the other user may import nothing
        caplog.clear()
        again = app_of(shared).test_client()
        found = run_as(SECOND, lambda: calls(again))
        assert isinstance(found, dict), found
        return {name: (status, text) for name, (status, text) in found.items()}

    return ask


@needs_root
def test_a_backend_that_may_read_everything_answers(answers: Callable[[], dict[str, tuple[int, str]]]) -> None:
    found = answers()
    assert {status for name, (status, _) in found.items() if name != "log"} == {200, 201}
    assert found["log"][1] == ""


@needs_root
@pytest.mark.parametrize(
    ("closed", "refused"),
    [
        ("published.json", {"setup", "predict"}),
        ("format.json", {"setup", "predict", "versions 1"}),
        ("labels.json", {"predict"}),
        ("controls.json", {"predict"}),
        ("versions/v0001/card.json", {"predict"}),
        ("versions/v0001/scores/*", {"predict"}),
        ("versions/v0001/scores", {"predict"}),
        ("", {"setup", "predict", "versions 1"}),
    ],
)
def test_a_file_that_the_backend_may_not_read_is_named_with_the_remedy(
    answers: Callable[[], dict[str, tuple[int, str]]], shared: Settings, closed: str, refused: set[str]
) -> None:
    """The answer is a 503, not a fault of the backend; the other project is answered, and events are taken."""
    folder = shared.model_dir(1)
    paths = sorted(folder.glob(closed)) if closed else [folder]
    for path in paths:
        path.chmod(0o700 if path.is_dir() else 0o600)
    path = next((path for path in paths if path.suffix == ".jsonl"), paths[0])  # beside it is its index
    found = answers()
    names = {name for name, (status, _) in found.items() if status == 503} - {"ready"}
    assert names == refused
    act = "enter" if not closed else "read"
    shown = str(path).replace(str(shared.model_root), "HELIOLOOP_MODEL_ROOT")
    for name in refused:
        text = found[name][1]
        assert f"let the user number {SECOND} {act} {shown}, which belongs to number {FIRST}" in text
        assert "cannot be read (Permission denied)" in text
        assert str(shared.model_root) not in text
        assert "helioloop status" not in text
    assert f"let the user number {SECOND} {act} {path}, which belongs to number {FIRST}" in found["log"][1]
    assert found["predict 2"][0] == 200


@needs_root
@pytest.mark.parametrize("closed", ["published.json", "labels.json", ""])
def test_a_backend_that_may_read_no_project_is_not_ready(
    answers: Callable[[], dict[str, tuple[int, str]]], shared: Settings, closed: str
) -> None:
    """Everybody may ask, so the answer has neither the path of the folder nor a user; the log has both, once.

    As long as one project can be read, the backend serves it, and a load balancer must not take it away.
    """
    paths = [shared.model_dir(project) / closed for project in shared.projects()]
    paths[0].chmod(0o700 if paths[0].is_dir() else 0o600)
    found = answers()
    assert found["ready"][0] == 200
    assert found["log"][1].count("a project is not served: ") == 1
    for path in paths[1:]:
        path.chmod(0o700 if path.is_dir() else 0o600)
    found = answers()
    status, text = found["ready"]
    assert status == 503
    assert f"project-1/{closed or 'published.json'} in HELIOLOOP_MODEL_ROOT cannot be read" in text
    assert str(shared.model_root) not in text
    assert str(FIRST) not in text


@needs_root
@pytest.mark.parametrize("mode", [0o700, 0o711, 0o744])
def test_a_closed_model_root_is_named(
    answers: Callable[[], dict[str, tuple[int, str]]], shared: Settings, mode: int
) -> None:
    """Metrics that need no file stay."""
    shared.model_root.chmod(mode)
    found = answers()
    assert found["ready"] == (503, found["ready"][1])
    assert NO_FOLDER in found["ready"][1]
    assert found["metrics"][0] == 200
    assert "helioloop_events_total" in found["metrics"][1]
    assert {status for name, (status, _) in found.items() if name != "log"} <= {200, 201, 503}
    status, text = found["versions"]
    assert status == 503
    assert f"let the user number {SECOND} " in text
    assert f" HELIOLOOP_MODEL_ROOT, which belongs to number {FIRST}" in text
    assert str(shared.model_root) not in found["predict"][1]


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("/srv/m/project-1/a cannot be read; let x read /srv/m/project-1/a, which",
         "HELIOLOOP_MODEL_ROOT/project-1/a cannot be read; let x read HELIOLOOP_MODEL_ROOT/project-1/a, which"),
        ("/srv/m cannot be read; let x read /srv/m, which",
         "HELIOLOOP_MODEL_ROOT cannot be read; let x read HELIOLOOP_MODEL_ROOT, which"),
        ("/srv/m/project-1/a cannot be read; let x enter /srv, which", NO_FOLDER),
        ("/srv/more/a cannot be read; let x read /srv/more/a", NO_FOLDER),
    ],
)  # fmt: skip
def test_an_answer_names_files_by_the_setting_of_their_folder(said: str, answered: str) -> None:
    assert without_paths(said, Path("/srv/m")) == answered


def test_a_relative_model_root_is_named_by_its_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = f"data/models/project-1/a cannot be read; let x read {tmp_path}/data/models/project-1/a, which"
    assert str(tmp_path) not in without_paths(said, Path("data/models"))
    assert without_paths(said, Path("data/models")).startswith("HELIOLOOP_MODEL_ROOT/project-1/a cannot be read")


def test_other_errors_than_those_of_files_are_faults_of_the_backend() -> None:
    """A disk that fails while a file is read has no name of the file."""
    assert unreadable(KeyError("/srv")) is None
    assert unreadable(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")) is None
    assert unreadable(OSError(errno.EIO, "Input/output error")) == (
        "a file cannot be read (Input/output error); check that disk"
    )
    assert unreadable(OSError(errno.ETIMEDOUT, "Connection timed out", "/srv/m/a")) == (
        "/srv/m/a cannot be read (Connection timed out); check its file system"
    )
