"""The commands ``helioloop campaign`` and ``compare``: the method measured on a release whose truth is known."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from helioloop.cli import needs_extra, print_table
from helioloop.errors import TooFewLabels
from helioloop.model.recipes import RECIPES
from helioloop.settings import load_settings
from helioloop_worker.commands.options import FOLDER, FRACTION_OR_ALL, TABLE, release_argument, seed_option
from helioloop_worker.commands.runtime import open_release, open_runtime, show_doubt
from helioloop_worker.commands.written_table import WRITTEN_TABLE, WritingCommand

if TYPE_CHECKING:
    from helioloop.workflows.benchmark import Run
    from helioloop.workflows.simulate import CampaignRound


def _experiment_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add RELEASE, --truth, --out and --seed to a command."""
    for option in (
        seed_option,
        click.option(
            "--out", type=WRITTEN_TABLE, help="Also write the results to this CSV; an empty cell means undefined."
        ),
        click.option(
            "--truth",
            required=True,
            type=TABLE,
            help="CSV with the columns cube,label and, where known, emergence_frame,kind, as `helioloop make-release "
            "--truth` writes it.",
        ),
        release_argument,
    ):
        command = option(command)
    return command


@click.command("campaign", cls=WritingCommand)
@_experiment_options
@click.option(
    "--model-dir", required=True, type=FOLDER, help="Folder for the campaign's model versions; none is published."
)
@click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    default="quick",
    show_default=True,
    help="Network and training schedule; see `helioloop train --help`.",
)
@click.option(
    "--rounds", type=click.IntRange(min=1), help="Largest number of rounds.  [default: until the stopping rule]"
)
@click.option(
    "--batch-fraction",
    type=FRACTION_OR_ALL,
    default=0.1,
    show_default=True,
    help="Fraction of all cubes that is verified in a round.",
)
@click.option(
    "--audit-fraction",
    type=FRACTION_OR_ALL,
    default=0.1,
    show_default=True,
    help="Fraction of the verified cubes that comes from the audit sample instead of the ranking, once the ranking "
    "finds less. 1 verifies in random order.",
)
def campaign(
    *,
    folder: Path,
    truth: Path,
    model_dir: Path,
    recipe: str,
    rounds: int | None,
    batch_fraction: float,
    audit_fraction: float,
    seed: int | None,
    out: Path | None,
) -> None:
    """Simulate a labelling campaign on RELEASE.

    The truth takes the place of the human. Each round trains on the current labels, ranks the unverified cubes by
    disagreement and verifies a batch of them; wrong labels are corrected. Once fewer than three in four cubes of a
    batch were wrong, the next ones contain cubes sampled at random, from which the wrong labels left are estimated. The
    campaign stops when fewer than 10 % of a round's ranked cubes were wrong, or when at most 1.5 % of all labels can
    still be wrong. Then a closing round trains once more. The same command continues an interrupted campaign. Where the
    corrected labels of a small release have too few of a class to train on, the campaign ends with the rounds before.

    After each round its audit is printed, as a real campaign would have it. At the end a table has one row per round.

    The networks of quick and accurate begin from weights trained on cubes of the generators of `make-release` with
    their true labels (seed 101), so on releases made by it they do better than on an archive of another kind.

    \b
    Columns:
      verified, changed  verified by then; labels changed in the round
      hit rate           fraction of the cubes verified by rank that were wrong
      wrong left, truly  wrong labels left: the audit's estimate with its 90 %
                         interval, and the number from the truth
      AUROC, errors, frame, near, in interval
                         as in `helioloop compare --help`

    \b
    Example:
      helioloop make-release --out bench --n 600 --seed 2 --truth bench-truth.csv
      helioloop campaign bench --truth bench-truth.csv --model-dir campaign \\
          --out campaign.csv
    """
    with needs_extra("worker"):
        from helioloop.registry.versions import Registry
        from helioloop.workflows.experiment import Experiment, write_rows
        from helioloop.workflows.simulate import simulate_campaign
        from helioloop_worker.reports.science import campaign_rows, goal_sentences, kind_rows

    settings = load_settings()
    played: list[CampaignRound] = []
    ended_by: TooFewLabels | None = None
    with open_runtime(folder.resolve().parent, release=folder) as runtime:
        simulated = simulate_campaign(
            Experiment.open(open_release(folder), truth, runtime, on_doubt=show_doubt),
            Registry(model_dir),
            recipe=RECIPES[recipe].in_epochs(settings.epochs),
            seed=settings.seed if seed is None else seed,
            rounds=rounds,
            batch_fraction=batch_fraction,
            audit_fraction=audit_fraction,
        )
        try:
            for one in simulated:
                played.append(one)
                if out is not None:
                    write_rows(out, [done.row() for done in played])
                if one.audit is not None:
                    click.echo("\n".join(one.audit.sentences()) + "\n")
        except TooFewLabels as error:
            if not played:
                raise
            ended_by = error
    print_table(campaign_rows(played))
    click.echo()
    for sentence in goal_sentences(played):
        click.echo(sentence)
    if kinds := kind_rows(played):
        click.echo()
        print_table(kinds)
    if ended_by is not None:
        raise ended_by


