"""Versions of which a file was lost are named before a rollback needs them."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.core.registry.test_versions import _card
from tests.whole import complete

from helioloop.errors import RegistryError
from helioloop.registry.card import Card
from helioloop.registry.unusable import find_damage, unusable_versions
from helioloop.registry.versions import PRUNED_FILE, Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Three whole versions, of which the newest is published."""
    registry = Registry(tmp_path)
    for number in (1, 2, 3):
        fingerprint = f"{number:08x}"
        registry.admit(complete(registry.staging(fingerprint)), _card(fingerprint=fingerprint))
    registry.publish("v0003", why="test")
    return registry


def weights(registry: Registry, version: str) -> Path:
    (found,) = registry.folder(version).glob("*.safetensors")
    return found


def test_whole_versions_are_not_named(registry: Registry) -> None:
    assert unusable_versions(registry) == {}
    assert find_damage(registry, "v0003") is None


@pytest.mark.parametrize("damage", ["cut off", "gone", "no weights"])
def test_a_version_whose_weights_were_damaged_is_named(registry: Registry, damage: str) -> None:
    """The sentence is that of the rollback that would refuse it; the others are not named."""
    path = weights(registry, "v0001")
    if damage == "cut off":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes(b"<html>")
    found = unusable_versions(registry)
    assert list(found) == ["v0001"]
    assert found["v0001"].startswith("v0001 cannot be published again, because f0s0.safetensors ")
    assert (find_damage(registry, "v0001") or "").startswith("f0s0.safetensors ")


@pytest.mark.parametrize("content", [b"", b"{", b'{\n "cubes": [\n  {\n   "name": "A"\n  }', b"<html>}"])
def test_a_version_whose_plan_was_cut_off_is_named(registry: Registry, content: bytes) -> None:
    """Without its plan a version can neither score cubes nor be published again."""
    (registry.folder("v0001") / "plan.json").write_bytes(content)
    assert unusable_versions(registry) == {"v0001": "v0001 cannot be published again, because plan.json is cut off"}
    with pytest.raises(RegistryError, match=r"is not published, because plan\.json is cut off"):
        registry.publish("v0001", why="test")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"even": null}',
        '{"even": 1.0}',
        '{"even": 2.0, "n_cubes": 1, "shift": null}',
        '{"even": 2.0, "n_cubes": 1, "shift": NaN}',
    ],
)
def test_a_version_whose_growth_odds_were_damaged_is_named(registry: Registry, content: str) -> None:
    """One of an earlier helioloop has none."""
    odds = registry.folder("v0001") / "growth-odds.json"
    odds.write_text('{"even": 1.7, "n_cubes": 600}')
    assert unusable_versions(registry) == {}
    odds.write_text(content)
    assert unusable_versions(registry) == {
        "v0001": "v0001 cannot be published again, because growth-odds.json is damaged"
    }


def test_a_round_whose_plan_was_cut_off_becomes_no_version(registry: Registry) -> None:
    staging = complete(registry.staging("0000000f"))
    (staging / "plan.json").write_bytes(b'{"cubes": ')
    with pytest.raises(RegistryError, match=r"does not become v0004, because plan\.json is cut off"):
        registry.admit(staging, _card(fingerprint="0000000f"))


def of_round(folder: Path, fingerprint: str) -> None:
    """Write weights and plan that name their round, as training does."""
    save_file(
        {"weight": np.ones(2, np.float32)},
        folder / "f0s0.safetensors",
        metadata={"fingerprint": fingerprint, "member": "f0s0"},
    )
    (folder / "plan.json").write_text(json.dumps({"cubes": [], "saved_fingerprint": fingerprint}, indent=1) + "\n")


@pytest.mark.parametrize(
    ("copied", "named"),
    [
        (("f0s0.safetensors",), "f0s0.safetensors is"),
        (("plan.json",), "plan.json is"),
        (("card.json",), "f0s0.safetensors and 1 more file are"),
    ],
)
def test_a_version_merged_from_two_machines_is_named(registry: Registry, copied: tuple[str, ...], named: str) -> None:
    """Both trained a v0001, and one folder was copied into the other in part: its card spoke for other networks."""
    here, other = (registry.folder(version) for version in ("v0001", "v0002"))
    of_round(here, "00000001")
    of_round(other, "00000002")
    assert unusable_versions(registry) == {}
    for name in copied:
        (here / name).write_bytes((other / name).read_bytes())
    reason = f"because {named} of another round than card.json"
    assert unusable_versions(registry) == {"v0001": f"v0001 cannot be published again, {reason}"}
    with pytest.raises(RegistryError, match=f"is not published, {reason}"):
        registry.publish("v0001", why="test")


def test_weights_whose_round_has_no_name_are_of_no_other_round(registry: Registry) -> None:
    """A fingerprint that is not text, from another program, or none, as in versions of an earlier helioloop."""
    path = weights(registry, "v0001")
    for made in ([], None):
        header = json.dumps({} if made is None else {"__metadata__": {"fingerprint": made}}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        assert find_damage(registry, "v0001") is None


def test_a_damaged_card_and_missing_scores_are_named(registry: Registry) -> None:
    (registry.folder("v0002") / "card.json").write_text("{")
    for path in (registry.folder("v0001") / "scores").iterdir():
        path.unlink()
    assert list(unusable_versions(registry)) == ["v0001", "v0002"]


def test_a_pruned_version_is_not_called_damaged(registry: Registry) -> None:
    """Somebody removed its weights on purpose."""
    (registry.folder("v0001") / PRUNED_FILE).touch()
    weights(registry, "v0001").unlink()
    assert unusable_versions(registry) == {}


def test_the_cards_of_all_versions_are_read_once(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card of many cubes takes long to read, and the status looks every few seconds; one that changes is read again.

    Weights that are lost in between are noticed all the same.
    """
    read, whole = [], Card.read
    monkeypatch.setattr(Card, "read", lambda path: read.append(path.parent.name) or whole(path))
    for _ in range(3):
        assert unusable_versions(registry) == {}
    assert read == ["v0001", "v0002", "v0003"]
    weights(registry, "v0001").unlink()
    assert list(unusable_versions(registry)) == ["v0001"]
    (registry.folder("v0002") / "card.json").write_text("{")
    assert list(unusable_versions(registry)) == ["v0001", "v0002"]
    assert read == ["v0001", "v0002", "v0003", "v0002"]
