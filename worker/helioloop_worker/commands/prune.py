"""The command ``helioloop prune``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from helioloop.cli import needs_extra, print_table
from helioloop.errors import ServiceError, WrongUsage
from helioloop.settings import Settings, load_settings
from helioloop_worker.commands.options import FiniteRange, find_own_registry, find_registry, models_options

if TYPE_CHECKING:
    from helioloop_worker.loop.pruning import Kind


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [prune]


@click.command()
@models_options
@click.option(
    "--keep",
    metavar="N",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Versions whose weights stay, for `helioloop rollback`: those published last, the published one included.",
)
@click.option(
    "--cache-days",
    metavar="DAYS",
    type=FiniteRange(min=0),
    default=30.0,
    show_default=True,
    help="Cached cubes that were not used for this long go.",
)
@click.option("--dry-run", is_flag=True, help="Print what would go and how much that is; remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask (cron).")
def prune(
    *, project: int | None, model_dir: Path | None, keep: int, cache_days: float, dry_run: bool, yes: bool
) -> None:
    """Remove what is no longer needed, after a question.

    Safe to repeat and to interrupt, and while workers run. The published version and the newest one are never touched.

    \b
    What goes:
      weights and masking curves   of versions that --keep does not name; they can
                                   neither be published nor score cubes afterwards
      rounds in the making         that do not run and were left a day ago
      media files                  of cubes that have no task any more, a day old
                                   (with --project; Label Studio is asked)
      unfinished files             left by processes that were killed
      cache                        gridded cubes and inputs not used for --cache-days,
                                   in this machine's HELIOLOOP_CACHE_ROOT

    What stays of every version: its card, plan, scores and field statistics, which the audit, the report and the
    promotion check read. Rounds that failed three times stay, with their reasons, until another round starts. Releases,
    Label Studio's database and its predictions are not touched; the worker deletes superseded predictions by itself.

    If Label Studio or Redis does not answer, what depends on it is left alone, the reason is printed, and the exit
    status is 1.

    \b
    Examples:
      helioloop prune --project 1 --keep 3 --dry-run
      helioloop prune --model-dir models --keep 1
      30 4 * * 0 helioloop prune --project 1 --yes     (crontab, weekly)
    """
    with needs_extra("worker"):
        from helioloop_worker.loop.pruning import found
        from helioloop_worker.reports.disk_use import size_text
    registry, settings = find_own_registry(model_dir=model_dir, project=project), load_settings()
    if not registry.root.is_dir():
        raise WrongUsage(f"{registry.root} is not a folder; name an existing model folder")
    kinds = _kinds(settings, model_dir=model_dir, project=project, keep=keep, cache_days=cache_days)
    tried = found(kinds)
    rows = [
        (one.prunable.what, str(one.prunable.files), size_text(one.prunable.n_bytes)) for one in tried if one.prunable
    ]
    print_table([("what", "files", "size"), *rows])
    problems = [one.problem for one in tried if one.problem is not None]
    chosen = [kind for kind, one in zip(kinds, tried, strict=True) if one.prunable and one.prunable.files]
    total = sum(one.prunable.n_bytes for one in tried if one.prunable)
    if not chosen:
        click.echo("there is nothing to remove")
    elif dry_run:
        click.echo(f"{size_text(total)} would be removed; nothing was, because of --dry-run")
    else:
        if not yes:
            _ask(f"Remove {size_text(total)}?")
        for kind in chosen:
            what = kind.find().what
            kind.remove()
            click.echo(f"removed: {what}")
    for problem in problems:
        click.echo(f"helioloop: {problem}", err=True)
    if problems:
        click.get_current_context().exit(ServiceError.exit_code)


def _kinds(
    settings: Settings, *, model_dir: Path | None, project: int | None, keep: int, cache_days: float
) -> "list[Kind]":
    """Return all kinds of things that can go from a project, or from a model folder alone."""
    from helioloop_worker.context import Context
    from helioloop_worker.loop import pruning

    registry = find_registry(model_dir=model_dir, project=project)
    cache = pruning.kinds_of_cache(settings.cache_root, days=cache_days)
    if project is None:
        return [*pruning.kinds_in_model_folder(registry, keep=keep, running=lambda: ()), *cache]
    context, number = Context(settings), project
    return [
        *pruning.kinds_in_model_folder(registry, keep=keep, running=lambda: pruning.running_rounds(context, number)),
        *pruning.kinds_of_media(context, number),
        *cache,
    ]


def _ask(question: str) -> None:
    """Ask on the terminal, and end the command where the answer is no.

    Raises
    ------
    WrongUsage
        If nobody can answer, because standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise WrongUsage("standard input is not a terminal, so nobody can be asked; give --yes or --dry-run")
    if not click.confirm(question):
        raise click.Abort
