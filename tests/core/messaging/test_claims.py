"""Claims on cubes: the in-memory fake and Redis run the same tests."""

import pytest
import redis

from helioloop.messaging.claims import Claims, InMemoryClaims, RedisClaims
from helioloop.records.cubes import CubeInfo


def _cube(cube: str, sha256: str = "a" * 64) -> CubeInfo:
    return CubeInfo(release="r", name=cube, sha256=sha256)


@pytest.fixture(params=["memory", "redis"])
def claims(request: pytest.FixtureRequest) -> Claims:
    if request.param == "memory":
        return InMemoryClaims()
    return RedisClaims(request.getfixturevalue("redis_connection"))


def test_a_cube_is_claimed_once(claims: Claims) -> None:
    """Of overlapping claims each gets only the cubes that the others did not get, per version and project."""
    assert claims.claim(1, "v0001", [_cube("A"), _cube("B"), _cube("A")]) == [_cube("A"), _cube("B")]
    assert claims.claim(1, "v0001", [_cube("B"), _cube("C")]) == [_cube("C")]
    assert claims.claim(1, "v0002", [_cube("B")]) == [_cube("B")]
    assert claims.claim(2, "v0001", [_cube("B")]) == [_cube("B")]


def test_a_released_cube_can_be_claimed_again(claims: Claims) -> None:
    claims.claim(1, "v0001", [_cube("A"), _cube("B")])
    claims.release(1, "v0001", [_cube("A")])
    claims.release(1, "v0001", [])
    assert claims.claim(1, "v0001", [_cube("A"), _cube("B")]) == [_cube("A")]


def test_a_claim_ends_after_ten_minutes(redis_connection: redis.Redis) -> None:
    """Its job was lost."""
    RedisClaims(redis_connection).claim(1, "v0001", [_cube("A")])
    (key,) = redis_connection.keys("helioloop:in-flight:*")
    assert 590 <= redis_connection.ttl(key) <= 600


def test_a_claim_of_a_time_when_the_clock_of_redis_was_ahead_ends_in_ten_minutes(redis_connection: redis.Redis) -> None:
    """Its cube would have no score until that moment; one that was claimed just now is left as it is."""
    claims = RedisClaims(redis_connection)
    claims.claim(1, "v0001", [_cube("A"), _cube("B")])
    late, other = sorted(redis_connection.keys("helioloop:in-flight:*"))
    redis_connection.expire(late, 3 * 86400)
    redis_connection.expire(other, 300)
    assert claims.claim(1, "v0001", [_cube("A"), _cube("B"), _cube("C")]) == [_cube("C")]
    assert 590 <= redis_connection.ttl(late) <= 600
    assert 290 <= redis_connection.ttl(other) <= 300
