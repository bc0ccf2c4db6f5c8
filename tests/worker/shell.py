"""What the tests of commands share: a command run as the shell would run it, and a table read back."""

import csv
from collections.abc import Sequence
from pathlib import Path

import click
from click.testing import CliRunner, Result

from helioloop.cli import CommandLine


def run_one_of(commands: Sequence[click.Command], *words: str | Path) -> Result:
    """Run the command that `words` name, on a wide screen; an error the shell would not see is raised."""
    group = CommandLine(commands={command.name or "": command for command in commands})
    result = CliRunner(env={"COLUMNS": "200"}).invoke(group, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV file, a row a dict."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
