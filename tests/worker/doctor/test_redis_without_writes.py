"""A Redis that answers and stores nothing: the doctor names its memory if it is full, its disk if it cannot save."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import redis
from tests.redis_server import redis_that_cannot_save

from helioloop.settings import Settings
from helioloop_worker.context import Context
from helioloop_worker.doctor.examination import examine
from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.finding import Finding, Verdict
from helioloop_worker.doctor.gathering_redis import read_redis
from helioloop_worker.serving.worker_process import make_worker


def read(settings: Settings) -> Facts:
    """Return the facts about Redis alone."""
    found: dict[str, Any] = {}
    read_redis(lambda **facts: found.update(facts), settings, timeout_seconds=2.0)
    return Facts(settings=settings, project=7, **found)


def findings(facts: Facts) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(facts)}


def test_a_full_redis_is_wrong_because_of_its_memory(settings: Settings, redis_connection: redis.Redis) -> None:
    """Whoever reads is answered, so password, workers and all else are checked, too; INFO may not be allowed."""
    worker = make_worker("score", Context(settings), "CPU")
    worker.register_birth()
    worker.heartbeat()
    redis_connection.config_set("maxmemory", 1)
    try:
        facts = read(settings)
    finally:
        redis_connection.config_set("maxmemory", 0)
    found = findings(facts)
    assert (found["redis"].verdict, found["redis"].seen) == (Verdict.OK, "Redis answers")
    assert (found["redis-memory"].verdict, found["redis-memory"].cause) == (Verdict.WRONG, "full")
    assert found["worker-score"].verdict is found["workers-suspended"].verdict is Verdict.OK
    assert facts.redis is not None
    without_info = replace(facts, redis=replace(facts.redis, info={}))
    assert findings(without_info)["redis-memory"].cause == "full"
    assert findings(read(settings))["redis-memory"].verdict is Verdict.OK


def test_a_redis_that_cannot_save_is_wrong_because_of_its_disk(settings: Settings, tmp_path: Path) -> None:
    """Its folder is gone, as with a disk that was taken away."""
    with redis_that_cannot_save(tmp_path) as url:
        found = findings(read(settings.model_copy(update={"redis_url": url})))
    assert (found["redis"].verdict, found["redis"].seen) == (Verdict.OK, "Redis answers")
    assert (found["redis-persistence"].verdict, found["redis-persistence"].cause) == (Verdict.WRONG, "failing")
    assert found["worker-score"].cause == "none"
