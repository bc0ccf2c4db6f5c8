"""The commands ``helioloop make-release`` and ``helioloop crude-labels``: synthetic releases, and labels by a rule."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from helioloop.cli import needs_extra
from helioloop.records.labels import Label
from helioloop.words import count
from helioloop_worker.commands.options import FOLDER, TABLE, FiniteRange, processes_option, release_argument
from helioloop_worker.commands.runtime import show_doubt

if TYPE_CHECKING:
    from helioloop.archive.labelling import LabelledRelease


@click.command("make-release")
@click.option(
    "--out",
    required=True,
    type=FOLDER,
    help="Folder of the release. It is created; if it exists, it must be empty or "
    "hold an earlier run of the same command.",
)
@click.option("--n", "n", type=click.IntRange(min=1), default=120, show_default=True, help="Number of cubes.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Random seed. Cube k depends only on the seed and k, so a larger release starts with the same cubes.",
)
@click.option(
    "--truth",
    type=TABLE,
    help="Also write the truth to this CSV, with the columns cube,label,emergence_frame,kind,region,start. The file "
    "must be outside the release's folder.",
)
@click.option(
    "--crude-rule",
    type=click.Choice(["scenario", "pixels"]),
    default="scenario",
    show_default=True,
    help="What the crude labels follow from: a simulated detector that takes the scenario's fluxes, or the detector of "
    "`helioloop crude-labels` on the cubes.",
)
@click.option(
    "--generator",
    type=click.Choice(["elements", "flux-transport", "varied-elements", "varied-flux-transport"]),
    default="elements",
    show_default=True,
    help="What makes the cubes: magnetic elements moved one by one, or flux transport on a grid. The second has weaker "
    "and more crowded regions, two instruments and another detector; a method should work on both. The varied "
    "kinds have another Sun and another instrument in each cube; networks are pretrained on them, too.",
)
def make_release(out: Path, *, n: int, seed: int, truth: Path | None, crude_rule: str, generator: str) -> None:
    """Make a release of synthetic cubes with known truth.

    Use it to try helioloop, or to measure how well it works.

    \b
    The folder contains:
      SYNnnnnn_yyyymmdd.fits  (SFTnnnnn… by flux transport, VARnnnnn… and
                              VFTnnnnn… by the varied kinds) one cube
                              each, as SOHO/MDI would have observed it:
                              magnetic field in gauss, frame times in a table
      labels.csv              cube,label,verified: crude labels, of which
                              20 to 27 % are wrong (35 to 38 % of varied)
      crude-labels.ecsv       with --crude-rule pixels only: place and time
                              of each first detection

    In about half of the cubes a bipolar region emerges on the visible disk. In the others one rotates into view. The
    crude label is emergence where a simulated detector first found the region away from the east limb. It is wrong
    where the detector was late (a weak or dispersed region, a gap in the data) or early (near the limb, beside an older
    region). With --crude-rule pixels about one cube in six has no label, because its region is never found or the place
    of its first detection is unknown. The fraction of wrong labels is printed.

    An interrupted run is continued by the same command. One cube takes about half a second on one core.

    \b
    Examples:
      helioloop make-release --out demo --n 120 --seed 1
      helioloop make-release --out bench --n 600 --seed 2 --truth bench-truth.csv
      helioloop make-release --out other --n 600 --generator flux-transport --truth other-truth.csv
    """
    with needs_extra("worker"):
        from helioloop import synthetic
        from helioloop_worker.terminal import bar_report, bars

    with bars(transient=True) as progress:
        made = synthetic.make_release(
            out,
            n=n,
            seed=seed,
            truth=truth,
            report=bar_report(progress, "making cubes", total=n),
            crude_rule=synthetic.CrudeRule(crude_rule),
            generator=synthetic.Generator(generator),
        )
    emergences = sum(label is Label.EMERGENCE for label in made.crude.values())
    click.echo(f"{out}: {count(n, 'cube')}, {emergences} with the crude label {Label.EMERGENCE}")
    if made.n_labelled < n:
        click.echo(f"{n - made.n_labelled} without a crude label; crude-labels.ecsv has the reasons")
    if made.n_labelled:
        fraction = made.n_wrong / made.n_labelled
        click.echo(f"{made.n_wrong} of {made.n_labelled} crude labels ({fraction:.1%}) are wrong")
    if made.had_labels:
        click.echo(f"{out / 'labels.csv'} was there and is left as it is; delete it for the crude labels of now")


@click.command("crude-labels")
@release_argument
@click.option(
    "--regions",
    "table",
    type=TABLE,
    help="CSV, ECSV or VOTable with the columns region, carrington_lon, carrington_lat (degrees) and first_seen "
    "(time), as for `helioloop cutouts`. Rows may leave first_seen empty.",
)
@click.option(
    "--threshold",
    type=FiniteRange(-90.0, 0.0),
    help="Central-meridian distance in degrees; regions first detected east of it are non-emergences.  [default: -56]",
)
@processes_option
@click.pass_context
def crude_labels(
    context: click.Context, folder: Path, table: Path | None, threshold: float | None, processes: int | None
) -> None:
    """Label cubes by where their region was first detected.

    A region that was first detected more than 56° east of the central meridian rotated into view: non-emergence. One
    that was first detected elsewhere on the disk emerged there: emergence. Such labels are crude; about a quarter is
    wrong. They are what `helioloop train` begins with.

    \b
    The first detection is
      first_seen  of the cube's region in TABLE, if it is given there
      pixels      else the first two frames in a row in which both polarities
                  of a region stand out of the noise: each has 1.25 square
                  degrees above 50 G (radial) and above five times the noise,
                  within 8° and at most 75° from the central meridian

    The central-meridian distance follows from the Carrington coordinates in the cube's header or in TABLE, with the
    time of the frame. A cube without them gets it from the times at which the limb crosses its patch, by its off-disk
    pixels, and from the rotation of the Sun.

    \b
    Two tables are written into RELEASE:
      labels.csv          the column label; verified rows, other columns and
                          comment lines stay
      crude-labels.ecsv   one row per cube; units and settings in its header:
        cube, region, label
        rule                   first_seen or pixels
        longitude              central-meridian distance at first detection
                               in degrees, west positive
        longitude_uncertainty  its largest error to expect, in degrees
        longitude_source       WCS, regions table, both limbs, east limb or
                               west limb
        threshold              in degrees
        first_detection        time, UTC; first_detection_tai: TAI
        seconds, frame         time since grid frame 0, and grid frame
        reason                 why there is no label, or what is doubtful

    A cube gets no crude label if its region is never detected, if its place on the disk is unknown, or if the region
    was already there after a gap of more than a day and a half that reaches across the threshold. It keeps the label
    that it had, if any. These cubes are printed with the reason, and so is each label that changes.

    The grid is that of release.toml. The command can be repeated, with another table or threshold. The exit status is
    0, or 1 if no cube could be labelled.

    \b
    Examples:
      helioloop crude-labels releases/december-1999
      helioloop crude-labels releases/december-1999 --regions regions.csv
    """
    with needs_extra("worker"):
        from helioloop.archive.labelling import label_release
        from helioloop.data.crude_labels import FIRST_FOUND_EAST_OF_DEG
        from helioloop_worker.terminal import bar_report, bars

    with bars(transient=True) as progress:
        labelled = label_release(
            folder,
            regions_table=table,
            threshold_deg=FIRST_FOUND_EAST_OF_DEG if threshold is None else threshold,
            report=bar_report(progress, "labelling cubes"),
            processes=processes,
            on_doubt=show_doubt,
        )
    _print_labelled(folder, labelled)
    if not any(crude.label for crude in labelled.labels):
        context.exit(1)


def _print_labelled(folder: Path, labelled: "LabelledRelease") -> None:
    """Print what could not be labelled, what is doubtful, which labels changed or stay, and the counts."""
    labels = labelled.labels
    without = [crude for crude in labels if crude.label is None]
    if len(without) == len(labels):
        reason, n = Counter(crude.reason for crude in labels).most_common(1)[0]
        click.echo(f"no cube of {folder} could be labelled; the reason of {n} of {len(labels)}: {reason}")
    for crude in labels:
        if crude.reason:
            click.echo(f"{crude.cube}: {'no crude label, ' if crude.label is None else ''}{crude.reason}")
    for change in labelled.changes:
        if change.crude is None:
            click.echo(f"{change.cube}: keeps its {'verified ' if change.verified else ''}label {change.had}")
        elif change.verified:
            click.echo(f"{change.cube}: keeps its verified label {change.had}; the crude label is {change.crude}")
        else:
            click.echo(f"{change.cube}: {change.had} is now {change.crude}")
    if labelled.unused_regions:
        click.echo(f"regions of the table that no cube follows: {', '.join(labelled.unused_regions)}")
    counts = Counter(crude.label for crude in labels)
    rules = Counter(str(crude.rule) for crude in labels if crude.label is not None)
    click.echo(
        f"{folder}: {counts[Label.EMERGENCE]} {Label.EMERGENCE}, {counts[Label.NON_EMERGENCE]} {Label.NON_EMERGENCE}, "
        f"{len(without)} without a crude label" + "".join(f"; {n} by {rule}" for rule, n in sorted(rules.items()))
    )


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [make_release, crude_labels]
