"""Stored scores, as the web side reads them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cards import FINGERPRINT, bare_card

from helioloop.errors import RegistryError, UnknownVersion
from helioloop.records.cubes import CubeInfo
from helioloop.records.scores import CubeScore
from helioloop.registry import score_index, score_store
from helioloop.registry.score_store import (
    StoredScores,
    curve_bytes,
    read_scores,
    read_some_scores,
    remove_curves,
    write_scores,
)
from helioloop.registry.versions import Registry


def _cube(cube: str, sha256: str = "a" * 64) -> CubeInfo:
    return CubeInfo(release="r", name=cube, sha256=sha256)


def _score(cube: str, p: float, *, sha256: str = "a" * 64, **more: Any) -> CubeScore:
    return CubeScore(cube=cube, sha256=sha256, p_emergence=p, p_spread=0.125, members=("f0s0", "f0s1"), **more)


def _registry(root: Path) -> Registry:
    """Make a registry with one version, v0001, that has scored cube A."""
    registry = Registry(root)
    registry.admit(registry.staging(FINGERPRINT), bare_card())
    registry.add_scores("v0001", [_score("A", 0.75, curve=(0.25, 0.5))])
    return registry


def _folders(registry: Registry) -> Callable[[int, str], Path]:
    return lambda _project, version: registry.folder(version)


def test_scores_are_read_from_the_versions_folder_without_their_curves(tmp_path: Path) -> None:
    """A cube that was never scored is absent, and so is one whose content has changed."""
    stored = StoredScores(_folders(_registry(tmp_path)))
    assert stored.get(1, "v0001", [_cube("A"), _cube("B")]) == {_cube("A").key: _score("A", 0.75)}
    assert stored.get(1, "v0001", [_cube("A", "b" * 64)]) == {}
    assert stored.get(1, "v0001", []) == {}
    with pytest.raises(UnknownVersion, match="'v0007' is not in"):
        stored.get(1, "v0007", [_cube("A")])


def test_scores_of_a_replaced_model_folder_are_forgotten(tmp_path: Path) -> None:
    """Another v0001 in the same place has no score of cube B, which the old one had."""
    stored = StoredScores(_folders(Registry(tmp_path / "models")))
    old = _registry(tmp_path / "models")
    old.add_scores("v0001", [_score("B", 0.5)])
    assert set(stored.get(1, "v0001", [_cube("A"), _cube("B")])) == {_cube("A").key, _cube("B").key}
    (tmp_path / "models").rename(tmp_path / "old")
    _registry(tmp_path / "models")
    assert set(stored.get(1, "v0001", [_cube("A"), _cube("B")])) == {_cube("A").key}


def test_each_project_has_scores_of_its_own(tmp_path: Path) -> None:
    folders = {1: _registry(tmp_path / "1"), 11: _registry(tmp_path / "11")}
    folders[11].add_scores("v0001", [_score("A", 0.5)])
    stored = StoredScores(lambda project, version: folders[project].folder(version))
    assert [stored.get(project, "v0001", [_cube("A")])[_cube("A").key].p_emergence for project in (1, 11)] == [
        0.75,
        0.5,
    ]


def test_scores_added_later_are_found(tmp_path: Path) -> None:
    """The score in the later of two files counts."""
    registry = _registry(tmp_path)
    stored = StoredScores(_folders(registry))
    assert stored.get(1, "v0001", [_cube("B")]) == {}
    registry.add_scores("v0001", [_score("B", 0.5)])
    registry.add_scores("v0001", [_score("B", 0.25)])
    assert stored.get(1, "v0001", [_cube("B")])[_cube("B").key].p_emergence == 0.25


def test_a_damaged_score_file_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    registry = _registry(tmp_path)
    (tmp_path / "versions" / "v0001" / "scores" / "9.jsonl").write_text("<html>\n")
    stored = StoredScores(_folders(registry))
    with pytest.raises(RegistryError, match=r"9\.jsonl has a line that is not a score .*; delete that file"):
        stored.get(1, "v0001", [_cube("A")])


def test_scores_are_read_without_curves_and_otherwise_the_same(tmp_path: Path) -> None:
    """A cube whose name looks like a curve keeps its name."""
    odd = CubeScore(
        cube='a "curve": [1, 2] b',
        sha256="ab",
        p_emergence=0.25,
        p_spread=None,
        members=("m",),
        curve=(0.5, 0.75),
        curve_spread=(0.0, 0.125),
    )
    plain = replace(odd, cube="plain", curve=None, curve_spread=None)
    write_scores(tmp_path, [odd, plain])
    assert read_scores(tmp_path) == {odd.key: odd, plain.key: plain}
    assert read_scores(tmp_path, curves=False) == {
        odd.key: replace(odd, curve=None, curve_spread=None),
        plain.key: plain,
    }


def test_curves_are_removed_and_the_latest_scores_stay(tmp_path: Path) -> None:
    """Twice is as good as once, and what `curve_bytes` counts is what goes."""
    first = _score("A", 0.75, curve=(0.25, 0.5), curve_spread=(0.0, 0.125))
    for score in (first, replace(first, p_emergence=0.5), _score("B", 0.25)):
        write_scores(tmp_path, [score])
    assert curve_bytes(tmp_path) == 2 * (len("[0.25, 0.5]") + len("[0.0, 0.125]") - 2 * len("null"))
    for _ in range(2):
        remove_curves(tmp_path)
        assert len(list(tmp_path.glob("*.jsonl"))) == 1
        assert read_scores(tmp_path) == {_cube("A").key: _score("A", 0.5), _cube("B").key: _score("B", 0.25)}
    assert curve_bytes(tmp_path) == 0
    remove_curves(tmp_path / "none")


def test_scores_are_read_while_their_files_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was listed may be gone when it is read; the scores are in the new file then."""
    registry = _registry(tmp_path)
    folder, read_file = tmp_path / "versions" / "v0001" / "scores", score_store.read_score_file

    def removing(path: Path, *, curves: bool = True) -> list[CubeScore]:
        if len(removed) < 2:
            removed.append(path)
            with monkeypatch.context() as patch:
                patch.setattr(score_store, "read_score_file", read_file)
                remove_curves(folder)
        return read_file(path, curves=curves)

    removed: list[Path] = []
    monkeypatch.setattr(score_store, "read_score_file", removing)
    monkeypatch.setattr(score_store, "plain_lines", lambda *_: None)  # as where the index does not have the file yet
    assert read_scores(folder, curves=False) == {_cube("A").key: _score("A", 0.75)}
    assert len(removed) == 2
    removed.clear()
    stored = StoredScores(_folders(registry))
    assert stored.get(1, "v0001", [_cube("A")]) == {_cube("A").key: _score("A", 0.75)}


