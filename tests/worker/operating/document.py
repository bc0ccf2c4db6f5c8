"""The blocks of docs/operating.md, run in a shell exactly as the document has them."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

DOCUMENT = Path(__file__).parents[3] / "docs" / "operating.md"


def blocks() -> dict[str, str]:
    """Return the blocks of shell code by their first line, which is a comment."""
    found = re.findall(r"^```bash\n# ([^\n]*)\n(.*?)^```$", DOCUMENT.read_text(), flags=re.MULTILINE | re.DOTALL)
    return dict(found)


def run_block(name: str, environment: Mapping[str, Path | str]) -> str:
    """Run the block that begins with this comment, and return what it prints.

    It may use the programs on PATH and the variables of `environment`, and nothing else of this process.
    """
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", blocks()[name]],
        env={key: str(value) for key, value in environment.items()} | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{name}: {done.stderr}"
    return done.stdout
