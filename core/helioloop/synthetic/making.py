"""Made-up cubes, and a release of them on disk: `make_cube` and `make_release`.

Last room of `helioloop.synthetic`. A release is made in a pool of processes, one cube each; cube k depends on seed and
k only, so neither the number of processes nor the size of the release changes a byte of it. A release that was
interrupted is resumed: its folder remembers what it was made with.
"""

import json
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from helioloop import atomic, tables
from helioloop.data.cubes import write_cube
from helioloop.data.release import LabelRow, write_labels
from helioloop.errors import ReleaseError
from helioloop.instrument import MDI, Instrument
from helioloop.progress import Report, silent
from helioloop.records import Label
from helioloop.synthetic.detection import crude_label
from helioloop.synthetic.drawing import draw_scenario
from helioloop.synthetic.flow import Floats
from helioloop.synthetic.observation import line_of_sight, observe
from helioloop.synthetic.scenario import Scenario, Truth
from helioloop.synthetic.surface import radial_deposit

GENERATOR = 4
"""Raised with each change of what the same seed gives, so that an old folder is not resumed with new cubes."""

_RECIPE_FILE = "made-with.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticCube:
    """One made-up cube with its truth.

    Parameters
    ----------
    observed_gauss : array of float32, shape (n_obs, size, size)
        Line-of-sight field; row 0 south, column 0 east; off-disk −2000, NaN or 0; NaN in bad frames.
    seconds : array of float64, shape (n_obs,)
        Time since grid frame 0.
    start, region, name : str
        Absolute time of grid frame 0 (ISO 8601, UTC), region and cube name.
    crude_label : Label
        What a detector's first find says.
    truth : Truth
        What a perfect annotator would say.
    """

    observed_gauss: Floats = field(repr=False)
    seconds: NDArray[np.float64] = field(repr=False)
    start: str
    region: str
    name: str
    crude_label: Label
    truth: Truth


def make_cube(seed: int, index: int, instrument: Instrument = MDI) -> SyntheticCube:
    """Return cube `index` of `seed`; the same pair gives the same bytes on the same machine."""
    scenario = draw_scenario(seed, index, instrument)
    clean = line_of_sight(radial_deposit(scenario, instrument), scenario, instrument)
    observed, seconds = observe(clean, scenario, instrument)
    return SyntheticCube(
        observed_gauss=observed,
        seconds=seconds,
        start=scenario.start,
        region=scenario.region,
        name=scenario.name,
        crude_label=crude_label(scenario, instrument),
        truth=scenario.truth,
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
) -> dict[str, Label]:
    """Make a release of `n` cubes in the folder `out`, or finish one that was begun with the same values.

    Parameters
    ----------
    out : Path
        The release's folder; made if absent.
    n, seed : int
        How many cubes, and of which seed.
    truth : Path or None
        Where the truth is written as ``cube,label,emergence_frame,kind,region,start``; nowhere by default.
    report : Report
        Told after each cube.
    workers : int or None
        Processes; all cores by default.
    instrument : Instrument
        Grid.

    Returns
    -------
    dict of str to Label
        Crude label of each cube, as in ``labels.csv``.

    Raises
    ------
    ReleaseError
        Where `out` holds something else, or `truth` would lie inside the release.
    """
    if truth is not None and out.resolve() in truth.resolve().parents:
        raise ReleaseError(f"{truth} lies inside the release {out}; a release holds no truth: write it elsewhere")
    _claim(out, {"generator": GENERATOR, "n": n, "seed": seed, "instrument": instrument.as_dict()})
    scenarios = [draw_scenario(seed, index, instrument) for index in range(n)]
    missing = [s.index for s in scenarios if not (out / f"{s.name}.fits").exists()]
    done = n - len(missing)
    report(done, n, "making cubes")
    pool = ProcessPoolExecutor(
        max_workers=workers or _cores(),
        mp_context=multiprocessing.get_context("spawn"),
        # Ctrl-C reaches the whole process group: the parent stops the pool, a process finishes the file it writes.
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        tasks = [pool.submit(_make_file, out, seed, index, instrument) for index in missing]
        for task in as_completed(tasks):
            task.result()
            done += 1
            report(done, n, "making cubes")
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    # The table comes last: a folder with labels.csv is whole.
    crude = {s.name: crude_label(s, instrument) for s in scenarios}
    write_labels(
        out / "labels.csv", [LabelRow(cube=cube, label=label, verified=False) for cube, label in crude.items()]
    )
    if truth is not None:
        write_truth(truth, scenarios)
    return crude


def write_truth(path: Path, scenarios: list[Scenario]) -> None:
    """Write the truth table ``cube,label,emergence_frame,kind,region,start``."""
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
    tables.write_table(path, ("cube", "label", "emergence_frame", "kind", "region", "start"), rows)


def _claim(out: Path, made_with: dict[str, object]) -> None:
    """Take an empty folder, or one begun with the same values; refuse any other."""
    recipe = out / _RECIPE_FILE
    if recipe.exists():
        begun_with = json.loads(recipe.read_text())
        if begun_with != made_with:
            differing = sorted(key for key in made_with if begun_with.get(key) != made_with[key])
            raise ReleaseError(
                f"{out} was made with other values of {', '.join(differing)}; a release has one origin: "
                "give another --out, or delete that folder first"
            )
        return
    if out.exists() and any(out.iterdir()):
        raise ReleaseError(f"{out} is not empty and was not made by make-release; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    atomic.write_json(recipe, made_with)


def _cores() -> int:
    """Return the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _make_file(out: Path, seed: int, index: int, instrument: Instrument) -> None:
    """Write one cube; what a pool's process runs."""
    cube = make_cube(seed, index, instrument)
    write_cube(
        out / f"{cube.name}.fits",
        cube.observed_gauss,
        cube.seconds,
        start=cube.start,
        region=cube.region,
        instrument=instrument,
    )
