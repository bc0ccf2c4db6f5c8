"""A line of ``helioloop status``, and how lists are capped in lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LISTED: Final = 5
"""Contradictions, releases, folders, acceptances, jobs and further findings that are listed."""
LISTED_NAMES: Final = 10
"""Names that are listed on one line."""
HOW_TO_LIST_ALL: Final = "--all lists them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the status: a name and its value in words."""

    name: str
    value: str


def capped(lines: list[Line], *, full: bool, name: str) -> list[Line]:
    """Return the first lines, and a line `name` with the number of others."""
    if full or len(lines) <= LISTED:
        return lines
    return [*lines[:LISTED], Line(name=name, value=f"{len(lines) - LISTED} more; {HOW_TO_LIST_ALL}")]


def names_in_one_line(names: Sequence[str], *, full: bool) -> str:
    """Return names in one line; of many the first ones, and how many more there are."""
    if full or len(names) <= LISTED_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:LISTED_NAMES])} and {len(names) - LISTED_NAMES} more ({HOW_TO_LIST_ALL})"