@click.command("compare", cls=WritingCommand)
@_experiment_options
@click.option(
    "--recipe",
    "recipes",
    type=click.Choice(list(RECIPES)),
    multiple=True,
    help="Recipe to train; can be given several times.  [default: quick]",
)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Number of trainings of each recipe."
)
@click.option(
    "--protocol",
    type=click.Choice(["all", "paper"]),
    default="all",
    show_default=True,
    help="all: every cube is trained on and evaluated out of fold; paper: cubes of November and December are held out "
    "as the test set, and only they are evaluated.",
)
@click.option(
    "--model-dir",
    type=FOLDER,
    help="Folder for the model versions, with one folder per recipe and seed.  [default: a temporary folder]",
)
def compare(
    *,
    folder: Path,
    truth: Path,
    recipes: tuple[str, ...],
    seeds: int,
    protocol: str,
    model_dir: Path | None,
    seed: int | None,
    out: Path | None,
) -> None:
    """Compare training recipes on RELEASE, using its truth.

    Each recipe is trained on the crude labels and evaluated against the truth. The table has one row per recipe: mean ±
    standard deviation over the seeds. Compare recipes on the same release only, because releases differ in difficulty.
    Versions that --model-dir already contains are evaluated without training them again.

    As with `helioloop campaign`, the networks of quick and accurate know releases of `make-release`: its figures are
    better than those on an archive of another kind, above all beside those of paper and paper-adamw.

    \b
    Columns:
      AUROC        of the probability, for the true classes
      errors       AUROC of the disagreement, for wrong against right labels
      P@k          fraction of wrong labels among the k cubes that disagree most,
                   where k is the number of wrong labels
      acc, TSS     accuracy and true skill statistic at p = 0.5
      frame, near  median error of the emergence frame in frames, and fraction
                   within 15 frames, over all true emergences
      in interval  fraction of true frames inside the interval
      seconds      for one training with scores and emergence frames, on this machine

    \b
    Example:
      helioloop compare bench --truth bench-truth.csv --recipe quick --seeds 3 \\
          --model-dir compared --out compared.csv
    """
    with needs_extra("worker"):
        from helioloop.workflows import benchmark
        from helioloop.workflows.experiment import Experiment, write_rows
        from helioloop_worker.reports.science import comparison_rows

    settings = load_settings()
    chosen = recipes or ("quick",)
    runs: list[Run] = []
    with ExitStack() as stack:
        versions = model_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="helioloop-compare-")))
        runtime = stack.enter_context(open_runtime(folder.resolve().parent, release=folder))
        for run in benchmark.compare(
            Experiment.open(open_release(folder), truth, runtime, on_doubt=show_doubt),
            [RECIPES[name].in_epochs(settings.epochs) for name in dict.fromkeys(chosen)],
            seed=settings.seed if seed is None else seed,
            seeds=seeds,
            protocol="paper" if protocol == "paper" else "all",
            model_dir=versions,
        ):
            runs.append(run)
            if out is not None:
                write_rows(out, [done.row() for done in runs])
    print_table(comparison_rows(runs))
    evaluated = runs[0].evaluation
    click.echo(f"{evaluated.cubes} cubes evaluated; {evaluated.wrong_labels} of their crude labels are wrong")


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [campaign, compare]
