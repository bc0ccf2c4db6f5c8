"""The command line: every command of the installed parts explains itself."""

import errno
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from helioloop.cli import SECTIONS, CommandLine, helioloop, load_commands, path_error, print_any_name
from helioloop.files import atomic
from helioloop.settings import load_settings

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
    _, _, listed = result.output.partition("Options:")
    assert "check" in listed
    assert "..." not in listed


def test_each_command_is_listed_once_under_what_it_is_for() -> None:
    """A new one needs a place; a command of another package comes last."""
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(name for (name,) in filter(None, COMMANDS))
    assert "Other commands" not in CliRunner().invoke(helioloop, ["--help"]).output
    group = CommandLine(name="helioloop", commands={"elsewhere": click.Command("elsewhere", help="Do more.")})
    assert "Other commands:\n  elsewhere  Do more.\n" in CliRunner().invoke(group, ["--help"]).output


@pytest.mark.parametrize(
    ("inside", "cause", "remedy"),
    [
        ("file/inner", "Not a directory", "correct the path, in which a file is used as a folder"),
        ("x" * 300, "File name too long", "shorten the path"),
        ("round", "Too many levels of symbolic links", "remove the link that leads back to itself"),
        ("", "Is a directory", "correct the path, which is that of a folder"),
        ("absent/inner", "No such file or directory", "make its folder, or correct the path"),
    ],
)
def test_a_path_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str, cause: str, remedy: str
) -> None:
    """It has the path, the cause, the setting whose folder it is in, and the remedy; other errors are bugs."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    load_settings.cache_clear()

    @click.command()
    def write() -> None:
        (tmp_path / inside).write_text("x")

    found = CliRunner().invoke(CommandLine(commands={"write": write}), ["write"])
    load_settings.cache_clear()
    assert found.exit_code == 1
    path = tmp_path / inside
    assert found.output == f"helioloop: {path} cannot be used ({cause}), in the folder of MODEL_DIR; {remedy}\n"


def test_an_error_that_names_no_path_is_shown_whole() -> None:
    """So is one of a socket: the command has to say what it means."""

    @click.command()
    def fail() -> None:
        raise ConnectionResetError(104, "Connection reset by peer")

    found = CliRunner().invoke(CommandLine(commands={"fail": fail}), ["fail"])
    assert isinstance(found.exception, ConnectionResetError)
    assert path_error(OSError("x")) is None


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "free space on that disk"), (errno.EFBIG, "raise the limit on the size")]
)
def test_what_cannot_be_printed_is_one_sentence(number: int, remedy: str) -> None:
    """Standard output may be a file on a full disk; its error names no path."""

    @click.command()
    def command() -> None:
        raise OSError(number, os.strerror(number))

    result = CliRunner().invoke(CommandLine(commands={"command": command}), ["command"])
    assert result.exit_code == 1
    assert result.output.startswith("helioloop: a file, or what is printed, cannot be written (")
    assert remedy in result.output


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["check", "--help"]])
def test_a_help_that_cannot_be_printed_is_one_sentence(words: list[str]) -> None:
    """Python flushes what is printed once more when it ends; that fails in silence."""
    program = [sys.executable, "-c", "from helioloop.cli import main; main()", *words]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "helioloop: a file, or what is printed, cannot be written (No space left on device)" in done.stderr
    assert "Traceback" not in done.stderr


def test_where_no_temporary_file_can_be_made_the_folders_and_the_remedy_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container with a read-only root. Python's error has the folders in its text and no path."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc", "/proc/tmp"])
    with pytest.raises(FileNotFoundError) as raised:
        tempfile.mkdtemp()
    text = path_error(raised.value)
    assert text is not None
    assert text.startswith("no folder for temporary files can be written, of ['/proc', '/proc/tmp']; free space")
    assert "docker run --tmpfs /tmp" in text


def test_a_file_on_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a write has no path; that of a file that is replaced gets it."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as raised:
        atomic.write_text(tmp_path / "table.csv", "new")
    text = path_error(raised.value)
    assert text == f"{tmp_path}/table.csv cannot be used (No space left on device); free space on that disk"


@pytest.mark.parametrize(
    ("encoding", "errors", "printed"),
    [
        ("utf-8", "strict", "m_\\udce9 Ä β\n".encode()),
        ("latin-1", "strict", b"m_\\udce9 \xc4 \\u03b2\n"),
        ("utf-8", "surrogateescape", b"m_\xe9 " + "Ä β\n".encode()),
    ],
)
def test_standard_output_takes_names_that_it_cannot_hold(
    monkeypatch: pytest.MonkeyPatch, encoding: str, errors: str, printed: bytes
) -> None:
    """An escape stands for a byte that is not text and for a letter that the terminal lacks; C.UTF-8 keeps the byte."""
    received = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(received, encoding=encoding, errors=errors))
    print_any_name()
    click.echo("m_\udce9 Ä β")
    assert received.getvalue() == printed


def test_a_program_without_standard_output_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    print_any_name()
