"""The commands ``helioloop campaign`` and ``compare``: the method measured on a release whose truth is known."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from helioloop.cli import needs_extra, print_table
from helioloop.model.recipes import RECIPES
from helioloop.settings import load_settings
from helioloop_worker.commands.runtime import open_runtime

if TYPE_CHECKING:
    from helioloop.workflows.benchmark import Run, Spread
    from helioloop.workflows.simulate import CampaignRound

FOLDER = click.Path(file_okay=False, path_type=Path)
TABLE = click.Path(dir_okay=False, path_type=Path)
SHARE = click.FloatRange(min=0, max=1, min_open=True)
GOALS = (0.03, 0.015)
"""Shares of wrong labels for which a campaign says how much had to be verified."""


def _common(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take RELEASE, --truth, --out and --seed."""
    for option in (
        click.option("--seed", type=click.IntRange(min=0), help="Seed of the first member; member k adds k."),
        click.option("--out", type=TABLE, help="CSV to write as well; empty cells are undefined figures."),
        click.option(
            "--truth",
            required=True,
            type=TABLE,
            help="CSV with the columns cube,label and, where known, emergence_frame,kind: what make-release --truth "
            "writes.",
        ),
        click.argument("folder", metavar="RELEASE", type=FOLDER),
    ):
        command = option(command)
    return command


@click.command("campaign")
@_common
@click.option(
    "--model-dir", required=True, type=FOLDER, help="Folder for the campaign's versions; none is published in it."
)
@click.option("--recipe", type=click.Choice(list(RECIPES)), default="quick", show_default=True, help="How to train.")
@click.option(
    "--rounds", type=click.IntRange(min=1), help="At most so many rounds.  [default: until the book says stop]"
)
@click.option(
    "--batch-share", type=SHARE, default=0.1, show_default=True, help="Part of all cubes verified in a round."
)
@click.option(
    "--check-share", type=SHARE, default=0.1, show_default=True, help="Part of a batch drawn at random, not by rank."
)
def campaign(
    *,
    folder: Path,
    truth: Path,
    model_dir: Path,
    recipe: str,
    rounds: int | None,
    batch_share: float,
    check_share: float,
    seed: int | None,
    out: Path | None,
) -> None:
    """Play a whole campaign on RELEASE, with the truth in place of the human.

    Each round trains on the current labels, ranks the unverified cubes by disagreement, and verifies a batch of them,
    part of it drawn at random; wrong labels are corrected. It stops when fewer than 10 % of a round's ranked cubes
    were wrong, or when at most 1.5 % of all labels can still be wrong; then a closing round trains once more. The same
    command takes a broken campaign up where it stopped.

    \b
    Per round it says
      what the book of a real campaign would say: hit rate, wrong labels left with a 90 % interval, whether to stop
      and what only the truth can: labels really wrong, AUROC, accuracy, emergence frames

    \b
    Example:
      helioloop make-release --out bench --n 600 --seed 2 --truth bench-truth.csv
      helioloop campaign bench --truth bench-truth.csv --model-dir campaign --out campaign.csv
    """
    with needs_extra("worker"):
        from helioloop.data.release import Release
        from helioloop.registry.versions import Registry
        from helioloop.workflows.experiment import Experiment, write_rows
        from helioloop.workflows.simulate import simulate_campaign

    settings = load_settings()
    played: list[CampaignRound] = []
    with open_runtime(folder.resolve().parent) as runtime:
        for one in simulate_campaign(
            Experiment.open(Release.open(folder), truth, runtime),
            Registry(model_dir),
            recipe=RECIPES[recipe].in_epochs(settings.epochs),
            seed=settings.seed if seed is None else seed,
            rounds=rounds,
            batch_fraction=batch_share,
            audit_fraction=check_share,
        ):
            played.append(one)
            if out is not None:
                write_rows(out, [done.row() for done in played])
            if one.audit is not None:
                click.echo("\n".join(one.audit.sentences()) + "\n")
    _show_campaign(played)


