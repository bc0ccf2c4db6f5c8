"""What was read from each release, for ``helioloop status``: numbers of each verdict and the most frequent reasons."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from helioloop.data.cube_report import CubeReport, Verdict
from helioloop.data.reading_table import read_reading
from helioloop.errors import RegistryError
from helioloop.registry.versions import Registry
from helioloop_worker.reports.redaction import redact


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequentReason:
    """A reason why cubes are warned or refused, as the first of them has it, and how many cubes have such a reason."""

    cube: str
    reason: str
    cubes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRelease:
    """What was read from a release: numbers of cubes by verdict, reasons, most frequent first, and the full table."""

    release: str
    ok: int
    warned: int
    refused: int
    reasons: tuple[FrequentReason, ...]
    table: str


def read_releases(registry: Registry) -> list[ReadRelease]:
    """Return what was read from each release that was ingested, by name."""
    return [_release(path) for path in sorted((registry.root / "reading").glob("*.csv"))]


def _release(path: Path) -> ReadRelease:
    reports = read_reading(path, error=RegistryError)
    counts = Counter(report.verdict for report in reports)
    return ReadRelease(
        release=path.stem,
        ok=counts[Verdict.OK],
        warned=counts[Verdict.WARNED],
        refused=counts[Verdict.REFUSED],
        reasons=_most_frequent(
            [report for report in reports if report.verdict is not Verdict.OK], model_dir=path.parent.parent
        ),
        table=str(path),
    )


def _most_frequent(reports: Iterable[CubeReport], *, model_dir: Path) -> tuple[FrequentReason, ...]:
    """Return the reasons, most frequent first, each with its number of cubes and as the first of them has it."""
    found: dict[str, tuple[list[str], str]] = {}
    for report in reports:
        for reason in report.reasons:
            alike = _kind(reason, report.cube)
            found.setdefault(alike, ([], reason))[0].append(report.cube)
    return tuple(
        FrequentReason(cube=cubes[0], reason=redact(reason, model_dir=model_dir), cubes=len(cubes))
        for cubes, reason in sorted(found.values(), key=lambda entry: -len(entry[0]))
    )


def _kind(reason: str, cube: str) -> str:
    """Return a reason without the cube's name and numbers, in which reasons of one kind differ."""
    return re.sub(r"\d+", "0", reason.replace(cube, ""))
