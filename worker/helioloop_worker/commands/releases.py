"""The command ``helioloop make-release``: a release of made-up cubes whose truth is known."""

from collections.abc import Sequence
from pathlib import Path

import click

from helioloop.cli import needs_extra
from helioloop.records import Label


@click.command("make-release")
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the release; made if absent, and refused if it holds anything else.",
)
@click.option("--n", "n", type=click.IntRange(min=1), default=120, show_default=True, help="Number of cubes.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Cube k depends on the seed and k alone: the same seed gives the same cubes, in a larger release too.",
)
@click.option(
    "--truth",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the truth, as cube,label,emergence_frame,kind,region,start. It must lie outside the release.",
)
def make_release(out: Path, n: int, seed: int, truth: Path | None) -> None:
    """Make a release of made-up magnetogram cubes, to try helioloop on or to measure it with.

    \b
    The folder then holds
      SYNnnnnn_yyyymmdd.fits   one cube each: field in gauss, times in a table, as SOHO/MDI would have seen it
      labels.csv               cube,label,verified: crude labels, 20 to 25 % of them wrong for a reason

    About half of the cubes show a bipolar region that emerges on the visible disk; in the others one rotates into
    view. A crude label says emergence where a detector first found the region away from the east limb. It is wrong
    where that was too late (weak, dispersed, a gap in the data) or too early (near the limb, beside an older region).

    \b
    Examples:
      helioloop make-release --out demo --n 120 --seed 1
      helioloop make-release --out bench --n 600 --seed 2 --truth bench-truth.csv

    An interrupted run is continued by the same command. Takes about half a second per cube and core.
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
    click.echo(f"{out}: {n} cube{'' if n == 1 else 's'}, {emergences} of them crudely labelled {Label.EMERGENCE}")


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [make_release]
