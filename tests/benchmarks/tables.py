"""Figures as Markdown tables: means, spreads and single values in the form that suits them.

Below `bounds` and `document`. A form is "%" for per cent, "%1" for per cent with a digit, "min" for seconds that are
told in minutes, or the number of digits.
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
    """Return the figure that a path of names with dots between leads to; None where it is undefined or not there."""
    found: Any = figures
    for name in path.split("."):
        found = None if found is None else found.get(name)
    return None if found is None else float(found)


def spread(values: Sequence[float | None], form: str) -> str:
    """Return mean ± sample standard deviation of the defined values, and how many these are where some are not."""
    there = [value for value in values if value is not None]
    if not there:
        return "-"
    said = written(fmean(there), form)
    if len(there) > 1:
        said += f" ± {written(stdev(there), form)}"
    return said if len(there) == len(values) else f"{said} ({len(there)} of {len(values)})"


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
