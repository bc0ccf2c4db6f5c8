"""Synthetic cubes, and releases of them on disk.

A release is made in a pool of processes, one cube per task. Cube k depends on the seed and k only, not on the number of
processes or the size of the release. An interrupted release can be completed: its folder contains the values it is made
with. There are several generators of cubes, see `Generator`.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import joblib
import numpy as np
from numpy.typing import NDArray

from helioloop.data.crude_label_tables import CRUDE_LABELS_FILE, write_crude_labels
from helioloop.data.crude_labels import FIRST_FOUND_EAST_OF_DEG, CrudeLabel, label_cube
from helioloop.data.cubes import write_cube
from helioloop.data.making_lock import is_of_lock, only_maker
from helioloop.data.release import LABELS_FILE, LabelRow, write_labels
from helioloop.environment.pools import make_pool
from helioloop.errors import ReleaseError
from helioloop.files import atomic, tables
from helioloop.progress import Report, silent
from helioloop.records.instrument import MDI, Instrument
from helioloop.records.labels import Label
from helioloop.records.profiles import BUILT_IN
from helioloop.synthetic import detection
from helioloop.synthetic.flow import Floats, Scale
from helioloop.synthetic.observation import line_of_sight, observe
from helioloop.synthetic.sampling import draw_scenario
from helioloop.synthetic.scenario import PATCH_DEG, SECONDS_PER_DAY, Scenario, Truth
from helioloop.synthetic.surface import radial_deposit
from helioloop.synthetic.transport import detection as transport_detection
from helioloop.synthetic.transport import observation as transport_observation
from helioloop.synthetic.transport.passage import Passage
from helioloop.synthetic.transport.sampling import draw_passage
from helioloop.synthetic.transport.surface import radial_field
from helioloop.synthetic.transport.varied import draw_varied_passage
from helioloop.synthetic.varied import draw_varied_scenario

SHORTEST_DAYS = 6.0
"""Shortest grid. On a shorter one, a region that is first observed after a gap is never far enough on the disk to be
found, and cubes of regions that nothing finds are not made."""

_SATURATED_GAUSS = 3276.7  # of spikes, in files: what a seed makes stays in steps of 0.1 G, the same to the bit
_RECIPE_FILE = "made-with.json"
_TRUTH_COLUMNS = ("cube", "label", "emergence_frame", "kind", "region", "start")


class Generator(StrEnum):
    """What makes the cubes.

    Magnetic elements, or flux transport on a grid, see `helioloop.synthetic.transport`. The varied kinds have other
    constants in each cube, see `helioloop.synthetic.varied`.
    """

    ELEMENTS = "elements"
    FLUX_TRANSPORT = "flux-transport"
    VARIED_ELEMENTS = "varied-elements"
    VARIED_FLUX_TRANSPORT = "varied-flux-transport"


EDITIONS = {
    Generator.ELEMENTS: 4,
    Generator.FLUX_TRANSPORT: 1,
    Generator.VARIED_ELEMENTS: 1,
    Generator.VARIED_FLUX_TRANSPORT: 1,
}
"""Increased with each change of the cubes of a seed, so that an older release is not completed with other cubes."""


class Drawn(Protocol):
    """What is common to the cubes drawn by all generators."""

    @property
    def index(self) -> int:
        """Number of the cube in its release."""

    @property
    def name(self) -> str:
        """Name of the cube."""

    @property
    def region(self) -> str:
        """Name of the region."""

    @property
    def start(self) -> str:
        """Absolute time of grid frame 0."""

    @property
    def truth(self) -> Truth:
        """True label and emergence frame."""


class CrudeRule(StrEnum):
    """What crude labels follow from: a simulated detector on the scenario, or a detector on the pixels of the cube."""

    SCENARIO = "scenario"
    PIXELS = "pixels"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticRelease:
    """A release that was made.

    Parameters
    ----------
    crude : mapping of str to (Label or None)
        Crude label of each cube, as in ``labels.csv``; None where the rule gives none.
    n_wrong : int
        Crude labels that differ from the truth.
    had_labels : bool
        True where ``labels.csv`` was there already; it was left as it is.
    """

    crude: Mapping[str, Label | None]
    n_wrong: int
    had_labels: bool = False

    @property
    def n_labelled(self) -> int:
        """Number of cubes with a crude label."""
        return sum(label is not None for label in self.crude.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticCube:
    """One synthetic cube with its truth.

    Parameters
    ----------
    observed_gauss : array of float32, shape (n_obs, size_px, size_px)
        Line-of-sight field; row 0 south, column 0 east; −2000, NaN or 0 off-disk; NaN for lost data.
    seconds : array of float64, shape (n_obs,)
        Time since grid frame 0.
    start, region, name : str
        Absolute time of grid frame 0 (ISO 8601 without zone, UTC), region and cube name.
    crude_label : Label
        Label from the place where a detector first finds the region; can be wrong.
    truth : Truth
        True label and emergence frame.
    """

    observed_gauss: Floats = field(repr=False)
    seconds: NDArray[np.float64] = field(repr=False)
    start: str
    region: str
    name: str
    crude_label: Label
    truth: Truth


def draw(generator: Generator, seed: int, index: int, instrument: Instrument) -> Scenario | Passage:
    """Return the numbers that define cube `index` of `seed`.

    Raises
    ------
    ReleaseError
        If the grid is shorter than `SHORTEST_DAYS`.
    """
    _check_duration(instrument)
    return _DRAW[generator](seed, index, instrument)


_DRAW: Mapping[Generator, Callable[[int, int, Instrument], Scenario | Passage]] = {
    Generator.ELEMENTS: draw_scenario,
    Generator.FLUX_TRANSPORT: draw_passage,
    Generator.VARIED_ELEMENTS: draw_varied_scenario,
    Generator.VARIED_FLUX_TRANSPORT: draw_varied_passage,
}


def _check_duration(instrument: Instrument) -> None:
    days = instrument.n_frames * instrument.cadence_seconds / SECONDS_PER_DAY
    if days < SHORTEST_DAYS:
        raise ReleaseError(
            f"a grid of {instrument.n_frames} frames, {days:.1f} days, is too short for synthetic cubes, in which a "
            f"region must come onto the disk and be found; take at least {SHORTEST_DAYS:g} days"
        )


def crude_label(drawn: Scenario | Passage, instrument: Instrument) -> Label:
    """Return the crude label by the generator's own simulated detector."""
    if isinstance(drawn, Passage):
        return transport_detection.crude_label(drawn, instrument)
    return detection.crude_label(drawn, instrument)


