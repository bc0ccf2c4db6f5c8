"""Which model root a Redis serves: one at a time, until nobody uses it any more. On a real Redis."""

import time
from pathlib import Path

import pytest
import redis
from rq import Worker

from helioloop.errors import ServiceError
from helioloop.messaging import messages, queues, served_root
from helioloop.messaging.roles import ROOT_FIELD
from helioloop.messaging.served_root import KEY, claim_redis, read_served_root
from helioloop.settings import Settings

OURS, THEIRS = "a" * 16, "b" * 16


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """The settings of one deployment."""
    return Settings(redis_url=redis_url, model_root=Path("/production/models"))


@pytest.fixture
def others(redis_url: str) -> Settings:
    """The settings of another one with the same Redis."""
    return Settings(redis_url=redis_url, model_root=Path("/test/models"))


def let_time_pass(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the clock ahead."""
    now = time.time()
    monkeypatch.setattr(served_root.time, "time", lambda: now + seconds)


def register_worker(connection: redis.Redis, identity: str, *, name: str | None = None) -> Worker:
    """Register a worker of a model root, as its heartbeat does."""
    worker = Worker([queues.queue(connection, messages.QUEUE_TRAIN)], name=name, connection=connection)
    worker.register_birth()
    connection.hset(worker.key, ROOT_FIELD, identity)
    return worker


def test_an_empty_redis_is_claimed_and_another_model_root_is_refused(
    redis_connection: redis.Redis, settings: Settings, others: Settings
) -> None:
    """The sentence has both folders, the address of Redis and the remedies; the claim stays."""
    claim_redis(redis_connection, settings, OURS)
    with pytest.raises(ServiceError) as refused:
        claim_redis(redis_connection, others, THEIRS)
    for part in ("/production/models", "/test/models", settings.redis_url, "(REDIS_URL with", "FLUSHDB"):
        assert part in str(refused.value)
    held = read_served_root(redis_connection)
    assert held is not None
    assert held.identity == OURS


def test_all_who_share_the_folder_share_the_claim(
    redis_connection: redis.Redis, settings: Settings, others: Settings
) -> None:
    """The same folder at another path on another machine has the same identity."""
    claim_redis(redis_connection, settings, OURS)
    claim_redis(redis_connection, others, OURS)


def test_a_redis_that_was_emptied_is_claimed_anew(
    redis_connection: redis.Redis, settings: Settings, others: Settings
) -> None:
    claim_redis(redis_connection, settings, OURS)
    redis_connection.flushdb()
    claim_redis(redis_connection, others, THEIRS)


def test_databases_of_one_redis_serve_different_model_roots(
    redis_connection: redis.Redis, settings: Settings, others: Settings, redis_url: str
) -> None:
    """This is the first remedy."""
    claim_redis(redis_connection, settings, OURS)
    with redis.Redis.from_url(redis_url, db=1) as second:
        claim_redis(second, others, THEIRS)


def test_a_claim_is_given_up_once_nobody_has_used_it_for_minutes(
    redis_connection: redis.Redis, settings: Settings, others: Settings,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """A team that moves to a new folder needs no command; the log says who took over from whom."""
    claim_redis(redis_connection, settings, OURS)
    let_time_pass(monkeypatch, 299.0)
    with pytest.raises(ServiceError, match="used 299 s ago"):
        claim_redis(redis_connection, others, THEIRS)
    let_time_pass(monkeypatch, 2.0)
    claim_redis(redis_connection, others, THEIRS)
    assert "/production/models" in caplog.text
    with pytest.raises(ServiceError, match="another model folder, /test/models"):
        claim_redis(redis_connection, settings, OURS)


def test_a_claim_is_not_given_up_to_another_folder_at_its_place(
    redis_connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart the disk is not mounted: in the empty folder below it all would be trained anew."""
    claim_redis(redis_connection, settings, OURS)
    let_time_pass(monkeypatch, 86400.0)
    with pytest.raises(
        ServiceError, match=r"than the one that is at /production/models on .* now.*mount the disk"
    ) as no:
        claim_redis(redis_connection, settings, THEIRS)
    assert "database of its own" not in str(no.value)
    assert str(no.value).index("mount the disk") < str(no.value).index("take another database of Redis")
    assert str(no.value).endswith("or stop workers and backend and empty that one (FLUSHDB)")
    claim_redis(redis_connection, settings, OURS)
    redis_connection.flushdb()
    claim_redis(redis_connection, settings, THEIRS)


@pytest.mark.parametrize("use", ["2 workers of it", "1 job of it waiting", "used 60 s ago"])
def test_another_deployment_of_equal_path_and_host_is_not_told_to_empty_a_redis_in_use(
    redis_connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    """Containers may have equal names, such as worker-0: a database of its own comes first, the disk after it."""
    claim_redis(redis_connection, settings, OURS)
    if "worker" in use:
        for name in ("one", "two"):
            register_worker(redis_connection, OURS, name=name)
    if "job" in use:
        queues.send(redis_connection, messages.Reconcile(project=1))
    let_time_pass(monkeypatch, 60.0 if "used" in use else 7200.0)
    with pytest.raises(ServiceError, match=rf"\({use}\).*a Redis database of its own.*mount the disk") as no:
        claim_redis(redis_connection, settings, THEIRS)
    assert str(no.value).endswith("given up for good, stop its workers and backend and empty that database (FLUSHDB)")


def test_a_claim_is_given_up_to_a_folder_of_that_path_on_another_host(
    redis_connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A team that moves to another machine has the same path there; so have containers, whose hosts change names."""
    claim_redis(redis_connection, settings, OURS)
    let_time_pass(monkeypatch, 301.0)
    monkeypatch.setattr(served_root.socket, "gethostname", lambda: "gpu2")
    claim_redis(redis_connection, settings, THEIRS)


def test_use_renews_a_claim(
    redis_connection: redis.Redis, settings: Settings, others: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second use is 200 s after the first, the other deployment comes 200 s later."""
    claim_redis(redis_connection, settings, OURS)
    let_time_pass(monkeypatch, 200.0)
    claim_redis(redis_connection, settings, OURS)
    let_time_pass(monkeypatch, 200.0)
    with pytest.raises(ServiceError, match="used 200 s ago"):
        claim_redis(redis_connection, others, THEIRS)


def test_a_claim_holds_as_long_as_its_workers_are_registered(
    redis_connection: redis.Redis, settings: Settings, others: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job may take hours, during which a worker renews nothing."""
    claim_redis(redis_connection, settings, OURS)
    worker = register_worker(redis_connection, OURS)
    let_time_pass(monkeypatch, 7200.0)
    with pytest.raises(ServiceError, match="1 worker of it"):
        claim_redis(redis_connection, others, THEIRS)
    redis_connection.delete(worker.key)  # it expires after the last sign of life
    claim_redis(redis_connection, others, THEIRS)


def test_a_claim_holds_as_long_as_jobs_wait(
    redis_connection: redis.Redis, settings: Settings, others: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are of that model root: another one's workers would run them; one is due now, and one later."""
    claim_redis(redis_connection, settings, OURS)
    queues.send(redis_connection, messages.Reconcile(project=1))
    queues.send(redis_connection, messages.RetrainCheck(project=1), delay_seconds=600)
    let_time_pass(monkeypatch, 7200.0)
    with pytest.raises(ServiceError, match="2 jobs of it waiting"):
        claim_redis(redis_connection, others, THEIRS)


def test_workers_of_an_earlier_helioloop_hold_no_claim_and_are_no_strangers(
    redis_connection: redis.Redis, settings: Settings
) -> None:
    """During an upgrade they run beside those that claim."""
    Worker([queues.queue(redis_connection, messages.QUEUE_TRAIN)], connection=redis_connection).register_birth()
    claim_redis(redis_connection, settings, OURS)


def test_who_does_not_know_its_identity_claims_nothing_and_is_not_refused(
    redis_connection: redis.Redis, settings: Settings, others: Settings
) -> None:
    """A reader that may not write into a folder without an identity cannot make one."""
    claim_redis(redis_connection, others, None)
    assert read_served_root(redis_connection) is None
    claim_redis(redis_connection, settings, OURS)
    claim_redis(redis_connection, others, None)


@pytest.mark.parametrize("value", ["", "ours", "[]", "{}", '{"identity": "b"}'])
def test_a_claim_that_cannot_be_read_counts_as_none(
    redis_connection: redis.Redis, settings: Settings, value: str
) -> None:
    redis_connection.set(KEY, value)
    claim_redis(redis_connection, settings, OURS)
    held = read_served_root(redis_connection)
    assert held is not None
    assert (held.identity, held.folder) == (OURS, "/production/models")


def test_a_claim_of_a_time_when_a_clock_was_ahead_does_not_hold_until_then(
    redis_connection: redis.Redis, settings: Settings, others: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as ahead:
        let_time_pass(ahead, 86400.0)
        claim_redis(redis_connection, settings, OURS)
    claim_redis(redis_connection, others, THEIRS)
