"""One run at a time makes a release."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from helioloop.data.making_lock import LOCK, only_maker
from helioloop.errors import ReleaseError
from helioloop.synthetic import make_release

HOLDS = """
import sys, time
from pathlib import Path
from helioloop.data.making_lock import only_maker
with only_maker(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_refused_while_the_first_one_works(tmp_path: Path) -> None:
    """It says what to do, and goes on from what is there when the first one has been killed."""
    out = tmp_path / "release"
    make_release(out, n=1, seed=1)
    (out / "labels.csv").unlink()
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(out)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(ReleaseError, match=r"another run makes .*release now; wait until it has ended"):
            make_release(out, n=1, seed=1)
        first.kill()
    assert (out / LOCK).exists()
    begun = time.monotonic()
    make_release(out, n=1, seed=1)
    assert time.monotonic() - begun < 20.0
    assert sorted(path.name for path in out.iterdir() if path.name.startswith(".")) == []
    assert (out / "labels.csv").exists()


def test_the_lock_is_gone_after_a_run_and_after_an_error(tmp_path: Path) -> None:
    with only_maker(tmp_path / "new"):
        assert (tmp_path / "new" / LOCK).exists()
    with pytest.raises(KeyError), only_maker(tmp_path / "new"):
        raise KeyError
    assert list((tmp_path / "new").iterdir()) == []


def test_a_lock_that_a_killed_run_left_does_not_make_a_folder_a_full_one(tmp_path: Path) -> None:
    """Killed before it wrote anything else."""
    out = tmp_path / "release"
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(out)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        first.stdout.readline()
        first.kill()
    assert [path.name for path in out.iterdir()] == [LOCK]
    make_release(out, n=1, seed=1)
    assert (out / "labels.csv").exists()
