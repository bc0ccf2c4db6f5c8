"""`make bench`: takes the times and writes the ratios to bench-data/performance.json and docs/performance.md.

A correction's way to fresh predictions has no reference: it has a table of its own, part by part.
"""

import json
import platform
import tempfile
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import joblib
import torch

from tests.benchmarks.speed import correction, correction_parts
from tests.benchmarks.speed.correction_parts import Way
from tests.benchmarks.speed.rows import ROWS
from tests.benchmarks.speed.timing import Times
from tests.benchmarks.speed.work import Work

ROOT = Path(__file__).parents[3]
DATA = ROOT / "bench-data" / "performance.json"
DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- begin of the table of `make bench` -->", "<!-- end of the table of `make bench` -->"
CORRECTION = "correction"
CORRECTION_MARKS = ("<!-- begin of the table of `correction` -->", "<!-- end of the table of `correction` -->")


def figures(times: Mapping[str, Times], way: Way | None = None) -> dict[str, list[dict[str, Any]]]:
    """Return the figures as JSON values: per row its name, ratio, both times and their unit.

    A correction's way has neither ratio nor reference, and its parts.
    """
    rows: list[dict[str, Any]] = [
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
    if way is not None:
        rows.append(
            {
                "name": CORRECTION,
                "ratio": None,
                "ours": round(way.seconds, 2),
                "reference": None,
                "unit": "s",
                "parts": {part.what: round(part.seconds, 2) for part in way.parts},
                "not_explained": round(way.not_explained, 2),
                "first_predict": round(way.predict_seconds, 2),
            }
        )
    return {"rows": rows}


def merged(before: Mapping[str, list[dict[str, Any]]], new: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the figures of before with the rows of the same names replaced, and further ones added."""
    rows = {row["name"]: row for row in (*before["rows"], *new["rows"])}
    return {"rows": list(rows.values())}


def table(times: Mapping[str, Times], *, machine: str) -> str:
    """Return the table in Markdown, with command, machine and versions above it."""
    lines = [
        f"{machine} Shortest of several rounds, one thread.",
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


def with_table(text: str, new: str, marks: tuple[str, str] = (BEGIN, END)) -> str:
    """Return a document with a new table between its two marks."""
    begin, end = marks
    return f"{text.partition(begin)[0]}{begin}\n\n{new}\n\n{end}{text.partition(end)[2]}"


def _machine() -> str:
    """Return the processor, the number of cores and versions."""
    return (
        f"{_processor()}, {joblib.cpu_count()} cores, Python {platform.python_version()}, "
        f"numpy {version('numpy')}, torch {version('torch')}."
    )


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
@click.option("--cubes", default=60, show_default=True, help="Cubes of the release that is made for the ratios.")
def main(only: tuple[str, ...], cubes: int) -> None:
    """Time helioloop against plain references and write the ratios.

    With names of rows, only print these. The row `correction` has a table of its own, which is written in any case.
    """
    names = (*ROWS, CORRECTION)
    if unknown := sorted(set(only) - set(names)):
        raise click.BadParameter(f"{', '.join(unknown)}: the rows are {', '.join(names)}")
    torch.set_num_threads(1)
    words = f' ARGS="{" ".join(only)}"' if only else ""
    on = datetime.now(UTC).strftime("%Y-%m-%d")
    machine = f"`make bench{words}` on {on}: {_machine()}"
    with tempfile.TemporaryDirectory(prefix="helioloop-bench-") as folder:
        work = Work(Path(folder), cubes)
        with closing(work):
            times: dict[str, Times] = {}
            for name in [name for name in only or names if name != CORRECTION]:
                click.echo(f"timing {name} …", err=True)
                times[name] = ROWS[name].measure(work)
            if times:
                click.echo(table(times, machine=machine))
            if not only:
                _write(figures(times), table(times, machine=machine), (BEGIN, END))
            if not only or CORRECTION in only:  # last, so that the ratios are written if it fails
                click.echo(f"timing {CORRECTION} …", err=True)
                way = correction.measure(work.new_folder(CORRECTION))
                new = f"{machine}\n\n{correction_parts.table(way)}"
                click.echo(new)
                before = json.loads(DATA.read_text()) if DATA.exists() else {"rows": []}
                _write(merged(before, figures({}, way)), new, CORRECTION_MARKS)


def _write(found: Mapping[str, Any], new: str, marks: tuple[str, str]) -> None:
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_text(json.dumps(found, indent=1) + "\n")
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(), new, marks))


if __name__ == "__main__":
    main()
