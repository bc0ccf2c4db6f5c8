"""A folder on a mount that never answers: status, doctor and the backend end or answer within seconds and name it.

The mount is real; it takes the place of a network file system whose server is away.
"""

import json
import os
import socket
import sys
from pathlib import Path

from tests.hung import run_beside

_PROGRAMS = """
import json, os, subprocess, sys, time, urllib.error, urllib.request
helioloop, found = [sys.executable, "-m", "helioloop"], {}
commands = {
    "status": ["status", "--project", "1"],
    "status of a folder": ["status", "--model-dir", os.environ["HELIOLOOP_MODEL_ROOT"] + "/project-1"],
    "doctor": ["doctor", "--project", "1"],
}
for name, command in commands.items():
    done = subprocess.run(
        [*helioloop, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=200
    )
    found[name] = [done.stdout, done.returncode]
backend = subprocess.Popen([*helioloop, "backend"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

def ask(path):
    try:
        port = os.environ["HELIOLOOP_BACKEND_PORT"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None

try:
    while (health := ask("/health")) is None and backend.poll() is None:
        time.sleep(0.2)
    found["before"] = health
    found["others"] = sorted({ask("/metrics") for _ in range(10)})  # more than there are threads
    found["health"] = ask("/health")
    backend.terminate()
    found["backend"] = backend.wait(timeout=60)
finally:
    backend.kill()
print(json.dumps(found))
"""


def free_port() -> int:
    """Return a port that no program listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def test_no_program_waits_for_ever(tmp_path: Path) -> None:
    """/health is answered after more requests than there are threads, and SIGTERM ends the backend."""
    models = tmp_path / "hung" / "models"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HELIOLOOP_", "LABEL_STUDIO"))},
        "HELIOLOOP_MODEL_ROOT": str(models),
        "HELIOLOOP_MEDIA_ROOT": str(tmp_path / "media"),
        "HELIOLOOP_CACHE_ROOT": str(tmp_path / "cache"),
        "HELIOLOOP_REDIS_URL": "redis://127.0.0.1:1/0",
        "HELIOLOOP_LABEL_STUDIO_URL": "http://127.0.0.1:1",
        "HELIOLOOP_BACKEND_PORT": str(free_port()),
        "HELIOLOOP_BACKEND_THREADS": "4",
    }
    done = run_beside(tmp_path / "hung", [sys.executable, "-c", _PROGRAMS], environment, seconds=600.0)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    silent = "no answer within 3 s"
    assert found["status"][0].startswith(f"helioloop: {models} (HELIOLOOP_MODEL_ROOT): {silent}")
    assert found["status of a folder"][0].startswith(f"helioloop: {models / 'project-1'} (--model-dir): {silent}")
    assert (found["status"][1], found["status of a folder"][1]) == (1, 1)
    assert f"{models} gives {silent}" in found["doctor"][0]
    assert "mount the folder again" in found["doctor"][0]
    assert found["doctor"][1] == 1
    assert (found["before"], found["others"], found["health"], found["backend"]) == (200, [503], 200, 0)
