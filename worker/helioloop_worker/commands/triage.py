"""The command ``helioloop triage``: a new release pre-labelled, with a promise on what nobody looks at."""

from collections.abc import Sequence
from pathlib import Path

import click

from helioloop.cli import needs_extra
from helioloop.registry.versions import Registry
from helioloop_worker.commands.runtime import open_runtime

FOLDER = click.Path(file_okay=False, path_type=Path)
TABLE = click.Path(dir_okay=False, path_type=Path)
PART = click.FloatRange(min=0, max=1, min_open=True, max_open=True)


@click.command("triage")
@click.argument("folder", metavar="NEW_RELEASE", type=FOLDER)
@click.option("--model-dir", required=True, type=FOLDER, help="Folder of model versions.")
@click.option(
    "--random",
    "draw",
    required=True,
    type=TABLE,
    help="CSV with the columns cube,label[,emergence_frame]: ALL cubes of a random draw from an earlier release, as a "
    "human verified them, right ones and wrong ones.",
)
@click.option(
    "--rate", type=PART, default=0.02, show_default=True, help="At most this part of the accepted labels is wrong."
)
@click.option("--confidence", type=PART, default=0.9, show_default=True, help="Probability with which that is to hold.")
@click.option(
    "--coverage", type=PART, default=0.9, show_default=True, help="Part of true frames that intervals are to contain."
)
@click.option("--version", help="Model version that speaks.  [default: the published one]")
@click.option("--out", required=True, type=TABLE, help="CSV to write; replaced in one step.")
def triage(
    *,
    folder: Path,
    model_dir: Path,
    draw: Path,
    rate: float,
    confidence: float,
    coverage: float,
    version: str | None,
    out: Path,
) -> None:
    """Label NEW_RELEASE where the ensemble is sure, and say how often that is wrong at most.

    How sure is sure enough is read off labels that a human verified on cubes DRAWN AT RANDOM from an earlier release
    which the version was trained on. The table must hold ALL cubes of that draw, not only those found wrong, and none
    chosen by disagreement: else the promise is worth nothing. Where the draw does not bear the asked rate nothing is
    accepted; the command says which rate it bears.

    The promise holds as far as NEW_RELEASE is like the earlier one. A new cube is spoken of by the members of one fold,
    as each cube of the draw was, so its probability is not the one that `helioloop score` gives.

    \b
    Columns; one row per readable cube, in the order of labels.csv; empty means unknown:
      cube, label_predicted
      p_emergence           mean over the members that speak
      p_calibrated          what that means by the draw's labels: of cubes at 0.8 about 80 % emerge
      accepted              1: the label is taken; 0: the cube goes to the human
      emergence_frame       0-based grid frame, with _lo and _hi; where emergence is predicted and the
                            masking curve rises; _lo 0 means at or before
      interval              "calibrated 0.9", where the draw gives enough emergence frames (0-based; all
                            or none of the draw's should be given), else "uncalibrated"
      emergence_time_utc, emergence_time_tai
                            when that frame starts; where the cube's files give their start
      model_version         the version that speaks

    \b
    Example:
      helioloop triage release-4 --model-dir models --random drawn.csv --rate 0.02 --out release-4.csv
    """
    with needs_extra("worker"):
        from helioloop.data.release import Release
        from helioloop.workflows.prelabel import prelabel_release
        from helioloop.workflows.prelabel_report import Targets, write_prelabel_table
    targets = Targets(rate=rate, confidence=confidence, coverage=coverage)
    with open_runtime(folder.resolve().parent) as runtime:
        done = prelabel_release(
            Release.open(folder), Registry(model_dir), runtime, sample=draw, targets=targets, version=version
        )
    write_prelabel_table(out, done)
    click.echo("\n".join((f"{out}: {len(done.cubes)} rows", *done.sentences())))


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [triage]
