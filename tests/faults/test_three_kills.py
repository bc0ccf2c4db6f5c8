"""Workers that are killed at three steps: no correction is lost or counted twice, no half version is published.

`make test-faults` runs `everything`, which kills at all steps and has services fail, too.
"""

from pathlib import Path

from helioloop.settings import Settings
from tests.faults.driver import Driver, Step

THREE = (
    Step("train", "helioloop.registry.versions", "Registry.admit", "after"),
    Step("train", "helioloop.registry.versions", "Registry._write_publication", "before"),
    Step("score", "helioloop_worker.labelstudio.client", "LabelStudioClient.import_predictions", "after"),
)
"""Between admission and publication, before the pointer moves, and amid the write-back: all in one round's life."""


def test_three_kills_lose_nothing(tmp_path: Path, settings: Settings, task_data: dict[str, dict[str, str]]) -> None:
    """After recovery the label snapshot equals Label Studio's annotations, and each task has one prediction."""
    driver = Driver(tmp_path, settings, task_data, seed=1, backends=1, rate_hz=3.0)
    try:
        reached = [driver.harm_at(step, "kill", wait_seconds=90.0) for step in THREE]
        driver.settle(wait_seconds=90.0)
    finally:
        driver.close()
        driver.write(tmp_path / "fault-report.json")
    assert driver.report.faults == 0, (tmp_path / "fault-report.json").read_text()
    assert all(reached), driver.report.not_reached
    assert driver.report.corrections >= 10
