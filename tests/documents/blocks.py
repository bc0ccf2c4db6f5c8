"""The blocks of code in the pages, and how each of them is tried.

A block of shell commands or Python is tried in one of three ways, which the page itself names:

- Without a mark, the test of its page runs it, after the page's blocks before it and in the same folder.
- ``<!-- run by tests/….py::test_… -->`` on the line before the block names the tests that run its commands.
- ``# not run by a test: REASON`` is the first line of a block that no test runs; readers see it.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "docker/README.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
)
COMMANDS = ("console", "bash", "python")
"""Languages of blocks that are run."""
OTHERS = ("crontab", "csv", "ini", "json", "nginx", "text", "toml", "yaml")
"""Languages of files and of what is printed."""
NOT_RUN = "# not run by a test: "
_BLOCK = re.compile(
    r"(?:^<!-- run by (?P<run_by>[^>]+?)\s*-->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    flags=re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of code in a page; `run_by` has the ids of the tests that a comment before it names."""

    page: str
    line: int
    language: str
    text: str
    run_by: tuple[str, ...]

    @property
    def place(self) -> str:
        """Page and line, for messages."""
        return f"{self.page}:{self.line}"

    @property
    def reason(self) -> str | None:
        """Why no test runs it; None for a block that a test runs."""
        first = self.text.partition("\n")[0]
        return first.removeprefix(NOT_RUN) if first.startswith(NOT_RUN) else None

    @property
    def runs_here(self) -> bool:
        """True if the test of its page runs it."""
        return self.language in COMMANDS and self.reason is None and not self.run_by

    @property
    def commands(self) -> list[str]:
        """The command lines of a console block, without their comments."""
        lines = [line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ ")]
        return [shlex.join(shlex.split(line, comments=True)) for line in lines]


def blocks(page: str, *languages: str) -> list[Block]:
    """Return a page's blocks in these languages, by default all, in order."""
    text = (ROOT / page).read_text()
    found = [
        Block(
            page=page,
            line=text.count("\n", 0, match.start()) + 1,
            language=match["language"],
            text=match["text"],
            run_by=tuple((match["run_by"] or "").split()),
        )
        for match in _BLOCK.finditer(text)
    ]
    return [block for block in found if not languages or block.language in languages]
