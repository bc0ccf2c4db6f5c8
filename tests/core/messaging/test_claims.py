"""What a worker was asked to score: the fake in memory and Redis under the same tests."""

import pytest
import redis

from helioloop.messaging.claims import InFlight, MemoryInFlight, RedisInFlight
from helioloop.records import CubeRef


def _ref(cube: str, sha256: str = "a" * 64) -> CubeRef:
    return CubeRef(release="r", cube=cube, sha256=sha256)


@pytest.fixture(params=["memory", "redis"])
def in_flight(request: pytest.FixtureRequest) -> InFlight:
    if request.param == "memory":
        return MemoryInFlight()
    return RedisInFlight(request.getfixturevalue("redis_connection"))


def test_a_cube_is_asked_for_once(in_flight: InFlight) -> None:
    """Of overlapping questions each asks only for what the others have not asked for."""
    assert in_flight.claim(1, "v0001", [_ref("A"), _ref("B"), _ref("A")]) == [_ref("A"), _ref("B")]
    assert in_flight.claim(1, "v0001", [_ref("B"), _ref("C")]) == [_ref("C")]
    assert in_flight.claim(1, "v0002", [_ref("B")]) == [_ref("B")]
    assert in_flight.claim(2, "v0001", [_ref("B")]) == [_ref("B")]


def test_a_released_cube_may_be_asked_for_again(in_flight: InFlight) -> None:
    """A claim given back is free."""
    in_flight.claim(1, "v0001", [_ref("A"), _ref("B")])
    in_flight.release(1, "v0001", [_ref("A")])
    in_flight.release(1, "v0001", [])
    assert in_flight.claim(1, "v0001", [_ref("A"), _ref("B")]) == [_ref("A")]


def test_claims_end_by_themselves(redis_connection: redis.Redis) -> None:
    """A claim whose job was lost ends after ten minutes."""
    RedisInFlight(redis_connection).claim(1, "v0001", [_ref("A")])
    (key,) = redis_connection.keys("helioloop:in-flight:*")
    assert 590 <= redis_connection.ttl(key) <= 600
