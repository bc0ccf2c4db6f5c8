"""Run the blocks of a page in order, in one folder, exactly as the page has them."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import joblib
import pytest
from click.testing import CliRunner

from helioloop import settings
from helioloop.cli import CommandLine, load_commands
from helioloop.model import recipes
from tests.documents.blocks import Block


def work_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder, in this process, and train few members for an epoch: the scores mean nothing here."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HELIOLOOP_CACHE_ROOT", str(folder / "cache"))
    monkeypatch.setenv("HELIOLOOP_DEVICE", "cpu")
    monkeypatch.setitem(recipes.RECIPES, "quick", replace(recipes.QUICK, epochs=1, min_steps=0, folds=2))
    monkeypatch.setattr(joblib, "cpu_count", lambda *_, **__: 1)  # starting processes takes longer than the work
    settings.load_settings.cache_clear()


def run_blocks(found: Sequence[Block], folder: Path, *, smaller: Mapping[str, str] | None = None) -> None:
    """Run those of the blocks that are run by the test of their page; each command must end with 0.

    A block of Python is written into the file that its first line names. `smaller` has words of the page and what the
    test writes in place of them, for example fewer cubes.
    """
    for block in found:
        if not block.runs_here:
            continue
        if block.language == "python":
            name = re.match(r"# (\w+\.py)\n", block.text)
            assert name is not None, f"{block.place}: the first line names no file: {block.text}"
            (folder / name[1]).write_text(block.text)
        elif block.language == "bash":
            run_in_bash(block, {"HOME": folder})
        else:
            for command in block.commands:
                _run(block, _with(command, smaller or {}))


def run_in_bash(block: Block, environment: Mapping[str, Path | str]) -> str:
    """Run a block in bash, and return what it prints.

    It may use the programs on PATH and the variables of `environment`, and nothing else of this process.
    """
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        env={key: str(value) for key, value in environment.items()} | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}: {done.stderr}"
    return done.stdout


def _with(command: str, smaller: Mapping[str, str]) -> str:
    for words, others in smaller.items():
        command = command.replace(words, others)
    return command


def _run(block: Block, command: str) -> None:
    """Run a command line: helioloop in this process, Python in one of its own."""
    program, *words = shlex.split(command)
    if program == "python":
        subprocess.run([sys.executable, *words], check=True, timeout=60)
        return
    assert program == "helioloop", f"{block.place}: {program} is not run here; mark the block"
    group = CommandLine()
    load_commands(group)
    result = CliRunner().invoke(group, words)
    assert result.exit_code == 0, f"{block.place}: {command}\n{result.output}\n{result.exception}"
