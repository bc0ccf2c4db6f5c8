"""Lock files: one holder at a time, on this machine and on others, however the holder ends."""

import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.other_user import FIRST, SECOND, needs_root, run_as, team_folder

from helioloop.files import lease
from helioloop.files.lease import holding, is_held

SHORT = 0.6

HOLDING = """
import socket, sys, time
from pathlib import Path
from helioloop.files import lease
path, machine, seconds = sys.argv[1:]
if machine:
    socket.gethostname = lambda: machine
lease.LEASE_SECONDS = float(seconds)
with lease.holding(Path(path)) as is_held:
    print(is_held, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock file in an empty folder; locks of dead processes are free after `SHORT` seconds."""
    monkeypatch.setattr(lease, "LEASE_SECONDS", SHORT)
    return tmp_path / "folder" / "lock"


def hold(path: Path, *, machine: str = "", seconds: float = SHORT) -> "subprocess.Popen[str]":
    """Start a process that holds the lock file, on another machine if one is named; return it once it does."""
    command = [sys.executable, "-c", HOLDING, str(path), machine, str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def kill(process: "subprocess.Popen[str]") -> None:
    """End a process as the kernel does where memory runs out."""
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def test_one_process_holds_it_at_a_time(path: Path) -> None:
    """The second one is refused, and the file is gone afterwards."""
    assert not is_held(path)
    with holding(path) as first:
        assert first
        with holding(path) as second:
            assert not second
        assert is_held(path)
    assert list(path.parent.iterdir()) == []
    with holding(path) as again:
        assert again


def test_a_second_process_waits_for_the_first(path: Path) -> None:
    """Not longer than it was told to."""
    process = hold(path)
    try:
        began = time.monotonic()
        with holding(path, wait_seconds=0.3) as is_mine:
            assert not is_mine
        assert time.monotonic() - began >= 0.3
    finally:
        kill(process)


def test_the_lock_of_a_killed_process_is_free_at_once_on_its_machine(path: Path) -> None:
    kill(hold(path))
    assert not is_held(path)
    with holding(path) as is_mine:
        assert is_mine


def test_a_living_process_on_another_machine_keeps_its_lock(path: Path) -> None:
    """It renews the file, however old the file is."""
    process = hold(path, machine="elsewhere")
    try:
        time.sleep(3 * SHORT)
        assert is_held(path)
        with holding(path) as is_mine:
            assert not is_mine
    finally:
        kill(process)


def test_the_lock_of_a_process_that_died_on_another_machine_is_taken_over(path: Path) -> None:
    """After it was not renewed for a while; before that it counts as held."""
    kill(hold(path, machine="elsewhere"))
    assert is_held(path)
    time.sleep(1.2 * SHORT)
    assert not is_held(path)
    with holding(path) as is_mine:
        assert is_mine
        assert is_held(path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("exchanges", [True, False], ids=["exchange of names", "no exchange of names"])
def test_the_lock_of_a_process_that_died_while_the_clock_was_ahead_is_taken_over(
    path: Path, exchanges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not when that moment has come."""
    kill(hold(path, machine="elsewhere"))
    os.utime(path, (time.time() + 86400.0,) * 2)
    if not exchanges:
        refuse_exchanges(monkeypatch)
    assert not is_held(path)
    with holding(path) as is_mine:
        assert is_mine
    assert list(path.parent.iterdir()) == []


def test_a_living_process_keeps_its_lock_when_the_clock_was_put_right(path: Path) -> None:
    """Its file is of the future until it renews it; whoever wants the lock watches the file first."""
    process = hold(path, machine="elsewhere")
    try:
        os.utime(path, (time.time() + 86400.0,) * 2)
        with holding(path) as is_mine:
            assert not is_mine
        assert is_held(path)
    finally:
        kill(process)


@pytest.mark.parametrize("ahead", [-2.0, 5.0, 50.0])
def test_a_lock_file_seconds_ahead_is_held(path: Path, ahead: float) -> None:
    """The clocks of a machine and of its file server differ by so much."""
    kill(hold(path, machine="elsewhere"))
    os.utime(path, (time.time() + ahead,) * 2)
    assert is_held(path) is (ahead > 0.0)


def test_the_lock_of_a_process_that_is_stopped_is_taken_over(path: Path) -> None:
    """Also on its machine, where the process still exists; so does one whose parent has not noticed its death."""
    process = hold(path)
    try:
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(1.2 * SHORT)
        assert not is_held(path)
        with holding(path) as is_mine:
            assert is_mine
    finally:
        kill(process)


def refuse_exchanges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the library's exchange of two names fail, in whichever of its modules a release has it."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "filelock"]
    having = [module for module in modules if hasattr(module, "exchange_names")]
    assert having
    for module in having:
        monkeypatch.setattr(module, "exchange_names", lambda *_: False)


def test_a_lock_is_taken_over_where_the_disk_cannot_exchange_names(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS, SMB, exFAT and FUSE refuse the call by which the library takes over; it answers False for them."""
    refuse_exchanges(monkeypatch)
    kill(hold(path))
    time.sleep(1.2 * SHORT)
    assert not is_held(path)
    with holding(path) as is_mine:
        assert is_mine
    assert list(path.parent.iterdir()) == []


def test_a_lock_that_is_renewed_is_kept_where_the_disk_cannot_exchange_names(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file looked old for a moment."""
    refuse_exchanges(monkeypatch)
    monkeypatch.setattr(lease, "LEASE_SECONDS", 1.5)
    monkeypatch.setattr(lease, "MARGIN_SECONDS", SHORT)
    process = hold(path, machine="elsewhere", seconds=1.5)
    try:
        os.utime(path, (0, 0))
        with holding(path) as is_mine:
            assert not is_mine
        assert is_held(path)
    finally:
        kill(process)


def _die_holding(path: Path) -> bool:
    """Return whether the lock was free; the process ends with it."""
    taken = holding(path)
    _HELD.append(taken)  # else it would be released with this function
    return taken.__enter__()


def _take(path: Path) -> bool:
    with holding(path) as is_mine:
        return is_mine


_HELD: list[AbstractContextManager[bool]] = []


@needs_root
def test_the_lock_of_another_user_who_died_is_free_whatever_the_umask() -> None:
    with team_folder() as folder:
        path = folder / "lock"
        assert run_as(FIRST, lambda: _die_holding(path), umask=0o077)
        assert run_as(SECOND, lambda: _take(path))
        assert list(folder.iterdir()) == []


@needs_root
def test_a_lock_that_this_user_may_not_remove_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with the sticky bit, and in one that cannot be written; not: another process is at work."""
    monkeypatch.setattr(lease, "LEASE_SECONDS", SHORT)
    for mode, denied in ((0o3775, "Operation not permitted"), (0o2755, "Permission denied")):
        with team_folder(mode) as folder:
            path = folder / "lock"
            assert run_as(FIRST, lambda path=path: _die_holding(path))
            time.sleep(1.2 * SHORT)
            said = run_as(SECOND, lambda path=path: _take(path))
            assert said.startswith("PermissionError")
            assert f"{denied}: '{path}'" in said