# -- the index ------------------------------------------------------------------------------------


def _write(folder: Path, *names: str, p: float = 0.75) -> None:
    write_scores(folder, [_score(name, p, curve=(0.25, p), curve_spread=(0.0, 0.125)) for name in names])


def _read(folder: Path, *names: str, curves: bool = True) -> dict[str, float]:
    """Return the last value of the curves of some cubes, or their probability."""
    found = read_some_scores(folder, [_cube(name).key for name in names], curves=curves)
    return {score.cube: score.curve[-1] if score.curve else score.p_emergence for score in found.values()}


@pytest.mark.parametrize("curves", [True, False])
def test_the_scores_of_some_cubes_are_those_of_all(tmp_path: Path, *, curves: bool) -> None:
    """Of many files, of which the index has the older ones; the latest score of a cube counts."""
    _write(tmp_path, *(f"c{k}" for k in range(40)))
    _write(tmp_path, "c3", "c40", p=0.5)
    _write(tmp_path, "c3", "c41", p=0.25)
    every = read_scores(tmp_path, curves=curves)
    assert len(every) == 42
    assert read_some_scores(tmp_path, every, curves=curves) == every
    assert _read(tmp_path, "c3", "c7", "c41", "c99", curves=curves) == {"c3": 0.25, "c7": 0.75, "c41": 0.25}


