"""`helioloop status` on a project, against `helioloop --help`: both in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.speed.timing import Sides
from tests.benchmarks.speed.work import Work

PROGRAM = Path(sys.executable).with_name("helioloop")


def status(work: Work) -> Sides:
    """Return both sides; the project has no round, and Redis is not there."""
    root = work.new_folder("models")
    (root / "project-1").mkdir()
    environment = os.environ | {"HELIOLOOP_MODEL_ROOT": str(root), "HELIOLOOP_REDIS_URL": "redis://127.0.0.1:1/0"}

    def run(*words: str) -> str:
        command = [PROGRAM, *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.stdout

    shown = run("status", "--project", "1")
    if "project 1" not in shown:
        raise AssertionError(f"`helioloop status` shows no project: {shown!r}")
    return Sides(ours=lambda: run("status", "--project", "1"), reference=lambda: run("--help"), rounds=7)
