"""The section of docs/science.md on kinds of cubes: which ones fail, on which generator."""

from collections.abc import Sequence

from helioloop.synthetic import Generator
from tests.benchmarks.measured import HEADS, Measured, Stored
from tests.benchmarks.tables import of_all, table

Counts = dict[str, int]
"""Counts of a kind, by name."""
Column = tuple[str, dict[str, Counts], str, str]
"""Heading, counts by kind, and the names of the count and of the one that it is a fraction of."""
NON_EMERGENCES = "non_emergences"


def section(stored: Stored) -> str:
    """Return the section; empty without figures of the first round."""
    if not stored["first"]:
        return ""
    first = {generator: by_kind(stored["first"], generator) for generator in HEADS}
    last = {generator: by_kind(stored["campaign"], generator) for generator in HEADS}
    when = (("first round", first), ("at the end", last))

    def columns(count: str, of: str) -> list[Column]:
        return [(f"{head}: {words}", totals[one], count, of) for one, head in HEADS.items() for words, totals in when]

    def frames(totals: dict[Generator, dict[str, Counts]]) -> list[Column]:
        return [
            (f"{head}: {words}", totals[one], count, "frames")
            for one, head in HEADS.items()
            for words, count in (("ours", "frames_near"), ("authors' estimate", "authors_near"))
        ]

    tables = [
        ("Class wrong", kind_table(columns("wrong_classes", "cubes"))),
        ("Wrong labels contradicted", kind_table(columns("wrong_seen", "wrong_labels"))),
        ("Labels wrong", kind_table(columns("wrong_labels", "cubes"))),
        ("Emergence frame within 15, after the first round", kind_table(frames(first))),
        ("Emergence frame within 15, after the campaign", kind_table(frames(last))),
        ("Emergences without a frame", kind_table(columns("no_frame", "frames"))),
        ("Non-emergences: frame given", kind_table(columns("frame_given", NON_EMERGENCES))),
    ]
    lines = [f"- {head}: {wrong_non_emergences(first[generator])}" for generator, head in HEADS.items()]
    missing = [stored["first"].missing("in the first round"), stored["campaign"].missing("at the end")]
    return "\n\n".join(
        (
            "## What fails, and why\n\nBy kind of cube, all releases of a generator together, the largest "
            "counts first; “at the end” is after the campaign.",
            *(f"{title}:\n\n{found}" for title, found in tables if found),
            "Non-emergences with a frame or a wrong class after the first round:\n\n" + "\n".join(lines),
            *(sentence for sentence in missing if sentence),
        )
    )


def by_kind(measured: Measured, generator: Generator) -> dict[str, Counts]:
    """Return the counts by kind, summed over the data seeds that are measured."""
    total: dict[str, Counts] = {}
    for figures in measured.there(generator):
        for entry in figures["kinds"]:
            sums = total.setdefault(entry["kind"], {})
            for name, count in entry.items():
                if name != "kind":
                    sums[name] = sums.get(name, 0) + count
    return total


def kind_table(columns: Sequence[Column]) -> str:
    """Return a table of "count of all" with a row for each kind that has any, the most counts first; or nothing."""
    kinds = {kind for _, totals, _, of in columns for kind, counts in totals.items() if counts.get(of)}

    def counted(kind: str) -> int:
        return sum(totals.get(kind, {}).get(count, 0) for _, totals, count, _ in columns)

    def cell(kind: str, column: Column) -> str:
        _, totals, count, of = column
        counts = totals.get(kind, {})
        return of_all(counts.get(count, 0), counts.get(of, 0))

    rows = [
        (kind, *(cell(kind, column) for column in columns))
        for kind in sorted(kinds, key=lambda kind: (-counted(kind), kind))
    ]
    return table(("kind", *(head for head, *_ in columns)), rows) if rows else ""


def wrong_non_emergences(totals: dict[str, Counts]) -> str:
    """Return which kinds of non-emergences get a frame or a wrong class, and how many do.

    Wrong classes are counted of a whole kind, so they are shown where none of it is an emergence.
    """
    if not totals:
        return "not measured"
    parts = []
    for kind, one in sorted(totals.items(), key=lambda entry: (-entry[1].get("frame_given", 0), entry[0])):
        counts = {"a frame": one.get("frame_given", 0)}
        if one.get(NON_EMERGENCES) == one["cubes"]:
            counts["class wrong"] = one["wrong_classes"]
        words = [f"{what} {count}" for what, count in counts.items() if count]
        if one.get(NON_EMERGENCES) and words:
            parts.append(f"{kind} ({', '.join(words)}, of {one[NON_EMERGENCES]})")
    return "; ".join(parts) or "none"