def make_cube(
    seed: int, index: int, instrument: Instrument = MDI, *, generator: Generator = Generator.ELEMENTS
) -> SyntheticCube:
    """Make cube `index` of `seed`; the same pair gives the same bytes on the same machine."""
    drawn = draw(generator, seed, index, instrument)
    if isinstance(drawn, Passage):
        observed, seconds = transport_observation.observe(radial_field(drawn, Scale.of(instrument)), drawn, instrument)
    else:
        clean = line_of_sight(radial_deposit(drawn, instrument), drawn, instrument)
        observed, seconds = observe(clean, drawn, instrument)
    return SyntheticCube(
        observed_gauss=observed,
        seconds=seconds,
        start=drawn.start,
        region=drawn.region,
        name=drawn.name,
        crude_label=crude_label(drawn, instrument),
        truth=drawn.truth,
    )


def make_release(
    out: Path,
    *,
    n: int,
    seed: int,
    truth: Path | None = None,
    report: Report = silent,
    workers: int | None = None,
    instrument: Instrument = MDI,
    crude_rule: CrudeRule = CrudeRule.SCENARIO,
    generator: Generator = Generator.ELEMENTS,
) -> SyntheticRelease:
    """Make a release of `n` cubes in the folder `out`, or complete one begun with the same values.

    A label table that is there is left as it is: its labels may have been corrected.

    Parameters
    ----------
    out : Path
        The release's folder; created if missing.
    n, seed : int
        Number of cubes, and seed.
    truth : Path or None
        File for the truth table ``cube,label,emergence_frame,kind,region,start``; None writes none.
    report : Report
        Called after each cube.
    workers : int or None
        Number of processes; None for one per core.
    instrument : Instrument
        Grid.
    crude_rule : CrudeRule
        What the crude labels follow from. With ``pixels``, ``crude-labels.ecsv`` is written, too.
    generator : Generator
        What makes the cubes.

    Returns
    -------
    SyntheticRelease
        Crude labels, and how many are wrong.

    Raises
    ------
    ReleaseError
        If `out` contains something else, another run makes it now, `truth` is inside the release, or the grid is
        shorter than `SHORTEST_DAYS`.
    """
    _check_duration(instrument)
    if truth is not None and out.resolve() in truth.resolve().parents:
        raise ReleaseError(
            f"{truth} lies inside the release {out}; a release must not contain its truth: write it elsewhere"
        )
    made_with: dict[str, object] = {
        "generator": EDITIONS[generator],
        "n": n,
        "seed": seed,
        "instrument": instrument.as_dict(),
    }
    if generator is not Generator.ELEMENTS:
        made_with["kind"] = generator
    if crude_rule is not CrudeRule.SCENARIO:  # releases made before there was a choice can be completed
        made_with["crude_rule"] = crude_rule
    with only_maker(out):
        _claim(out, made_with)
        scenarios = [draw(generator, seed, index, instrument) for index in range(n)]
        missing = [s.index for s in scenarios if not (out / f"{s.name}.fits").exists()]
        done = n - len(missing)
        report(done, n, "making cubes")
        pool = make_pool(workers or joblib.cpu_count(), ignores_interrupt=True)
        try:
            tasks = [pool.submit(_make_file, out, seed, index, instrument, generator) for index in missing]
            for task in as_completed(tasks):
                task.result()
                done += 1
                report(done, n, "making cubes")
            crude = (
                {s.name: crude_label(s, instrument) for s in scenarios}
                if crude_rule is CrudeRule.SCENARIO
                else _label_by_pixels(out, [s.name for s in scenarios], pool, instrument=instrument, report=report)
            )
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        # Written last, so that a folder with labels.csv is complete, and its labels may have been corrected since.
        has_labels = os.path.lexists(out / LABELS_FILE)
        if not has_labels:
            write_labels(
                out / LABELS_FILE, [LabelRow(cube=cube, label=label, verified=False) for cube, label in crude.items()]
            )
        if truth is not None:
            _write_truth(truth, scenarios)
    wrong = [s.name for s in scenarios if crude[s.name] not in {None, s.truth.label}]
    return SyntheticRelease(crude=crude, n_wrong=len(wrong), had_labels=has_labels)


