"""Model versions on disk: complete or absent, with one pointer, readable without a lock."""

import json
import shutil
import threading
from pathlib import Path

import pytest
from tests.whole import complete, weights

from helioloop.errors import RegistryError, UnknownVersion
from helioloop.records.scores import CubeScore
from helioloop.registry.card import Card
from helioloop.registry.folder_format import ensure_format
from helioloop.registry.known_cards import known_card
from helioloop.registry.versions import Registry

FINGERPRINT = "0123456789abcdef"


def _card(**changes: object) -> Card:
    values: dict[str, object] = {
        "version": "",
        "parent": None,
        "created_at": "2026-01-01T00:00:00+00:00",
        "reason": "first labels",
        "fingerprint": FINGERPRINT,
        "label_fingerprint": "4567cdef",
        "code_version": "0.1.0+abc",
        "recipe": {"name": "quick"},
        "instrument": {"n_frames": 225},
        "labels": {"A": {"label": "emergence", "verified": True}, "B": {"label": "emergence", "verified": False}},
        "members": {"f0s0": {"fold": 0, "seed": 0, "file": "f0s0.safetensors"}},
    }
    return Card(**{**values, **changes})  # type: ignore[arg-type]


def _score(cube: str, p: float, sha256: str = "a" * 64) -> CubeScore:
    return CubeScore(cube=cube, sha256=sha256, p_emergence=p, p_spread=None, members=("f0s0",), curve=(0.25, p))


def _version(registry: Registry, fingerprint: str = FINGERPRINT) -> str:
    staging = complete(registry.staging(fingerprint))
    return registry.admit(staging, _card(fingerprint=fingerprint)).version


def test_an_empty_folder_has_no_versions(tmp_path: Path) -> None:
    """Nothing is published, there is no latest version, and reading creates nothing."""
    registry = Registry(tmp_path / "models")
    assert registry.published() is None
    assert registry.versions() == []
    assert registry.latest() is None
    assert registry.history() == []
    assert not (tmp_path / "models").exists()


def test_a_round_becomes_the_next_version_unpublished(tmp_path: Path) -> None:
    """A finished staging folder becomes v0001 with its files and card, and is not published yet."""
    registry = Registry(tmp_path)
    assert _version(registry) == "v0001"
    assert (registry.folder("v0001") / "f0s0.safetensors").read_bytes() == weights()
    assert registry.card("v0001") == _card(version="v0001")
    assert registry.card("v0001").verified == 1
    assert registry.published() is None
    assert not (tmp_path / "staging" / FINGERPRINT).exists()


def test_a_card_without_verdict_is_not_rejected(tmp_path: Path) -> None:
    """There was no promotion check; a rejected version has the reason."""
    registry = Registry(tmp_path)
    _version(registry)
    path = registry.folder("v0001") / "card.json"
    values = json.loads(path.read_text())
    del values["verdict"]
    path.write_text(json.dumps(values))
    assert registry.card("v0001").verdict == {}
    assert registry.card("v0001").rejected is None
    assert _card(verdict={"publish": True, "reason": "published: better"}).rejected is None
    assert _card(verdict={"publish": False, "reason": "it is worse"}).rejected == "it is worse"


def test_a_version_whose_folder_was_copied_has_the_name_of_its_folder(tmp_path: Path) -> None:
    """Its card still had the name of the other one, so that neither could be told from the list."""
    registry = Registry(tmp_path)
    _version(registry)
    shutil.copytree(tmp_path / "versions/v0001", tmp_path / "versions/v0002")
    assert [registry.card(name).version for name in registry.versions()] == ["v0001", "v0002"]
    assert known_card(registry, "v0002") == registry.card("v0002") == registry.latest()
    assert [registry.made_as(name) for name in registry.versions()] == [None, "v0001"]


