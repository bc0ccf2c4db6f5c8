"""The command ``helioloop triage``: a new release pre-labelled, with a risk guarantee on the accepted labels."""

from collections.abc import Sequence
from pathlib import Path

import click

from helioloop.cli import needs_extra
from helioloop_worker.commands.options import (
    FOLDER,
    TABLE,
    confidence_option,
    coverage_option,
    existing_registry,
    model_dir_option,
    other_profile_option,
    rate_option,
    version_option,
)
from helioloop_worker.commands.runtime import open_release, open_runtime, show_doubt
from helioloop_worker.commands.written_table import WritingCommand, out_option


@click.command("triage", cls=WritingCommand)
@click.argument("folder", metavar="NEW_RELEASE", type=FOLDER)
@model_dir_option
@click.option(
    "--random",
    "sample",
    required=True,
    type=TABLE,
    help="The audit sample: a CSV with the columns cube,label[,emergence_frame]. It lists ALL cubes of a uniform "
    "random sample of an earlier release with their verified labels, whether the crude label was right or wrong.",
)
@rate_option
@confidence_option
@coverage_option
@version_option
@other_profile_option
@out_option
def triage(
    *,
    folder: Path,
    model_dir: Path,
    sample: Path,
    rate: float,
    confidence: float,
    coverage: float,
    version: str | None,
    other_profile: bool,
    out: Path,
) -> None:
    """Label NEW_RELEASE where the ensemble is sure enough.

    The ensemble's class is accepted where its probability reaches a threshold; all other cubes go to a human. The
    threshold is chosen on the audit sample, so that the risk guarantee holds: with probability --confidence, at most
    the fraction --rate of labels accepted in this way is wrong in the long run. Among the few of one release more can
    be wrong by chance; the command prints up to how many, with the same confidence. If the sample is too small or the
    ensemble too often wrong for that rate, nothing is accepted and the command prints the smallest rate that is
    possible.

    A label that a human verified is never overruled: cubes with verified 1 in labels.csv of NEW_RELEASE, and cubes of
    the audit sample, are not accepted, and the command prints how many they are.

    The audit sample consists of cubes that were DRAWN AT RANDOM from a release that the version was trained on, and
    then verified by a human. The table must hold ALL cubes of the sample, not only those found wrong, and none that was
    chosen for its disagreement. Otherwise the guarantee does not hold.

    It also needs NEW_RELEASE to be like the audit sample. Profile, noise, typical field, peaks of the field and
    probabilities are compared. If they differ (drift), the command prints how, withdraws the guarantee and accepts
    nothing; the table is still written, with uncalibrated probabilities and intervals. Of releases that are alike,
    at most 1 in 100 is taken for different. The same happens where this cannot be compared: NEW_RELEASE has fewer than
    five regions (more, where the sample has fewer than twenty), or the version has no statistics of the field.

    Each new cube is scored by the members of one fold, as each cube of the sample was. Its probability therefore
    differs from the one that `helioloop score` writes.

    \b
    Columns; one row per readable cube, in the order of labels.csv;
    an empty cell means unknown:
      cube, label_predicted
      p_emergence         mean over the members of one fold, each combined with
                          the local growth where the recipe measures it
      p_calibrated        calibrated on the sample: of cubes at 0.8, about 80 % emerge
      accepted            1: the label is accepted; 0: the cube goes to a human, or
                          its label was verified by one
      emergence_frame     0-based grid frame, with the ends _lo and _hi of its
                          interval; only where emergence is predicted and the
                          masking curve rises; _lo 0 means at frame 0 or earlier
      interval            "calibrated 0.9" if the sample has enough emergence frames
                          (0-based; give those of all its emergences, or none),
                          else "uncalibrated"
      emergence_time_utc, emergence_time_tai
                          start of that frame, if the cube's files give a start time
      model_version       the version that scored

    \b
    Example:
      helioloop triage release-4 --model-dir models --random drawn.csv \\
          --rate 0.02 --out release-4.csv
    """
    with needs_extra("worker"):
        from helioloop.workflows.prelabel import prelabel_release
        from helioloop.workflows.prelabel_report import Targets, write_prelabel_table
    targets = Targets(rate=rate, confidence=confidence, coverage=coverage)
    registry = existing_registry(model_dir)
    with open_runtime(folder.resolve().parent, release=folder) as runtime:
        done = prelabel_release(
            open_release(folder),
            registry,
            runtime,
            sample=sample,
            targets=targets,
            version=version,
            other_profile=other_profile,
            on_doubt=show_doubt,
        )
    write_prelabel_table(out, done)
    click.echo("\n".join((f"{out}: {len(done.cubes)} rows", *done.sentences())))


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [triage]
