"""docs/science.md: rendered from the stored figures, in plain Markdown.

What the figures mean is written by hand in docs/science-notes.md and included.
"""

from collections.abc import Sequence
from pathlib import Path

from helioloop.synthetic import Generator
from tests.benchmarks import sections
from tests.benchmarks.bench import Bench, Figures
from tests.benchmarks.bounds import against_bounds
from tests.benchmarks.parts import PARTS

NOTES = Path(__file__).parents[2] / "docs" / "science-notes.md"


def render(bench: Bench) -> str:
    """Return the document, from all stored figures that are valid."""
    files = {
        part: {seed: stored for seed in bench.seeds if (stored := bench.stored(part, seed)) is not None}
        for part in PARTS
    }
    stored = {part: {seed: one["figures"] for seed, one in of_part.items()} for part, of_part in files.items()}
    parts = (
        _intro(bench),
        "## Against the bounds\n\n" + against_bounds(stored, bench.seeds),
        sections.first(stored["first"]),
        sections.reference(stored["reference"]),
        sections.campaigns(stored["campaign"]),
        sections.frames(stored),
        sections.triage(stored["triage"]),
        sections.real(stored["real"]),
        sections.accurate(stored["accurate"], stored["first"]),
        sections.paper(stored["paper"]),
        sections.kinds(stored),
        NOTES.read_text().strip() if NOTES.exists() else "",
        _origin(bench, [one for of_part in files.values() for one in of_part.values()]),
    )
    return "\n\n".join(section for section in parts if section) + "\n"


def _intro(bench: Bench) -> str:
    options = {
        "--n": (str(bench.n), "600"),
        "--seeds": (",".join(map(str, bench.seeds)), "11,12,13"),
        "--generator": (str(bench.generator), str(Generator.ELEMENTS)),
    }
    changed = " ".join(f"{name} {value}" for name, (value, usual) in options.items() if value != usual)
    words = f' ARGS="{changed}"' if changed else ""
    members = f"{bench.recipe.folds} folds × {len(bench.recipe.dropouts)} members"
    return f"""# The science, measured

<!-- Written by `make bench-science`; what is written by hand is in science-notes.md. -->

How well the loop works, on synthetic releases whose truth is known: {bench.n} cubes each, data seeds
{", ".join(map(str, bench.seeds))}, recipe `{bench.recipe.name}` ({members}), crude labels as `helioloop make-release`
writes them. Figures are means over the releases ± their standard deviation. All scores are out of fold: no member
scores a cube that it was trained on.

```console
# not run by a test: it takes hours on a CPU
$ make bench-science{words}
```

measures all of it again; after an interruption it continues."""


def _origin(bench: Bench, files: Sequence[Figures]) -> str:
    def every(name: str) -> str:
        return "; ".join(sorted({str(one[name]) for one in files})) or "-"

    return (
        "## Measured with\n\n"
        f"- machine: {every('machine')}; device {bench.runtime.device.kind}\n"
        f"- date: {every('date')}\n"
        f"- commit: {every('commit')}\n"
        f"- generator: {bench.made_by}; recipe `{bench.recipe.name}`, {bench.recipe.epochs} epochs; first member's "
        f"seed {bench.member_seed}"
    )
