"""A release trained on and scored without Label Studio or Redis: what ``helioloop train`` and ``helioloop score`` do.

Top of the core, above rounds and releases; the worker runs the same rounds over a project's labels instead of a
release's table. Needs the extra ``worker``.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from helioloop import atomic
from helioloop.data.loader import Loader
from helioloop.data.release import Release, inspect
from helioloop.emergence.locate import locate, needs_time
from helioloop.errors import CubeError, KeptVersion, RegistryError
from helioloop.instrument import Instrument
from helioloop.model.device import CPU_THREADS, Device
from helioloop.model.ensemble import score_cubes
from helioloop.model.plan import Plan, make_plan
from helioloop.model.recipes import Recipe
from helioloop.progress import Report
from helioloop.records import CubeScore, Label, PlannedCube
from helioloop.registry.versions import Card, Registry
from helioloop.workflows.rounds import run_round

SCORE_COLUMNS = (
    "cube",
    "label",
    "p_emergence",
    "p_spread",
    "disagreement",
    "emergence_frame",
    "emergence_frame_lo",
    "emergence_frame_hi",
    "model_version",
)

Unreadable = Callable[[str, CubeError], None]
"""Called with the name of a cube that cannot be read, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """What training and scoring work with, whichever release.

    Parameters
    ----------
    instrument : Instrument
        The grid.
    cache : Path
        Folder for preprocessed cubes and prepared inputs.
    device : Device
        Where networks run.
    report : Report
        Told how far the work is.
    unreadable : Unreadable
        Told each cube that is set aside.
    """

    instrument: Instrument
    cache: Path
    device: Device
    report: Report
    unreadable: Unreadable

    @property
    def inputs(self) -> Path:
        """Folder for prepared inputs."""
        return self.cache / "inputs"

    def loader(self, release: Release) -> Loader:
        """Return what gives the cubes of `release`."""
        return Loader(roots=(release.folder.parent,), cache=self.cache, instrument=self.instrument)


def train_release(
    release: Release, registry: Registry, *, recipe: Recipe, seed: int, forced: bool, at: Workplace
) -> Card | None:
    """Train a version on a release's labels and publish it if the gate lets it; None where there is nothing to do.

    A version that was made of the same and never published, because the command broke off, is published now.

    Parameters
    ----------
    release : Release
        Cubes and labels.
    registry : Registry
        Where the version goes; its parent is the published one.
    recipe : Recipe
        How to train.
    seed : int
        Seed of the first member.
    forced : bool
        Train even where labels, data, recipe and code are those of the newest version, and publish whatever the gate
        says.
    at : Workplace
        What to work with.

    Raises
    ------
    TooFewLabels
        If a class has too few labelled cubes that can be read.
    KeptVersion
        If the gate does not let the version be published; it is kept.
    """
    load = at.loader(release)
    plan = make_plan(
        readable_cubes(release, load, at=at),
        recipe=recipe,
        instrument=at.instrument,
        seed=seed,
        parent=registry.published(),
        reason="trained by hand with --force" if forced else "trained by hand",
    )
    newest = registry.latest()
    if newest is not None and newest.fingerprint == plan.fingerprint and not forced:
        broke_off = registry.unpublished()
        return None if broke_off is None else _publish(broke_off, registry)
    card = run_round(
        plan,
        registry,
        load,
        device=at.device,
        report=at.report,
        inputs=at.inputs,
        processes=side_by_side(plan, at.device),
        forced=forced,
    )
    return _publish(card, registry)


def _publish(card: Card, registry: Registry) -> Card:
    if card.kept is not None:
        raise KeptVersion(
            f"{card.version} is {card.kept}; to publish it all the same run "
            f"`{registry.rollback_command(card.version)}`, or train with --force"
        )
    registry.publish(card.version, why=card.reason)
    return card


