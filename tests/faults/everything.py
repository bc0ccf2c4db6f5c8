"""Kills workers at every named step and at random times; `make test-faults` runs it, `make test` does not.

The report is written to ``fault-report.json`` in the current folder.
"""

from pathlib import Path

from helioloop.settings import Settings
from tests.faults.driver import POINTS, Driver
from tests.faults.three_kills import HURRIED

RANDOM_KILLS = 24
STEP_SECONDS = 30.0
CORRECTIONS = 1000


def test_kills_everywhere_lose_nothing(
    tmp_path: Path, settings: Settings, task_data: dict[str, dict[str, str]]
) -> None:
    """Every correction is in the label snapshot once, no half version was published, each task has one prediction."""
    driver = Driver(tmp_path, settings.model_copy(update=HURRIED), task_data, seed=1)
    try:
        for point in POINTS:
            driver.kill_at(point, wait_seconds=STEP_SECONDS)
            driver.write(Path("fault-report.json"))
        for number in range(RANDOM_KILLS):
            driver.kill_at_random(longest_seconds=10.0, empty_redis=number % 6 == 5)
            driver.write(Path("fault-report.json"))
        driver.correct(max(0, CORRECTIONS - driver.report.corrections))
        driver.settle(wait_seconds=180.0)
    finally:
        driver.close()
        driver.write(Path("fault-report.json"))
    assert driver.report.faults == 0, driver.report
    assert driver.report.kill_points >= 50
    assert driver.report.corrections >= CORRECTIONS
