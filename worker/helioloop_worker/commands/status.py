"""The command ``helioloop status``: once, or again and again; as text or as JSON."""

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from helioloop.cli import needs_extra, table_lines
from helioloop.environment.answering import silent_sentence
from helioloop.errors import ServiceError, WrongUsage
from helioloop.settings import load_settings
from helioloop_worker.commands.options import find_registry, models_options

if TYPE_CHECKING:
    from helioloop_worker.reports.status_facts import ProjectStatus

WATCH_SECONDS: Final = 5.0
"""Time between two looks with --watch."""


@click.command()
@models_options
@click.option("--all", "full", is_flag=True, help="List everything: all rounds, contradictions, releases and reasons.")
@click.option("--json", "as_json", is_flag=True, help="Print all facts as one line of JSON.")
@click.option(
    "--watch",
    is_flag=True,
    help="Look every 5 s until Ctrl-C. A terminal is redrawn; elsewhere the status is printed when it has changed.",
)
def status(*, project: int | None, model_dir: Path | None, full: bool, as_json: bool, watch: bool) -> None:
    """Show whether all is well, and what to do next.

    The first line is the verdict, the second the next thing to do, with its command or click. Problems come before
    work: Redis or a worker is missing, a round or job failed, a folder was set aside, no round starts. Then follow the
    disagreements, contradictions and ties to label, and the audit sample.

    Then: the running round with the time it still takes (about, from its members so far or the last version), the
    published version, what was read from each release, excluded cubes, labels, queues, and running and failed jobs. For
    a project it also shows the audit: for each round (each model version), how many labels were verified, how many of
    those were wrong, about how many wrong labels are left, and whether to go on.

    For each release it counts the cubes that are ok, warned (usable, but something is doubtful) and refused, with the
    most frequent reasons. The table that it names has one row per cube, with the columns of `helioloop check`.

    The number of wrong labels left is estimated from the audit sample alone, that is from cubes verified in a random
    order. The status lists the next ones. Label some of them, in this order, besides the cubes that disagree most. (In
    Label Studio, filter a tab by `cube` to find one.) The estimate starts at ten.

    Three rounds are shown, and lists are cut short with the number of what is left out; --all shows everything. --json
    always has everything; docs/status.md lists its names. Neither has passwords, tokens or folders other than the model
    folder. Without Redis, or with a proxy that cannot be used, what the files say is shown, and the exit code is 1. So
    it is where Redis answers and stores nothing, because it is full for instance.

    \b
    Examples:
      helioloop status --project 1
      helioloop status --project 1 --watch
      helioloop status --project 1 --json | jq -r .verdict.action
      helioloop status --model-dir models
    """
    with needs_extra("worker"):
        from helioloop_worker.labelstudio.proxies import check_proxies
        from helioloop_worker.own_redis import check_if_it_answers
        from helioloop_worker.reports.status import status_lines
        from helioloop_worker.reports.status_json import status_json
        from helioloop_worker.reports.status_reading import read_status
    settings = None if project is None else load_settings()
    registry = find_registry(model_dir=model_dir, project=project)
    named = [("--model-dir", registry.root)] if settings is None else settings.folders_of_data()
    _refuse_silent(named)
    if not registry.root.is_dir():
        if settings is not None:
            check_if_it_answers(settings)  # as where a disk is not mounted, for which nothing is to be set up
        raise WrongUsage(
            f"{registry.root} is not a folder; name an existing model folder, or run `helioloop init` first"
        )

    def look() -> "ProjectStatus":
        _refuse_silent(named)
        return read_status(registry, project=project, settings=settings)

    def render(now: "ProjectStatus") -> list[str]:
        if as_json:
            return [status_json(now)]
        return table_lines([(line.name, line.value) for line in status_lines(now, full=full)])

    if watch:
        _watch(look, render, redraw=not as_json and sys.stdout.isatty())
        return
    now = look()
    click.echo("\n".join(render(now)))
    if now.redis_fault is not None:
        click.echo(f"helioloop: {now.redis_fault}", err=True)
        click.get_current_context().exit(ServiceError.exit_code)
    check_proxies()  # a wrong one is a line of the status too, which has all that needs no Label Studio


def _refuse_silent(named: Sequence[tuple[str, Path]]) -> None:
    """Raise a `ServiceError` where a folder does not answer: reading it might never end."""
    if (sentence := silent_sentence(named)) is not None:
        raise ServiceError(sentence)


def _watch(
    look: "Callable[[], ProjectStatus]", render: "Callable[[ProjectStatus], list[str]]", *, redraw: bool
) -> None:
    """Show the status until Ctrl-C: redrawn on a terminal, else printed with its time whenever it has changed."""
    shown: list[str] = []
    try:
        while True:
            now = look()
            lines = render(now)
            if redraw:
                click.clear()
                click.echo("\n".join(fitting(lines, shutil.get_terminal_size())))
                click.echo(f"{now.at}; Ctrl-C ends", nl=False)
            elif (changed := _timeless(lines, now)) != shown:
                click.echo("\n".join(lines if len(lines) == 1 else [f"-- {now.at}", *lines]))
                shown = changed
            sys.stdout.flush()
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        click.echo()


def _timeless(lines: list[str], now: "ProjectStatus") -> list[str]:
    """Return lines without the time at which they were read."""
    return [line.replace(now.at, "") for line in lines]


def fitting(lines: list[str], size: tuple[int, int]) -> list[str]:
    """Return the first lines that fit a terminal of (columns, rows) when it wraps them, with two rows to spare."""
    columns, rows = size
    kept: list[str] = []
    free = rows - 2
    for number, line in enumerate(lines):
        free -= max(1, -(-len(line) // columns))
        if free < 0:
            return [*kept, f"… {len(lines) - number} more lines"]
        kept.append(line)
    return kept
