"""The commands ``helioloop train``, ``score``, ``versions`` and ``rollback``, over `helioloop.workflows.releases`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from helioloop.cli import needs_extra, print_table
from helioloop.errors import WrongUsage
from helioloop.model.recipes import AUTO, RECIPES
from helioloop.registry.versions import Card, Registry
from helioloop.settings import load_settings
from helioloop_worker.commands.runtime import open_runtime

if TYPE_CHECKING:
    from helioloop.data.release import Release

FOLDER = click.Path(file_okay=False, path_type=Path)
TABLE = click.Path(dir_okay=False, path_type=Path)


def _release_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take RELEASE, --model-dir and --labels."""
    for option in (
        click.option(
            "--labels",
            type=TABLE,
            help="CSV with the columns cube,label,verified; replaces label and verified of the cubes it names.",
        ),
        click.option(
            "--model-dir", required=True, type=FOLDER, help="Folder of model versions; train creates it if absent."
        ),
        click.argument("folder", metavar="RELEASE", type=FOLDER),
    ):
        command = option(command)
    return command


def _place_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take --model-dir DIR or --project ID."""
    project = click.option("--project", type=click.IntRange(min=1), help="Label Studio project whose models are meant.")
    model_dir = click.option("--model-dir", type=FOLDER, help="Folder of model versions.")
    return model_dir(project(command))


@click.command("train")
@_release_options
@click.option(
    "--recipe",
    type=click.Choice([AUTO, *RECIPES]),
    default="auto",
    show_default=True,
    help="quick: small per-frame network, minutes on a CPU; accurate: a wider one, longer; paper: the authors' CNN, "
    "wants a GPU; paper-adamw: the same, trained faster; auto: quick on a CPU, accurate on a GPU.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Train even if nothing changed since the newest version, and publish whatever the gate says.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the first member; member k adds k.  [default: 0]")
def train(*, folder: Path, model_dir: Path, labels: Path | None, recipe: str, force: bool, seed: int | None) -> None:
    """Train an ensemble on RELEASE's labels and publish it as a new model version, unless it is worse.

    RELEASE is a folder of cubes with labels.csv (cube,label,verified). Cubes without a label are scored, never trained
    on. Each labelled cube is held out from the members of its fold, and only those ever speak of it. The version's
    parent is the one published before. Same labels, data, recipe and code as the newest version: nothing to do.

    Where at least 20 verified cubes were scored by both, the new version is compared with the published one on them (on
    the random ones alone, where those are 20). One that is surely worse is kept, not published, and the command exits
    with 1: --force publishes all the same, as does `helioloop rollback` with its name.

    \b
    Example:
      helioloop train demo --model-dir models --labels corrections.csv
    """
    with needs_extra("worker"):
        from helioloop.model.recipes import find_recipe
        from helioloop.workflows import releases
    with open_runtime(folder.resolve().parent) as runtime:
        card = releases.train_release(
            _open(folder, labels),
            Registry(model_dir),
            runtime,
            recipe=find_recipe(recipe, gpu=runtime.device.kind == "cuda").in_epochs(load_settings().epochs),
            seed=load_settings().seed if seed is None else seed,
            forced=force,
        )
    if card is None:
        click.echo(
            f"nothing to do: the newest version in {model_dir} was trained on these labels, data, recipe and code; "
            "--force repeats it"
        )
    else:
        click.echo(f"{card.version} published in {model_dir}: {_summary(card)}")
        click.echo(f"gate: {card.verdict['reason']}")


@click.command("score")
@_release_options
@click.option("--version", help="Model version that speaks.  [default: the published one]")
@click.option("--out", required=True, type=TABLE, help="CSV to write; replaced in one step.")
def score(*, folder: Path, model_dir: Path, labels: Path | None, version: str | None, out: Path) -> None:
    """Score every readable cube of RELEASE and write one row each to a CSV, in the order of labels.csv.

    \b
    Columns; empty means unknown:
      cube, label           the current label, from labels.csv or --labels
      p_emergence, p_spread mean and standard deviation over the members that did not train on the cube
      disagreement          1 - probability of the current label: look at the highest first
      emergence_frame       0-based grid frame, with _lo and _hi; where ensemble or label says emergence
                            and the masking curve rises
      model_version         the version that speaks

    \b
    Example:
      helioloop score demo --model-dir models --out scores.csv
    """
    with needs_extra("worker"):
        from helioloop.workflows import releases
    with open_runtime(folder.resolve().parent) as runtime:
        version, scored = releases.score_release(_open(folder, labels), Registry(model_dir), runtime, version=version)
    releases.write_score_table(out, scored, version=version)
    click.echo(f"{out}: {len(scored)} cubes scored by {version}")


@click.command("versions")
@_place_options
def versions(*, model_dir: Path | None, project: int | None) -> None:
    """List model versions, oldest first; the published one is marked with a star.

    The column gate says whether a version was passed for publication or kept because it was worse than the one then
    published; below the table stands why. `helioloop rollback` publishes a kept one all the same.
    """
    registry = _registry(model_dir, project)
    published = registry.published()
    cards = [registry.card(version) for version in registry.versions()]
    if not cards:
        click.echo(f"{registry.root} holds no version yet")
        return
    heads = (
        "", "version", "created", "parent", "members", "labels", "verified", "agreement", "AUROC", "gate", "reason"
    )  # fmt: skip
    rows = [
        (
            "*" if card.version == published else "",
            card.version,
            card.created_at,
            card.parent or "-",
            str(len(card.members)),
            str(len(card.labels)),
            str(card.verified),
            _figure(card, "agreement"),
            _figure(card, "auroc"),
            _gate(card),
            card.reason,
        )
        for card in cards
    ]
    print_table([heads, *rows])
    for card in cards:
        if card.rejected is not None:
            click.echo(f"{card.version}: {card.rejected}")


@click.command("rollback")
@click.argument("version")
@_place_options
def rollback(*, version: str, model_dir: Path | None, project: int | None) -> None:
    """Publish an earlier model VERSION again, or one that the gate kept.

    Nothing is deleted; a later round may publish a newer one. It also mends a damaged or lost published.json.
    """
    registry = _registry(model_dir, project)
    before = registry.published_if_readable() or "nothing"
    registry.publish(version, why=f"published by hand in place of {before}")
    if project is not None:
        _write_back(project, version)
    click.echo(f"{registry.root}: published {version}, before {before}")


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [train, score, versions, rollback]


def _write_back(project: int, version: str) -> None:
    """Queue the write-back of `version` to the project; until it has run, Label Studio shows the version before."""
    with needs_extra("worker"):
        from helioloop.messaging import messages, queues, redis_client

    queues.send(redis_client.connect(load_settings()), messages.WriteBack(project=project, version=version))


def _open(folder: Path, labels: Path | None) -> "Release":
    from helioloop.data.release import Release

    release = Release.open(folder)
    return release if labels is None else release.with_labels(labels)


def _registry(model_dir: Path | None, project: int | None) -> Registry:
    if model_dir is not None and project is None:
        return Registry(model_dir)
    if project is not None and model_dir is None:
        return Registry(load_settings().model_dir(project))
    raise WrongUsage("give either --model-dir DIR or --project ID, and not both")


def _summary(card: Card) -> str:
    said = f"{len(card.members)} members on {len(card.labels)} labels ({card.verified} verified)"
    if "agreement" in card.metrics:
        said += f", out of fold {card.metrics['disagreeing']:.0%} of the labels disagree"
    return said


def _figure(card: Card, name: str) -> str:
    return f"{card.metrics[name]:.3f}" if name in card.metrics else "-"


def _gate(card: Card) -> str:
    if not card.verdict:
        return "-"
    return "passed" if card.rejected is None else "kept"
