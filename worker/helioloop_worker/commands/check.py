"""The command ``helioloop check``: what is read from each file of a release, and how, before anything is trained."""

import re
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
    `helioloop cutouts` or `helioloop stack` takes name that command. No label is read and nothing but TABLE is written.

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
        from helioloop.data.inspection import Verdict
        from helioloop.data.reading_table import write_reading
        from helioloop.data.release_profile import read_release_profile
        from helioloop.records.profiles import find_profile
        from helioloop_worker.terminal import bars

    paths = _fits_files(folder)
    profile = read_release_profile(folder) if profile_name is None else find_profile(profile_name)
    reports = []
    with bars(transient=True) as progress:
        bar = progress.add_task("reading files", total=len(paths))
        for path in paths:
            reports.append(_report(folder, path, profile))
            progress.update(bar, advance=1)
    if out is not None:
        write_reading(out, reports)
    counts = Counter(report.verdict for report in reports)
    readable = counts.total() - counts[Verdict.REFUSED]
    if not readable:
        reason, n = Counter(reason for report in reports for reason in report.reasons).most_common(1)[0]
        click.echo(f"no cube of {folder} is readable; the reason of {n} of {len(reports)}: {reason}")
    for report in reports:
        frames = "" if report.frames_used is None else f", {report.frames_used} of {report.frames_in_file} frames used"
        click.echo(f"{report.cube}: {report.verdict}{frames}")
        for reason in report.reasons:
            click.echo(f"  {reason}")
    click.echo(f"{folder}: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict))
    if not readable:
        context.exit(1)


def _fits_files(folder: Path) -> list[Path]:
    """Return all FITS files in a folder and its subfolders, sorted, without hidden files and companions of cubes."""
    from helioloop.archive.recognition import find_fits_files

    if not folder.is_dir():
        raise ReleaseError(f"{folder} is not a folder; a release is a folder of cubes: name another one")
    files = find_fits_files(folder)
    cubes = set(files)
    paths = [path for path in files if not _is_companion(path) or path.with_name(_cube_file(path)) not in cubes]
    if not paths:
        raise ReleaseError(f"{folder} contains no FITS file; a release has files <cube>.fits: add them")
    return paths


def _report(folder: Path, path: Path, profile: "Profile") -> "CubeReport":
    """Return the report of one file; whatever is wrong with it becomes its reason."""
    from helioloop.data.inspection import inspect_cube, refused

    try:
        reason = _reason_not_a_cube(folder, path)
        if reason is None:
            return inspect_cube(path, profile.instrument, profile)
    except CubeError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - whatever one file does, the others are listed
        problem = str(error).split("\n", 1)[0] or type(error).__name__
        reason = f"it cannot be read ({problem}): make the file again"
    name = str(path.relative_to(folder))
    return refused(name.removesuffix(".fits") if path.parent == folder else name, reason)


def _reason_not_a_cube(folder: Path, path: Path) -> str | None:
    """Return why a file is not one of the release's cubes and what to do with it; None where it is one."""
    from helioloop.archive.recognition import describe_image
    from helioloop.data.cubes import is_cube_file
    from helioloop.data.inspection import is_video

    if _is_companion(path):
        return f"it has the times of a cube that is not beside it: add {_cube_file(path)}"
    if not is_video(path):
        return describe_image(path)
    if path.parent != folder:
        return "it is in a subfolder and cubes must be directly in the folder of a release: move it there"
    if not is_cube_file(path):
        return f"its name must end in .fits, as the names of all cubes do: rename it {_stem(path)}.fits"
    return None


def _is_companion(path: Path) -> bool:
    """Return True for a file with the times of a cube."""
    from helioloop.data.cubes import COMPANION_SUFFIX

    return path.name.endswith(COMPANION_SUFFIX)


def _cube_file(companion: Path) -> str:
    """Return the name of the cube to which a companion belongs."""
    from helioloop.data.cubes import COMPANION_SUFFIX

    return companion.name.removesuffix(COMPANION_SUFFIX) + ".fits"


def _stem(path: Path) -> str:
    """Return a file's name without the ending of FITS files."""
    return re.sub(r"(\.(fits|fts|fit))?(\.(gz|fz))?\Z", "", path.name, flags=re.IGNORECASE)


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [check]
