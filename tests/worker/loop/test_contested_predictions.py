"""Two deployments, each with a Redis and folders of its own, write into one project: noticed, said, and slowed down."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from tests.worker.conftest import CUBES, PROFILE, LoopProject, work

from helioloop.progress import silent
from helioloop.registry import replaced_predictions, shown_versions
from helioloop.registry.project_profile import write_project_profile
from helioloop.registry.replaced_predictions import add_replaced_predictions, read_replaced_predictions
from helioloop.registry.shown_versions import read_shown_versions
from helioloop_worker.loop import contested_predictions
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.writeback import write_back
from helioloop_worker.reports.status_json import status_json
from helioloop_worker.reports.status_reading import read_status

Data = dict[str, dict[str, str]]
MINUTE = 60.0


class Clock:
    """What the time is for replacements, in minutes from the first one; whole seconds, which are stored unrounded."""

    def __init__(self) -> None:
        self.begun, self.minutes = float(int(time.time())), 0.0

    def time(self) -> float:
        """Return the time in Unix seconds."""
        return self.begun + self.minutes * MINUTE


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    for module in (contested_predictions, shown_versions):
        monkeypatch.setattr(module, "time", found)
    return found


@pytest.fixture
def first(loop_project: LoopProject, task_data: Data) -> LoopProject:
    """The deployment that shows its v0001, by which all cubes emerge with 0.75."""
    loop_project.import_cubes(task_data)
    write_back(loop_project.context, loop_project.id, loop_project.publish(p_emergence=0.75), report=silent)
    loop_project.check()
    return loop_project


@pytest.fixture
def second(first: LoopProject, redis_url: str, tmp_path: Path) -> Iterator[LoopProject]:
    """Another deployment with the same project, and a v0001 of its own, by which they emerge with 0.625."""
    settings = first.context.settings.model_copy(
        update={"model_root": tmp_path / "second" / "models", "media_root": tmp_path / "second" / "media"}
    )
    with redis.Redis.from_url(redis_url, db=1) as connection:
        context = replace(first.context, settings=settings, open_redis=lambda _: connection)
        found = replace(first, context=context)
        write_project_profile(found.model_dir, PROFILE)
        found.publish(p_emergence=0.625)
        found.check()
        yield found


def take_turn(deployment: LoopProject) -> set[float]:
    """Reconcile and run the jobs; return the probabilities that Label Studio shows afterwards."""
    reconcile(deployment.context, deployment.id)
    work(deployment)
    rows = deployment.label_studio.predictions(deployment.id)
    assert len(rows) == len(CUBES)
    return {row.content.probability for row in rows if row.content is not None and row.content.probability is not None}


def causes(deployment: LoopProject, now: float) -> dict[str, str]:
    """Return cause -> sentence and action of what the status finds."""
    status = read_status(deployment.registry, project=deployment.id, settings=deployment.context.settings, now=now)
    values = json.loads(status_json(status))
    return {
        finding["cause"]: f"{finding['sentence']} {finding['action']}"
        for finding in [values["verdict"], *values["also"]]
    }


def test_the_second_time_is_said_and_the_third_one_waits_longer_and_longer(
    first: LoopProject, second: LoopProject, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Both look every five minutes, in turn; only one of them has this code, the other one replaces at once."""
    replaced_at = []
    for minutes in range(0, 150, 5):
        clock.minutes = minutes
        (second.model_dir / replaced_predictions.FILE_NAME).unlink(missing_ok=True)
        assert take_turn(second) == {0.625}
        if take_turn(first) == {0.75}:
            replaced_at.append(minutes)
    assert replaced_at == [0, 5, 15, 35, 75, 135]
    assert "replaced 2 times within a day, so another deployment writes into this project, too" in caplog.text
    assert "which are replaced from" in caplog.text


def test_the_status_names_it_until_it_is_over(first: LoopProject, second: LoopProject, clock: Clock) -> None:
    """Not after the first time, which is as after a restore; not any more when the other one has been stopped."""
    take_turn(second)
    take_turn(first)
    assert "contested-predictions" not in causes(first, clock.time())
    clock.minutes = 5
    take_turn(second)
    take_turn(first)
    found = causes(first, clock.time())["contested-predictions"]
    assert "The predictions of v0001 in Label Studio were replaced 2 times within a day" in found
    assert f"`helioloop init --project {first.id}`" in found
    clock.minutes = 16
    assert take_turn(first) == {0.75}
    assert "contested-predictions" in causes(first, clock.time())
    clock.minutes = 30
    assert "contested-predictions" not in causes(first, clock.time())


