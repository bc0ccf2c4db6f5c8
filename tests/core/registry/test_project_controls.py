"""The controls of a project survive in its model folder, and a damaged file is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from helioloop.errors import RegistryError
from helioloop.records.controls import Controls
from helioloop.records.labels import Label
from helioloop.registry.project_controls import controls_path, read_project_controls, write_project_controls

CONTROLS = Controls(
    video="film",
    video_field="movie",
    choices="kind",
    timeline="when",
    timeline_label="start",
    values={Label.EMERGENCE: "J", Label.NON_EMERGENCE: "nein"},
    shown={Label.EMERGENCE: "ja", Label.NON_EMERGENCE: "nein"},
)


def test_controls_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert read_project_controls(tmp_path / "none") is None
    write_project_controls(tmp_path, CONTROLS)
    assert read_project_controls(tmp_path) == CONTROLS


@pytest.mark.parametrize(
    "changed",
    [
        {"video": None},
        {"choices": 3},
        {"timeline": []},
        {"values": {"emergence": "a"}},
        {"values": {"emergence": "a", "non-emergence": "a"}},
        {"shown": "ja"},
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    """It is never read as the words of the settings."""
    controls_path(tmp_path).write_text(json.dumps({"controls": CONTROLS.as_dict() | changed}))
    with pytest.raises(RegistryError, match="run `helioloop init --project ID`"):
        read_project_controls(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"controls": 1}', "\xff"])
def test_other_content_is_refused(tmp_path: Path, text: str) -> None:
    controls_path(tmp_path).write_bytes(text.encode("latin-1"))
    with pytest.raises(RegistryError, match="does not describe the controls"):
        read_project_controls(tmp_path)