@click.command("compare")
@_common
@click.option(
    "--recipe",
    "recipes",
    type=click.Choice(list(RECIPES)),
    multiple=True,
    help="Recipe to train; may be given several times.  [default: quick]",
)
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings of each recipe.")
@click.option(
    "--protocol",
    type=click.Choice(["all", "paper"]),
    default="all",
    show_default=True,
    help="all: every cube is trained on and judged out of fold; paper: November and December are set aside, and only "
    "they are judged.",
)
@click.option(
    "--model-dir", type=FOLDER, help="Folder that keeps the versions, one folder per recipe and seed.  [default: none]"
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
    """Train recipes on the crude labels of RELEASE and judge them by the truth.

    One row per recipe, mean ± standard deviation over the seeds. Compare recipes on one release only: another release
    is easier or harder. With --model-dir, what was trained there before is judged without training it again.

    \b
    Columns
      AUROC        how well the probability tells the true classes
      errors       how well the disagreement tells wrong labels from right ones (AUROC)
      P@k          part of wrong labels among the k that disagree most, k labels being wrong
      acc, TSS     accuracy and true skill statistic at p = 0.5
      frame, near  median error of the emergence frame, and part within 15 frames, of all true emergences
      in interval  part of true frames that lie in the interval given
      seconds      for one training with scores and times, on this machine

    \b
    Example:
      helioloop compare bench --truth bench-truth.csv --recipe quick --seeds 3 --model-dir compared --out compared.csv
    """
    with needs_extra("worker"):
        from helioloop.data.release import Release
        from helioloop.workflows import benchmark as comparing
        from helioloop.workflows.experiment import Experiment, write_rows

    settings = load_settings()
    chosen = recipes or ("quick",)
    runs: list[Run] = []
    with ExitStack() as stack:
        kept = model_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="helioloop-compare-")))
        runtime = stack.enter_context(open_runtime(folder.resolve().parent))
        for run in comparing.compare(
            Experiment.open(Release.open(folder), truth, runtime),
            [RECIPES[name].in_epochs(settings.epochs) for name in dict.fromkeys(chosen)],
            seed=settings.seed if seed is None else seed,
            seeds=seeds,
            protocol="paper" if protocol == "paper" else "all",
            model_dir=kept,
        ):
            runs.append(run)
            if out is not None:
                write_rows(out, [done.row() for done in runs])
    _show_comparison(runs)


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [campaign, compare]


def _show_campaign(played: Sequence["CampaignRound"]) -> None:
    from helioloop.workflows.simulate import verifications_until

    heads = (
        "round",
        "verified",
        "changed",
        "hit rate",
        "wrong left",
        "truly",
        "AUROC",
        "errors",
        "frame",
        "near",
        "in interval",
    )
    rows = []
    for one in played:
        line, judged = one.audit, one.evaluation
        hit, left = (line.hit_rate, line.wrong_left) if line else (None, None)
        rows.append(
            (
                str(one.round) if line else "closing",
                f"{one.verified} ({one.verified / one.cubes:.0%})",
                str(line.flips) if line else "-",
                f"{hit.value:.0%}" if hit else "-",
                f"{left.value:.0f} ({left.lo:.0f}–{left.hi:.0f})" if left else "none yet" if line else "-",
                f"{one.wrong} ({one.wrong / one.cubes:.1%})",
                _figure(judged.auroc, 3),
                _figure(judged.error_auroc, 3),
                _figure(judged.frame_error_frames, 1),
                _figure(judged.frame_near, 2),
                _figure(judged.interval_coverage, 2),
            )
        )
    print_table([heads, *rows])
    for goal in GOALS:
        needed = verifications_until(played, goal)
        said = (
            "never reached"
            if needed is None
            else f"reached after {needed} verifications, {needed / played[0].cubes:.0%} of all"
        )
        click.echo(f"{goal:.1%} wrong labels: {said}")
    kinds = [
        (
            first.kind,
            *map(str, (first.cubes, first.wrong_labels, last.wrong_labels, first.wrong_classes, last.wrong_classes)),
        )
        for first, last in zip(played[0].evaluation.kinds, played[-1].evaluation.kinds, strict=True)
    ]
    if kinds:
        kind_heads = ("kind", "cubes", "wrong at first", "still wrong", "class wrong at first", "class wrong at last")
        print_table([kind_heads, *kinds])


def _show_comparison(runs: Sequence["Run"]) -> None:
    from helioloop.workflows.benchmark import over_seeds

    columns = {
        "AUROC": ("auroc", 3),
        "errors": ("error_auroc", 3),
        "P@k": ("precision_at_k", 3),
        "acc": ("accuracy", 3),
        "TSS": ("true_skill", 3),
        "frame": ("frame_error_frames", 1),
        "near": ("frame_near", 2),
        "in interval": ("interval_coverage", 2),
        "seconds": ("seconds", 0),
    }
    rows = []
    for recipe in dict.fromkeys(run.recipe for run in runs):
        figures = over_seeds([run for run in runs if run.recipe == recipe])
        rows.append((recipe, *(_spread(figures[name], digits) for name, digits in columns.values())))
    print_table([("recipe", *columns), *rows])
    judged = runs[0].evaluation
    click.echo(f"{judged.cubes} cubes judged, {judged.wrong_labels} of their crude labels wrong")


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _spread(spread: "Spread | None", digits: int) -> str:
    if spread is None or spread.deviation is None:
        return _figure(spread.mean if spread else None, digits)
    return f"{spread.mean:.{digits}f} ± {spread.deviation:.{digits}f}"
