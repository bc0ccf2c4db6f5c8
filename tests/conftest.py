"""What all tests share: a real Redis, started once, and the real video where this machine has it."""

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from helioloop.environment.names import PREFIX, is_of_helioloop
from tests.redis_server import start_redis_on_socket, stop_redis

# Tests give settings by helioloop's own names; aliases that this shell happens to have would give others.
for _name in [name for name in os.environ if is_of_helioloop(name) and not name.startswith(PREFIX)]:
    del os.environ[_name]

# before any test module imports it: its checks are run by tests/worker and tests/e2e
pytest.register_assert_rewrite("tests.worker.labelstudio.contract")


@pytest.fixture(autouse=True)
def _log_of_its_own() -> Iterator[None]:
    """Undo what a command that starts the log changes in this process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    for name in ("helioloop", "helioloop_backend", "helioloop_worker"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Run a real Redis server for the whole run, on a Unix socket of its own, without persistence."""
    with tempfile.TemporaryDirectory(prefix="helioloop-redis-") as folder:
        socket = Path(folder) / "redis.sock"  # not under tmp_path: socket paths have at most 107 characters
        server = start_redis_on_socket(socket)
        try:
            yield f"unix://{socket}"
        finally:
            stop_redis(server)


@pytest.fixture
def redis_connection(redis_url: str) -> Iterator[redis.Redis]:
    """Return a client of that server, which holds nothing."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of the real video; if it is missing, the test is skipped, and fails in CI."""
    folder = Path(os.environ.get("HELIOLOOP_REAL_DATA") or "../shared/data/bard0310")
    if (folder / "labels.csv").exists():
        return folder.resolve()
    said = f"{folder} does not hold the real video; name its folder in HELIOLOOP_REAL_DATA"
    if os.environ.get("HELIOLOOP_REQUIRE_SERVICES") == "1":
        pytest.fail(said)
    pytest.skip(said)