def test_a_version_that_was_copied_is_published_by_nobody_but_a_human(tmp_path: Path) -> None:
    """The newest one, whose card says nothing of publications before it, as one from before these were counted."""
    registry = Registry(tmp_path)
    registry.publish(_version(registry), why="a test")
    shutil.copytree(tmp_path / "versions/v0001", tmp_path / "versions/v0002")
    assert registry.unpublished() is None


def test_versions_sort_by_number(tmp_path: Path) -> None:
    """v10000 comes after v9999, and is the latest."""
    registry = Registry(tmp_path)
    ensure_format(tmp_path)
    (tmp_path / "versions" / "v9999").mkdir(parents=True)
    assert _version(registry) == "v10000"
    assert registry.versions() == ["v9999", "v10000"]
    latest = registry.latest()
    assert latest is not None
    assert latest.version == "v10000"


def test_two_writers_get_two_versions(tmp_path: Path) -> None:
    """Eight rounds are admitted at the same moment: no version is overwritten."""
    registry = Registry(tmp_path)
    start = threading.Barrier(8)
    names: list[str] = []

    def admit(index: int) -> None:
        staging = complete(registry.staging(f"{index:08x}"))
        start.wait()
        names.append(registry.admit(staging, _card(fingerprint=f"{index:08x}")).version)

    threads = [threading.Thread(target=admit, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == [f"v{number:04d}" for number in range(1, 9)]
    assert {registry.card(name).fingerprint for name in names} == {f"{index:08x}" for index in range(8)}


def test_publishing_moves_the_pointer_and_writes_history(tmp_path: Path) -> None:
    """A rollback too; publishing the published version again is not a new line."""
    registry = Registry(tmp_path)
    for fingerprint in ("00000001", "00000002"):
        _version(registry, fingerprint)
    registry.publish("v0001", why="first")
    registry.publish("v0002", why="better")
    registry.publish("v0002", why="again")
    registry.publish("v0001", why="rollback")
    assert registry.published() == "v0001"
    assert [(line.version, line.why) for line in registry.history()] == [
        ("v0001", "first"),
        ("v0002", "better"),
        ("v0001", "rollback"),
    ]


def test_a_repeated_interrupted_publication_is_in_the_history_once(tmp_path: Path) -> None:
    """It was killed after the history was written and before the pointer was."""
    registry = Registry(tmp_path)
    _version(registry)
    registry.publish("v0001", why="first")
    (tmp_path / "published.json").unlink()
    registry.publish("v0001", why="first, again")
    assert registry.published() == "v0001"
    assert [line.why for line in registry.history()] == ["first"]


def two_versions(folder: Path) -> Registry:
    """A model folder whose v0002 is published, after v0001."""
    registry = Registry(folder)
    for fingerprint in ("00000001", "00000002"):
        registry.publish(_version(registry, fingerprint), why="made")
    return registry


@pytest.mark.parametrize("pointer", [None, '{"version": "v0001"}', '{"vers'], ids=["absent", "old", "damaged"])
def test_an_interrupted_publication_is_found(tmp_path: Path, pointer: str | None) -> None:
    """The last line of the history names the newest version and the pointer does not, until it is published again."""
    registry = two_versions(tmp_path)
    assert registry.unpublished() is None
    if pointer is None:
        (tmp_path / "published.json").unlink()
    else:
        (tmp_path / "published.json").write_text(pointer)
    assert registry.unpublished() == registry.card("v0002")
    registry.publish("v0002", why="made")
    assert (registry.published(), registry.unpublished()) == ("v0002", None)
    assert [line.version for line in registry.history()] == ["v0001", "v0002"]


def test_a_version_that_was_rolled_back_is_not_unpublished(tmp_path: Path) -> None:
    """The last line names the version that was rolled back to; a version admitted later is in no line at all."""
    registry = two_versions(tmp_path)
    registry.publish("v0001", why="rollback")
    assert registry.unpublished() is None
    _version(registry, "00000003")
    assert registry.unpublished() == registry.card("v0003")


def test_a_version_that_the_pointer_names_is_published_without_a_line_in_the_history(tmp_path: Path) -> None:
    """Somebody deleted a damaged line, as the error about it says."""
    registry = two_versions(tmp_path)
    (tmp_path / "history.jsonl").unlink()
    assert registry.unpublished() is None


def test_an_unknown_version_is_not_published(tmp_path: Path) -> None:
    """The pointer never names a version that does not exist; the error lists the existing ones."""
    registry = Registry(tmp_path)
    _version(registry)
    with pytest.raises(UnknownVersion, match=r"'v0009' is not in .*; choose one of: v0001"):
        registry.publish("v0009", why="typo")
    assert registry.published() is None


@pytest.mark.parametrize("name", ["../x", "v0001/../../x", "v1", "", "v0001\n", "/etc"])
def test_the_name_of_a_version_is_not_used_as_a_path(tmp_path: Path, name: str) -> None:
    """A name that leads to another folder is an unknown version, even where that folder exists."""
    registry = Registry(tmp_path / "models")
    _version(registry)
    (tmp_path / "x").mkdir()
    with pytest.raises(UnknownVersion):
        registry.folder(name)


@pytest.mark.parametrize("fingerprint", ["../../x", "short", "ABCDEF01", "", "0123456g"])
def test_a_fingerprint_is_not_used_as_a_path(tmp_path: Path, fingerprint: str) -> None:
    """It consists of hex digits only."""
    with pytest.raises(RegistryError, match="not a fingerprint"):
        Registry(tmp_path).staging(fingerprint)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 1}', '{"version": "../x"}', "\x00"])
def test_a_damaged_pointer_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "published.json").write_text(content)
    with pytest.raises(RegistryError, match=r"published\.json"):
        Registry(tmp_path).published()


