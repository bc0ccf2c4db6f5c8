"""The documents name files, commands and options that exist."""

import re
import shlex
from pathlib import Path

import click
import pytest

from helioloop.cli import helioloop, load_commands
from helioloop.data.time_text import canonical
from tests.documents.blocks import PAGES

ROOT = Path(__file__).parents[1]
SOURCES = {"helioloop": "core", "helioloop_backend": "backend", "helioloop_worker": "worker"}
MAIN_COMMANDS = {"make-release", "train", "score", "triage", "init", "ingest", "status", "backend", "worker"}


def packages(folder: Path) -> set[str]:
    """The packages in a folder of sources."""
    return {path.parent.name for path in folder.glob("*/__init__.py")}


def command_lines() -> list[tuple[str, list[str]]]:
    """Document and words of each command line of helioloop, in console blocks and in backquotes."""
    found = []
    for document in PAGES:
        text = (ROOT / document).read_text()
        lines = re.findall(r"^\$ helioloop ([^\n#]+)", text, flags=re.MULTILINE)
        lines += re.findall(r"`helioloop ([a-z][^`]*)`", text)
        found += [(document, shlex.split(line)) for line in lines]
    return found


def test_files_that_the_architecture_guide_names_exist() -> None:
    """Paths start with the package; at least as many as the three paths through the code need."""
    named = re.findall(r"`((?:helioloop\w*)/[\w/]+\.py)`", (ROOT / "docs" / "architecture.md").read_text())
    assert len(named) > 40
    for path in named:
        assert (ROOT / SOURCES[path.split("/")[0]] / path).is_file(), path


@pytest.mark.parametrize(
    ("part", "heading"), [("core/helioloop", "room of the core"), ("worker/helioloop_worker", "room of the worker")]
)
def test_the_tables_of_rooms_are_complete(part: str, heading: str) -> None:
    """Each package has a row."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text[text.index(heading) :].split("\n\n")[0]
    assert packages(ROOT / part) == set(re.findall(r"`(\w+)/`", table))


def test_commands_and_options_in_the_documents_exist() -> None:
    """Of the command lines that begin with helioloop; make test and the like are not checked."""
    group = click.Group()
    load_commands(group)
    lines = command_lines()
    assert {words[0] for _, words in lines} >= MAIN_COMMANDS
    for document, words in lines:
        command = group.commands.get(words[0])
        assert command is not None, f"{document}: helioloop {words[0]}"
        options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        used = {word.partition("=")[0] for word in words[1:] if word.startswith("--")}
        assert used <= options, f"{document}: {' '.join(words)}"


def test_the_commands_in_the_help_of_helioloop_exist() -> None:
    """Its examples can be run."""
    group = click.Group()
    load_commands(group)
    named = re.findall(r"helioloop ([a-z-]+) ", helioloop.help or "")
    assert named
    assert set(named) <= set(group.commands)


def test_links_between_the_documents_lead_to_files() -> None:
    """Also the headings that they name."""
    for document in (ROOT / page for page in (*PAGES, "CHANGELOG.md")):
        for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
            path, _, heading = target.partition("#")
            if "://" in target or not path:
                continue
            found = document.parent / path
            assert found.exists(), f"{document.name}: {target}"
            titles = re.findall(r"^#+ (.+)$", found.read_text() if heading else "", flags=re.MULTILINE)
            assert not heading or heading in {title.lower().replace(" ", "-") for title in titles}, target


def test_the_list_of_pages_names_each_page_once() -> None:
    """Under one of the four kinds."""
    text = (ROOT / "docs" / "README.md").read_text()
    kinds = re.findall(r"^## (\w[\w-]*)", text, flags=re.MULTILINE)
    assert kinds == ["Tutorial", "How-to", "Reference", "Explanation"]
    named = [target for target in re.findall(r"\]\((\S+?\.md)[)#]", text) if "/" not in target]
    assert sorted(named) == sorted(path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md")


def test_each_promise_and_each_fault_names_a_test_that_exists() -> None:
    """Of the page on reliability: every row of its tables of promises and of faults and inputs."""
    text = (ROOT / "docs" / "reliability.md").read_text()
    text = text[: text.index("## The fault suite")]
    rows = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|--")]
    heads = ("| promise | held by |", "| kind | case | what happens | test |")
    assert set(heads) <= set(rows)
    assert len(rows) > 100
    for row in rows:
        named = re.findall(r"`(tests/\S+\.py)`", row)
        assert named or row in heads, row
        for path in named:
            assert (ROOT / path).is_file(), path


def test_cards_and_columns_that_the_page_on_files_names_are_in_the_code() -> None:
    """Except standard ones that astropy reads; the code has one spelling of each name of a time."""
    by_astropy = {"TUNIT", "BSCALE", "BZERO", "CTYPE1", "CTYPE2", "CDELT1", "PC1_1", "CD1_1"}
    text = (ROOT / "docs" / "how-files-are-read.md").read_text()
    named = set(re.findall(r"`([A-Z][A-Z0-9_-]+)`", text)) - by_astropy
    assert len(named) > 30
    rooms = (ROOT / "core" / "helioloop" / room for room in ("data", "archive"))
    code = "".join(path.read_text() for room in rooms for path in sorted(room.glob("*.py")))
    assert {name for name in named if f'"{name}"' not in code and f'"{canonical(name)}"' not in code} == set()
