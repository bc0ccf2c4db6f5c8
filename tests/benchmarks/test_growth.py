"""The benchmark of what grows: its counts, its table and its steps on a small archive; nothing is timed to a bound."""

from pathlib import Path

import pytest
import redis

from helioloop_worker.labelstudio import kept_projects
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project_template import labeling_configuration
from tests.benchmarks.growth.archive import Archive
from tests.benchmarks.growth.counted import CALL_SECONDS, ROW_SECONDS, CountedLabelStudio
from tests.benchmarks.growth.document import BEGIN, DOCUMENT, END, table, with_table
from tests.benchmarks.growth.steps import Cost, measure


def test_rows_are_those_of_the_answer_or_of_the_argument() -> None:
    """Two tasks imported, two read; their price is that of two calls and of their rows."""
    counted = CountedLabelStudio(FakeLabelStudio())
    project = counted.fake.create_project(title="t", label_config=labeling_configuration())
    with counted.counting() as traffic:
        counted.import_tasks(project, [{"video": "/v", "curve": "/c", "reason": "/r"}] * 2)
        assert len(counted.tasks(project)) == 2
    assert (dict(traffic.calls), dict(traffic.rows)) == (
        {"import_tasks": 1, "tasks": 1},
        {"import_tasks": 2, "tasks": 2},
    )
    assert traffic.server_seconds == pytest.approx(
        2 * CALL_SECONDS + 2 * ROW_SECONDS["import_tasks"] + 2 * ROW_SECONDS["tasks"]
    )


def test_a_correction_costs_few_rows_in_a_small_archive(
    tmp_path: Path, redis_connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All steps run, and the rows of a correction are far fewer than the sixty cubes."""
    monkeypatch.setattr(kept_projects, "OVERLAP", kept_projects.OVERLAP)  # it is changed, and is as before afterwards
    shown: list[str] = []
    archive = Archive(tmp_path / "archive", 60, redis_connection)
    archive.folder.mkdir()
    costs = measure(archive, lambda name, _: shown.append(name))
    assert list(costs) == shown
    assert max(costs[f"one correction: {step}"].rows for step in ("check", "write-back")) <= 10
    assert costs["reading annotations"].rows == 61


def test_the_document_keeps_what_is_around_the_table() -> None:
    """A cell has our time, Label Studio's, calls and rows."""
    steps = {"checking": {"own_seconds": 0.5, "server_seconds": 12.0, "calls": 4, "rows": 1003}}
    found = {1000: {"steps": steps, "peak_mb": 99.6, "folder": "media", "files": 3000}}
    text = with_table(f"before {BEGIN} old {END} after", table(found))
    assert "| checking | 0.50 s + 12 s (4 / 1,003) |" in text
    assert "| 100 MB |" in text
    assert " old " not in text
    assert Cost(**steps["checking"]).rows == 1003
    assert BEGIN in DOCUMENT.read_text()
