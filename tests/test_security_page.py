"""The page about security names tests that exist, and each defended line has one."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "SECURITY.md").read_text().splitlines()
    if line.startswith("|") and not line.startswith("|--")
]


def test_each_defence_names_a_test_that_exists() -> None:
    """A line without one says that it is not defended."""
    head, *rows = ROWS
    assert head == ["who", "could try", "what defends", "held by"]
    for _, attack, defence, tests in rows:
        named = re.findall(r"`(tests/\S+\.py)`", tests)
        assert named or "**not defended**" in defence, attack
        for path in named:
            assert (ROOT / path).is_file(), path


def test_the_audit_of_packages_fails_where_a_package_was_not_looked_at() -> None:
    """An index without advisory data answers nothing, which would look like no vulnerability."""
    makefile = (ROOT / "Makefile").read_text()
    recipe = makefile[makefile.index("\naudit:") :].split("\n\n")[0]
    assert "--strict" in recipe
    assert {"constraints.txt", "constraints-label-studio.txt"} <= set(re.findall(r"constraints[\w-]*\.txt", recipe))
