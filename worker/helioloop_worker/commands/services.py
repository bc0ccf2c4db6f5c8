"""Commands that run services: worker, demo."""

import sys
from pathlib import Path
from typing import Any

import click

from helioloop.cli import needs_extra
from helioloop.settings import load_settings


def commands() -> list[click.Command]:
    """Return this group's commands."""
    return [worker, demo]


@click.command()
@click.option(
    "--role",
    type=click.Choice(["train", "score"]),
    required=True,
    help="train (queue helioloop-train): rounds and ingestion, heavy; score: what somebody waits for "
    "(helioloop-score), then retrain checks, write-back and reconciliation (helioloop-maintenance), then whole "
    "releases (helioloop-bulk).",
)
def worker(role: str) -> None:
    """Serve the job queues until Ctrl-C or SIGTERM; the job in hand is finished first.

    Run at least one worker of each role, so that training never delays scoring; run more of `train`, on as many
    machines and GPUs as share the folders, to train a round's members side by side. Settings are environment
    variables; see docs/settings.md.
    """
    with needs_extra("worker"):
        from helioloop_worker.context import Context
        from helioloop_worker.worker import run, to_stderr
    to_stderr()
    run("train" if role == "train" else "score", Context(load_settings()))


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-data"),
    show_default=True,
    help="Holds everything the demo makes; delete it to start afresh.",
)
@click.option("--n", default=120, show_default=True, type=click.IntRange(min=40), help="Synthetic cubes to make.")
@click.option("--seed", default=1, show_default=True, help="Seed of the synthetic release.")
@click.option(
    "--release",
    "own",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A release folder of yours, taken in beside the synthetic one.",
)
@click.option("--exit-when-ready", is_flag=True, help="End after the first write-back, with a summary.")
@click.option(
    "--backend-python",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Python of the environment with the extra [backend].",
)
@click.option(
    "--label-studio",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The label-studio program of its own environment.",
)
@click.option("--redis-url", envvar="REDIS_URL", help="A Redis to use instead of starting one.")
def demo(backend_python: Path, label_studio: Path, **asked: Any) -> None:
    """Run the whole loop on this machine: make a release, ingest it, train, publish, write back; then stay up.

    Starts a real Redis, Label Studio, backend and workers on 127.0.0.1 and stops them on Ctrl-C. `make demo` calls this
    with the environments it has made. Running it again goes on with what the folder holds.
    """
    with needs_extra("worker"):
        from helioloop_worker.demo.demo import Demo, run
        from helioloop_worker.demo.services import Programs
    programs = Programs(
        backend=backend_python.absolute(), worker=Path(sys.executable), label_studio=label_studio.absolute()
    )
    run(Demo(programs=programs, **asked))
