"""The backend as processes of its own under gunicorn, and what Label Studio and its users send to them."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


class Backend:
    """One backend on a port of loopback.

    Parameters
    ----------
    folder : Path
        For its log.
    environment : mapping
        Its settings.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._log = (folder / f"backend-{self.port}.log").open("ab")
        self._environment = {"PATH": os.environ["PATH"], **environment}
        self._process = self._start()

    def kill(self) -> None:
        """Kill the backend with all its processes, and start it again."""
        self._end()
        self._process = self._start()

    def freeze(self) -> None:
        """Stop it until `thaw`; its connections stay open."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.killpg(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it."""
        self._end()
        self._log.close()

    def wait(self) -> None:
        """Return when it answers."""
        deadline = time.monotonic() + 30
        while self.call("GET", "/health", None, timeout_seconds=5) is None:
            assert self._process.poll() is None, "the backend ended at once"
            assert time.monotonic() < deadline, "the backend does not answer"
            time.sleep(0.05)

    def call(self, method: str, path: str, body: Any, *, timeout_seconds: float) -> tuple[int, Any] | None:
        """Return status and content of its answer; None where it does not answer in time."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_seconds)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, body=data, headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def _start(self) -> subprocess.Popen[bytes]:
        program = "from helioloop.cli import main; main()"
        command = [sys.executable, "-c", program, "backend", "--port", str(self.port)]
        return subprocess.Popen(
            command, env=self._environment, stdout=self._log, stderr=self._log, start_new_session=True
        )

    def _end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=10)
