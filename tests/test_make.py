"""What make says to someone who has just cloned the repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OLD = f"""#!/bin/sh
test "$1" = -c || exit 0
exec {sys.executable} -c "import sys; sys.version_info, sys.version = (3, 9, 2), '3.9.2 (main)'; $2"
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the Makefile and an old Python."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "old-python").write_text(OLD)
    (tmp_path / "old-python").chmod(0o755)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in a folder, also where the tests were started by another make."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    return subprocess.run(["make", *arguments], cwd=folder, env=outside, capture_output=True, text=True, check=False)


def test_a_python_that_is_too_old_is_refused_before_anything_is_installed(clone: Path) -> None:
    """With the version that it is and the one that is needed; pip would say it after a download, in other words."""
    done = make(clone, ".venvs/uv/.done", "PYTHON=./old-python")
    assert done.returncode == 2
    assert "helioloop needs Python 3.11 or later, and ./old-python is 3.9.2; name another one" in done.stderr
    assert not (clone / ".venvs").exists()


def test_make_says_in_a_sentence_what_it_installs(clone: Path) -> None:
    """And shows no command of the installation, which nobody but a developer can read; `make -n` shows them."""
    (clone / ".venvs" / "uv" / "bin").mkdir(parents=True)
    (clone / ".venvs" / "uv" / "bin" / "uv").write_text("#!/bin/sh\n")
    (clone / ".venvs" / "uv" / "bin" / "uv").chmod(0o755)
    for name in (".venvs/uv/.done", "pyproject.toml", "constraints.txt"):
        (clone / name).touch()
    done = make(clone, ".venvs/backend/.done")
    said = "Installing the backend into .venvs/backend; minutes at the first time"
    assert done.stdout.splitlines() == [said]
