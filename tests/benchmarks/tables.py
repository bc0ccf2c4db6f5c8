"""Figures as Markdown tables: for each generator the mean with its spread over the data seeds, and the seeds' values.

A form is "%" for per cent, "%1" for per cent with one digit, "min" for seconds to be written in minutes, or the number
of digits. "of" is for a figure made by `share`: the mean is of the fractions, a single value is written as "3 of 14".
"interval" is for a value with its ends: the mean is of the values.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from tests.benchmarks.bench import Figures
from tests.benchmarks.measured import HEADS, Measured

BESIDE = " · "
"""Between the values of the data seeds."""
_NUMBERS = {"of": ("share", "%1"), "interval": ("value", "0")}
"""Of forms whose figure consists of several numbers: the one that means are taken of, and its form."""


def side_by_side(measured: Measured, names: Mapping[str, tuple[str, str]]) -> str:
    """Return a table with two columns for each generator: mean and spread, and the value of each data seed.

    Parameters
    ----------
    measured : Measured
        Figures of a part; a missing one is written as "-". `with_missing` adds which data seeds are missing.
    names : mapping of str to (path, form)
        Rows.
    """
    rows = []
    for what, (path, form) in names.items():
        cells = []
        for generator in HEADS:
            ones = measured.of(generator)
            cells += [spread([number(one, path, form) for one in ones], form), each(ones, path, form)]
        rows.append((what, *cells))
    heads = [word for generator in HEADS.values() for word in (generator, "each")]
    return table(("figure", *heads), rows)


def with_missing(text: str, measured: Measured) -> str:
    """Return the text and, in a paragraph of its own, the data seeds that the part is not measured on."""
    missing = measured.missing()
    return f"{text}\n\n{missing}" if missing else text


def find(figures: Figures | None, path: str) -> Any:
    """Return what is at a path of names separated by dots; None if it is undefined or absent."""
    found: Any = figures
    for name in path.split("."):
        found = None if found is None else found.get(name)
    return found


def number(figures: Figures | None, path: str, form: str) -> float | None:
    """Return the number at a path that means are taken of; None if it is undefined or absent."""
    found = find(figures, f"{path}.{_NUMBERS[form][0]}" if form in _NUMBERS else path)
    return None if found is None else float(found)


def each(ones: Sequence[Figures | None], path: str, form: str) -> str:
    """Return the values of all data seeds in one cell."""
    cells = [single(one, path, form) for one in ones]
    return BESIDE.join(cells) if any(cell != "-" for cell in cells) else "-"


def single(figures: Figures | None, path: str, form: str) -> str:
    """Return the figure of one data seed in its form."""
    found = find(figures, path)
    if found is None or (form == "of" and not found["of"]):
        return "-"
    if form == "of":
        return of_all(found["count"], found["of"])
    if form == "interval":
        return f"{found['value']:.0f} ({found['lo']:.0f}–{found['hi']:.0f})"
    return written(float(found), form)


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
    """Return one number in its form."""
    if value is None:
        return "-"
    form = _NUMBERS[form][1] if form in _NUMBERS else form
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
