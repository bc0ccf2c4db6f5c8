"""The command ``helioloop check``: what is read from each file of a release, and how, before anything is trained."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from helioloop.cli import needs_extra
from helioloop.errors import ReleaseError
from helioloop_worker.commands.options import PROFILE, release_argument
from helioloop_worker.commands.runtime import show_doubt
from helioloop_worker.commands.written_table import WRITTEN_TABLE, WritingCommand


@click.command("check", cls=WritingCommand)
@release_argument
@click.option(
    "--out", type=WRITTEN_TABLE, help="CSV to write, one row per file. An existing file is replaced in one step."
)
@click.option(
    "--profile",
    "profile_name",
    type=PROFILE,
    metavar="mdi|hmi|gong|FILE.toml",
    help="Grid on which the frames are counted.  [default: that of release.toml, else mdi]",
)
@click.pass_context
def check(context: click.Context, folder: Path, out: Path | None, profile_name: str | None) -> None:
    """Show what is read from each file of a release.

    Use it before training. Each cube has a verdict: ok, warned (usable, but something is doubtful), or refused. FITS
    files that cannot be cubes are listed too: files in subfolders, with other endings, or with one image. Those that
    `helioloop cutouts` or `helioloop stack` takes name that command, and cubes in labels.csv without a file are
    refused. What is doubtful in labels.csv, if there is one, is printed too. Nothing but TABLE is written.

    \b
    TABLE has the columns
      cube            name without .fits; for other files the path in the release
      verdict         ok, warned or refused
      frames_in_file  frames stored in the file
      frames_used     frames on the grid; reasons has why others were dropped
      start           time of grid frame 0, UTC, such as 1998-12-06T00:00:00Z
      start_scale     time scale in the file (utc, tai, …); empty if from the name
      start_source    card or column of the start, or "file name"
      unit            unit of the pixels in the file, such as G
      unit_source     BUNIT, or assumed
      region          region that the cube follows; empty if unknown
      region_source   card of the region, or "file name"
      reasons         one sentence each, ';' between them

    The exit status is 0, or 1 if no cube is readable; the most frequent reason is then printed first.

    \b
    Example:
      helioloop check releases/december-1999 --out december-1999-check.csv
    """
    with needs_extra("worker"):
        from helioloop.archive.release_files import find_copies, find_release_files, inspect_file
        from helioloop.data.cube_report import Verdict
        from helioloop.data.inspection import copied_content, most_frequent, refused
        from helioloop.data.reading_table import write_reading
        from helioloop.data.release import LABELS_FILE, why_not_a_name
        from helioloop.data.release_profile import read_release_profile
        from helioloop.records.profiles import find_profile
        from helioloop_worker.terminal import bars

    if not folder.is_dir():
        raise ReleaseError(f"{folder} is not a folder; a release is a folder of cubes: name another one")
    if (reason := why_not_a_name(folder.resolve().name, what="release")) is not None:
        raise ReleaseError(reason)
    paths = find_release_files(folder)
    if not paths:
        raise ReleaseError(f"{folder} contains no FITS file; a release has files <cube>.fits: add them")
    missing = _missing_cubes(folder)
    profile = read_release_profile(folder) if profile_name is None else find_profile(profile_name)
    copies = find_copies(folder, paths)
    reports = []
    with bars(transient=True) as progress:
        bar = progress.add_task("reading files", total=len(paths))
        for path in paths:
            report = inspect_file(folder, path, profile.instrument, profile)
            other = copies.get(path)
            reports.append(report if other is None else report.with_warning(copied_content(other.stem)))
            progress.update(bar, advance=1)
    reports += [
        refused(cube, f"it is in {LABELS_FILE} and its file is missing: restore it or remove the row")
        for cube in missing
    ]
    if out is not None:
        write_reading(out, reports)
    counts = Counter(report.verdict for report in reports)
    readable = counts.total() - counts[Verdict.REFUSED]
    if not readable:
        reasons = {report.cube: report.reasons[0] for report in reports}
        click.echo(f"no cube of {folder} is readable; {most_frequent(reasons)}")
    for report in reports:
        frames = "" if report.frames_used is None else f", {report.frames_used} of {report.frames_in_file} frames used"
        click.echo(f"{report.cube}: {report.verdict}{frames}")
        for reason in report.reasons:
            click.echo(f"  {reason}")
    click.echo(f"{folder}: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict))
    if not readable:
        context.exit(1)


def _missing_cubes(folder: Path) -> list[str]:
    """Return the cubes of the label table, if there is one, that have no file; print what is doubtful about it."""
    from helioloop.data.cubes import is_cube_file
    from helioloop.data.release import LABELS_FILE, read_labels

    if not os.path.lexists(folder / LABELS_FILE):
        return []
    cubes = {path.name.removesuffix(".fits") for path in folder.iterdir() if is_cube_file(path)}
    try:
        rows = read_labels(folder / LABELS_FILE, cubes=cubes, folder=folder.resolve().name, on_doubt=show_doubt)
    except ReleaseError as error:
        show_doubt(str(error))
        return []
    return [cube for cube in rows if cube not in cubes]


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [check]
