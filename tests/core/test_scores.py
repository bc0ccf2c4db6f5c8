"""Stored scores as the web side reads them, and what a worker was asked for: twins under the same sentences."""

from pathlib import Path
from typing import Any

import pytest
import redis

from helioloop.errors import RegistryError, UnknownVersion
from helioloop.records import CubeRef, CubeScore
from helioloop.registry import Card, Registry
from helioloop.scores import InFlight, MemoryInFlight, RedisInFlight, StoredScores


def _ref(cube: str, sha256: str = "a" * 64) -> CubeRef:
    return CubeRef(release="r", cube=cube, sha256=sha256)


def _score(cube: str, p: float, *, sha256: str = "a" * 64, **more: Any) -> CubeScore:
    return CubeScore(cube=cube, sha256=sha256, p_emergence=p, p_spread=0.125, members=("f0s0", "f0s1"), **more)


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


def test_scores_are_read_from_the_versions_folder_without_their_curves(tmp_path: Path) -> None:
    """A cube never scored is absent, and so is one whose content changed."""
    stored = StoredScores(lambda _: _registry(tmp_path))
    assert stored.get(1, "v0001", [_ref("A"), _ref("B")]) == {_ref("A"): _score("A", 0.75)}
    assert stored.get(1, "v0001", [_ref("A", "b" * 64)]) == {}
    assert stored.get(1, "v0001", []) == {}
    with pytest.raises(UnknownVersion, match="'v0007' is not in"):
        stored.get(1, "v0007", [_ref("A")])


def test_a_model_folder_begun_afresh_is_not_answered_for_by_the_old_one(tmp_path: Path) -> None:
    """Another v0001 in the same place: what the old one said of a cube that the new one has not scored is forgotten."""
    stored = StoredScores(lambda _: Registry(tmp_path / "models"))
    old = _registry(tmp_path / "models")
    old.add_scores("v0001", [_score("B", 0.5)])
    assert set(stored.get(1, "v0001", [_ref("A"), _ref("B")])) == {_ref("A"), _ref("B")}
    (tmp_path / "models").rename(tmp_path / "old")
    _registry(tmp_path / "models")
    assert set(stored.get(1, "v0001", [_ref("A"), _ref("B")])) == {_ref("A")}


def test_projects_do_not_meet(tmp_path: Path) -> None:
    """Each has a model folder of its own."""
    folders = {1: _registry(tmp_path / "1"), 11: _registry(tmp_path / "11")}
    folders[11].add_scores("v0001", [_score("A", 0.5)])
    stored = StoredScores(folders.__getitem__)
    assert [stored.get(project, "v0001", [_ref("A")])[_ref("A")].p_emergence for project in (1, 11)] == [0.75, 0.5]


def test_scores_added_later_are_found(tmp_path: Path) -> None:
    """What a worker adds to a version is found at the next question, and a later file wins over an earlier one."""
    registry = _registry(tmp_path)
    stored = StoredScores(lambda _: registry)
    assert stored.get(1, "v0001", [_ref("B")]) == {}
    registry.add_scores("v0001", [_score("B", 0.5)])
    registry.add_scores("v0001", [_score("B", 0.25)])
    assert stored.get(1, "v0001", [_ref("B")])[_ref("B")].p_emergence == 0.25


def test_a_damaged_score_file_is_named(tmp_path: Path) -> None:
    """A file that holds no scores is an error that says what to delete."""
    registry = _registry(tmp_path)
    (tmp_path / "versions" / "v0001" / "scores" / "9.jsonl").write_text("<html>\n")
    stored = StoredScores(lambda _: registry)
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
