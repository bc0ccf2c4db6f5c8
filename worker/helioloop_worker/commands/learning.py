"""The commands ``helioloop train``, ``score``, ``versions`` and ``rollback``."""

from collections.abc import Sequence
from pathlib import Path

import click

from helioloop.cli import TEXT, needs_extra, print_table
from helioloop.model.recipes import AUTO, RECIPES
from helioloop.registry.card import Card
from helioloop.registry.versions import Registry
from helioloop.settings import load_settings
from helioloop_worker.commands.options import (
    existing_registry,
    find_own_registry,
    find_registry,
    labels_option,
    model_dir_option,
    models_options,
    other_profile_option,
    release_argument,
    seed_option,
    version_option,
)
from helioloop_worker.commands.runtime import open_release, open_runtime
from helioloop_worker.commands.written_table import WritingCommand, out_option


@click.command("train")
@release_argument
@model_dir_option
@labels_option
@click.option(
    "--recipe",
    type=click.Choice([AUTO, *RECIPES]),
    default=AUTO,
    show_default=True,
    help="Network and training schedule. quick: small per-frame CNN, minutes on a CPU; accurate: a wider one, trained "
    "longer; paper: the authors' CNN, needs a GPU in practice; paper-adamw: the same in fewer epochs; auto: quick on a "
    "CPU, accurate on a GPU.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Train even if nothing changed since the newest version, and publish even if the promotion check rejects it.",
)
@seed_option
def train(*, folder: Path, model_dir: Path, labels: Path | None, recipe: str, force: bool, seed: int | None) -> None:
    """Train an ensemble on RELEASE and publish it.

    RELEASE is a folder of cubes with a table labels.csv (columns cube,label,verified). Cubes without a label are scored
    but not trained on. The labelled cubes are split into folds. Each member leaves one fold out, and a cube's
    probability is the mean over the members that left it out, each combined with the local growth (see `helioloop score
    --help`) where the recipe measures it. With quick and accurate, a label that is not marked as verified counts a
    quarter, because crude labels are often wrong; the rest is what a pretrained network and the local growth say. Mark
    labels of humans as verified. If labels, data, recipe and code are those of the newest version, nothing is
    trained, unless that version is damaged: then it is made again, and only what it lacks is trained. All versions in a
    model folder have one profile (release.toml); a release of another one is refused.

    Promotion check: a new version is compared with the published one on the verified cubes that both have scored, if
    there are at least 20. (Once 20 of these belong to the audit sample, only those are compared.) A version that is
    clearly worse is rejected: it stays in the folder, is not published, and the command exits with status 1. To
    publish it anyway use --force, or `helioloop rollback` with its name.

    \b
    Example:
      helioloop train demo --model-dir models --labels corrections.csv
    """
    with needs_extra("worker"):
        from helioloop.model.recipes import find_recipe
        from helioloop.workflows import releases
    with open_runtime(folder.resolve().parent, release=folder) as runtime:
        card = releases.train_release(
            open_release(folder, labels=labels),
            Registry(model_dir),
            runtime,
            recipe=find_recipe(recipe, gpu=runtime.device.kind == "cuda").in_epochs(load_settings().epochs),
            seed=load_settings().seed if seed is None else seed,
            forced=force,
        )
    if card is None:
        click.echo(
            f"nothing to do: the newest version in {model_dir} was trained on the same labels, data, recipe and code; "
            "use --force to train again"
        )
    else:
        click.echo(f"{card.version} published in {model_dir}: {_summary(card)}")
        click.echo(f"promotion check: {card.verdict['reason']}")


