"""The commands that run services: ``helioloop worker`` and ``demo``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from helioloop.cli import TEXT, Service, needs_extra
from helioloop.logs import start_logging
from helioloop.settings import load_settings
from helioloop_worker.commands.options import EXISTING_FOLDER, FOLDER, PROGRAM


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [worker, demo]


@click.command(cls=Service)
@click.option(
    "--role",
    type=click.Choice(["train", "score"]),
    required=True,
    help="train: imports releases, plans rounds and trains (queue helioloop-train). score: first scores that an "
    "annotator waits for (helioloop-score), then retrain checks, write-back and reconciliation "
    "(helioloop-maintenance), then scores of whole releases (helioloop-bulk).",
)
@click.option(
    "--check",
    is_flag=True,
    help="Start nothing; exit with 0 if a worker of this role runs on this host and is registered in Redis, else with "
    "an error. For health checks.",
)
def worker(role: str, check: bool) -> None:
    """Run a worker that serves the job queues.

    Ctrl-C or SIGTERM stops it after the current job. Run at least one worker of each role, so that training does not
    delay scoring. Several workers of the role train share the members of a round; they can run on different machines
    and GPUs if they see the same folders. Settings are environment variables; see docs/settings.md. Jobs and their
    outcomes are logged on stderr, from HELIOLOOP_LOG_LEVEL upwards, as text or JSON (HELIOLOOP_LOG_FORMAT).

    \b
    Examples:
      helioloop worker --role score
      CUDA_VISIBLE_DEVICES=1 helioloop worker --role train
      helioloop worker --role train --check
    """
    if check:
        with needs_extra("worker"):
            from helioloop_worker.health import running_worker
        click.echo(running_worker("train" if role == "train" else "score", load_settings()))
        return
    with needs_extra("worker"):
        from helioloop_worker.context import Context
        from helioloop_worker.serving.worker_process import run
    settings = load_settings()
    start_logging(settings, process="worker")
    run("train" if role == "train" else "score", Context(settings))


@click.command()
@click.option(
    "--folder",
    type=FOLDER,
    default=Path("demo-data"),
    show_default=True,
    help="Folder for everything the demo makes; delete it to start afresh.",
)
@click.option("--n", default=120, show_default=True, type=click.IntRange(min=40), help="Number of synthetic cubes.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Random seed of the synthetic release."
)
@click.option("--release", "own", type=EXISTING_FOLDER, help="A release of yours, imported beside the synthetic one.")
@click.option("--exit-when-ready", is_flag=True, help="Print a summary and stop after the first write-back.")
@click.option(
    "--backend-python",
    type=PROGRAM,
    required=True,
    help="Python of the environment with the extra [backend].",
)
@click.option(
    "--label-studio",
    type=PROGRAM,
    required=True,
    help="The program label-studio in its own environment.",
)
@click.option(
    "--redis-url",
    type=TEXT,
    help="Use this Redis instead of starting one, in a database that nothing else uses; REDIS_URL is not read.",
)
def demo(backend_python: Path, label_studio: Path, **asked: Any) -> None:
    """Run the whole loop on this machine.

    The demo starts Redis, Label Studio, the backend and workers on 127.0.0.1. It makes a synthetic release, imports it,
    trains on the crude labels, publishes a model version and writes the predictions into Label Studio. Then it keeps
    running until Ctrl-C, which stops everything it started. A second run continues with the contents of --folder.

    Use `make demo` in a checkout: it makes the three environments and calls this command.

    \b
    Examples:
      make demo
      make demo ARGS="--release releases/march-2001"
    """
    with needs_extra("worker"):
        from helioloop_worker.demo.demo import Demo, run
        from helioloop_worker.demo.services import Programs
    programs = Programs(
        backend=backend_python.absolute(), worker=Path(sys.executable), label_studio=label_studio.absolute()
    )
    run(Demo(programs=programs, **asked))
