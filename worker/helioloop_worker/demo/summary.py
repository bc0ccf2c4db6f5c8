"""The page that the demo prints when it is ready: what was done, how long it took, what to try."""

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from helioloop.data.truth import read_truth
from helioloop.errors import ServiceError
from helioloop.records.labels import Label
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.versions import Registry
from helioloop_worker.demo.services import DemoServices
from helioloop_worker.labelstudio.setup import TAB


class Stopwatch:
    """The duration of each stage."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.stages: list[tuple[str, float]] = []

    @contextmanager
    def stage(self, name: str, console: Console) -> Iterator[None]:
        """Print the name of a stage and measure its duration."""
        console.print(f"[bold]{name}[/bold] …")
        start = time.monotonic()
        yield
        self.stages.append((name, time.monotonic() - start))

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began


def print_summary(console: Console, model_dir: Path, *, truth: Path, stopwatch: Stopwatch) -> None:
    """Print what was done, and how long it took.

    Parameters
    ----------
    console : Console
        Where it is printed.
    model_dir : Path
        The project's model folder.
    truth : Path
        Truth table of the synthetic release.
    stopwatch : Stopwatch
        Durations of the stages.

    Raises
    ------
    ServiceError
        If no version is published.
    """
    registry, snapshot = Registry(model_dir), Snapshot.read(model_dir)
    version = registry.published()
    if version is None or snapshot is None:
        raise ServiceError("no version is published; read the workers' logs")
    card, scores = registry.card(version), registry.scores(version)
    labels = {cube: label.label for cube, label in snapshot.cubes.items()}
    ranked = sorted(
        (score.agreement(label), score.cube)
        for score in scores.values()
        if (label := labels.get(score.cube)) is not None
    )
    emergences = [score for score in scores.values() if score.predicted is Label.EMERGENCE]
    console.rule("helioloop demo")
    console.print(
        f"cubes in Label Studio   {len(snapshot.cubes)}\n"
        f"model version           {version}: {len(card.members)} members, recipe {card.recipe.get('name')}\n"
        f"predicted emergences    {len(emergences)}, {sum(s.emergence is not None for s in emergences)} with a frame\n"
        f"label and CNN disagree  on {sum(agreement < 0.5 for agreement, _ in ranked)} cubes, which come first"
    )
    if found := wrong_labels_found(truth, labels, [cube for _, cube in ranked]):
        console.print(found, soft_wrap=True)
    for name, seconds in stopwatch.stages:
        console.print(f"{seconds:6.0f} s  {name}", highlight=False)
    console.print(f"{stopwatch.total:6.0f} s  in total", highlight=False)


def print_what_to_try(console: Console, services: DemoServices, project: int) -> None:
    """Print where to look and what to try while the services run."""
    console.print(
        f"\n[bold]{services.label_studio_url}/projects/{project}/data[/bold]\n"
        f"login     {services.login.email}\n"
        f"password  {services.login.password}\n\n"
        f"Open the tab “{TAB}”. The cubes on which label and CNN\n"
        "disagree come first, and “Label All Tasks” offers them in that order.\n"
        "Play a video: the red range on the timeline starts where the CNN\n"
        "locates the emergence. Correct five labels: a new version is trained.\n"
        f"Logs: {services.folder / 'logs'}\n",
        highlight=False,
    )
    # Printed without rich, which would break long commands and take brackets for markup.
    console.print("[bold]Try in another terminal[/bold], while the demo runs:")
    for command in commands_to_try(services.environment_file, project):
        click.echo(f"  {command}")


def commands_to_try(environment_file: Path, project: int) -> tuple[str, ...]:
    """Return commands for a shell: the first one sets its environment, the others work in it while the demo runs."""
    return (
        f". {shlex.quote(str(environment_file))}",
        f"helioloop status --project {project}",
        f"helioloop status --project {project} --watch",
        f"helioloop doctor --project {project}",
        f"helioloop versions --project {project}",
        f"helioloop catalogue --project {project} --out catalogue.csv",
        f"helioloop report --project {project}",
    )


def wrong_labels_found(truth: Path, labels: Mapping[str, Label | None], ranked: Sequence[str]) -> str | None:
    """Return how many wrong labels are among as many first cubes of the ranking; None without a truth table."""
    if not truth.exists():
        return None
    true = {cube: entry.label for cube, entry in read_truth(truth).items()}
    wrong = {cube for cube, label in labels.items() if cube in true and label is not None and true[cube] is not label}
    first = [cube for cube in ranked if cube in true][: len(wrong)]
    return (
        f"labels that are wrong   {len(wrong)} of {len(true)}, from the truth; "
        f"{len(wrong & set(first))} are among the first {len(first)} cubes"
    )
