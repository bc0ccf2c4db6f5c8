"""The bounds that the method must meet on each generator, and the table that compares them with what is measured."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from helioloop.synthetic import Generator
from tests.benchmarks.bench import Figures
from tests.benchmarks.measured import HEADS, Measured, Stored
from tests.benchmarks.real_video import BOUNDS_IN_WORDS, frame_and_interval, real_verdict
from tests.benchmarks.tables import BESIDE, each, number, spread, table, written

Range = tuple[float, float]
"""Lowest and highest value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A figure with the ranges that it must be in and the range aimed at.

    Parameters
    ----------
    what : str
        The figure in words.
    part, path : str
        The part, and the path of names to the figure, separated by dots.
    form : str
        How a value is written; see `tables`.
    least : mapping of Generator to Range
        What the mean over the data seeds must be in; a generator without a range has no bound.
    aim : Range
        What the mean is to be in, for both generators.
    release : Range
        What each release must be in.
    """

    what: str
    part: str
    path: str
    form: str
    least: Mapping[Generator, Range]
    aim: Range
    release: Range = field(default=(-math.inf, math.inf))


def _above(value: float) -> Range:
    return value, math.inf


def _below(value: float) -> Range:
    return -math.inf, value


def _each(own: Range | None, other: Range | None) -> dict[Generator, Range]:
    both = {Generator.ELEMENTS: own, Generator.FLUX_TRANSPORT: other}
    return {generator: least for generator, least in both.items() if least is not None}


BOUNDS = (
    Bound(what="wrong labels found in the first round, AUROC", part="first", path="error_auroc", form="3",
          least=_each(_above(0.965), _above(0.95)), aim=_above(0.98)),
    Bound(what="… wrong among the k most suspicious of k wrong ones in all", part="first", path="precision_at_k",
          form="3", least=_each(_above(0.87), _above(0.83)), aim=_above(0.92)),
    Bound(what="class wrong among emergences under 7e20 Mx, first round", part="first", path="weak_class_wrong",
          form="of", least=_each(None, _below(0.40)), aim=_below(0.20)),
    Bound(what="wrong labels contradicted inside an older region, first round", part="first",
          path="inside_contradicted", form="of", least=_each(_above(0.75), _above(0.75)), aim=_above(0.90)),
    Bound(what="emergences without a frame, first round", part="first", path="no_frame", form="of",
          least=_each(_below(0.04), _below(0.04)), aim=_below(0.02)),
    Bound(what="non-emergences given a frame, first round", part="first", path="frame_given", form="of",
          least=_each(_below(0.05), _below(0.05)), aim=_below(0.02)),
    Bound(what="emergence frame within 15 frames, first round", part="first", path="frame_near", form="%",
          least=_each(_above(0.91), _above(0.89)), aim=_above(0.96)),
    Bound(what="… median error", part="first", path="frame_error_frames", form="1",
          least=_each(_below(8), None), aim=_below(4)),
    Bound(what="calibration error, no random labels", part="first", path="calibration_error", form="3",
          least=_each(_below(0.08), _below(0.08)), aim=_below(0.045)),
    Bound(what="… 100 random labels", part="first", path="calibration_error_100", form="3",
          least=_each(_below(0.06), _below(0.06)), aim=_below(0.045)),
    Bound(what="verified until 3 % of the labels are wrong", part="campaign", path="to_3_percent", form="%",
          least=_each(_below(0.22), _below(0.25)), aim=_below(0.20)),
    Bound(what="verified until 1.5 % are wrong", part="campaign", path="to_1_5_percent", form="%",
          least=_each(_below(0.27), _below(0.33)), aim=_below(0.25)),
    Bound(what="emergence frame within 15 frames, after the campaign", part="campaign", path="frame_near", form="%",
          least=_each(_above(0.85), None), aim=_above(0.95)),
    Bound(what="… median error", part="campaign", path="frame_error_frames", form="1",
          least=_each(_below(4), None), aim=_below(2)),
    Bound(what="true frames inside calibrated 90 % intervals", part="campaign", path="calibrated.coverage", form="%",
          least=_each((0.85, 0.95), None), aim=(0.88, 0.92)),
    Bound(what="of a new release accepted at ≤ 2 % wrong; no release under 50 %", part="triage", path="accepted",
          form="%", least=_each(_above(0.70), _above(0.70)), aim=_above(0.80), release=_above(0.50)),
    Bound(what="one round from cached cubes", part="first", path="times.seconds", form="min",
          least=_each(_below(300), _below(300)), aim=_below(180)),
    Bound(what="wrong labels found by `accurate` with one member per fold, AUROC", part="accurate", path="error_auroc",
          form="3", least=_each(_above(0.92), None), aim=_above(0.97)),
)  # fmt: skip
"""The required figures."""


def against_bounds(stored: Stored) -> str:
    """Return the table of all figures with bounds."""
    rows = []
    for bound in BOUNDS:
        measured = stored[bound.part]
        cells = [cell for generator in HEADS for cell in _cells(measured, bound, generator)]
        rows.append((bound.what, _least(bound), _range(bound.aim, bound.form), *cells))
    real = stored["real"]
    cells = [cell for generator in HEADS for cell in _real_cells(real, generator)]
    rows.append(("the real video, by networks trained on synthetic cubes", *BOUNDS_IN_WORDS, *cells))
    heads = [word for generator in HEADS.values() for word in (generator, "each")]
    return table(("figure", "must show", "aim", *heads), rows)


def _cells(measured: Measured, bound: Bound, generator: Generator) -> tuple[str, str]:
    """Return mean with verdict, and the values of the data seeds."""
    ones = measured.of(generator)
    there = [one for one in ones if one is not None]
    if not there:
        return "not measured", "-"
    mean = spread([number(one, bound.path, bound.form) for one in there], bound.form)
    return f"{mean}{_on(verdict(there, bound, generator), ones)}", each(ones, bound.path, bound.form)


def _real_cells(measured: Measured, generator: Generator) -> tuple[str, str]:
    ones = measured.of(generator)
    there = [one for one in ones if one is not None]
    if not there:
        return "not measured", "-"
    p = spread([one["p_emergence"] for one in there], "3")
    cells = ["-" if one is None else frame_and_interval(one) for one in ones]
    return f"p {p}{_on(real_verdict(there), ones)}", BESIDE.join(cells)


def _on(verdict: str, ones: Sequence[Figures | None]) -> str:
    """Return the verdict as the end of a cell; one on some of the data seeds only says on how many."""
    there = sum(one is not None for one in ones)
    if not verdict:
        return ""
    return f", {verdict}" if there == len(ones) else f", {verdict} on {there} of {len(ones)} data seeds"


def verdict(there: Sequence[Figures], bound: Bound, generator: Generator) -> str:
    """Return the verdict on the mean; a figure that is undefined on a release (never reached, no frame) fails.

    Returns
    -------
    str
        "aim", "yes" or "**no**"; empty if the generator has no bound and the aim is not reached. "not measured" for a
        duration if all rounds were interrupted, because that is not a fault of the method.
    """
    found = [number(one, bound.path, bound.form) for one in there]
    values = [value for value in found if value is not None]
    least = bound.least.get(generator)
    if not values and bound.form == "min":
        return "not measured"
    if bound.form != "min" and len(values) < len(found):
        return "" if least is None else "**no**"
    inside = all(bound.release[0] <= value <= bound.release[1] for value in values)
    if inside and bound.aim[0] <= fmean(values) <= bound.aim[1]:
        return "aim"
    if least is None:
        return ""
    return "yes" if inside and least[0] <= fmean(values) <= least[1] else "**no**"


def _least(bound: Bound) -> str:
    """Return what both generators must show: once if it is the same, "-" for one without a bound."""
    words = [_range(bound.least[one], bound.form) if one in bound.least else "-" for one in HEADS]
    return words[0] if len(set(words)) == 1 else BESIDE.join(words)


def _range(bounds: Range, form: str) -> str:
    lo, hi = bounds
    form = "%" if form == "of" else form
    if math.isinf(hi):
        return f"≥ {written(lo, form)}"
    return f"≤ {written(hi, form)}" if math.isinf(lo) else f"{written(lo, form)} – {written(hi, form)}"
