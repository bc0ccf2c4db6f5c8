"""The lines of ``helioloop status`` about releases: what was read, excluded and set aside."""

from collections.abc import Iterable
from typing import Final

from helioloop_worker.reports.reading import ReadRelease
from helioloop_worker.reports.status_facts import ExcludedFacts, ProjectStatus
from helioloop_worker.reports.status_line import HOW_TO_LIST_ALL, LISTED, Line, capped, names_in_one_line

LISTED_EXCLUDED: Final = 3
"""Excluded cubes that are listed with their reason; the file has all."""
LISTED_REASONS: Final = 3
"""Reasons that are listed for a release, the most frequent ones; the table has all."""


def reading_lines(status: ProjectStatus, *, full: bool = False) -> list[Line]:
    """Return a line for each release that was ingested, and one for each of its most frequent reasons."""
    shown = status.releases if full else status.releases[-LISTED:]
    left_out = status.releases[: len(status.releases) - len(shown)]
    doubtful = sum(bool(release.warned or release.refused) for release in left_out)
    return [
        *(
            [Line(name="read from others", value=f"{len(left_out)} releases, {doubtful} with warned or refused cubes; "
                  f"{HOW_TO_LIST_ALL}")]
            if left_out else []
        ),
        *(line for release in shown for line in _reading(release, full=full)),
    ]  # fmt: skip


def _reading(release: ReadRelease, *, full: bool) -> Iterable[Line]:
    counts = f"{release.ok} ok, {release.warned} warned, {release.refused} refused"
    yield Line(name=f"read from {release.release}", value=f"{counts}; the full list is {release.table}")
    for entry in release.reasons if full else release.reasons[:LISTED_REASONS]:
        others = "" if entry.cubes == 1 else f" and {entry.cubes - 1} more"
        yield Line(name=f"reasons in {release.release}", value=f"{entry.cube}{others}: {entry.reason}")


def excluded_lines(status: ProjectStatus, *, full: bool = False) -> list[Line]:
    """Return the lines about cubes that ingestion excluded or that the published version cannot score."""
    lines = capped([_excluded(entry, full=full) for entry in status.excluded], full=full, name="excluded from others")
    if status.unscorable and status.published is not None:
        value = (
            f"{status.unscorable} by {status.published.version}; they have no prediction, and the log of the scoring "
            "worker gives the reasons"
        )
        lines.append(Line(name="cubes that cannot be scored", value=value))
    return lines or [Line(name="excluded cubes", value="none")]


def _excluded(entry: ExcludedFacts, *, full: bool) -> Line:
    shown = entry.cubes if full else entry.cubes[:LISTED_EXCLUDED]
    listed = "; ".join(f"{cube.cube} ({cube.reason})" for cube in shown)
    more = f"; {len(entry.cubes) - len(shown)} more" if len(entry.cubes) > len(shown) else ""
    value = f"{len(entry.cubes)}: {listed}{more}; the full list is {entry.table}"
    return Line(name=f"excluded from {entry.release}", value=value)


def watched_lines(status: ProjectStatus, *, full: bool = False) -> list[Line]:
    """Return the lines about folders that ``helioloop watch`` set aside or whose predictions it waits for."""
    aside = [
        Line(
            name=f"set aside by watch, {entry.folder}",
            value=f"{entry.reason} (since {entry.since}; taken again once changed)",
        )
        for entry in status.set_aside
    ]
    waiting = names_in_one_line(status.without_predictions, full=full)
    return [
        *capped(aside, full=full, name="set aside by watch"),
        *([Line(name="ingested, predictions follow", value=waiting)] if waiting else []),
    ]
