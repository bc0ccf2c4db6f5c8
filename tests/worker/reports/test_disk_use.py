"""Disk use of a project: what is counted, in words and in JSON, and what it costs."""

import json
import time
from pathlib import Path

import pytest
from tests.worker.conftest import LoopProject

from helioloop_worker.reports import status_reading
from helioloop_worker.reports.disk_use import read_disk_use, size_text
from helioloop_worker.reports.status import status_lines
from helioloop_worker.reports.status_json import status_json
from helioloop_worker.reports.status_reading import read_status


def fill(path: Path, n_bytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * n_bytes)


def test_files_are_counted_once_by_where_they_are(tmp_path: Path) -> None:
    """Weights of rounds in the making count as rounds; a folder that a link leads to does not count."""
    model_dir, media = tmp_path / "models", tmp_path / "media"
    fill(model_dir / "versions" / "v0001" / "fold0-0.safetensors", 1000)
    fill(model_dir / "versions" / "v0001" / "card.json", 10)
    fill(model_dir / "staging" / "0123abcd" / "fold0-0.safetensors", 100)
    fill(media / "release" / "cube.mp4", 5)
    (media / "link").symlink_to(model_dir)
    link_bytes = (media / "link").lstat().st_size
    use = read_disk_use(model_dir, media)
    assert (use.model_bytes, use.weights_bytes, use.staging_bytes, use.media_bytes) == (1110, 1000, 100, 5 + link_bytes)
    assert use.model_free_bytes > 0
    assert (read_disk_use(model_dir, None).media_bytes, read_disk_use(model_dir, tmp_path / "none").media_bytes) == (
        None,
        None,
    )


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345, "12 kB"), (2_500_000, "2.5 MB"), (3 * 10**15, "3000.0 TB")],
)
def test_sizes_have_a_decimal_unit(n_bytes: int, text: str) -> None:
    assert size_text(n_bytes) == text


def test_the_status_has_a_line_and_the_json_the_bytes(loop_project: LoopProject) -> None:
    """For a project with its media folder, for a model folder without."""
    fill(loop_project.context.settings.media_dir(loop_project.id) / "release" / "cube.mp4", 7000)
    fill(loop_project.model_dir / "versions" / "v0001" / "fold0-0.safetensors", 2000)
    fill(loop_project.model_dir / "format.json", 0)
    (loop_project.model_dir / "format.json").write_text('{"format": 1}')
    (loop_project.model_dir / "versions" / "v0001").rename(loop_project.model_dir / "staging")
    settings = loop_project.context.settings
    status = read_status(loop_project.registry, project=loop_project.id, settings=settings, now=1e9)
    (line,) = [line.value for line in status_lines(status) if line.name == "disk use"]
    assert line.startswith("model folder 2.")
    assert "(0 B weights, 2.0 kB rounds in the making)" in line
    assert "; media 7.0 kB, " in line
    disk = json.loads(status_json(status))["disk"]
    assert (disk["media_bytes"], disk["staging_bytes"]) == (7000, 2000)
    alone = read_status(loop_project.registry, now=1e9)
    assert alone.disk is not None
    assert alone.disk.media_bytes is None


def test_watching_measures_once_a_minute(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Path] = []

    def look(model_dir: Path, media: Path | None) -> None:
        assert media is None
        looks.append(model_dir)

    monkeypatch.setattr(status_reading, "read_disk_use", look)
    for second in (2e9, 2e9 + 5, 2e9 + 15, 2e9 + 70):
        read_status(loop_project.registry, now=second)
    assert len(looks) == 2


def test_forty_thousand_files_take_little_time(tmp_path: Path) -> None:
    """As many as 10,000 cubes have in the media folder; the status as a whole has 1.5 s."""
    for release in range(10):
        (tmp_path / "media" / str(release)).mkdir(parents=True)
        for cube in range(400):
            (tmp_path / "media" / str(release) / str(cube)).touch()
    (tmp_path / "models").mkdir()
    began = time.process_time()
    read_disk_use(tmp_path / "models", tmp_path / "media")
    assert (time.process_time() - began) * 10 < 1.0
