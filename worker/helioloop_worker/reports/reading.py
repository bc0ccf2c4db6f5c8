"""The lines of ``helioloop status`` about what was read from each release: verdicts and the most frequent reasons."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from helioloop.data.cube_report import CubeReport, Verdict
from helioloop.data.reading_table import read_reading
from helioloop.errors import RegistryError
from helioloop.registry.versions import Registry
from helioloop_worker.reports.redaction import redact
from helioloop_worker.reports.status import Line

LISTED_REASONS = 3
"""Reasons that are listed for a release, the most frequent ones; the table has all."""


def reading_lines(registry: Registry) -> list[Line]:
    """Return a line for each release that was ingested, and one for each of its most frequent reasons."""
    return [line for path in sorted((registry.root / "reading").glob("*.csv")) for line in _lines(path)]


def _lines(path: Path) -> Iterator[Line]:
    reports = read_reading(path, error=RegistryError)
    counts = Counter(report.verdict for report in reports)
    verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict)
    yield Line(name=f"read from {path.stem}", value=f"{verdicts}; the full list is {path}")
    doubtful = [report for report in reports if report.verdict is not Verdict.OK]
    for cubes, reason in _most_frequent(doubtful):
        others = "" if len(cubes) == 1 else f" and {len(cubes) - 1} more"
        value = f"{cubes[0]}{others}: {redact(reason, model_dir=path.parent.parent)}"
        yield Line(name=f"reasons in {path.stem}", value=value)


def _most_frequent(reports: Iterable[CubeReport]) -> Sequence[tuple[list[str], str]]:
    """Return the most frequent reasons, each with its cubes and as the first of them has it."""
    found: dict[str, tuple[list[str], str]] = {}
    for report in reports:
        for reason in report.reasons:
            alike = _kind(reason, report.cube)
            found.setdefault(alike, ([], reason))[0].append(report.cube)
    return sorted(found.values(), key=lambda entry: -len(entry[0]))[:LISTED_REASONS]


def _kind(reason: str, cube: str) -> str:
    """Return a reason without the cube's name and numbers, in which reasons of one kind differ."""
    return re.sub(r"\d+", "0", reason.replace(cube, ""))
