"""`make bench-growth`: writes what grows with the archive to bench-data/growth.json, docs/growth.md and a plot."""

import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import joblib
import redis
from matplotlib.figure import Figure

from tests.benchmarks.growth.archive import Archive
from tests.benchmarks.growth.cost import Cost, power
from tests.benchmarks.growth.memory import measure_memory
from tests.benchmarks.growth.network_time import network_seconds
from tests.benchmarks.growth.steps import (
    CLOSING,
    LOCATING,
    SCORING,
    WRITE_BACK,
    largest_folder,
    measure,
    peak_megabytes,
)
from tests.redis_server import BINARY

ROOT = Path(__file__).parents[3]
DATA = ROOT / "bench-data" / "growth.json"
DOCUMENT = ROOT / "docs" / "growth.md"
PLOT = "growth.png"
BEGIN, END = "<!-- begin of the table of `make bench-growth` -->", "<!-- end of the table of `make bench-growth` -->"
Found = Mapping[int, Mapping[str, Any]]
PRELABELLING = (SCORING, LOCATING, CLOSING, WRITE_BACK)
"""Steps of a round after its members are trained, until Label Studio shows its version."""


@contextmanager
def running_redis(folder: Path) -> Iterator[redis.Redis]:
    """Run a Redis of its own on a socket in `folder`."""
    socket = folder / "redis.sock"
    server = subprocess.Popen([BINARY, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder])
    try:
        while not socket.exists():
            time.sleep(0.05)
        with redis.Redis(unix_socket_path=str(socket)) as connection:
            yield connection
    finally:
        server.terminate()
        server.wait(timeout=10)


def table(found: Found) -> str:
    """Return the table in Markdown: for each step and number of cubes our time, Label Studio's, calls and rows."""
    sizes = sorted(found)
    measured = [found[size] for size in sizes]
    lines = [
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {joblib.cpu_count()} cores, Python {platform.python_version()}. "
        "Each cell: helioloop's own time [of it CPU time], + Label Studio's, (calls / rows). Power: the CPU time grows "
        "as the number of cubes to this power between the two largest numbers; 1 is linear, 0 is constant.",
        "",
        f"| step | {' | '.join(f'{size:,} cubes' for size in sizes)} | power |",
        f"|---|{'---|' * len(sizes)}---|",
    ]
    lines += [
        f"| {name} | {' | '.join('' if cost is None else _cell(cost) for cost in costs)} | {_power(sizes, costs)} |"
        for name, costs in _by_step(found).items()
    ]
    lines.append(_row("fraction of pre-labelling in networks", [_fraction(found, size) for size in sizes]))
    lines.append(_row("peak memory: this process, with Label Studio in it", [_mb(one["peak_mb"]) for one in measured]))
    for name, what in (("backend", "a backend that answers"), ("worker", "a worker that has read the project")):
        peaks = [_mb(one.get("memory", {}).get(name)) for one in measured]
        lines.append(_row(f"peak memory: {what}", peaks))
    files = [f"{one['files']:,} in `{one['folder']}`" if one["files"] else "" for one in measured]
    lines.append(_row("most files in one folder", files))
    return "\n".join(lines)


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} | |"


def _mb(peak: float | None) -> str:
    return "" if peak is None else f"{peak:,.0f} MB"


def _fraction(found: Found, size: int) -> str:
    """Return the fraction of the time of pre-labelling by a new version in which networks compute, as text.

    That is CPU time: of networks, of what scoring and locating do beside them, of helioloop's other steps, and what
    Label Studio would take for its calls.
    """
    per_cube = [one["cube_seconds"] for one in found.values() if one.get("cube_seconds")]
    steps = found[size]["steps"]
    if not per_cube or not all(name in steps for name in PRELABELLING):
        return ""
    inside, beside = (size * seconds for seconds in min(per_cube, key=sum))
    others = beside + sum(steps[name]["cpu_seconds"] + steps[name]["server_seconds"] for name in PRELABELLING)
    return f"{inside / (inside + others):.0%}"


