"""Workers that are killed at three steps: no correction is lost or counted twice, no half version is published.

`make test-faults` runs this first, then `everything`; `make test` runs neither yet.
"""

from pathlib import Path

from helioloop.settings import Settings
from tests.faults.driver import Driver
from tests.worker.conftest import made, settings, task_data  # noqa: F401 - fixtures

HURRIED = {"retrain_events": 1, "retrain_quiet_seconds": 0.2, "retrain_max_wait_seconds": 1.0, "sweep_seconds": 1.0,
           "retrain_pause_seconds": 0.0}  # fmt: skip
THREE = (
    ("train", "helioloop.registry.versions", "Registry.admit", "after"),
    ("score", "remote", "import_predictions", "after"),
    ("train", "helioloop.registry.versions", "Registry._write_publication", "before"),
)
"""Between admission and publication, amid the write-back, and before the pointer moves."""


def test_three_kills_lose_nothing(tmp_path: Path, settings: Settings, task_data: dict[str, dict[str, str]]) -> None:  # noqa: F811
    driver = Driver(tmp_path, settings.model_copy(update=HURRIED), task_data, seed=1)
    try:
        for point in THREE:
            driver.kill_at(point, wait_seconds=60.0)
        driver.settle(wait_seconds=60.0)
    finally:
        driver.close()
    assert driver.report.faults == 0, (driver.report, (tmp_path / "workers.log").read_text()[-4000:])
    assert driver.report.reached == len(THREE)
