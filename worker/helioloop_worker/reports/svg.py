"""Figures of matplotlib as inline SVG whose colours follow the page, in its light, dark and printed form.

Matplotlib writes fixed colours. The figures are drawn in placeholder colours that nothing else uses, and each is
replaced by a CSS variable of the page. Text stays text: it can be searched, copied and read aloud.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import StringIO
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

TEXT: Final = "#010101"
FAINT: Final = "#010102"
LINE: Final = "#010103"
PAPER: Final = "#010104"
EMERGENCE: Final = "#010105"
NON_EMERGENCE: Final = "#010106"
GOOD: Final = "#010107"
BAD: Final = "#010108"

_VARIABLES: Final = {
    TEXT: "currentColor",
    FAINT: "var(--faint)",
    LINE: "var(--line)",
    PAPER: "var(--paper)",
    EMERGENCE: "var(--emergence)",
    NON_EMERGENCE: "var(--non-emergence)",
    GOOD: "var(--good)",
    BAD: "var(--bad)",
}
"""Placeholder colour -> value in the page's style sheet."""
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.size": 10.0,
    "text.parse_math": False,  # a dollar sign in a name is no formula
    "text.color": TEXT,
    "axes.edgecolor": LINE,
    "axes.labelcolor": TEXT,
    "axes.titlecolor": TEXT,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "figure.constrained_layout.use": True,
}
_ID: Final = re.compile(r'(id="|url\(#|href="#)')
_FONT: Final = re.compile(r"(font: [\d.]+px )[^;\"]*|font-family: [^;\"]*;? ?")
"""The page's font is used; either form occurs, with the size in it or beside it."""


@contextmanager
def drawing(width_inches: float, height_inches: float, *, columns: int = 1) -> Iterator[tuple[Figure, list[Axes]]]:
    """Yield an empty figure and its axes, in the style of the page.

    No state of matplotlib is changed for others: the figure has no window and is not registered anywhere.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width_inches, height_inches))
        axes = figure.subplots(1, columns, squeeze=False)
        yield figure, list(axes[0])


def as_svg(figure: Figure, *, name: str, title: str, description: str) -> str:
    """Return a figure as an ``<svg>`` element.

    Parameters
    ----------
    figure : Figure
        Drawn inside of `drawing`, in the colours of this module; call this inside of it, too.
    name : str
        Prefix of all ids, one for each figure of a page; letters, digits and hyphens.
    title, description : str
        What screen readers say; any text.
    """
    written = StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    whole = written.getvalue()
    body = whole[whole.index("<svg") :]
    opening, _, inner = body.partition(">")
    box = re.search(r'viewBox="[^"]*"', opening)
    inner = re.sub(r"<metadata>.*?</metadata>", "", inner, count=1, flags=re.DOTALL)
    inner = _ID.sub(rf"\g<1>{name}-", inner)
    inner = _FONT.sub(lambda found: found[1].replace("font:", "font-size:").rstrip() if found[1] else "", inner)
    for placeholder, value in _VARIABLES.items():
        inner = inner.replace(placeholder, value)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" class="figure" '
        f'{box[0] if box else ""} role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>{inner}'
    )