def with_table(text: str, new: str) -> str:
    """Return a document with a new table between its two marks."""
    return f"{text.partition(BEGIN)[0]}{BEGIN}\n\n{new}\n\n{END}{text.partition(END)[2]}"


def plot(found: Found, path: Path) -> None:
    """Draw own CPU time and Label Studio's time together for each step over the number of cubes."""
    figure = Figure(figsize=(8.0, 5.5), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log", xlabel="cubes", ylabel="CPU seconds, Label Studio included")
    sizes = sorted(found)
    for k, (name, costs) in enumerate(_by_step(found).items()):
        shown = {size: cost for size, cost in zip(sizes, costs, strict=True) if cost is not None}
        seconds = [max(cost.cpu_seconds + cost.server_seconds, 1e-3) for cost in shown.values()]
        style = {"marker": "o^sv"[k % 4], "color": f"C{k % 10}", "linestyle": ("-", "--")[k // 10 % 2]}
        axes.plot(list(shown), seconds, label=name, **style)
    axes.grid(visible=True, alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="x-small")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)


def _cell(cost: Cost) -> str:
    server = f" + {_time(cost.server_seconds)} ({cost.calls} / {cost.rows:,})" if cost.calls else ""
    return f"{_time(cost.own_seconds)} [{_time(cost.cpu_seconds)}]{server}"


def _by_step(found: Found) -> dict[str, list[Cost | None]]:
    """Return the costs of each step in the order of the numbers of cubes; None where it was not measured."""
    names = dict.fromkeys(name for size in sorted(found) for name in found[size]["steps"])
    values = {name: [found[size]["steps"].get(name) for size in sorted(found)] for name in names}
    return {name: [None if one is None else Cost(**one) for one in costs] for name, costs in values.items()}


def _power(sizes: Sequence[int], costs: Sequence[Cost | None]) -> str:
    """Return the power of the number of cubes with which a step's CPU time grows; empty where it is unknown."""
    last = [(size, cost.cpu_seconds) for size, cost in zip(sizes, costs, strict=True) if cost is not None][-2:]
    grows = power(*last) if len(last) == 2 else None
    return "" if grows is None else f"{grows:.2f}"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"


@click.command()
@click.argument("sizes", nargs=-1, type=click.IntRange(min=100), metavar="[CUBES]...")
def main(sizes: tuple[int, ...]) -> None:
    """Measure each step with 1,000, 10,000 and 100,000 cubes, or with other numbers of CUBES.

    100,000 cubes need about 10 GB of disk in the temporary folder, 3 GB of memory, and a quarter of an hour. Each size
    is measured in a process of its own, so that its peak memory is its own; sizes that were measured earlier stay in
    bench-data/growth.json and in the table.
    """
    for size in sizes or (1_000, 10_000, 100_000):
        if len(sizes) == 1:
            _measure(size)
        else:
            subprocess.run([sys.executable, "-m", "tests.benchmarks.growth.document", str(size)], check=True)


def _measure(size: int) -> None:
    """Measure with one number of cubes; each step is written when it is measured, because the last ones take long."""
    found: dict[int, Any] = {}
    if DATA.exists():
        found = {int(known): values for known, values in json.loads(DATA.read_text()).items()}
    DATA.parent.mkdir(exist_ok=True)
    steps: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="helioloop-growth-") as name, running_redis(Path(name)) as connection:
        archive = Archive(Path(name) / "archive", size, connection)
        archive.folder.mkdir()

        def keep(step: str, cost: Cost) -> None:
            click.echo(f"{size:,} cubes, {step}: {_cell(cost)}")
            steps[step] = asdict(cost)
            write(folder="", files=0)

        def write(**more: Any) -> None:
            found[size] = {"steps": steps, "peak_mb": peak_megabytes(), **more}
            DATA.write_text(json.dumps(found, indent=1) + "\n")

        measure(archive, keep)
        folder, files = largest_folder(archive)
        write(folder=folder, files=files, memory=measure_memory(archive), cube_seconds=network_seconds())
    plot(found, DATA.with_name(PLOT))
    plot(found, DOCUMENT.with_name(PLOT))
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(), table(found)))


if __name__ == "__main__":
    main()
