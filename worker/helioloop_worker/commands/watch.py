"""The command ``helioloop watch``: releases that arrive are checked, ingested and pre-labelled with nobody present."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from helioloop.cli import needs_extra
from helioloop.errors import WrongUsage
from helioloop.files.lease import holding
from helioloop.settings import load_settings
from helioloop_worker.commands.options import (
    EXISTING_FOLDER,
    FiniteRange,
    confidence_option,
    project_option,
    rate_option,
)


@click.command("watch")
@click.argument("folder", metavar="DIR", type=EXISTING_FOLDER)
@project_option
@click.option("--once", is_flag=True, help="Take what is complete now, wait until it is pre-labelled, and end (cron).")
@click.option(
    "--quiet",
    "quiet_seconds",
    metavar="SECONDS",
    type=FiniteRange(min=0),
    default=600.0,
    show_default=True,
    help="Time without a change after which files without a list of hashes count as complete.",
)
@click.option(
    "--every",
    "every_seconds",
    metavar="SECONDS",
    type=FiniteRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Time between two looks at DIR.",
)
@rate_option
@confidence_option
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    help="Number of processes that cut full-disk files.  [default: one per core]",
)
def watch(
    *,
    folder: Path,
    project: int,
    once: bool,
    quiet_seconds: float,
    every_seconds: float,
    rate: float,
    confidence: float,
    processes: int | None,
) -> None:
    """Take in new releases with nobody present.

    Each new folder in DIR is checked, ingested into the Label Studio project, scored and pre-labelled. DIR is one of
    the folders in HELIOLOOP_RELEASE_ROOTS, or their parent. Workers of both roles must run (`helioloop worker`).

    \b
    Folders in DIR:
      release   cubes with labels.csv, as for `helioloop ingest`
      series    full-disk magnetograms with a table regions.csv (or .ecsv, .vot),
                as for `helioloop cutouts`; release.toml may name a profile

    A release is taken when it is complete. If it has a file SHA256SUMS, all hashes in it must fit; `sha256sum *.fits
    labels.csv release.toml > SHA256SUMS` writes it, and with subfolders `find -L . -type f ! -name SHA256SUMS -exec
    sha256sum {} + > SHA256SUMS`. Otherwise nothing in the folder may have changed for --quiet seconds.

    A series grows: files are read one by one, each when it has not changed for --quiet seconds. When the disk passage
    of a region is over, because a later observation is there, its cube is added to the release NAME-cubes with a crude
    label (see `helioloop crude-labels`), and ingested. Regions that are still on the disk are waited for; regions may
    be added to the table. A cube that is made is never changed. SHA256SUMS in a series means that no file will follow:
    then all passages are over.

    Labels that the project's audit sample supports are accepted, as by `helioloop triage`: at most the fraction --rate
    of labels accepted in this way is wrong in the long run, with probability --confidence; how many of a release may be
    is printed. The sample is the cubes of earlier releases that were verified in the order that `helioloop status`
    lists. Label Studio then has the column `triage`: "accepted …", "random check …"
    or empty. Filter by it; accepted tasks come last in the queue. The random checks are a tenth of the release, at
    least ten: verify all of them, in their order. A new version withdraws the accepted labels, and accepts anew.
    Nothing is accepted of a release that is not like the sample, nor of one with fewer than five regions, which cannot
    be compared with it; the release of a series grows beyond that, and is then accepted.

    What cannot be used is set aside: the reason is printed, shown by `helioloop status` and kept in watched.csv of the
    project's model folder. Nothing in DIR is moved or deleted. A folder is taken again once it, or what was in its way
    elsewhere, is changed: a folder NAME-cubes of yours, another release of the same name. To have a series cut anew,
    remove its release NAME-cubes.

    One line is printed per event. Ctrl-C or SIGTERM ends the watch; a job that a worker runs goes on. The watch can be
    killed and started again at any time: nothing is imported twice. DIR is polled, because notifications do not reach
    other machines on network file systems.

    \b
    Examples:
      helioloop watch /data/releases --project 1
      */15 * * * * helioloop watch /data/releases --project 1 --once     (crontab)
    """
    with needs_extra("worker"):
        from helioloop.messaging import redis_client
        from helioloop_worker.context import Context
        from helioloop_worker.terminal import bars
        from helioloop_worker.watch.watching import Watch

    context = Context(load_settings())
    redis_client.make_client(context.settings).close()  # a wrong address would be noticed with the first release only
    shown = bars(transient=True)
    shown.disable = not sys.stderr.isatty()  # in a log only the lines of events
    with shown as progress, ending_cleanly():
        watched = Watch(
            context=context,
            project=project,
            folder=folder.resolve(),
            quiet_seconds=quiet_seconds,
            rate=rate,
            confidence=confidence,
            say=say,
            report=one_bar(progress),
            processes=processes,
        )
        with holding(context.settings.model_dir(project) / ".watch.lock") as is_alone:
            if not is_alone and not once:
                raise WrongUsage(
                    f"another `helioloop watch` runs for project {project}; one at a time takes releases in: stop it"
                )
            if not is_alone:
                say(f"another `helioloop watch` runs for project {project}: nothing to do")
            elif once:
                watched.run_once()
            else:
                watched.run(every_seconds=every_seconds)


def say(line: str) -> None:
    """Print an event with its time."""
    click.echo(f"{datetime.now(UTC).isoformat(timespec='seconds').replace('+00:00', 'Z')} {line}")


def one_bar(progress: Any) -> Any:
    """Return a report that shows one bar while there is something to do."""
    bar = progress.add_task("", visible=False)

    def show(done: int, total: int, what: str) -> None:
        progress.update(bar, completed=done, total=total, description=what, visible=done < total)

    return show


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """End the block on Ctrl-C and SIGTERM with one line and exit status 0."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        say("the watch ends; what workers have begun goes on, and the next watch continues")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [watch]
