"""Tables on the screen: plain columns that are whole on every screen, and in a file or pipe too."""

from collections.abc import Sequence

import click


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows as columns; heads, where there are any, are the first row.

    A line may be longer than the screen: nothing is cut off or broken in two, so that figures can be compared and
    commands be copied.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
