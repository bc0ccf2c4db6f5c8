"""The command ``helioloop``: a click group with the commands of the installed packages.

Each package names its commands in the entry-point group ``helioloop.commands``: a function without arguments that
returns click commands. A command whose extra is not installed is listed too; it ends with the name of the extra.
"""

import errno
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from helioloop import __version__
from helioloop.environment.home import check_home, make_configuration_usable
from helioloop.environment.names import own_name
from helioloop.errors import HelioloopError, MissingExtra
from helioloop.files.path_errors import remedy_of
from helioloop.logs import is_logging
from helioloop.settings import environment, load_settings

logger = logging.getLogger(__name__)

ENTRY_POINTS = "helioloop.commands"
SECTIONS: Final = {
    "Try it": ("demo", "make-release"),
    "Make a release from files of an archive": ("cutouts", "stack", "check", "crude-labels"),
    "Learn from labels, without Label Studio": ("train", "score", "triage"),
    "Run it with Label Studio": ("backend", "worker", "init", "ingest", "watch"),
    "See what is to do and what was found": ("status", "report", "catalogue", "screens"),
    "Find and mend what is wrong": ("doctor", "settings", "retry"),
    "Look after model versions": ("versions", "rollback", "prune"),
    "Measure the method on known truth": ("campaign", "compare"),
}
"""Heading in the help of ``helioloop`` -> its commands, in the order in which they are needed."""


class CommandLine(click.Group):
    """Prints the text of a `HelioloopError` and exits with its code; a file or folder that fails is a sentence, too.

    Other exceptions end with a traceback. The help lists the commands by what they are for.
    """

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under the headings of `SECTIONS`; those of other packages come last."""
        listed = {name for names in SECTIONS.values() for name in names}
        others = [name for name in self.list_commands(ctx) if name not in listed]
        width = max(map(len, self.commands), default=0)
        for heading, names in [*SECTIONS.items(), ("Other commands", others)]:
            found = [self.commands[name] for name in names if name in self.commands]
            if found:
                limit = formatter.width - 6 - width
                with formatter.section(heading):
                    formatter.write_dl(
                        [((command.name or "").ljust(width), command.get_short_help_str(limit)) for command in found]
                    )

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the command line; the help and the version are printed here."""
        with _sentences(sys.exit):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; print the text of a `HelioloopError`."""
        with _sentences(ctx.exit):
            return super().invoke(ctx)


@contextmanager
def _sentences(leave: Callable[[int], NoReturn]) -> Iterator[None]:
    """Print the text of a `HelioloopError`, or of an error of a file, and leave with its code."""
    try:
        yield
    except HelioloopError as error:
        click.echo(f"helioloop: {error}", err=True)
        leave(error.exit_code)
    except OSError as error:
        text = path_error(error)
        if text is None:
            raise
        click.echo(f"helioloop: {text}", err=True)
        leave(1)


class Service(click.Command):
    """A command that logs: an error that ends it is a line of its log too."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the service; a `HelioloopError` ends it with a line of the log."""
        try:
            return super().invoke(ctx)
        except HelioloopError as error:
            if not is_logging():  # a setting is wrong
                raise
            logger.critical("%s", error)
            ctx.exit(error.exit_code)
        except OSError as error:
            text = path_error(error)
            if text is None or not is_logging():
                raise
            logger.critical("%s", text)
            ctx.exit(1)


class Text(click.types.StringParamType):
    """A text: an empty one, as of a shell variable that is not set, would pass for an option that is not given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as it is; refuse one that is empty or has nothing but blanks."""
        text = super().convert(value, param, ctx)
        if not text.strip():
            remedy = "give one" if param is None or param.required else "give one, or leave the option out"
            self.fail(f"the value is empty, as of a shell variable that is not set; {remedy}", param, ctx)
        return text


TEXT: Final = Text()
"""The type of options and arguments that take a text."""


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="helioloop")
@click.pass_context
def helioloop(ctx: click.Context) -> None:
    """Label magnetogram videos with a CNN ensemble that learns from each correction.

    A release is a folder of cubes (FITS videos) with a label table. Try the whole loop without Label Studio:

    \b
      helioloop make-release --out demo --n 120 --seed 1
      helioloop train demo --model-dir models
      helioloop score demo --model-dir models --out scores.csv

    Then connect it to Label Studio with `helioloop init`, and run `helioloop backend` and `helioloop worker`.
    Settings are environment variables named HELIOLOOP_…, listed in docs/settings.md; `helioloop settings` shows them.
    `helioloop COMMAND --help` explains a command, with an example.
    """
    check_home()
    make_configuration_usable()
    command = ctx.command
    if isinstance(command, click.Group) and not isinstance(command.commands.get(ctx.invoked_subcommand or ""), Service):
        for sentence in environment().doubts(process="command"):
            click.echo(f"helioloop: {sentence}", err=True)


_WRITE_ERRORS: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""Errors of writing, which name no path where what is printed cannot be written."""


_NO_TEMPORARY_FOLDER: Final = "No usable temporary directory found in "
"""Beginning of the text of Python's error, before the list of the folders that it tried."""


def path_error(error: OSError) -> str | None:
    """Return path, cause and remedy of an error of a file or folder; None of another error.

    A path below the folder of a setting has the name of the setting with it.
    """
    if error.filename is None and str(error.strerror).startswith(_NO_TEMPORARY_FOLDER):
        tried = str(error.strerror).removeprefix(_NO_TEMPORARY_FOLDER)
        return (
            f"no folder for temporary files can be written, of {tried}; free space on their disk, mount one that "
            "can be written (`docker run --tmpfs /tmp`, an emptyDir on /tmp), or set TMPDIR to one"
        )
    remedy = remedy_of(error)
    if remedy is not None and error.filename is None and error.errno in _WRITE_ERRORS:
        return f"a file, or what is printed, cannot be written ({error.strerror}); {remedy}"
    if remedy is None or not isinstance(error.filename, str | bytes):
        return None
    path = os.fsdecode(error.filename)
    setting = _setting_of(Path(path))
    return f"{path} cannot be used ({error.strerror}){f', in the folder of {setting}' if setting else ''}; {remedy}"


def _setting_of(path: Path) -> str | None:
    """Return the variable whose folder contains a path."""
    with suppress(HelioloopError):
        settings = load_settings()
        for name in ("model_root", "media_root", "cache_root"):
            if path.absolute().is_relative_to(getattr(settings, name).absolute()):
                origin = environment().origin(name)
                return own_name(name) if origin is None else origin.variable
    return None


def load_commands(group: click.Group) -> None:
    """Add the commands of all installed packages to `group`."""
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        commands: Callable[[], Sequence[click.Command]] = entry.load()
        for command in commands():
            group.add_command(command)


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn a failed import in the block into a `MissingExtra` that tells how to install the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"the package {error.name!r} is not installed; this command needs the extra [{extra}]: "
            f"install it with `uv pip install 'helioloop[{extra}]'`"
        ) from error


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in aligned columns; column heads, if any, are the first row.

    Lines longer than the screen are neither cut nor wrapped, so that numbers can be compared and commands copied.
    """
    for line in table_lines(rows):
        click.echo(line)


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines of text in aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def print_any_name() -> None:
    """Let standard output show a character that it cannot hold as an escape, such as a byte of a name that is no text.

    Standard error does so in every Python; standard output ends the program, in most locales.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def main() -> None:
    """Load the commands and run the command line."""
    print_any_name()
    load_commands(helioloop)
    sys.exit(helioloop(prog_name="helioloop"))
