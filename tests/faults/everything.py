"""Harm at every named step of the loop, outages of every kind, and random kills; `make test-faults` runs it.

The report is written to ``fault-report.json`` in the current folder after each part. HELIOLOOP_FAULT_SEED gives another
course of events.
"""

import os
import random
from pathlib import Path

from helioloop.settings import Settings
from tests.faults.driver import Driver, Step
from tests.faults.outages import OUTAGES

REPORT = Path("fault-report.json")
CORRECTIONS = 1000
RECOVERY_EVERY = 6
"""Harms and outages between two recoveries."""
STEPS = tuple(
    Step(role, module, name, when)
    for role, module, name in (
        ("score", "helioloop_worker.loop.retrain_check", "decide"),
        ("score", "helioloop_worker.loop.retrain_check", "request_round"),
        ("train", "helioloop_worker.loop.planning", "make_plan"),
        ("train", "helioloop_worker.loop.rounds", "send_steps"),
        ("train", "helioloop_worker.loop.planning", "complete_check"),
        ("train", "helioloop_worker.loop.planning", "settle_requests"),
        ("train", "helioloop.model.members", "train"),
        ("train", "helioloop.model.members", "write_member"),
        ("train", "helioloop.model.ensemble", "score_cubes"),
        ("train", "helioloop_worker.loop.round_steps", "locate_emergences"),
        ("train", "helioloop.workflows.rounds", "_replace_scores"),
        ("train", "helioloop.workflows.rounds", "compare_with_published"),
        ("train", "helioloop.registry.versions", "write_card"),
        ("train", "helioloop.registry.versions", "Registry.admit"),
        ("train", "helioloop_worker.loop.round_steps", "_choose_random_checks"),
        ("train", "helioloop.registry.versions", "Registry.publish_candidate"),
        ("train", "helioloop.registry.versions", "Registry._write_publication"),
        ("train", "helioloop_worker.loop.rounds", "end"),
        ("train", "helioloop_worker.loop.rounds", "send_follow_up"),
        ("score", "helioloop_worker.loop.hiding", "write_screens"),
        ("score", "helioloop_worker.loop.writeback", "write_screens"),
        ("score", "helioloop_worker.labelstudio.client", "LabelStudioClient.import_predictions"),
        ("score", "helioloop_worker.loop.writeback", "delete_duplicates"),
        ("score", "helioloop_worker.labelstudio.client", "LabelStudioClient.set_model_version"),
        ("score", "helioloop_worker.labelstudio.client", "LabelStudioClient.rescore"),
        ("score", "helioloop_worker.labelstudio.client", "LabelStudioClient.delete_version"),
        ("score", "helioloop_worker.loop.writeback", "write_written"),
        ("score", "helioloop_worker.loop.reconcile", "put_damaged_aside"),
        ("score", "helioloop_worker.loop.rounds", "resume"),
    )
    for when in ("before", "after")
)
"""The named steps of checks, rounds, publications, write-backs and reconciliations."""


def test_harm_everywhere_loses_nothing(
    tmp_path: Path, settings: Settings, task_data: dict[str, dict[str, str]]
) -> None:
    """Every correction is in the label snapshot once, no half version was published, each task has one prediction."""
    seed = int(os.environ.get("HELIOLOOP_FAULT_SEED", "1"))
    driver = Driver(tmp_path, settings, task_data, seed=seed)
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    parts = [(step, "kill") for step in STEPS]
    parts += [(step, "freeze") for step in STEPS if step.when == "before"]
    parts += [(step, "job") for step in STEPS if step.role == "train" and step.when == "after"]
    harms = [lambda step=step, action=action: driver.harm_at(step, action) for step, action in parts]
    outages = [lambda name=name: OUTAGES[name](driver) for name in (*OUTAGES, *["rollback"] * 3)]
    random_kills = [lambda pairs=pairs: driver.kill_at_random(pairs=pairs) for pairs in (1, 2) * 6]
    everything = [*harms, *outages, *random_kills]
    chance.shuffle(everything)
    try:
        driver.settle()  # a first version
        for number, harm in enumerate(everything, start=1):
            harm()
            if number % RECOVERY_EVERY == 0 or number == len(everything):
                driver.settle()
            driver.write(REPORT)
        while driver.people.corrections < CORRECTIONS:
            driver.people.correct()
        driver.settle()
    finally:
        driver.close()
        driver.write(REPORT)
    report = driver.report
    assert report.faults == 0, REPORT.read_text()
    assert report.unavailable <= 0.01 * report.answers
    assert report.kill_points >= 50
    assert report.corrections >= CORRECTIONS
    assert report.reached >= 0.9 * len(parts), report.not_reached
