"""Titles of projects: which are taken, and which project has one."""

from dataclasses import replace
from pathlib import Path

import pytest

from helioloop.errors import WrongUsage
from helioloop.settings import Settings
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project_template import labeling_configuration
from helioloop_worker.labelstudio.setup import set_up
from helioloop_worker.labelstudio.titles import check_title, find_titled

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with folders of their own."""
    return Settings(model_root=tmp_path / "models", media_root=tmp_path / "media")


def project(label_studio: FakeLabelStudio, title: str) -> int:
    """Make a project with a title."""
    return label_studio.create_project(title=title, label_config=labeling_configuration())


@pytest.mark.parametrize("given", ["Release 3", " Release 3", "Release 3\n", "\tRelease 3  "])
def test_a_title_with_blanks_around_it_is_that_without(settings: Settings, given: str) -> None:
    """Label Studio removes them, so that each repeat made another project."""
    label_studio = FakeLabelStudio()
    first = set_up(label_studio, settings, title=given, backend_url=NOWHERE)
    for again in (given, "Release 3"):
        assert set_up(label_studio, settings, title=again, backend_url=NOWHERE) == first
    assert label_studio.project(first).title == "Release 3"


@pytest.mark.parametrize("given", ["", "   ", "ab", "  ab  ", "x" * 51])
def test_a_title_that_label_studio_does_not_take_is_refused(settings: Settings, given: str) -> None:
    """With its length, before anything is made."""
    label_studio = FakeLabelStudio()
    with pytest.raises(WrongUsage, match=f"has {len(given.strip())} characters, and titles in Label Studio have 3 to"):
        set_up(label_studio, settings, title=given, backend_url=NOWHERE)
    assert label_studio.find_projects(given.strip()) == []


def test_the_shortest_and_the_longest_title_are_taken() -> None:
    """Characters count, not bytes."""
    for given in ("abc", "é" * 50, "磁场图"):
        assert check_title(given) == given


def test_one_of_several_projects_with_a_title_has_to_be_named(settings: Settings) -> None:
    """The refusal lists them, and changes none; by its id each can be set up."""
    label_studio = FakeLabelStudio()
    ours, theirs = project(label_studio, "Release 3"), project(label_studio, "Release 3")
    project(label_studio, "Release 3 b")
    for number, time in ((ours, "2026-01-02T03:04:05Z"), (theirs, None)):
        own = label_studio._project(number)
        own.info = replace(own.info, created_at=time)
    with pytest.raises(WrongUsage) as refused:
        set_up(label_studio, settings, title="Release 3", backend_url=NOWHERE)
    assert str(refused.value) == (
        f"2 projects have the title 'Release 3': {ours} (created 2026-01-02 03:04 UTC), {theirs}; name the one that is "
        "meant with --project ID"
    )
    assert [label_studio.backends(number) for number in (ours, theirs)] == [[], []]
    assert set_up(label_studio, settings, project=ours, backend_url=NOWHERE) == ours
    assert find_titled(label_studio, "Release 3 b") is not None
    assert find_titled(label_studio, "Release 4") is None