def test_a_damaged_pointer_is_replaced_by_publishing(tmp_path: Path) -> None:
    """The error names the command that publishes the last published version again, which may not be the newest."""
    registry = two_versions(tmp_path / "my models")
    registry.publish("v0001", why="rollback")
    pointer = registry.root / "published.json"
    for content in ("", '{"version": "latest"}'):
        pointer.write_text(content)
        with pytest.raises(RegistryError, match=r"`helioloop rollback v0001 --model-dir '.*/my models'`"):
            registry.published()
        assert (registry.published_if_readable(), registry.last_published()) == (None, "v0001")
        registry.publish("v0001", why="repaired")
        assert registry.published() == "v0001"


def test_a_damaged_pointer_beside_a_damaged_history_names_the_newest_version(tmp_path: Path) -> None:
    """In a folder without versions the pointer has to be deleted."""
    registry = two_versions(tmp_path)
    (tmp_path / "published.json").write_text("")
    (tmp_path / "history.jsonl").write_text("{")
    with pytest.raises(RegistryError, match=r"`helioloop rollback v0002 --model-dir "):
        registry.published()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "published.json").write_text("")
    with pytest.raises(RegistryError, match="delete it, because there is no version"):
        Registry(tmp_path / "empty").published()


@pytest.mark.parametrize("content", ["", "[]", '{"version": "v0001"}', "{", '{"unknown": 1}'])
def test_a_damaged_card_is_an_error(tmp_path: Path, content: str) -> None:
    """The error has its path and the remedy."""
    registry = Registry(tmp_path)
    _version(registry)
    (registry.folder("v0001") / "card.json").write_text(content)
    with pytest.raises(RegistryError, match="is not a model card"):
        registry.card("v0001")


def test_a_missing_card_is_an_error(tmp_path: Path) -> None:
    ensure_format(tmp_path)
    (tmp_path / "versions" / "v0001").mkdir(parents=True)
    with pytest.raises(RegistryError, match=r"card\.json is missing"):
        Registry(tmp_path).card("v0001")


def test_a_truncated_history_is_an_error(tmp_path: Path) -> None:
    """The error has its path."""
    (tmp_path / "history.jsonl").write_text('{"version": "v00')
    with pytest.raises(RegistryError, match=r"history\.jsonl"):
        Registry(tmp_path).history()