def test_what_else_is_to_be_written_is_written_meanwhile(first: LoopProject, second: LoopProject, clock: Clock) -> None:
    """A task without a prediction gets one; nothing is left out for the sake of the others."""
    for minutes in (0, 5):
        clock.minutes = minutes
        take_turn(second)
        take_turn(first)
    clock.minutes = 6
    take_turn(second)
    lost = first.label_studio.predictions(first.id)[0]
    first.label_studio.delete_predictions([lost])
    take_turn(first)
    assert lost.task in {row.task for row in first.label_studio.predictions(first.id)}


def test_versions_of_two_names_that_are_shown_in_turn_are_said_and_left_too(
    first: LoopProject, second: LoopProject, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The first deployment has trained on: its v0002 and the other's v0001 replace each other as what is shown.

    The other one is of an earlier helioloop, which shows its version at once each time.
    """
    write_back(first.context, first.id, first.publish(p_emergence=0.75), report=silent)
    replaced_at, listed = [], 0
    for minutes in range(0, 150, 5):
        clock.minutes = minutes
        second.label_studio.set_model_version(second.id, "v0001")
        reconcile(first.context, first.id)
        work(first)
        if first.label_studio.project(first.id).model_version == "v0002":
            replaced_at.append(minutes)
        listed = len(read_shown_versions(first.model_dir))
    assert replaced_at == [0, 5, 15, 35, 75, 135]
    assert listed == 2 + 2 * len(replaced_at)
    assert "Label Studio showed another version than v0002, now v0001, 2 times within a day" in caplog.text
    found = causes(first, clock.time())["contested-predictions"]
    assert "Label Studio showed another version than v0002, such as v0001, 6 times within a day" in found
    assert f"`helioloop init --project {first.id}`" in found
    clock.minutes = 135 + 60 + 12
    assert "contested-predictions" not in causes(first, clock.time())


def test_a_rollback_and_a_restored_label_studio_are_not_contested(first: LoopProject) -> None:
    """What was published in turn, and what was found once, says nothing of another deployment."""
    write_back(first.context, first.id, first.publish(), report=silent)
    for version in ("v0001", "v0002", "v0001", "v0002"):
        first.registry.publish(version, why="rollback")
        write_back(first.context, first.id, version, report=silent)
    first.label_studio.set_model_version(first.id, "v0001")
    write_back(first.context, first.id, "v0002", report=silent)
    assert "contested-predictions" not in causes(first, time.time())
    assert first.label_studio.project(first.id).model_version == "v0002"


def test_predictions_that_are_replaced_in_parts_are_not_contested(tmp_path: Path) -> None:
    """After a restore the cubes that are scored later are replaced later; nothing is replaced twice."""
    for minutes, tasks in enumerate(([1, 2], [3], [4, 5])):
        noted = add_replaced_predictions(tmp_path, "v0001", tasks, now=1e9 + minutes * MINUTE)
        assert not noted.is_contested
    assert add_replaced_predictions(tmp_path, "v0001", [3], now=1e9 + 9 * MINUTE).times == (1e9 + 2 * MINUTE, 1e9 + 540)


def test_replacements_are_forgotten_after_a_day_and_by_another_version(tmp_path: Path) -> None:
    add_replaced_predictions(tmp_path, "v0001", [1], now=1e9)
    assert read_replaced_predictions(tmp_path, "v0001", now=1e9 + 86399) is not None
    assert read_replaced_predictions(tmp_path, "v0001", now=1e9 + 86401) is None
    assert not add_replaced_predictions(tmp_path, "v0001", [1], now=1e9 + 86401).is_contested
    assert read_replaced_predictions(tmp_path, "v0002", now=1e9 + 86402) is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": "v0001", "times": [], "tasks": []}', '{"version": "v0001", "times": ["x"]}']
)
def test_a_damaged_file_is_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / replaced_predictions.FILE_NAME).write_text(content)
    assert read_replaced_predictions(tmp_path, "v0001", now=1e9) is None
    assert add_replaced_predictions(tmp_path, "v0001", [1], now=1e9).times == (1e9,)


def test_a_time_of_a_clock_that_was_ahead_holds_nothing(tmp_path: Path) -> None:
    add_replaced_predictions(tmp_path, "v0001", [1], now=2e9)
    assert read_replaced_predictions(tmp_path, "v0001", now=1e9) is None
