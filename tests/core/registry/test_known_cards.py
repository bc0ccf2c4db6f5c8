"""Cards in memory: they are read again only where their file is another one."""

from pathlib import Path

import pytest
from tests.cards import bare_card
from tests.whole import complete

from helioloop.errors import RegistryError, UnknownVersion
from helioloop.registry.card import Card
from helioloop.registry.known_cards import known_card, latest_card
from helioloop.registry.versions import Registry


def admitted(registry: Registry, fingerprint: str) -> str:
    """Admit a version and return its name."""
    card = bare_card(fingerprint=fingerprint, reason="a test")
    return registry.admit(complete(registry.staging(fingerprint), []), card).version


def test_a_card_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also as that of the newest version, until there is a newer one."""
    registry = Registry(tmp_path)
    assert latest_card(registry) is None
    first, read, whole = admitted(registry, "a" * 16), [], Card.read
    monkeypatch.setattr(Card, "read", lambda path: read.append(path) or whole(path))
    for _ in range(2):
        assert known_card(registry, first).fingerprint == "a" * 16
        assert latest_card(registry) == known_card(registry, first)
    assert len(read) == 1
    second = admitted(registry, "b" * 16)
    assert latest_card(registry) == known_card(registry, second) == registry.card(second)


def test_a_card_that_was_restored_is_read_again(tmp_path: Path) -> None:
    """Lost, damaged and restored ones are those of the folder."""
    registry = Registry(tmp_path)
    version = admitted(registry, "a" * 16)
    path = registry.folder(version) / "card.json"
    text = path.read_text()
    assert known_card(registry, version).reason == "a test"
    path.write_text(text.replace("a test", "another test"))
    assert known_card(registry, version).reason == "another test"
    path.write_text("{")
    with pytest.raises(RegistryError, match="is not a model card"):
        known_card(registry, version)
    path.unlink()
    with pytest.raises(RegistryError, match="every version has a card"):
        known_card(registry, version)
    with pytest.raises(UnknownVersion):
        known_card(registry, "v0002")


def test_one_worker_of_several_projects_reads_each_card_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pages are written project after project, each with its published version and a newer, rejected one."""
    registries = [Registry(tmp_path / f"project-{number}") for number in range(4)]
    for registry in registries:
        registry.publish(admitted(registry, "a" * 16), why="a test")
        admitted(registry, "b" * 16)
    read, whole = [], Card.read
    monkeypatch.setattr(Card, "read", lambda path: read.append(path) or whole(path))
    for _ in range(3):
        for registry in registries:
            known_card(registry, registry.published() or "")
            latest_card(registry)
    assert len(read) == len({*read}) == 8