def test_scores_of_several_writers_are_read_together(tmp_path: Path) -> None:
    """The later of two scores of one cube counts; cubes with other content have scores of their own."""
    registry = Registry(tmp_path)
    _version(registry)
    registry.add_scores("v0001", [_score("A", 0.25), _score("B", 0.5)])
    registry.add_scores("v0001", [_score("A", 0.75), _score("A", 0.125, sha256="b" * 64)])
    found = registry.scores("v0001")
    assert {key: score.p_emergence for key, score in found.items()} == {
        ("A", "a" * 64): 0.75,
        ("B", "a" * 64): 0.5,
        ("A", "b" * 64): 0.125,
    }
    assert found["A", "a" * 64].curve == (0.25, 0.75)


@pytest.mark.parametrize("line", ["", "{}", "[]", "null", '{"cube": "A"}', "<html>"])
def test_a_damaged_score_file_is_an_error(tmp_path: Path, line: str) -> None:
    """The error has its path and the remedy."""
    registry = Registry(tmp_path)
    _version(registry)
    scores = registry.folder("v0001") / "scores"
    (scores / "1.jsonl").write_text(json.dumps(_score("B", 0.5).as_dict()) + "\n" + line + "\n")
    with pytest.raises(RegistryError, match=r"1\.jsonl has a line that is not a score .*; delete that file"):
        registry.scores("v0001")


def test_a_name_that_label_studio_has_is_not_given_again(tmp_path: Path) -> None:
    """A folder restored from an old backup has lost v0003, whose predictions are there; other names do not count."""
    registry = Registry(tmp_path)
    assert _version(registry) == "v0001"
    staging = complete(registry.staging("4567cdef"))
    used = ["v0001", "v0003", "helioloop", "undefined"]
    assert registry.admit(staging, _card(fingerprint="4567cdef"), used_names=used).version == "v0004"
    assert registry.versions() == ["v0001", "v0004"]


def test_publishing_leaves_no_lock(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.publish(_version(registry), why="test")
    assert not (tmp_path / ".publishing.lock").exists()


def test_a_published_version_without_a_folder_is_named_with_both_remedies(tmp_path: Path) -> None:
    """The pointer came with a newer backup or from another copy of the folder."""
    registry = Registry(tmp_path)
    for _ in range(2):
        registry.publish(_version(registry), why="trained")
    shutil.rmtree(registry.folder("v0002"))
    with pytest.raises(UnknownVersion, match=r"published v0002 and no folder of it.*restore versions/v0002.*rollback"):
        registry.folder("v0002")
    with pytest.raises(UnknownVersion, match=r"version 'v0007' is not in .*choose one of: v0001"):
        registry.folder("v0007")
    assert registry.published() == "v0002"


def test_without_any_other_version_the_pointer_is_to_be_deleted(tmp_path: Path) -> None:
    """There is nothing to roll back to; afterwards a version can be published again."""
    registry = Registry(tmp_path)
    registry.publish(_version(registry), why="trained")
    shutil.rmtree(registry.folder("v0001"))
    with pytest.raises(UnknownVersion, match=r"restore versions/v0001 from a backup, or delete published\.json"):
        registry.folder("v0001")
    (tmp_path / "published.json").unlink()
    registry.publish(_version(registry), why="trained")


@pytest.mark.parametrize("kept", ["history.jsonl", "published.json"])
def test_the_name_of_a_lost_version_is_not_given_again(tmp_path: Path, kept: str) -> None:
    """Neither where Label Studio cannot be asked: the new version would count as published before."""
    registry = Registry(tmp_path)
    for _ in range(3):
        registry.publish(_version(registry), why="trained")
    for name in ("v0002", "v0003"):
        shutil.rmtree(registry.folder(name))
    for name in {"history.jsonl", "published.json"} - {kept}:
        (tmp_path / name).unlink()
    assert _version(registry) == "v0004"
    assert registry.publish_candidate(registry.card("v0004"), why="trained") is None
    assert registry.published() == "v0004"
