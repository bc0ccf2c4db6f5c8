"""`make bench`: takes the times and writes the ratios to bench-data/performance.json and docs/performance.md."""

import json
import platform
import tempfile
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
import joblib
import torch

from tests.benchmarks.speed.rows import ROWS
from tests.benchmarks.speed.timing import Times
from tests.benchmarks.speed.work import Work

ROOT = Path(__file__).parents[3]
DATA = ROOT / "bench-data" / "performance.json"
DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- begin of the table of `make bench` -->", "<!-- end of the table of `make bench` -->"


def figures(times: Mapping[str, Times]) -> dict[str, list[dict[str, object]]]:
    """Return the figures as JSON values: per row its name, ratio, both times and their unit."""
    return {
        "rows": [
            {
                "name": name,
                "ratio": round(ROWS[name].ratio(found), 3),
                "ours": found.ours,
                "reference": found.reference,
                "unit": "s",
                **found.more,
            }
            for name, found in times.items()
        ]
    }


def table(times: Mapping[str, Times], *, command: str, on: str) -> str:
    """Return the table in Markdown, with command, machine and versions above it."""
    lines = [
        f"`{command}` on {on}: {_processor()}, {joblib.cpu_count()} cores, Python {platform.python_version()}, "
        f"numpy {version('numpy')}, torch {version('torch')}. Shortest of several rounds, one thread.",
        "",
        "| work | ours | reference | | ratio | to reach |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in times.items():
        row = ROWS[name]
        bound = f"{'≤' if row.ours_by_reference else '≥'} {row.to_reach:g}"
        lines.append(
            f"| {row.work} | {_time(found.ours)} | {_time(found.reference)} | {row.reference} "
            f"| **{row.ratio(found):.2f}** | {bound} |"
        )
    return "\n".join(lines)


def with_table(text: str, new: str) -> str:
    """Return a document with a new table between its two marks."""
    return f"{text.partition(BEGIN)[0]}{BEGIN}\n\n{new}\n\n{END}{text.partition(END)[2]}"


def _processor() -> str:
    """Return the processor's name, where Linux has it."""
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


@click.command()
@click.argument("only", nargs=-1, metavar="[ROW]...")
@click.option("--cubes", default=60, show_default=True, help="Cubes of the release that is made for it.")
def main(only: tuple[str, ...], cubes: int) -> None:
    """Time helioloop against plain references and write the ratios. With names of rows, only print these."""
    if unknown := sorted(set(only) - ROWS.keys()):
        raise click.BadParameter(f"{', '.join(unknown)}: the rows are {', '.join(ROWS)}")
    torch.set_num_threads(1)
    times: dict[str, Times] = {}
    with tempfile.TemporaryDirectory(prefix="helioloop-bench-") as folder:
        work = Work(Path(folder), cubes)
        with closing(work):
            for name in only or ROWS:
                click.echo(f"timing {name} …", err=True)
                times[name] = ROWS[name].measure(work)
    words = f' ARGS="{" ".join(only)}"' if only else ""
    new = table(times, command=f"make bench{words}", on=datetime.now(UTC).strftime("%Y-%m-%d"))
    click.echo(new)
    if not only:
        DATA.parent.mkdir(exist_ok=True)
        DATA.write_text(json.dumps(figures(times), indent=1) + "\n")
        DOCUMENT.write_text(with_table(DOCUMENT.read_text(), new))


if __name__ == "__main__":
    main()
