"""The stored figures of one part, by generator and data seed: what tables are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from helioloop.synthetic import Generator
from tests.benchmarks.bench import MEASURED_ON, Figures

HEADS = {one: one.replace("-", " ") for one in MEASURED_ON}
"""Names of the generators in tables, in their order there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures of one part.

    Parameters
    ----------
    seeds : sequence of int
        The data seeds that the part is to be measured on.
    figures : mapping of Generator to mapping of int to dict
        What is measured, by generator and data seed; both may lack entries.
    """

    seeds: Sequence[int]
    figures: Mapping[Generator, Mapping[int, Figures]]

    def __bool__(self) -> bool:
        return any(self.figures.values())

    def of(self, generator: Generator) -> list[Figures | None]:
        """Return the figures on each data seed, in their order; None where the part is not measured."""
        there = self.figures.get(generator, {})
        return [there.get(seed) for seed in self.seeds]

    def there(self, generator: Generator) -> list[Figures]:
        """Return the figures of the data seeds that the part is measured on."""
        return [one for one in self.of(generator) if one is not None]

    def missing(self, when: str = "") -> str:
        """Return a sentence on the data seeds that the part is not measured on; empty if there are none.

        `when` is written after its first words.
        """
        parts = []
        for generator, head in HEADS.items():
            seeds = [seed for seed in self.seeds if seed not in self.figures.get(generator, {})]
            if seeds:
                parts.append(f"{head}, data seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}")
        return f"Not measured{when and f' {when}'}: {'; '.join(parts)}." if parts else ""


Stored = Mapping[str, Measured]
"""All figures by part."""
