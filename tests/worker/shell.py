"""Helpers for tests of commands: run a command as a shell would, and read a table back."""

import csv
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import click
from click.testing import CliRunner, Result

from helioloop.cli import CommandLine


def run_one_of(commands: Sequence[click.Command], *words: str | Path) -> Result:
    """Run the command that `words` name, 80 columns wide; an unexpected exception is raised again."""
    group = CommandLine(commands={command.name or "": command for command in commands})
    result = CliRunner(env={"COLUMNS": "80"}).invoke(group, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_printed(commands: Sequence[click.Command], text: str) -> Result:
    """Run the one command that `text` contains in backquotes, exactly as printed."""
    (printed,) = re.findall(r"`helioloop ([^`]+ [^`]+)`", text)
    return run_one_of(commands, *shlex.split(printed))


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV file, one dict per row."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
