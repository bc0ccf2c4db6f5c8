"""A Redis server of its own, which can be killed, emptied, frozen, and started from an older snapshot."""

import os
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from tests.redis_server import start_redis


class RedisServer:
    """A Redis on a port of loopback; nothing is saved except by `snapshot`.

    Parameters
    ----------
    folder : Path
        For snapshots.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.connection = redis.Redis(port=self.port)
        self._process = self._start()

    @property
    def url(self) -> str:
        """The address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def snapshot(self) -> bytes:
        """Return everything that Redis holds now."""
        self.connection.save()
        file = self._folder / "dump.rdb"
        content = file.read_bytes()
        file.unlink()
        return content

    def kill(self) -> None:
        """Kill the server; what it holds is lost."""
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait(timeout=10)

    def start(self, snapshot: bytes | None = None) -> None:
        """Start the server again, empty or with a snapshot."""
        if snapshot is not None:
            (self._folder / "dump.rdb").write_bytes(snapshot)
        self._process = self._start()
        (self._folder / "dump.rdb").unlink(missing_ok=True)

    def freeze(self) -> None:
        """Let the server answer nothing until `thaw`; its connections stay."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the server go on."""
        os.kill(self._process.pid, signal.SIGCONT)

    def _start(self) -> subprocess.Popen[bytes]:
        return start_redis(self.url, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.kill()
        self.connection.close()