@click.command("score", cls=WritingCommand)
@release_argument
@model_dir_option
@labels_option
@version_option
@other_profile_option
@click.option("--members", is_flag=True, help="Also write networks, local growth and the members' own frames (below).")
@out_option
def score(
    *,
    folder: Path,
    model_dir: Path,
    labels: Path | None,
    version: str | None,
    other_profile: bool,
    members: bool,
    out: Path,
) -> None:
    """Score the cubes of RELEASE and write a table.

    The table has one row for each readable cube, in the order of labels.csv. Sort by disagreement, highest first, to
    find wrong labels.

    If RELEASE is not like the releases that the version was trained on (profile, noise, field strength or
    probabilities), a warning on stderr names the differences; its scores are less reliable then.

    \b
    Columns; an empty cell means unknown:
      cube, label            the label in labels.csv or --labels
      p_emergence, p_spread  probability of emergence: mean and standard deviation
                             over the members that were not trained on the cube,
                             each combined with the local growth where the recipe
                             measures it
      disagreement           1 - probability of the label
      emergence_frame        0-based grid frame, with the ends _lo and _hi of its
                             interval; only where ensemble or label is emergence
                             (a crude label counts from a probability of 0.3 on)
                             and the masking curve (the probability as a function
                             of the last frame that is not masked) or both
                             polarities at one place rise
      model_version          the version that scored

    \b
    Further columns with --members; lists are separated by blanks:
      p_networks             probability by the networks without the local growth.
                             To p_emergence it contributes with its log odds
                             shifted by "shift" in growth-odds.json of the
                             version, also where no growth is measured
      growth                 local growth: by which factor both polarities grow
                             within a day at the place where they grow most. Where
                             both classes are equally likely is estimated for each
                             version, "even" in its growth-odds.json: about 2.
                             Empty where it is not measured: with the recipes paper
                             and paper-adamw, on grids of under 3 px per degree, in
                             patches of under 3 degrees, with a frame less often
                             than every 4 h, and where two days do not fit into
                             the frames after the frozen start
      members                the members that were not trained on the cube
      steepest_frame         estimate of Chatterjee et al. 2022: median over the
                             members of the frame where the masking curve is
                             steepest, with their standard deviation in _spread
                             and the frame of each member in _members

    \b
    Example:
      helioloop score demo --model-dir models --out scores.csv
    """
    with needs_extra("worker"):
        from helioloop.workflows import releases
        from helioloop.workflows.drift import release_drift
        from helioloop.workflows.score_table import write_score_table
    registry = existing_registry(model_dir)
    with open_runtime(folder.resolve().parent, release=folder) as runtime:
        version, scored = releases.score_release(
            open_release(folder, labels=labels), registry, runtime, version=version, other_profile=other_profile
        )
        drift = release_drift([cube for cube, _ in scored], registry, runtime, version=version)
    for sentence in drift.sentences():
        click.echo(f"helioloop: {sentence}", err=True)
    start = runtime.instrument.frozen_frames if members else None
    write_score_table(out, scored, version=version, start=start)
    click.echo(f"{out}: {len(scored)} cubes scored by {version}")


@click.command("versions")
@models_options
def versions(*, model_dir: Path | None, project: int | None) -> None:
    """List model versions, oldest first.

    A star marks the published version. The reasons for rejections, versions without weights, those whose folder was
    copied or renamed, what is missing of damaged ones, and folders that have no name of a version, are printed below
    the table. To publish a rejected version anyway, use `helioloop rollback`.

    \b
    Columns:
      parent            the version that was published when this one was trained
      labels, verified  labels it was trained on, and those of them that a human
                        has verified
      agreement, AUROC  mean out-of-fold probability of the labels, and AUROC of
                        the out-of-fold probabilities for them
      promotion         passed, or rejected because it was clearly worse than the
                        version published then

    \b
    Example:
      helioloop versions --model-dir models
    """
    from helioloop_worker.reports.versions import remarks, version_rows

    registry = find_registry(model_dir=model_dir, project=project)
    cards = [registry.card(version) for version in registry.versions()]
    if cards:
        print_table(version_rows(cards, published=registry.published()))
    else:
        click.echo(f"{registry.root} holds no version yet")
    for sentence in remarks(registry, cards):
        click.echo(sentence)


@click.command("rollback")
@click.argument("version", type=TEXT)
@models_options
def rollback(*, version: str, model_dir: Path | None, project: int | None) -> None:
    """Publish an earlier or a rejected model VERSION.

    Nothing is deleted, and a later round may publish a newer version. A version whose weights `helioloop prune` has
    removed is refused. The command also repairs a damaged or missing published.json.

    \b
    Example:
      helioloop rollback v0001 --model-dir models
    """
    registry = find_own_registry(model_dir=model_dir, project=project)
    before = registry.published_if_readable() or "nothing"
    registry.publish(version, why=f"published by hand in place of {before}")
    if project is not None:
        _write_back(project, version)
    click.echo(f"{registry.root}: published {version}, before {before}")


def commands() -> Sequence[click.Command]:
    """Return the commands of this module."""
    return [train, score, versions, rollback]


def _write_back(project: int, version: str) -> None:
    """Queue the write-back of `version`; until it has run, Label Studio shows the predictions of the version before."""
    with needs_extra("worker"):
        from helioloop.messaging import messages, queues
        from helioloop_worker.own_redis import open_redis

    queues.send(open_redis(load_settings()), messages.WriteBack(project=project, version=version), anew=True)


def _summary(card: Card) -> str:
    summary = f"{len(card.members)} members on {len(card.labels)} labels ({card.verified} verified)"
    if "disagreeing" in card.metrics:
        summary += f", {card.metrics['disagreeing']:.0%} of the labels disagree with the out-of-fold members"
    return summary
