"""The format number of a model folder: written first, checked by every reader."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cards import bare_card

from helioloop import __version__
from helioloop.errors import RegistryError
from helioloop.records.cubes import CubeInfo
from helioloop.records.profiles import BUILT_IN
from helioloop.registry.folder_format import check_format, ensure_format
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.project_profile import profile_conflict, read_project_profile, write_project_profile
from helioloop.registry.unscorable import add_unscorable, read_unscorable
from helioloop.registry.versions import Registry

FINGERPRINT = "0123456789abcdef"
CARD = bare_card(fingerprint=FINGERPRINT)
SNAPSHOT = Snapshot(read_at="2026-01-01T00:00:00+00:00")
CUBE = CubeInfo(release="r", name="A", sha256="a" * 64)

READERS: dict[str, Callable[[Path], object]] = {
    "published": lambda folder: Registry(folder).published(),
    "published if readable": lambda folder: Registry(folder).published_if_readable(),
    "unpublished": lambda folder: Registry(folder).unpublished(),
    "versions": lambda folder: Registry(folder).versions(),
    "folder": lambda folder: Registry(folder).folder("v0001"),
    "card": lambda folder: Registry(folder).card("v0001"),
    "latest": lambda folder: Registry(folder).latest(),
    "scores": lambda folder: Registry(folder).scores("v0001"),
    "history": lambda folder: Registry(folder).history(),
    "last published": lambda folder: Registry(folder).last_published(),
    "label snapshot": Snapshot.read,
    "project profile": read_project_profile,
    "profile conflict": lambda folder: profile_conflict(Registry(folder), BUILT_IN["mdi"], has_cubes=False),
    "unscorable": lambda folder: read_unscorable(folder, "v0001"),
}
WRITERS: dict[str, Callable[[Path], object]] = {
    "staging": lambda folder: Registry(folder).staging(FINGERPRINT),
    "label snapshot": SNAPSHOT.write,
    "project profile": lambda folder: write_project_profile(folder, BUILT_IN["mdi"]),
    "unscorable": lambda folder: add_unscorable(folder, "v0001", [CUBE]),
}
WRITERS_OF_VERSIONS: dict[str, Callable[[Path], object]] = {
    "admit": lambda folder: Registry(folder).admit(folder / "staging" / FINGERPRINT, CARD),
    "publish": lambda folder: Registry(folder).publish("v0001", why="test"),
    "add scores": lambda folder: Registry(folder).add_scores("v0001", []),
}


def parametrize(calls: dict[str, Callable[[Path], object]]) -> pytest.MarkDecorator:
    """Run a test with each of these calls."""
    return pytest.mark.parametrize("call", calls.values(), ids=calls.keys())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder whose v0001 is published."""
    registry = Registry(tmp_path / "models")
    registry.publish(registry.admit(registry.staging(FINGERPRINT), CARD).version, why="test")
    return registry.root


def files(folder: Path) -> dict[str, bytes]:
    """The files of a folder and what they contain."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.parametrize("part", ["versions", "versions/v0001", "copied"])
@parametrize(READERS | WRITERS)
def test_a_part_of_a_model_folder_is_not_taken_for_an_empty_one(
    folder: Path, part: str, call: Callable[[Path], object]
) -> None:
    """A training made a model folder within the version's. The last part is a version copied without the others."""
    shutil.copytree(folder / "versions" / "v0001", folder / "copied")
    before = files(folder)
    with pytest.raises(RegistryError, match=r"is a part of a model folder, with card\.json of a version"):
        call(folder / part)
    assert files(folder) == before


@parametrize(WRITERS)
def test_a_new_folder_gets_the_format_number_with_its_first_file(
    tmp_path: Path, call: Callable[[Path], object]
) -> None:
    call(tmp_path / "models")
    assert json.loads((tmp_path / "models" / "format.json").read_text()) == {"format": 1}
    check_format(tmp_path / "models")


def test_reading_a_new_folder_writes_nothing(tmp_path: Path) -> None:
    """Neither an absent folder nor an empty one is refused."""
    for folder in (tmp_path, tmp_path / "absent"):
        assert Registry(folder).published() is None
        assert Registry(folder).versions() == []
        assert Snapshot.read(folder) is None
    assert list(tmp_path.iterdir()) == []


@parametrize(READERS | WRITERS | WRITERS_OF_VERSIONS)
def test_a_folder_of_another_format_is_refused(folder: Path, call: Callable[[Path], object]) -> None:
    """Nothing in it is changed; the error names both numbers and the remedy."""
    (folder / "format.json").write_text('{"format": 2}')
    before = files(folder)
    message = rf"models has format 2, and helioloop {__version__} reads format 1 only; use the helioloop version that"
    with pytest.raises(RegistryError, match=message):
        call(folder)
    assert files(folder) == before


@parametrize(READERS | WRITERS | WRITERS_OF_VERSIONS)
def test_versions_without_a_format_number_are_refused(folder: Path, call: Callable[[Path], object]) -> None:
    """Only earlier development versions of helioloop wrote none."""
    (folder / "format.json").unlink()
    before = files(folder)
    with pytest.raises(RegistryError, match=r"model versions but no format\.json.*; train again in a new folder"):
        call(folder)
    assert files(folder) == before


@pytest.mark.parametrize(
    "content", ["", "<html>", "1", "[]", "{}", "null", '{"format": null}', '{"format": "1"}', '{"format": true}']
)
@parametrize(READERS | WRITERS | WRITERS_OF_VERSIONS)
def test_a_damaged_format_file_is_refused(folder: Path, call: Callable[[Path], object], content: str) -> None:
    (folder / "format.json").write_text(content)
    before = files(folder)
    with pytest.raises(RegistryError, match=r'format\.json is not {"format": 1}; restore it, or move the model folder'):
        call(folder)
    assert files(folder) == before


def test_a_damaged_format_file_is_refused_in_a_folder_without_versions(tmp_path: Path) -> None:
    (tmp_path / "format.json").write_text("x")
    with pytest.raises(RegistryError, match="restore it"):
        ensure_format(tmp_path)
