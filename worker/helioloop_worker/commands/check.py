"""The command ``helioloop check``: what is read from each file of a release, and how, before anything is trained."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from helioloop.cli import needs_extra
from helioloop.errors import CubeError, ReleaseError
from helioloop_worker.commands.options import TABLE, release_argument

if TYPE_CHECKING:
    from helioloop.data.inspection import CubeReport
    from helioloop.records.profiles import Profile

COLUMNS = (
    "cube",
    "verdict",
    "frames_in_file",
    "frames_used",
    "start",
    "start_scale",
    "start_source",
    "unit",
    "unit_source",
    "region",
    "region_source",
    "reasons",
)


@click.command("check")
@release_argument
@click.option("--out", type=TABLE, help="CSV to write, one row per file. An existing file is replaced in one step.")
@click.option(
    "--profile",
    "profile_name",
    metavar="mdi|hmi|gong|FILE.toml",
    help="Grid on which the frames are counted.  [default: that of release.toml, else mdi]",
)
@click.pass_context
def check(context: click.Context, folder: Path, out: Path | None, profile_name: str | None) -> None:
    """Show what is read from each file of a release.

    Use it before training. Each cube has a verdict: ok, warned (usable, but something is doubtful), or refused. FITS
    files that cannot be cubes are listed too: files in subfolders, with other endings, or with one image. Those that
    `helioloop cutouts` or `helioloop stack` takes name that command. Cubes in labels.csv without a file are listed as
    refused; its labels are not used. Nothing but TABLE is written.

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
        from helioloop.data.inspection import Verdict, most_frequent
        from helioloop.data.release_profile import read_release_profile
        from helioloop.files.tables import write_table
        from helioloop.records.profiles import find_profile
        from helioloop_worker.terminal import bars

    files = _fits_files(folder)
    profile = read_release_profile(folder) if profile_name is None else find_profile(profile_name)
    reports = []
    with bars(transient=True) as progress:
        bar = progress.add_task("reading files", total=len(files))
        for path, not_a_cube in files.items():
            reports.append(_report(folder, path, not_a_cube, profile))
            progress.update(bar, advance=1)
    reports += _missing(folder)
    if out is not None:
        write_table(out, COLUMNS, map(_row, reports))
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


def _fits_files(folder: Path) -> dict[Path, str | None]:
    """Return all FITS files of a release, sorted, and why they are not read as cubes; None for cubes."""
    from helioloop.data.cubes import is_cube_file
    from helioloop.data.other_files import other_fits_files

    if not folder.is_dir():
        raise ReleaseError(f"{folder} is not a folder; a release is a folder of cubes: name another one")
    files: dict[Path, str | None] = dict(other_fits_files(folder))
    files |= {path: None for path in folder.iterdir() if is_cube_file(path) and path.is_file()}
    if not files:
        raise ReleaseError(f"{folder} contains no FITS file; a release has files <cube>.fits: add them")
    return dict(sorted(files.items()))


def _missing(folder: Path) -> "list[CubeReport]":
    """Return a report for each cube in the label table that has no file; none without a usable table."""
    from helioloop.data.inspection import refused
    from helioloop.data.release import LABELS_FILE, Release

    if not (folder / LABELS_FILE).exists():
        return []
    try:
        missing = Release.open(folder).missing
    except ReleaseError as error:
        click.echo(f"helioloop: {error}", err=True)
        return []
    reason = f"it is in {LABELS_FILE} and the folder has no file of this name: restore the file or remove the row"
    return [refused(cube, reason) for cube in missing]


def _report(folder: Path, path: Path, not_a_cube: str | None, profile: "Profile") -> "CubeReport":
    """Return the report of one file; whatever is wrong with it becomes its reason."""
    from helioloop.archive.recognition import describe_image
    from helioloop.data.cubes import COMPANION_SUFFIX
    from helioloop.data.inspection import inspect_cube, is_video, refused

    try:
        is_cube = path.name.endswith(COMPANION_SUFFIX) or is_video(path)
        if is_cube and not_a_cube is None:
            return inspect_cube(path, profile.instrument, profile)
        reason = not_a_cube if is_cube and not_a_cube is not None else describe_image(path)
    except CubeError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - whatever one file does, the others are listed
        problem = str(error).split("\n", 1)[0] or type(error).__name__
        reason = f"it cannot be read ({problem}): make the file again"
    name = str(path.relative_to(folder))
    return refused(name.removesuffix(".fits") if path.parent == folder else name, reason)


def _row(report: "CubeReport") -> dict[str, object]:
    """Return a report as cells of the table; None is an empty cell."""
    row = {column: value for column in COLUMNS if (value := getattr(report, column)) is not None}
    if report.start is not None:
        row["start"] = f"{report.start}Z"
    return row | {"reasons": "; ".join(reason.replace(";", ",") for reason in report.reasons)}


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [check]
