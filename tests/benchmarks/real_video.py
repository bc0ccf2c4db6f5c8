"""The bounds on the real video, and its section of docs/science.md."""

from collections.abc import Sequence

from tests.benchmarks.bench import Figures
from tests.benchmarks.measured import HEADS, Measured
from tests.benchmarks.tables import table, with_missing, written

REAL_FRAMES = (89, 99)
"""Emergence frames of the real video by the authors' ten models (Chatterjee et al. 2022)."""
AIM_FRAMES = (91, 95)
LEAST_P, AIM_P = 0.85, 0.95
WIDEST_FRAMES = 25
"""Widest raw interval, from its first frame to its last."""
BOUNDS_IN_WORDS = (
    f"p > {LEAST_P}, frame {REAL_FRAMES[0]}–{REAL_FRAMES[1]}, interval ≤ {WIDEST_FRAMES} frames, by each",
    f"p > {AIM_P}, frame {AIM_FRAMES[0]}–{AIM_FRAMES[1]}",
)
"""What must be shown and what is aimed at."""


def real_verdict(there: Sequence[Figures]) -> str:
    """Return "aim", "yes" or "**no**": every release's networks must show it."""
    if all(_within(one, AIM_P, AIM_FRAMES) for one in there):
        return "aim"
    return "yes" if all(_within(one, LEAST_P, REAL_FRAMES) for one in there) else "**no**"


def _within(one: Figures, p: float, frames: tuple[int, int]) -> bool:
    return (
        one["p_emergence"] > p
        and one["frame"] is not None
        and frames[0] <= one["frame"] <= frames[1]
        and one["frame_hi"] - one["frame_lo"] <= WIDEST_FRAMES
    )


def frame_and_interval(one: Figures) -> str:
    """Return frame and interval in a few characters."""
    return "no frame" if one["frame"] is None else f"{one['frame']} ({one['frame_lo']}–{one['frame_hi']})"


def section(real: Measured) -> str:
    """Return the section: a row for each data seed; empty without figures."""
    if not real:
        return ""
    rows = []
    for k, seed in enumerate(real.seeds):
        cells = []
        for generator in HEADS:
            one = real.of(generator)[k]
            cells += ["-"] * 3 if one is None else [_probability(one), frame_and_interval(one), _authors(one)]
        if set(cells) != {"-"}:
            rows.append((str(seed), *cells))
    lo, hi = REAL_FRAMES
    cube = next(one["cube"] for generator in HEADS for one in real.there(generator))
    columns = ("p ± spread", "frame (raw interval)", "authors' estimate")
    heads = [f"{generator}: {column}" for generator in HEADS.values() for column in columns]
    return (
        f"## The real video\n\n{cube}, scored by the first round's members: pretrained on cubes of the other generator "
        "with true labels, and trained on crude labels of the generator named. The authors' ten models give "
        f"{lo} to {hi}; the authors' estimate is the steepest frame of our members' curves.\n\n"
        + with_missing(table(("trained on data seed", *heads), rows), real)
    )


def _probability(one: Figures) -> str:
    return f"{one['p_emergence']:.3f} ± {written(one['p_spread'], '3')}"


def _authors(one: Figures) -> str:
    return "-" if one.get("authors_frame") is None else str(one["authors_frame"])
