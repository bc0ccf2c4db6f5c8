"""docs/science.md: rendered from the stored figures of both generators, in plain Markdown.

What the figures mean is written by hand in docs/science-notes.md and included.
"""

from collections.abc import Sequence
from pathlib import Path

from helioloop.synthetic import Generator
from tests.benchmarks import campaign_section, kinds_section, real_video, sections
from tests.benchmarks.bench import Bench, Figures
from tests.benchmarks.bounds import against_bounds
from tests.benchmarks.measured import HEADS, Measured
from tests.benchmarks.parts import FIRST_SEED_ONLY, PARTS
from tests.benchmarks.tables import BESIDE

NOTES = Path(__file__).parents[2] / "docs" / "science-notes.md"


def render(bench: Bench) -> str:
    """Return the document, from all stored figures that are valid, of both generators.

    `bench` may be that of either generator.
    """
    files: dict[str, dict[Generator, dict[int, Figures]]] = {part: {} for part in PARTS}
    benches = {generator: bench.on(generator) for generator in HEADS}
    for part, of_part in files.items():
        for generator, one in benches.items():
            found = {seed: one.stored(part, seed) for seed in bench.seeds}
            of_part[generator] = {seed: stored for seed, stored in found.items() if stored is not None}
    stored = {
        part: Measured(
            seeds=bench.seeds[:1] if part in FIRST_SEED_ONLY else bench.seeds,
            figures={
                generator: {seed: one["figures"] for seed, one in of_seed.items()}
                for generator, of_seed in of_part.items()
            },
        )
        for part, of_part in files.items()
    }
    parts = (
        _intro(bench),
        "## Against the bounds\n\n" + against_bounds(stored),
        sections.first(stored["first"]),
        sections.reference(stored["reference"]),
        campaign_section.section(stored["campaign"]),
        sections.frames(stored),
        sections.triage(stored["triage"]),
        real_video.section(stored["real"]),
        sections.accurate(stored["accurate"], stored["first"]),
        sections.paper(stored["paper"]),
        kinds_section.section(stored),
        NOTES.read_text().strip() if NOTES.exists() else "",
        _origin(
            list(benches.values()),
            [one for of_part in files.values() for of_seed in of_part.values() for one in of_seed.values()],
        ),
    )
    return "\n\n".join(section for section in parts if section) + "\n"


def _intro(bench: Bench) -> str:
    options = {
        "--n": (str(bench.n), "600"),
        "--seeds": (",".join(map(str, bench.seeds)), "11,12,13"),
    }
    changed = " ".join(f"{name} {value}" for name, (value, usual) in options.items() if value != usual)
    words = f' ARGS="{changed}"' if changed else ""
    members = f"{bench.recipe.folds} folds × {len(bench.recipe.dropouts)} members"
    return f"""# The science, measured

<!-- Written by `make bench-science`; what is written by hand is in science-notes.md. -->

How well the loop works, on synthetic releases whose truth is known, by two generators: “elements” and “flux transport”,
which is [of another kind](#a-second-generator). {bench.n} cubes each, data seeds
{", ".join(map(str, bench.seeds))}, recipe `{bench.recipe.name}` ({members}), crude labels as `helioloop make-release`
writes them. The networks were [pretrained](#pretrained-networks) on cubes of the *other* generator alone: each column
shows an archive of a kind that they had not seen. Figures are means over the releases ± their standard deviation;
“each” gives the releases of data seeds {BESIDE.join(map(str, bench.seeds))} in this order, “-” where a figure is
undefined or not measured. All scores are out of fold: no member scores a cube that it was trained on.

```console
# not run by a test: it takes hours on a CPU
$ make bench-science{words}
```

measures all of it again; after an interruption it continues."""


def _origin(benches: Sequence[Bench], files: Sequence[Figures]) -> str:
    def every(name: str) -> str:
        return "; ".join(sorted({str(one[name]) for one in files})) or "-"

    bench = benches[0]
    return (
        "## Measured with\n\n"
        f"- machine: {every('machine')}; device {bench.runtime.device.kind}\n"
        f"- date: {every('date')}\n"
        f"- commit: {every('commit')}\n"
        f"- generators: {' and '.join(one.made_by for one in benches)}; recipe `{bench.recipe.name}`, "
        f"{bench.recipe.epochs} epochs; first member's seed {bench.member_seed}"
    )