def score_release(
    release: Release, registry: Registry, *, version: str | None, at: Workplace
) -> tuple[str, list[tuple[PlannedCube, CubeScore]]]:
    """Score all readable cubes of a release with a version, by default the published one.

    Scores that the version holds are used; others are computed but not added to it: it is a release's table that is
    asked for, not a change to the model folder.

    Returns
    -------
    version : str
        The version that speaks.
    scored : list of (PlannedCube, CubeScore)
        In the order of the release's table.

    Raises
    ------
    RegistryError
        If nothing is published yet, or the version's instrument is another one.
    UnknownVersion
        If there is no such version.
    """
    version = find_version(registry, version, at=at)
    folder = registry.folder(version)
    load = at.loader(release)
    cubes = readable_cubes(release, load, at=at)
    labels = {cube.ref.cube: cube.label for cube in cubes}
    stored = registry.scores(version)
    missing = [cube for cube in cubes if (cube.ref.cube, cube.ref.sha256) not in stored]
    fresh = score_cubes(folder, missing, load, device=at.device, report=at.report, inputs=at.inputs)
    known = {**stored, **{(score.cube, score.sha256): score for score in fresh}}
    scores = [known[cube.ref.cube, cube.ref.sha256] for cube in cubes]
    scores = locate(folder, cubes, scores, load, labels=labels, device=at.device, report=at.report)
    return version, list(zip(cubes, scores, strict=True))


def find_version(registry: Registry, version: str | None, *, at: Workplace) -> str:
    """Return `version`, or the published one where it is None, if it can speak of cubes on this grid.

    Raises
    ------
    RegistryError
        If nothing is published yet, or the version's instrument is another one.
    UnknownVersion
        If there is no such version.
    """
    version = version or registry.published()
    if version is None:
        raise RegistryError(f"{registry.root} holds no published version; {_remedy(registry)}")
    trained_for = Plan.read(registry.folder(version)).instrument
    if trained_for != at.instrument:
        raise RegistryError(
            f"version {version} was trained for the grid of {trained_for.name}, not {at.instrument.name}; "
            "name another --version"
        )
    return version


def _remedy(registry: Registry) -> str:
    """Say what to do where nothing is published; training again would find nothing to do if versions are there."""
    version = registry.last_published()
    if version is None:
        return "run `helioloop train` with this --model-dir"
    return f"name one with --version {version}, or publish it: `{registry.rollback_command(version)}`"


def readable_cubes(release: Release, load: Loader, *, at: Workplace) -> list[PlannedCube]:
    """Return the release's cubes that can be read, in the order of its table; the others go to ``at.unreadable``.

    Each cube is read once, whole, and kept in the cache: what passes here is there when members train on it.
    """
    readable = []
    for done, row in enumerate(release.rows, start=1):
        try:
            cube = inspect(release.path(row.cube), label=row.label, verified=row.verified)
            load(cube.ref)
        except CubeError as error:
            at.unreadable(row.cube, error)
        else:
            readable.append(cube)
        at.report(done, len(release.rows), "reading cubes")
    return readable


def write_score_table(path: Path, scored: Iterable[tuple[PlannedCube, CubeScore]], *, version: str) -> None:
    """Write scores as CSV with the columns `SCORE_COLUMNS`, in one step; empty means unknown."""
    atomic.write_table(path, SCORE_COLUMNS, (score_row(cube.label, score, version=version) for cube, score in scored))


def score_row(label: Label | None, score: CubeScore, *, version: str) -> Mapping[str, str | int]:
    """Return one cube's row of the score table."""
    timed = needs_time(score, label) and score.frame is not None
    return {
        "cube": score.cube,
        "label": "" if label is None else str(label),
        "p_emergence": f"{score.p_emergence:.6f}",
        "p_spread": "" if score.p_spread is None else f"{score.p_spread:.6f}",
        "disagreement": "" if label is None else f"{1.0 - score.agreement(label):.6f}",
        "emergence_frame": _frame(score.frame, timed=timed),
        "emergence_frame_lo": _frame(score.frame_lo, timed=timed),
        "emergence_frame_hi": _frame(score.frame_hi, timed=timed),
        "model_version": version,
    }


def side_by_side(plan: Plan, device: Device) -> int:
    """Return how many processes train, score and locate at once: one per processor core, or one on a GPU."""
    if device.kind != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(len(plan.members), cores // CPU_THREADS))


def _frame(frame: int | None, *, timed: bool) -> str:
    return str(frame) if timed and frame is not None else ""
