"""Every command in the pages is run by a test, or the page gives the reason why it is not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from helioloop import settings
from tests.documents.blocks import COMMANDS, OTHERS, PAGES, ROOT, Block, blocks
from tests.documents.running import run_blocks, work_in

OWN_TESTS = {"docs/tutorial.md": "tests/test_tutorial.py::test_the_blocks_of_the_tutorial_run_in_order"}
"""Pages whose blocks are run, in order, by a test that also looks at the results."""
SMALLER = {"--n 120 ": "--n 22 "}
"""Fewer cubes, of which the networks learn nothing."""
ALL = [block for page in PAGES for block in blocks(page)]
RUN = [page for page in PAGES if page not in OWN_TESTS and any(block.runs_here for block in blocks(page))]


def names_of_tests(path: str) -> set[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def words_of(block: Block) -> set[str]:
    """What the file of the test that runs a block must contain: commands of helioloop, targets of make, comments."""
    if block.language == "bash":
        return {f'"{block.text.partition(chr(10))[0].removeprefix("# ")}"'}
    words = [command.split() for command in block.commands]
    return {f'"{word[1]}"' for word in words if word[0] in {"helioloop", "make"}}


def test_the_pages_have_all_kinds_of_blocks() -> None:
    """So that the other tests look at something."""
    commands = [block for block in ALL if block.language in COMMANDS]
    assert len(commands) > 30
    assert sum(block.runs_here for block in commands) >= 8
    assert sum(bool(block.run_by) for block in commands) >= 6
    assert sum(block.reason is not None for block in commands) >= 6


@pytest.mark.parametrize("page", PAGES)
def test_no_command_is_outside_a_block_that_is_looked_at(page: str) -> None:
    """Each block has a language; lines that begin with `$` are in blocks of commands only."""
    text = (ROOT / page).read_text()
    found = blocks(page)
    assert len(re.findall(r"^\s*```", text, flags=re.MULTILINE)) == 2 * len(found)
    for block in found:
        assert block.language in (*COMMANDS, *OTHERS), f"{block.place}: {block.language!r} is not known here"
        assert block.language != "console" or block.commands or block.reason, f"{block.place}: no command"
    prompts = len(re.findall(r"^\s*\$ ", text, flags=re.MULTILINE))
    assert prompts == sum(block.text.count("\n$ ") + block.text.startswith("$ ") for block in blocks(page, "console"))
    marks = len(re.findall(r"<!-- *run by", text))
    assert marks == sum(bool(block.run_by) for block in found), f"{page}: a mark is not before a block"


def test_a_block_that_is_not_run_has_one_mark_and_a_reason() -> None:
    for block in ALL:
        if block.reason is not None:
            assert len(block.reason.split()) >= 2, f"{block.place}: {block.reason!r} is not a reason"
            assert not block.run_by, f"{block.place}: two marks"
        assert "not run here" not in block.text, f"{block.place}: write '# not run by a test: REASON'"


def test_tests_that_the_pages_name_exist_and_have_the_commands() -> None:
    """In the files of these tests, each command is a word in quotes."""
    named = [(block.place, block.run_by, words_of(block)) for block in ALL if block.run_by]
    named += [(page, (test,), set()) for page, test in OWN_TESTS.items()]
    for place, tests, words in named:
        text = ""
        for test in tests:
            path, _, name = test.partition("::")
            assert (ROOT / path).is_file(), f"{place}: {path}"
            assert name in names_of_tests(path), f"{place}: {test}"
            text += (ROOT / path).read_text()
        assert {word for word in words if word not in text} == set(), f"{place}: {tests}"


def test_targets_of_make_that_the_pages_name_exist() -> None:
    """In blocks and in backquotes."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for page in PAGES:
        text = (ROOT / page).read_text()
        named = re.findall(r"(?:^\$ |`)make\s+([a-z-]+)", text, flags=re.MULTILINE)
        assert set(named) <= targets, page


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder in which commands work quickly."""
    work_in(tmp_path, monkeypatch)
    yield tmp_path
    settings.load_settings.cache_clear()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", RUN)
def test_the_blocks_of_a_page_run_in_order(page: str, folder: Path) -> None:
    """With fewer cubes, and networks that are trained for one epoch."""
    run_blocks(blocks(page), folder, smaller=SMALLER)
