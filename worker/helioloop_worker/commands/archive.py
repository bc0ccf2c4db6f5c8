"""The commands ``helioloop cutouts`` and ``helioloop stack``: an archive's magnetograms in, a release of cubes out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from helioloop.cli import needs_extra
from helioloop.words import count
from helioloop_worker.commands.options import EXISTING_FOLDER, FOLDER, PROFILE, TABLE, processes_option
from helioloop_worker.commands.runtime import show_doubt

if TYPE_CHECKING:
    from helioloop.archive.release import MadeRelease

_SHOWN_REASONS = 3

PROFILE_OPTION = click.option(
    "--profile",
    "profile_name",
    type=PROFILE,
    metavar="mdi|hmi|gong|FILE.toml",
    help="Grid, scale and excluded QUALITY bits.  [default: that of the first file's instrument]",
)
OUT_OPTION = click.option(
    "--out",
    required=True,
    type=FOLDER,
    help="Folder of the release; made if absent, and refused if it holds anything else.",
)


@click.command("cutouts")
@click.argument("files", nargs=-1, required=True)
@click.option(
    "--regions",
    "table",
    required=True,
    type=TABLE,
    help="CSV, ECSV or VOTable with the columns region, carrington_lon, carrington_lat (degrees) and, optionally, "
    "first_seen (time).",
)
@OUT_OPTION
@PROFILE_OPTION
@processes_option
def cutouts(files: tuple[str, ...], table: Path, out: Path, profile_name: str | None, processes: int | None) -> None:
    """Cut regions out of full-disk magnetograms.

    One cube is made per region and disk passage. FILES are line-of-sight magnetograms of the full disk (MDI
    fd_M_96m_lev182, HMI M_720s, GONG), one per file: .fits, .fts, .gz, .fz; folders with their subfolders, patterns and
    fsspec URLs too. Each file is read once for all regions.

    \b
    The release then has
      REGION_yyyymmdd.fits   a cube: field in gauss on the scale of MDI, times, Carrington coordinates, sources
      labels.csv             cube,label,verified; the labels are empty
      release.toml           the profile
      cutouts-excluded.csv   file,reason: every file that is in no cube

    A patch is 15° × 15° (90 × 90 px) in the built-in profiles: plate carrée in Carrington longitude and latitude, row 0
    south, column 0 east, the region at the centre, NaN off the disk. It stays at its Carrington coordinates. Grid frame
    0 is the 96-minute slot in which its first pixel comes over the east limb. Of several files in one slot the nearest
    to its middle is used.

    A region with first_seen gets one cube, of the passage in which it was first seen. Without first_seen it gets a cube
    for each rotation that the files show.

    \b
    Example: regions.csv
      region,carrington_lon,carrington_lat,first_seen
      AR8800,280.1,18.5,1999-12-06T04:48:00
    and
      helioloop cutouts mdi-1999/ --regions regions.csv --out releases/december-1999

    An interrupted run is continued by the same command. A finished release is not extended; `helioloop watch` follows
    files that keep coming, and makes a cube when a region's disk passage is over.
    """
    with needs_extra("worker"):
        from helioloop.archive.cutouts import make_cutouts
        from helioloop.archive.regions import read_regions
        from helioloop.archive.unread import unread_files, unread_sentences
        from helioloop.records.profiles import find_profile
        from helioloop_worker.terminal import bar_report, bars

    profile = None if profile_name is None else find_profile(profile_name)
    regions = read_regions(table, on_doubt=show_doubt)
    with bars(transient=True) as progress:
        report = bar_report(progress, "reading files")
        made = make_cutouts(files, regions, out, profile=profile, report=report, processes=processes)
    print_made(made, out / "cutouts-excluded.csv")
    for sentence in unread_sentences(unread_files(files)):
        show_doubt(sentence)


@click.command("stack")
@click.argument("folder", type=EXISTING_FOLDER)
@OUT_OPTION
@PROFILE_OPTION
@processes_option
def stack(folder: Path, out: Path, profile_name: str | None, processes: int | None) -> None:
    """Stack patches of active regions into cubes.

    One cube is made per region and disk passage, from one FITS file per time. FOLDER has line-of-sight magnetograms of
    SHARP or SMARP (segment magnetogram; CEA maps, or cutouts of the CCD, of any size), or other images whose WCS gives
    Carrington or helioprojective coordinates. Subfolders are searched. Files are assigned to regions by HARPNUM or
    TARPNUM; without those, each folder is one region and names it, so that no two folders may have one name. Bitmaps,
    confidence maps and other segments are refused by name.

    \b
    The release then has
      HARPnnn_yyyymmdd.fits  a cube: field in gauss on the scale of MDI, times, Carrington coordinates, sources
      labels.csv             cube,label,verified; the labels are empty
      release.toml           the profile
      stack-excluded.csv     file,reason: every file that is in no cube

    Patches are brought to the grid of `helioloop cutouts`, centred on the mean of the frames' centres: a larger one is
    cropped, around a smaller one the pixels are NaN. Where BUNIT is missing, gauss is assumed and said.

    \b
    Example: with sharps/377/hmi.sharp_cea_720s.377.20110215_020000_TAI.magnetogram.fits and others
      helioloop stack sharps/ --out releases/february-2011

    An interrupted run is continued by the same command.
    """
    with needs_extra("worker"):
        from helioloop.archive.stack import make_stack
        from helioloop.archive.unread import unread_files, unread_sentences
        from helioloop.records.profiles import find_profile
        from helioloop_worker.terminal import bar_report, bars

    profile = None if profile_name is None else find_profile(profile_name)
    with bars(transient=True) as progress:
        report = bar_report(progress, "reading files")
        made = make_stack(folder, out, profile=profile, report=report, processes=processes)
    print_made(made, out / "stack-excluded.csv")
    for sentence in unread_sentences(unread_files([str(folder)])):
        show_doubt(sentence)


def print_made(made: "MadeRelease", excluded_table: Path) -> None:
    """Print what a release holds, what was assumed, and the most frequent reasons of excluded files."""
    frames = sum(made.cubes.values())
    click.echo(
        f"{made.folder}: {count(len(made.cubes), 'cube')} with {count(frames, 'frame')} from "
        f"{count(made.n_files, 'file')}, profile {made.profile.name}"
    )
    for sentence in made.assumed:
        click.echo(f"note: {sentence}")
    if not made.excluded:
        return
    click.echo(f"{count(len(made.excluded), 'file')} excluded, listed in {excluded_table}:")
    reasons = list(made.excluded.values())
    frequent = sorted(set(reasons), key=lambda reason: (-reasons.count(reason), reason))
    for reason in frequent[:_SHOWN_REASONS]:
        click.echo(f"  {reasons.count(reason)} × {reason}")
    if len(frequent) > _SHOWN_REASONS:
        click.echo(f"  and {count(len(frequent) - _SHOWN_REASONS, 'other reason')}")


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [cutouts, stack]
