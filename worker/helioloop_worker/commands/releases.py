"""The command ``helioloop make-release``: a release of synthetic cubes whose truth is known."""

from collections.abc import Sequence
from pathlib import Path

import click

from helioloop.cli import needs_extra
from helioloop.records.labels import Label
from helioloop_worker.commands.options import FOLDER, TABLE


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
def make_release(out: Path, n: int, seed: int, truth: Path | None) -> None:
    """Make a release of synthetic cubes with known truth.

    Use it to try helioloop, or to measure how well it works.

    \b
    The folder contains:
      SYNnnnnn_yyyymmdd.fits  one cube each, as SOHO/MDI would have observed it:
                              magnetic field in gauss, frame times in a table
      labels.csv              cube,label,verified: crude labels, of which
                              20 to 25 % are wrong

    In about half of the cubes a bipolar region emerges on the visible disk. In the others one rotates into view. The
    crude label is emergence where a simulated detector first found the region away from the east limb. It is wrong
    where the detector was late (a weak or dispersed region, a gap in the data) or early (near the limb, beside an older
    region).

    An interrupted run is continued by the same command. One cube takes about half a second on one core.

    \b
    Examples:
      helioloop make-release --out demo --n 120 --seed 1
      helioloop make-release --out bench --n 600 --seed 2 --truth bench-truth.csv
    """
    with needs_extra("worker"):
        from helioloop import synthetic
        from helioloop_worker.terminal import bars

    with bars(transient=True) as progress:
        bar = progress.add_task("making cubes", total=n)

        def show(done: int, total: int, what: str) -> None:
            progress.update(bar, completed=done, total=total, description=what)

        cubes = synthetic.make_release(out, n=n, seed=seed, truth=truth, report=show)
    emergences = sum(label is Label.EMERGENCE for label in cubes.values())
    click.echo(f"{out}: {n} cube{'' if n == 1 else 's'}, {emergences} with the crude label {Label.EMERGENCE}")


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [make_release]
