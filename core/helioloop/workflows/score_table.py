"""The table of ``helioloop score``: a row per cube, and with ``--members`` what its networks say each."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from helioloop.emergence.authors_estimate import authors_estimate
from helioloop.emergence.locate import needs_emergence_frame
from helioloop.files import tables
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore
from helioloop.workflows.cells import decimal, frame_cells

SCORE_COLUMNS = (
    "cube",
    "label",
    "p_emergence",
    "p_spread",
    "disagreement",
    "emergence_frame",
    "emergence_frame_lo",
    "emergence_frame_hi",
    "model_version",
)

MEMBER_COLUMNS = (
    "p_networks",
    "growth",
    "members",
    "steepest_frame",
    "steepest_frame_spread",
    "steepest_frame_members",
)
"""Further columns of ``score --members``; lists are separated by blanks."""


def write_score_table(
    path: Path, scored: Iterable[tuple[CubeInfo, CubeScore]], *, version: str, start: int | None = None
) -> None:
    """Write scores as CSV with the columns `SCORE_COLUMNS`, in one step; empty means unknown.

    Parameters
    ----------
    path : Path
        The table.
    scored : iterable of (CubeInfo, CubeScore)
        One for each row.
    version : str
        The version that scored.
    start : int or None
        The frozen start of the grid: also writes the `MEMBER_COLUMNS`, whose frames begin there; None leaves them out.
    """
    columns = SCORE_COLUMNS if start is None else SCORE_COLUMNS + MEMBER_COLUMNS
    rows = (
        {
            **score_row(cube.label, score, version=version, verified=cube.verified),
            **({} if start is None else member_cells(score, start=start)),
        }
        for cube, score in scored
    )
    tables.write_table(path, columns, rows)


def member_cells(score: CubeScore, *, start: int) -> Mapping[str, str]:
    """Return the `MEMBER_COLUMNS` of one cube; `start` is the frozen start of the grid.

    The growth is empty where it was not measured, and the frames are empty where the score has no masking curve, or was
    stored before those of the members were kept. Scores without `p_networks` have the networks' probability in
    `p_emergence`: their recipe does not measure the growth, or was made before it did.
    """
    cells = dict.fromkeys(MEMBER_COLUMNS, "") | {
        "p_networks": decimal(score.p_emergence if score.p_networks is None else score.p_networks),
        "growth": decimal(score.growth),
        "members": " ".join(score.members),
    }
    if score.member_curves is None:
        return cells
    found = authors_estimate(score.member_curves.unpack(), start=start)
    return cells | {
        "steepest_frame": f"{found.frame:g}",
        "steepest_frame_spread": "" if found.spread_frames is None else f"{found.spread_frames:.2f}",
        "steepest_frame_members": " ".join(str(frame) for frame in found.members),
    }


def score_row(
    label: Label | None, score: CubeScore, *, version: str, verified: bool = False
) -> Mapping[str, str | int]:
    """Return one cube's row of the score table; `verified` says whether a human set the label."""
    located = needs_emergence_frame(score, label, verified=verified)
    return {
        "cube": score.cube,
        "label": "" if label is None else str(label),
        "p_emergence": decimal(score.p_emergence),
        "p_spread": decimal(score.p_spread),
        "disagreement": decimal(None if label is None else 1.0 - score.agreement(label)),
        **frame_cells(score.emergence if located else None),
        "model_version": version,
    }
