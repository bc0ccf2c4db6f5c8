"""Figures as Markdown tables: means, spreads and single values.

A form is "%" for per cent, "%1" for per cent with one digit, "min" for seconds to be written in minutes, or the number
of digits.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from tests.benchmarks.bench import Figures


def per_seed(figures: Mapping[int, Figures], names: Mapping[str, tuple[str, str]]) -> str:
    """Return a table of figures: mean and spread, and a column for each data seed; `names` gives path and form."""
    rows = []
    for what, (path, form) in names.items():
        values = [find(one, path) for one in figures.values()]
        rows.append((what, spread(values, form), *(written(value, form) for value in values)))
    return table(("figure", "mean ± spread", *(f"data seed {seed}" for seed in figures)), rows)


def find(figures: Figures | None, path: str) -> float | None:
    """Return the figure at a path of names separated by dots; None if it is undefined or absent."""
    found: Any = figures
    for name in path.split("."):
        found = None if found is None else found.get(name)
    return None if found is None else float(found)


def spread(values: Sequence[float | None], form: str) -> str:
    """Return mean ± sample standard deviation of the defined values, with their number if some are undefined."""
    defined = [value for value in values if value is not None]
    if not defined:
        return "-"
    text = written(fmean(defined), form)
    if len(defined) > 1:
        text += f" ± {written(stdev(defined), form)}"
    return text if len(defined) == len(values) else f"{text} ({len(defined)} of {len(values)})"


def written(value: float | None, form: str) -> str:
    """Return one value in its form."""
    if value is None:
        return "-"
    if form.startswith("%"):
        return f"{100 * value:.{form[1:] or 0}f} %"
    return f"{value / 60:.1f} min" if form == "min" else f"{value:.{form}f}"


def of_all(count: int, n: int) -> str:
    """Return "count of n"."""
    return f"{count} of {n}" if n else "-"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
