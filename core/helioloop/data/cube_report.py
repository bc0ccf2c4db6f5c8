"""What was read from one file of a release: a verdict with its reasons, and the source of each value."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self


class Verdict(StrEnum):
    """Whether a cube is usable: yes, yes but something is doubtful, or no."""

    OK = "ok"
    WARNED = "warned"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeReport:
    """What was read from one file of a release.

    Parameters
    ----------
    cube : str
        Name of the cube; for a file that is not a cube its path below the release.
    verdict : Verdict
        ``refused`` where the file is unusable, ``warned`` where a value is doubtful.
    reasons : tuple of str
        Why, and what was dropped; one sentence each.
    frames_in_file, frames_used : int or None
        Observations in the file, and those on the grid; None for a refused file.
    start : str or None
        Time of grid frame 0, ISO 8601 without zone, UTC.
    start_scale, start_source
        See `CubeHeader` and `CubeOrigin`.
    unit, unit_source, region_source
        See `CubeOrigin`; None for a refused file.
    region : str or None
        Region that the cube follows.
    """

    cube: str
    verdict: Verdict
    reasons: tuple[str, ...]
    frames_in_file: int | None = None
    frames_used: int | None = None
    start: str | None = None
    start_scale: str | None = None
    start_source: str | None = None
    unit: str | None = None
    unit_source: str | None = None
    region: str | None = None
    region_source: str | None = None

    def with_warning(self, reason: str) -> Self:
        """Return the report with one more reason for doubt, which comes first; that of a refused file unchanged."""
        if self.verdict is Verdict.REFUSED:
            return self
        return replace(self, verdict=Verdict.WARNED, reasons=(reason, *self.reasons))
