"""The bounds that the method must meet, and the table that compares them with the measured figures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from tests.benchmarks.bench import Figures
from tests.benchmarks.tables import find, spread, table, written

REAL_FRAMES = (89, 99)
"""Emergence frames of the real video by the authors' ten models (Chatterjee et al. 2022)."""

Stored = Mapping[str, Mapping[int, Figures]]
"""Figures by part and data seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A figure with the range it must be in and the range aimed at.

    Parameters
    ----------
    what : str
        The figure in words.
    part, path : str
        The part, and the path of names to the figure, separated by dots.
    least, aim : tuple of float
        Lowest and highest value that is required, and that is aimed at.
    form : str
        How a value is written; see `tables`.
    """

    what: str
    part: str
    path: str
    least: tuple[float, float]
    aim: tuple[float, float]
    form: str


def _above(value: float) -> tuple[float, float]:
    return value, math.inf


def _below(value: float) -> tuple[float, float]:
    return -math.inf, value


BOUNDS = (
    Bound(what="wrong labels found in the first round, AUROC", part="first", path="error_auroc",
          least=_above(0.88), aim=_above(0.95), form="3"),
    Bound(what="… wrong among the k most suspicious of k wrong ones in all", part="first", path="precision_at_k",
          least=_above(0.66), aim=_above(0.80), form="3"),
    Bound(what="wrong labels found by `accurate` with one member per fold, AUROC", part="accurate", path="error_auroc",
          least=_above(0.92), aim=_above(0.97), form="3"),
    Bound(what="verified until 3 % of the labels are wrong", part="campaign", path="to_3_percent",
          least=_below(0.35), aim=_below(0.27), form="%"),
    Bound(what="verified until 1.5 % are wrong", part="campaign", path="to_1_5_percent",
          least=_below(0.45), aim=_below(0.33), form="%"),
    Bound(what="emergence frame after the campaign, median error", part="campaign", path="frame_error_frames",
          least=_below(4), aim=_below(2), form="1"),
    Bound(what="… within 15 frames", part="campaign", path="frame_near",
          least=_above(0.85), aim=_above(0.95), form="%"),
    Bound(what="emergence frame after the first round, median error", part="first", path="frame_error_frames",
          least=_below(8), aim=_below(4), form="1"),
    Bound(what="… within 15 frames", part="first", path="frame_near",
          least=_above(0.70), aim=_above(0.85), form="%"),
    Bound(what="true frames inside calibrated 90 % intervals", part="campaign", path="calibrated.coverage",
          least=(0.85, 0.95), aim=(0.88, 0.92), form="%"),
    Bound(what="of a new release accepted at ≤ 2 % wrong", part="triage", path="accepted",
          least=_above(0.50), aim=_above(0.75), form="%"),
    Bound(what="one round from cached cubes", part="first", path="times.seconds",
          least=_below(360), aim=_below(180), form="min"),
)  # fmt: skip
"""The required figures."""


def against_bounds(stored: Stored, seeds: Sequence[int]) -> str:
    """Return the table of all figures with bounds."""
    rows = []
    for bound in BOUNDS:
        values = [find(figures, bound.path) for seed in seeds if (figures := stored[bound.part].get(seed)) is not None]
        if bound.form == "min":  # an interrupted round has no time; that is not a fault of the method
            values = [value for value in values if value is not None]
        rows.append(
            (
                bound.what,
                spread(values, bound.form),
                " · ".join(written(value, bound.form) for value in values),
                _range(bound.least, bound.form),
                _range(bound.aim, bound.form),
                _verdict(values, bound),
            )
        )
    rows.append(_real_bound(stored["real"], seeds))
    return table(("figure", "mean ± spread", "each release", "must show", "aim", ""), rows)


def _real_bound(real: Mapping[int, Figures], seeds: Sequence[int]) -> tuple[str, ...]:
    lo, hi = REAL_FRAMES
    there = [real[seed] for seed in seeds if seed in real]
    inside = [real_inside(one) for one in there]
    aimed = [one["p_emergence"] > 0.9 and one["frame"] is not None and lo <= one["frame"] <= hi for one in there]
    return (
        "the real video, by networks trained on synthetic cubes",
        "-" if not there else f"p {spread([one['p_emergence'] for one in there], '3')}",
        " · ".join(map(frame_and_interval, there)),
        f"emergence, {lo}–{hi} inside",
        f"p > 0.9, frame {lo}–{hi}",
        "not measured" if not there else "aim" if all(inside) and all(aimed) else "yes" if all(inside) else "**no**",
    )


def real_inside(one: Figures) -> bool:
    """Return whether the real video gets an emergence whose interval contains the frames of all the authors' models."""
    lo, hi = REAL_FRAMES
    return (
        one["p_emergence"] >= 0.5
        and one["frame"] is not None
        and one["frame_lo"] <= lo
        and hi <= one["frame_hi"]
    )  # fmt: skip


def _range(bounds: tuple[float, float], form: str) -> str:
    lo, hi = bounds
    if math.isinf(hi):
        return f"≥ {written(lo, form)}"
    return f"≤ {written(hi, form)}" if math.isinf(lo) else f"{written(lo, form)} – {written(hi, form)}"


def _verdict(values: Sequence[float | None], bound: Bound) -> str:
    """Return the verdict on the mean; a figure that is undefined on a release (never reached, no frame) fails."""
    there = [value for value in values if value is not None]
    if not values:
        return "not measured"
    if len(there) < len(values) or not bound.least[0] <= fmean(there) <= bound.least[1]:
        return "**no**"
    return "aim" if bound.aim[0] <= fmean(there) <= bound.aim[1] else "yes"


def frame_and_interval(one: Figures) -> str:
    """Return frame and interval in a few characters."""
    return "no frame" if one["frame"] is None else f"{one['frame']} ({one['frame_lo']}–{one['frame_hi']})"
