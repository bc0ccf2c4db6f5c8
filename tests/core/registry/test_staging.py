"""Staging folders: who may delete them, and how failures are counted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helioloop.errors import RegistryError
from helioloop.registry.staging import MAX_ATTEMPTS, PLAN_FILE, Staging
from helioloop.registry.versions import Registry

ONE, TWO = "0123abcd", "4567abcd"

HOLDING = """
import sys, time
from pathlib import Path
from helioloop.registry.staging import Staging
with Staging(Path(sys.argv[1])).locked(sys.argv[2]) as folder:
    (folder / "half").write_text("half")
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    """The staging folders of an empty model folder."""
    return Staging(tmp_path)


def hold(staging: Staging, fingerprint: str) -> "subprocess.Popen[str]":
    """Start another process that makes a round in the folder, and return it once it has the lock."""
    command = [sys.executable, "-c", HOLDING, str(staging.root.parent), fingerprint]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def kill(process: "subprocess.Popen[str]") -> None:
    """End a process as the kernel does where memory runs out."""
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def test_discarding_deletes_all_folders_but_one(staging: Staging) -> None:
    """The round that goes on keeps its folder; the versions beside are not touched; twice is as good as once."""
    for fingerprint in (ONE, TWO):
        (staging.create(fingerprint) / "half").write_text("half")
    (staging.root.parent / "versions" / "v0001").mkdir(parents=True)
    for _ in range(2):
        staging.discard(but=TWO)
        assert staging.fingerprints() == [TWO]
    staging.discard()
    assert list(staging.root.iterdir()) == []
    assert Registry(staging.root.parent).versions() == ["v0001"]


def test_a_locked_folder_is_not_discarded(staging: Staging) -> None:
    """Another process makes its round there; the others go."""
    staging.create(TWO)
    process = hold(staging, ONE)
    try:
        assert staging.is_locked(ONE)
        assert not staging.is_locked(TWO)
        staging.discard()
        assert staging.fingerprints() == [ONE]
        assert (staging.folder(ONE) / "half").exists()
    finally:
        kill(process)


def test_the_folder_of_a_killed_process_is_free(staging: Staging) -> None:
    """Its round can be resumed with what it has, and discarded."""
    kill(hold(staging, ONE))
    assert not staging.is_locked(ONE)
    with staging.locked(ONE) as folder:
        assert (folder / "half").read_text() == "half"
    staging.discard()
    assert staging.fingerprints() == []


def test_two_processes_do_not_make_one_round(staging: Staging) -> None:
    """The second one is refused in one sentence that names the round, and leaves the folder alone."""
    process = hold(staging, ONE)
    try:
        refused = pytest.raises(RegistryError, match=f"round {ONE} in .* is being made by another process; wait")
        with refused, staging.locked(ONE):
            pytest.fail("the folder was locked twice")
        with staging.locked(TWO) as folder:
            assert folder == staging.folder(TWO)
        assert (staging.folder(ONE) / "half").exists()
    finally:
        kill(process)


def test_a_lock_leaves_nothing_behind(staging: Staging) -> None:
    """Neither after the folder has become a version nor after an error."""
    with staging.locked(ONE) as folder:
        folder.rename(staging.root.parent / "v0001")
    with pytest.raises(ZeroDivisionError), staging.locked(TWO):
        raise ZeroDivisionError
    assert [path.name for path in staging.root.iterdir()] == [TWO]
    assert not staging.is_locked(ONE)
    assert not staging.is_locked(TWO)


def test_looking_creates_nothing(tmp_path: Path) -> None:
    """A model folder without rounds stays as it is."""
    staging = Staging(tmp_path)
    assert staging.fingerprints() == staging.all_parked() == []
    assert (staging.has_plan(ONE), staging.is_locked(ONE), staging.parked(ONE)) == (False, False, None)
    assert list(tmp_path.iterdir()) == []


def test_a_begun_round_has_a_plan(staging: Staging) -> None:
    """A folder alone is not a round."""
    folder = staging.create(ONE)
    assert not staging.has_plan(ONE)
    (folder / PLAN_FILE).write_text("{}")
    assert staging.has_plan(ONE)


def test_a_round_is_parked_after_failures_without_progress(staging: Staging) -> None:
    """Progress, a further file, counts from one again; the reasons are those of the last failure."""
    folder = staging.create(ONE)
    assert [staging.count_attempt(ONE, []) for _ in range(2)] == [1, 2]
    (folder / "fold0-0.safetensors").write_bytes(b"one member")
    assert [staging.count_attempt(ONE, ["no memory"]) for _ in range(MAX_ATTEMPTS)] == [1, 2, 3]
    parked = staging.parked(ONE)
    assert parked is not None
    assert f"round {ONE} failed 3 times and is parked (no memory)" in parked
    assert staging.all_parked() == [parked]
    staging.forget_attempts(ONE)
    assert staging.parked(ONE) is None


def test_a_damaged_count_names_its_file(staging: Staging) -> None:
    """And what to do with it."""
    (staging.create(ONE) / "attempts.json").write_text("[]")
    with pytest.raises(RegistryError, match=r"attempts\.json is not a count of attempts .*; delete it"):
        staging.parked(ONE)
