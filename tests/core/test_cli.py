"""The command line: every command of the installed parts explains itself."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from helioloop.cli import helioloop, load_commands

load_commands(helioloop)


def _commands(command: click.Command, *names: str) -> Iterator[tuple[str, ...]]:
    """Yield the names that lead to a command and to those below it."""
    yield names
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _commands(below, *names, name)


COMMANDS = list(_commands(helioloop))


def test_the_commands_of_both_sides_are_there() -> None:
    """The commands come from the entry points of the backend and of the worker."""
    assert {(), ("backend",), ("worker",), ("train",), ("score",)} <= set(COMMANDS)


@pytest.mark.parametrize("names", COMMANDS, ids=lambda names: " ".join(("helioloop", *names)))
def test_help_does_not_show_the_mark_of_a_kept_paragraph(names: tuple[str, ...]) -> None:
    r"""Click removes the mark \b; a docstring that has it as two characters would print it."""
    result = CliRunner().invoke(helioloop, [*names, "--help"])
    assert result.exit_code == 0, result.output
    assert "\\b" not in result.output
    assert "\b" not in result.output


def test_the_list_of_commands_shows_whole_sentences() -> None:
    """On a terminal of 80 columns; click ends a sentence that is too long with three dots."""
    result = CliRunner().invoke(helioloop, ["--help"], terminal_width=80)
    _, _, listed = result.output.partition("Commands:")
    assert "check" in listed
    assert "..." not in listed
