"""Keys that expire too late, because the clock of Redis' machine was ahead when they were written."""

import pytest
import redis

from helioloop.messaging.expiries import bring_back

DAY = 86400.0


@pytest.mark.parametrize(
    ("left", "brought_back"),
    [(600.0, False), (30.0, False), (655.0, False), (700.0, True), (3 * DAY, True)],
    ids=["just written", "soon over", "clocks that differ by seconds", "minutes too long", "days too long"],
)
def test_a_key_that_expires_later_than_it_can_expires_in_its_longest_time(
    redis_connection: redis.Redis, left: float, brought_back: bool, caplog: pytest.LogCaptureFixture
) -> None:
    redis_connection.set("lock", "holder", px=int(left * 1000))
    assert bring_back(redis_connection, {"lock": 600.0, "absent": 1.0}) == (["lock"] if brought_back else [])
    assert redis_connection.get("lock") == b"holder"
    assert redis_connection.ttl("lock") == pytest.approx(600.0 if brought_back else left, abs=5.0)
    assert ("lock) and is written for 10 min at most: the clock of Redis' machine" in caplog.text) is brought_back


def test_each_key_has_its_own_longest_time_and_one_that_never_expires_stays(redis_connection: redis.Redis) -> None:
    redis_connection.set("a", 1, ex=500)
    redis_connection.set("b", 1, ex=500)
    redis_connection.set("c", 1)
    assert bring_back(redis_connection, {"a": 60.0, "b": 600.0, "c": 60.0}) == ["a"]
    assert redis_connection.ttl("a") <= 60
    assert redis_connection.ttl("b") > 490
    assert redis_connection.ttl("c") == -1
    assert bring_back(redis_connection, {}) == []
