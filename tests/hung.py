"""A real mount that never answers, as a network file system whose server is away, and programs that run beside it."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

_MOUNT: Final = """
import ctypes, os, subprocess, sys
folder, seconds, *command = sys.argv[1:]
descriptor = os.open("/dev/fuse", os.O_RDWR)  # nobody reads the requests from it
options = f"fd={descriptor},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
if ctypes.CDLL(None).mount(b"hung", folder.encode(), b"fuse", 0, options.encode()) != 0:
    sys.exit(99)
sys.exit(subprocess.run(command, timeout=float(seconds)).returncode)
"""


def run_beside(
    hung: Path, command: list[str], environment: Mapping[str, str], *, seconds: float = 120.0
) -> "subprocess.CompletedProcess[str]":
    """Run a command in a mount namespace in which `hung` never answers; skip the test where that is not allowed."""
    hung.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", _MOUNT, str(hung), str(seconds),
             *command],
            capture_output=True, text=True, check=False, env=dict(environment), timeout=seconds + 30.0,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("there is no `unshare`")
    if done.returncode == 99 or "unshare" in done.stderr or "/dev/fuse" in done.stderr:
        pytest.skip("no mount may be made here")
    return done
