"""Pruning a model folder: what goes, what stays, and what happens where it is interrupted or meets other processes."""

import os
import time
from pathlib import Path

import pytest
from tests.core.registry.test_versions import _card, _score
from tests.whole import complete, weights

from helioloop.errors import RegistryError
from helioloop.files import atomic, lease
from helioloop.registry import pruning, publications
from helioloop.registry.staging import Staging
from helioloop.registry.versions import Registry

DAY = 24 * 3600.0


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Five versions with a kilobyte of weights each; v0004 was rejected, v0005 is published."""
    registry = Registry(tmp_path / "models")
    for number in range(1, 6):
        staging = complete(registry.staging(f"{number:08x}"))
        (staging / "f0s0.safetensors").write_bytes(weights(1000))
        version = registry.admit(staging, _card(fingerprint=f"{number:08x}")).version
        registry.add_scores(version, [_score("A", 0.25), _score("B", 0.75)])
        if number != 4:
            registry.publish(version, why="test")
    return registry


def with_weights(registry: Registry) -> list[str]:
    """Return the versions that have weights."""
    return [name for name in registry.versions() if list(registry.folder(name).glob("*.safetensors"))]


@pytest.mark.parametrize(
    ("keep", "stay"),
    [
        (1, ["v0005"]),
        (2, ["v0003", "v0005"]),
        (3, ["v0002", "v0003", "v0005"]),
        (9, ["v0001", "v0002", "v0003", "v0005"]),
    ],
)
def test_the_versions_published_last_keep_their_weights(registry: Registry, keep: int, stay: list[str]) -> None:
    """A rejected one that is not the newest does not count; twice is as good as once."""
    for _ in range(2):
        pruning.remove_superseded(registry, keep=keep)
        assert with_weights(registry) == stay
    assert pruning.find_superseded(registry, keep=keep).files == 0


def test_the_newest_version_keeps_its_weights_though_it_was_rolled_back(registry: Registry) -> None:
    """Somebody may publish it by hand."""
    registry.publish("v0001", why="rollback")
    pruning.remove_superseded(registry, keep=1)
    assert with_weights(registry) == ["v0001", "v0005"]


def test_without_a_publication_the_newest_versions_stay(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for number in range(1, 4):
        staging = complete(registry.staging(f"{number:08x}"))
        registry.admit(staging, _card(fingerprint=f"{number:08x}"))
    pruning.remove_superseded(registry, keep=2)
    assert with_weights(registry) == ["v0002", "v0003"]


def test_cards_and_scores_stay_without_their_masking_curves(registry: Registry) -> None:
    """Weights and curves are counted; the audit reads the rest."""
    card, scores = registry.card("v0001"), registry.scores("v0001", curves=False)
    found = pruning.find_superseded(registry, keep=1)
    assert found.what == "weights and masking curves of v0001, v0002, v0003, v0004"
    assert found.files == 4
    assert 4000 < found.n_bytes < 4500
    before = pruning.sizes([registry.root])
    pruning.remove_superseded(registry, keep=1)
    assert registry.card("v0001") == card
    assert registry.scores("v0001") == scores
    assert {score.curve for score in registry.scores("v0005").values()} == {(0.25, 0.25), (0.25, 0.75)}
    marks = 4 * len((registry.folder("v0001") / "pruned.json").read_bytes())
    assert before - pruning.sizes([registry.root]) == found.n_bytes - marks


def test_a_version_without_weights_is_neither_published_nor_used(registry: Registry) -> None:
    """The refusal lists the versions that can be."""
    pruning.remove_superseded(registry, keep=2)
    for refused in (lambda: registry.publish("v0001", why="rollback"), lambda: registry.folder_with_weights("v0001")):
        with pytest.raises(RegistryError, match=r"weights of v0001 in .* removed by .*choose one of: v0003, v0005"):
            refused()
    assert registry.published() == "v0005"
    assert [line.version for line in registry.history()] == ["v0001", "v0002", "v0003", "v0005"]


def test_an_interrupted_pruning_leaves_no_version_that_seems_complete(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was killed after the weights of the first version; the next one does the rest."""

    def killed(_: Path) -> None:
        raise KeyboardInterrupt

    scores = registry.scores("v0001", curves=False)
    with monkeypatch.context() as patch:
        patch.setattr(pruning, "remove_curves", killed)
        with pytest.raises(KeyboardInterrupt):
            pruning.remove_superseded(registry, keep=1)
    assert registry.is_pruned("v0001")
    assert not registry.is_pruned("v0002")
    with pytest.raises(RegistryError, match="removed by"):
        registry.publish("v0001", why="rollback")
    pruning.remove_superseded(registry, keep=1)
    assert with_weights(registry) == ["v0005"]
    assert registry.scores("v0001") == scores


def test_no_version_is_published_while_weights_are_removed(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the version could lose its weights right after it was published; the other process waits, too."""
    monkeypatch.setattr(publications, "PUBLISHING_SECONDS", 0.1)
    with registry.publishing():
        with pytest.raises(RegistryError, match="another process has been publishing a version or pruning"):
            registry.publish("v0001", why="rollback")
        with pytest.raises(RegistryError, match="another process has been publishing a version or pruning"):
            pruning.remove_superseded(registry, keep=1)
    registry.publish("v0001", why="rollback")
    pruning.remove_superseded(registry, keep=1)
    assert with_weights(registry) == ["v0001", "v0005"]


def test_a_damaged_pointer_prunes_nothing(registry: Registry) -> None:
    """It is not known which version must stay."""
    (registry.root / "published.json").write_text("{")
    with pytest.raises(RegistryError, match=r"run `helioloop rollback v0005"):
        pruning.remove_superseded(registry, keep=1)
    assert len(with_weights(registry)) == 5


def test_only_rounds_that_nobody_makes_are_left(registry: Registry) -> None:
    """A round stays that runs, is locked, is parked or changed within a day."""
    staging, old = Staging(registry.root), time.time() - 2 * DAY
    for number in range(5):
        folder = staging.create(f"{number:08x}")
        (folder / "half").write_text("half")
        if number != 4:
            os.utime(folder / "half", (old, old))
    for _ in range(3):
        staging.count_attempt(f"{2:08x}", ["no memory"])
    for path in (*staging.root.glob("*"), *staging.root.glob("*/attempts.json")):
        os.utime(path, (old, old))
    with lease.holding(staging.root / f"{1:08x}.lock"):
        found = pruning.abandoned_rounds(registry, running=[f"{0:08x}"], now=time.time())
        assert found == [f"{3:08x}"]
        assert not staging.delete(f"{1:08x}")
    assert staging.delete(f"{3:08x}")
    assert f"{3:08x}" not in staging.fingerprints()


def test_lists_of_other_versions_and_unfinished_files_are_found(registry: Registry) -> None:
    """The list of the published version stays, and so does what was written today."""
    for version in ("v0001", "v0005"):
        atomic.write_json(registry.root / "unscorable" / f"{version}.json", [])
    assert pruning.old_unscorable(registry) == [registry.root / "unscorable" / "v0001.json"]
    left = registry.root / "versions" / "v0005" / ".card.json.hl0123ab"
    for path in (left, registry.root / ".labels.json.hl4567cd", registry.root / ".watch.lock"):
        path.write_text("half")
    for path in (left, registry.root / ".watch.lock"):
        os.utime(path, (time.time() - 2 * DAY,) * 2)
    assert pruning.unfinished_files(registry.root, now=time.time()) == [left]
