"""What the tests of commands share: a command run as the shell would run it, and a table read back."""

import csv
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import click
from click.testing import CliRunner, Result

from helioloop.cli import CommandLine


def run_one_of(commands: Sequence[click.Command], *words: str | Path) -> Result:
    """Run the command that `words` name, as in a pipe or on a small screen; an error no shell would see is raised."""
    group = CommandLine(commands={command.name or "": command for command in commands})
    result = CliRunner(env={"COLUMNS": "80"}).invoke(group, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_printed(commands: Sequence[click.Command], said: str) -> Result:
    """Run the one command that `said` tells the reader to run, copied as it stands there."""
    (printed,) = re.findall(r"`helioloop ([^`]+ [^`]+)`", said)
    return run_one_of(commands, *shlex.split(printed))


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV file, a row a dict."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