def test_few_scores_are_read_from_their_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not from whole files: those that the index has are not read."""
    _write(tmp_path, *(f"c{k}" for k in range(40)))
    monkeypatch.setattr(score_store, "read_score_file", lambda path, **_: pytest.fail(f"{path} is read as a whole"))
    assert _read(tmp_path, "c3") == {"c3": 0.75}


def test_files_that_the_index_lacks_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for each job that looks for the scores of some cubes; a file that comes later is read, too."""
    _write(tmp_path, *(f"c{k}" for k in range(40)))
    _write(tmp_path, "c3", "c40", p=0.5)
    read: list[str] = []
    whole = score_store.places_in
    monkeypatch.setattr(score_store, "places_in", lambda path: read.append(path.name) or whole(path))
    for curves in (True, False, True):
        assert _read(tmp_path, "c3", "c40", "c7", curves=curves) == {"c3": 0.5, "c40": 0.5, "c7": 0.75}
    assert len(read) == 1
    _write(tmp_path, "c41", p=0.25)
    assert _read(tmp_path, "c3", "c41") == {"c3": 0.5, "c41": 0.25}
    assert len(read) == 2


def test_no_file_is_read_for_no_cubes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job whose cubes are all scored just now looks for no others."""
    monkeypatch.setattr(score_store, "find_places", lambda *_: pytest.fail("the index was opened"))
    assert read_some_scores(tmp_path, []) == {}


def test_the_index_is_made_anew_less_and_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty equal files: what is written into indexes is a small multiple of the scores."""
    written = []
    add = score_index._add

    def counting(path: Path, folder: Path, names: list[str], *, is_new: bool) -> None:
        written.append(len(names))
        add(path, folder, names, is_new=is_new)

    monkeypatch.setattr(score_index, "_add", counting)
    for k in range(60):
        _write(tmp_path, f"c{k:02d}")
    assert len(written) < 20
    assert 45 <= sum(written) <= 60


@pytest.mark.parametrize("damage", ["deleted", "not a database", "empty", "of other files"])
def test_without_a_good_index_the_files_are_read(tmp_path: Path, damage: str) -> None:
    """The index can be deleted, and an index of files that are gone is not used."""
    folder, index = tmp_path / "scores", tmp_path / "scores" / score_index.FILE_NAME
    _write(folder, "A", "B")
    if damage == "deleted":
        index.unlink()
    elif damage == "of other files":
        _write(tmp_path / "others", "A", p=0.125)
        index.write_bytes((tmp_path / "others" / score_index.FILE_NAME).read_bytes())
    else:
        index.write_bytes(b"" if damage == "empty" else b"no database" * 1000)
    assert _read(folder, "A", "B", "C") == {"A": 0.75, "B": 0.75}
    assert read_scores(folder, curves=False).keys() == read_scores(folder).keys()
    _write(folder, "C")
    assert _read(folder, "A", "B", "C") == {"A": 0.75, "B": 0.75, "C": 0.75}


def test_an_index_is_of_the_files_without_their_curves(tmp_path: Path) -> None:
    """After curves were removed, it leads into the new file."""
    _write(tmp_path, *(f"c{k}" for k in range(5)))
    remove_curves(tmp_path)
    assert _read(tmp_path, "c3") == {"c3": 0.75}
    assert read_some_scores(tmp_path, [_cube("c3").key])[_cube("c3").key].curve is None
    assert score_index.find_places(tmp_path, [_cube("c3").key])[0]


def test_scores_that_the_index_has_in_a_later_file_are_not_missed_in_an_earlier_one(tmp_path: Path) -> None:
    """Between listing and reading, a later file with a new score of the same cube came, and the index follows it."""
    _write(tmp_path, "A", p=0.75)
    (first,) = tmp_path.glob("*.jsonl")
    _write(tmp_path, "A", p=0.5)
    assert score_store.plain_lines(first, {first.name}) is None
    assert score_store.plain_lines(first, {path.name for path in tmp_path.glob("*.jsonl")}) == []


def test_an_earlier_file_that_the_index_lacks_replaces_no_later_score(tmp_path: Path) -> None:
    """As after two workers have written at once."""
    _write(tmp_path, "A", p=0.5)
    earlier = tmp_path / "20000101T000000000000-00000000.jsonl"
    earlier.write_text(json.dumps(_score("A", 0.25).as_dict()) + "\n")
    assert _read(tmp_path, "A", curves=False) == {"A": 0.5}
    assert read_scores(tmp_path, curves=False)[_cube("A").key].p_emergence == 0.5


def test_the_index_makes_no_folder_that_is_gone(tmp_path: Path) -> None:
    """Another process may have admitted it as a version."""
    score_index.update_index(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()
