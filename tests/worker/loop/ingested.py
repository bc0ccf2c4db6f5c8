"""A release of six small cubes, and what its ingestion leaves."""

import csv

from tests.worker.conftest import LoopProject

from helioloop.progress import silent
from helioloop_worker.loop.ingest import Ingested, ingest

SIX = tuple(f"cube{k:02d}" for k in range(6))


def ingest_release(loop_project: LoopProject, release: str = "six") -> Ingested:
    return ingest(loop_project.context, loop_project.id, release, report=silent)


def cubes(loop_project: LoopProject) -> list[str]:
    """The cubes that have tasks, duplicates included."""
    return sorted(task["data"]["cube"] for task in loop_project.label_studio.tasks(loop_project.id))


def excluded(loop_project: LoopProject) -> dict[str, str]:
    """The table of excluded cubes: cube -> reason."""
    with (loop_project.model_dir / "excluded" / "six.csv").open(newline="") as file:
        return {row["cube"]: row["reason"] for row in csv.DictReader(file)}