def _label_by_pixels(
    out: Path, cubes: list[str], pool: Executor, *, instrument: Instrument, report: Report
) -> Mapping[str, Label | None]:
    """Return the labels that a detector on the cubes gives, and write them with the first detections."""
    profile = replace(BUILT_IN["mdi"], instrument=instrument, patch_deg=PATCH_DEG)
    tasks = [pool.submit(label_cube, out / f"{cube}.fits", profile) for cube in cubes]
    labels: list[CrudeLabel] = []
    for task in tasks:
        labels.append(task.result())
        report(len(labels), len(cubes), "labelling cubes")
    write_crude_labels(
        out / CRUDE_LABELS_FILE,
        labels,
        profile,
        threshold_deg=FIRST_FOUND_EAST_OF_DEG,
        provenance={"command": "make-release --crude-rule pixels", "release": out.resolve().name},
    )
    return {crude.cube: crude.label for crude in labels}


def _write_truth(path: Path, scenarios: Sequence[Drawn]) -> None:
    """Write the truth table of a release."""
    rows = (
        {
            "cube": s.name,
            "label": s.truth.label.value,
            "emergence_frame": "" if s.truth.emergence_frame is None else s.truth.emergence_frame,
            "kind": s.truth.kind.value,
            "region": s.region,
            "start": s.start,
        }
        for s in scenarios
    )
    tables.write_table(path, _TRUTH_COLUMNS, rows)


def _claim(out: Path, made_with: dict[str, object]) -> None:
    """Record with which values a release is made, in a new or empty folder, or check them in an old one.

    Raises
    ------
    ReleaseError
        If the folder has other content, or a release made with other values.
    """
    recipe = out / _RECIPE_FILE
    if recipe.exists():
        begun_with = json.loads(recipe.read_text())
        if begun_with != made_with:
            keys = {*made_with, *begun_with}
            differing = sorted(key for key in keys if begun_with.get(key) != made_with.get(key))
            raise ReleaseError(
                f"{out} was made with other values of {', '.join(differing)}; all cubes of a release are made with the "
                "same values: give another --out, or delete that folder first"
            )
        return
    if any(not is_of_lock(path.name) for path in out.iterdir()):
        raise ReleaseError(
            f"{out} is not empty and was not made by make-release; a release needs an empty folder: give another --out"
        )
    atomic.write_json(recipe, made_with)


def _make_file(out: Path, seed: int, index: int, instrument: Instrument, generator: Generator) -> None:
    """Make one cube and write it into the folder `out`; runs in a process of the pool."""
    cube = make_cube(seed, index, instrument, generator=generator)
    write_cube(
        out / f"{cube.name}.fits",
        np.clip(cube.observed_gauss, -_SATURATED_GAUSS, _SATURATED_GAUSS),  # NaN stays NaN
        cube.seconds,
        start=cube.start,
        region=cube.region,
        instrument=instrument,
    )
