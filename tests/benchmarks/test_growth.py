"""The benchmark of what grows: its counts, its table and its steps on a small archive; nothing is timed to a bound."""

import itertools
import time
from pathlib import Path

import pytest
import redis

from helioloop.model.per_frame_network import PerFrameNetwork
from helioloop_worker.labelstudio import kept_projects
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project_template import labeling_configuration
from tests.benchmarks.growth.archive import Archive
from tests.benchmarks.growth.cost import Cost, power
from tests.benchmarks.growth.counted import CALL_SECONDS, ROW_SECONDS, CountedLabelStudio
from tests.benchmarks.growth.document import BEGIN, DOCUMENT, END, PRELABELLING, table, with_table
from tests.benchmarks.growth.network_clock import Clock, network_clock
from tests.benchmarks.growth.steps import measure


def test_rows_are_those_of_the_answer_or_of_the_argument() -> None:
    """Two tasks imported, two read; their price is that of two calls and of their rows."""
    counted = CountedLabelStudio(FakeLabelStudio())
    project = counted.fake.create_project(title="team", label_config=labeling_configuration())
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


def test_time_in_networks_counts_once_where_a_masking_curve_calls_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is a second later; a call within a call does not look."""
    monkeypatch.setattr(time, "perf_counter", itertools.count().__next__)
    clock = Clock()
    network = clock.timed(lambda: "logit")
    curve = clock.timed(lambda: [network(), network()])
    assert curve() == ["logit", "logit"]
    assert clock.seconds == 1
    assert network() == "logit"
    assert clock.seconds == 2


def test_the_fraction_in_networks_leaves_out_what_scoring_does_beside_them() -> None:
    """1,000 cubes: 60 s in networks, 20 s beside them, and four other steps of 5 s."""
    step = {"own_seconds": 9.0, "cpu_seconds": 4.0, "server_seconds": 1.0, "calls": 1, "rows": 1}
    found = {1000: {"steps": dict.fromkeys(PRELABELLING, step), "peak_mb": 1, "files": 0, "cube_seconds": (0.06, 0.02)}}
    assert "| fraction of pre-labelling in networks | 60% |" in table(found)


def test_a_size_measured_earlier_stays_in_the_table_beside_a_new_one() -> None:
    """The earlier one was read from JSON, which makes lists; both fractions have the shorter time of a cube."""
    step = {"own_seconds": 9.0, "cpu_seconds": 4.0, "server_seconds": 1.0, "calls": 1, "rows": 1}
    both = {"steps": dict.fromkeys(PRELABELLING, step), "peak_mb": 1, "files": 0}
    found = {1000: {**both, "cube_seconds": [0.06, 0.02]}, 2000: {**both, "cube_seconds": (0.07, 0.03)}}
    assert "| fraction of pre-labelling in networks | 60% | 67% |" in table(found)


def test_networks_are_timed_within_the_block_only() -> None:
    """A network of `quick` is as before afterwards."""
    before = PerFrameNetwork.forward
    with network_clock() as clock:
        assert PerFrameNetwork.forward is not before
    assert PerFrameNetwork.forward is before
    assert clock.seconds == 0.0


def test_the_document_keeps_what_is_around_the_table() -> None:
    """A cell has our time, CPU time, Label Studio's, calls and rows; ten times the cubes take ten times as long."""
    checking = {"own_seconds": 0.5, "cpu_seconds": 0.25, "server_seconds": 12.0, "calls": 4, "rows": 1003}
    steps = {1000: {"checking": checking}, 10000: {"checking": {**checking, "cpu_seconds": 2.5}, "later": checking}}
    found = {size: {"steps": own, "peak_mb": 99.6, "folder": "media", "files": 3000} for size, own in steps.items()}
    text = with_table(f"before {BEGIN} old {END} after", table(found))
    cells = "0.50 s [0.25 s] + 12 s (4 / 1,003) | 0.50 s [2.50 s] + 12 s (4 / 1,003)"
    assert f"| checking | {cells} | 1.00 |" in text
    assert "| 100 MB | 100 MB |" in text
    assert " old " not in text
    assert Cost(**checking).rows == 1003
    assert BEGIN in DOCUMENT.read_text()


def test_the_power_is_that_of_the_number_of_cubes() -> None:
    """Quadratic, constant, and too short to be measured."""
    assert power((100, 0.1), (1000, 10.0)) == pytest.approx(2.0)
    assert power((100, 0.1), (1000, 0.1)) == pytest.approx(0.0)
    assert power((100, 0.001), (1000, 0.1)) is None
