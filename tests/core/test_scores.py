"""The score cache: twins under the same sentences, and reading through to the files."""

from pathlib import Path
from typing import Any

import pytest
import redis

from helioloop import queues
from helioloop.errors import RegistryError, UnknownVersion
from helioloop.records import CubeRef, CubeScore
from helioloop.registry import Card, Registry
from helioloop.scores import (
    InFlight,
    MemoryInFlight,
    MemoryScoreCache,
    RedisInFlight,
    RedisScoreCache,
    ScoreCache,
    StoredScores,
)
from helioloop.settings import Settings


def _ref(cube: str, sha256: str = "a" * 64) -> CubeRef:
    return CubeRef(release="r", cube=cube, sha256=sha256)


def _score(cube: str, p: float, *, sha256: str = "a" * 64, **more: Any) -> CubeScore:
    return CubeScore(cube=cube, sha256=sha256, p_emergence=p, p_spread=0.125, members=("f0s0", "f0s1"), **more)


@pytest.fixture(params=["memory", "redis"])
def cache(request: pytest.FixtureRequest) -> ScoreCache:
    if request.param == "memory":
        return MemoryScoreCache()
    return RedisScoreCache(request.getfixturevalue("redis_connection"))


def test_what_was_put_comes_back(cache: ScoreCache) -> None:
    """A score comes back as it was put; a cube never scored is absent."""
    score = _score("A", 0.75, frame=91, frame_lo=88, frame_hi=95)
    cache.put(1, "v0001", [score])
    assert cache.get(1, "v0001", [_ref("A"), _ref("B")]) == {_ref("A"): score}


def test_curves_stay_in_the_files(cache: ScoreCache) -> None:
    """The masking curve is not kept in the cache."""
    cache.put(1, "v0001", [_score("A", 0.75, curve=(0.25, 0.5))])
    assert cache.get(1, "v0001", [_ref("A")])[_ref("A")] == _score("A", 0.75)


def test_the_later_score_counts(cache: ScoreCache) -> None:
    """Of two scores for one cube the later put counts."""
    cache.put(1, "v0001", [_score("A", 0.75)])
    cache.put(1, "v0001", [_score("A", 0.5)])
    assert cache.get(1, "v0001", [_ref("A")])[_ref("A")].p_emergence == 0.5


def test_a_changed_file_is_another_cube(cache: ScoreCache) -> None:
    """A score belongs to the content of a cube, not to its name alone."""
    cache.put(1, "v0001", [_score("A", 0.75)])
    assert cache.get(1, "v0001", [_ref("A", "b" * 64)]) == {}


def test_projects_and_versions_do_not_meet(cache: ScoreCache) -> None:
    """A score is found under its own project and version only, and forgetting one project leaves the others."""
    cache.put(1, "v0001", [_score("A", 0.75)])
    cache.put(11, "v0001", [_score("A", 0.5)])
    assert cache.get(2, "v0001", [_ref("A")]) == {}
    assert cache.get(1, "v0002", [_ref("A")]) == {}
    cache.forget(1)
    assert cache.get(1, "v0001", [_ref("A")]) == {}
    assert cache.get(11, "v0001", [_ref("A")])[_ref("A")].p_emergence == 0.5


def test_nothing_asked_nothing_answered(cache: ScoreCache) -> None:
    """Empty questions and empty gifts are fine."""
    cache.put(1, "v0001", [])
    cache.forget(1)
    assert cache.get(1, "v0001", []) == {}


def test_cached_scores_expire(redis_connection: redis.Redis) -> None:
    """A version's scores do not stay in Redis for ever."""
    RedisScoreCache(redis_connection).put(1, "v0001", [_score("A", 0.75)])
    assert 0 < redis_connection.ttl("helioloop:scores:1:v0001") <= 7 * 24 * 3600


def _registry(root: Path) -> Registry:
    """Make a registry with one version, v0001, that has scored cube A."""
    registry = Registry(root)
    staging = registry.staging("0123abcd")
    card = Card(
        version="",
        parent=None,
        created_at="2026-01-01T00:00:00+00:00",
        reason="test",
        fingerprint="0123abcd",
        label_fingerprint="4567cdef",
        code_version="0",
        recipe={},
        instrument={"n_frames": 225},
        labels={},
        members={},
    )
    registry.admit(staging, card)
    registry.add_scores("v0001", [_score("A", 0.75, curve=(0.25, 0.5))])
    return registry


def test_files_answer_for_an_empty_cache_and_fill_it(cache: ScoreCache, tmp_path: Path) -> None:
    """A score that the cache lacks is taken from the version's folder and put into the cache."""
    stored = StoredScores(cache, lambda _: _registry(tmp_path))
    assert stored.get(1, "v0001", [_ref("A"), _ref("B")]) == {_ref("A"): _score("A", 0.75)}
    assert cache.get(1, "v0001", [_ref("A")]) == {_ref("A"): _score("A", 0.75)}


def test_scores_added_later_are_found(tmp_path: Path) -> None:
    """What a worker adds to a version is found at the next question, and a later file wins over an earlier one."""
    registry = _registry(tmp_path)
    stored = StoredScores(MemoryScoreCache(), lambda _: registry)
    assert stored.get(1, "v0001", [_ref("B")]) == {}
    registry.add_scores("v0001", [_score("B", 0.5)])
    registry.add_scores("v0001", [_score("B", 0.25)])
    assert stored.get(1, "v0001", [_ref("B")])[_ref("B")].p_emergence == 0.25


def test_emptied_redis_is_answered_from_files_again(redis_connection: redis.Redis, tmp_path: Path) -> None:
    """After Redis was emptied the same process answers as before."""
    registry = _registry(tmp_path)
    stored = StoredScores(RedisScoreCache(redis_connection), lambda _: registry)
    before = stored.get(1, "v0001", [_ref("A")])
    redis_connection.flushall()
    assert stored.get(1, "v0001", [_ref("A")]) == before
    assert redis_connection.exists("helioloop:scores:1:v0001")


def test_files_answer_while_redis_is_down(tmp_path: Path) -> None:
    """A Redis that does not answer counts as an empty cache."""
    registry = _registry(tmp_path)
    with queues.client(Settings(redis_url="redis://127.0.0.1:1/0")) as nobody:
        stored = StoredScores(RedisScoreCache(nobody), lambda _: registry)
        assert stored.get(1, "v0001", [_ref("A")]) == {_ref("A"): _score("A", 0.75)}


def test_a_cached_version_needs_no_files(cache: ScoreCache, tmp_path: Path) -> None:
    """Where the cache has all that is asked, the folder is not looked at."""
    cache.put(1, "v0007", [_score("A", 0.75)])
    stored = StoredScores(cache, lambda _: Registry(tmp_path / "none"))
    assert stored.get(1, "v0007", [_ref("A")])[_ref("A")].p_emergence == 0.75
    with pytest.raises(UnknownVersion, match="'v0007' is not in"):
        stored.get(1, "v0007", [_ref("B")])


def test_a_damaged_score_file_is_named(tmp_path: Path) -> None:
    """A file that holds no scores is an error that says what to delete."""
    registry = _registry(tmp_path)
    (tmp_path / "versions" / "v0001" / "scores" / "9.jsonl").write_text("<html>\n")
    stored = StoredScores(MemoryScoreCache(), lambda _: registry)
    with pytest.raises(RegistryError, match=r"9\.jsonl holds a line that is no score"):
        stored.get(1, "v0001", [_ref("A")])


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
