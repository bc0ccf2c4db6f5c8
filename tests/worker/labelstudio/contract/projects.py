"""The contract of the port: projects, their instruction, configuration, description and tabs."""

from dataclasses import replace
from pathlib import Path

import pytest
from label_studio_sdk.core.api_error import ApiError
from tests.worker.labelstudio.contract.empty_project import EmptyProject, prediction

from helioloop.errors import LabelStudioError
from helioloop.labelstudio.config import parse_config
from helioloop.settings import Settings
from helioloop_worker.labelstudio.own_instruction import own_instruction, place_pictures
from helioloop_worker.labelstudio.tab import TABS
from helioloop_worker.labelstudio.tabs import update_tabs


def an_unknown_project_is_refused(empty: EmptyProject) -> None:
    """No project has this id."""
    with pytest.raises(LabelStudioError):
        empty.label_studio.project(987_654_321)


def a_new_project_is_empty_and_shows_no_version(empty: EmptyProject) -> None:
    """Its configuration is the one it was created with."""
    info = empty.label_studio.project(empty.project)
    assert info.model_version is None
    assert '<Choices name="class"' in info.label_config
    assert empty.label_studio.tasks(empty.project) == []
    assert empty.label_studio.predictions(empty.project) == []
    assert empty.label_studio.model_versions(empty.project) == {}


def projects_are_found_by_title(empty: EmptyProject) -> None:
    """Blanks at the ends of a title are removed, and several projects may have one; part of a title finds none."""
    studio, title = empty.label_studio, f"Release {empty.project}"
    assert studio.find_projects(title) == []
    found = [empty.titled(given) for given in (title, f"  {title} ", title)]
    empty.titled(f"{title} b")
    assert studio.find_projects(title) == found
    assert [studio.project(number).title for number in found] == [title] * 3


def titles_have_3_to_50_characters(empty: EmptyProject) -> None:
    """Without the blanks at their ends, or none at all; a setup refuses the others, and no title, before."""
    for refused in ("ab", " ab ", "x" * 51):
        with pytest.raises(LabelStudioError):
            empty.titled(refused)
    for taken in ("abc", f" {'é' * 50} ", "", "  "):
        assert empty.label_studio.project(empty.titled(taken)).title == taken.strip()


def helioloops_instruction_is_recognised_as_label_studio_keeps_it(empty: EmptyProject) -> None:
    """It writes entities and tables in another way; the pictures are placed once."""
    studio, number = empty.label_studio, empty.project
    settings = Settings(media_root=empty.backend.media_root)
    controls = parse_config(studio.project(number).label_config, emergence="emergence", non_emergence="non-emergence")
    studio.update_project(number, expert_instruction=own_instruction(controls))
    assert [place_pictures(studio, settings, studio.project(number), controls) for _ in range(2)] == [True, False]
    assert studio.project(number).instruction.count("<img ") == 6
    studio.update_project(number, expert_instruction="<p>Ours</p>")
    assert not place_pictures(studio, settings, studio.project(number), controls)
    assert studio.project(number).instruction == "<p>Ours</p>"


def tabs_are_stored_as_they_are_written(empty: EmptyProject) -> None:
    """Each of helioloop's tabs is recognised when it is read back; a change replaces one tab and no other."""
    ids = [empty.label_studio.create_tab(empty.project, tab.new()) for tab in TABS]
    there = {tab.id: tab.settings for tab in empty.label_studio.tabs(empty.project)}
    assert there.keys() == {*ids}
    for number, tab in zip(ids, TABS, strict=True):
        assert there[number]["title"] == tab.title
        assert [other.title for other in TABS if other.matches(there[number])] == [tab.title]
    empty.label_studio.change_tab(empty.project, ids[0], {**there[ids[0]], **TABS[1].kept(), "title": "mine"})
    after = {tab.id: tab.settings for tab in empty.label_studio.tabs(empty.project)}
    assert (after[ids[0]]["title"], TABS[1].matches(after[ids[0]])) == ("mine", True)
    assert {number: after[number] for number in ids[1:]} == {number: there[number] for number in ids[1:]}
    with pytest.raises(LabelStudioError):
        empty.label_studio.change_tab(empty.project, 987_654_321, TABS[0].new())


def helioloops_tabs_are_made_once_and_the_teams_stay(empty: EmptyProject, model_dir: Path) -> None:
    """Filters that somebody changed are restored, titles are not; a deleted one and a team's tab are left alone."""
    team = empty.label_studio.create_tab(empty.project, {**TABS[0].new(), "title": "Uncertain"})
    for _ in range(2):
        update_tabs(empty.label_studio, empty.project, model_dir)
    first = {tab.settings["title"]: tab for tab in empty.label_studio.tabs(empty.project)}
    ours = ["Disagreements first", "Uncertain (helioloop)", "Random checks", "Ties between annotators"]
    assert list(first) == ["Uncertain", *ours, "Accepted under guarantee"]
    changed = first["Random checks"]
    other = {**changed.settings, "title": "blind", "ordering": ["tasks:id"]}
    empty.label_studio.change_tab(empty.project, changed.id, other)
    update_tabs(empty.label_studio, empty.project, model_dir)
    after = {tab.id: tab.settings for tab in empty.label_studio.tabs(empty.project)}
    assert after[changed.id] == {**changed.settings, "title": "blind"}
    assert after[team] == first["Uncertain"].settings
    assert len(after) == 6


def a_configuration_may_change_although_there_are_answers(empty: EmptyProject) -> None:
    """The words of the classes may change and what nobody has used may go; a control of answers may not.

    Predictions stay as they are.
    """
    (one,) = empty.tasks(1)
    empty.predict(prediction(one))
    empty.annotate(one, "emergence")
    config = empty.label_studio.project(empty.project).label_config
    with pytest.raises((LabelStudioError, ApiError)):
        empty.configure(config.replace('name="class"', 'name="kind"'))
    assert empty.label_studio.project(empty.project).label_config == config
    renamed = config.replace('"emergence"', '"bipole"').replace('name="onset"', 'name="when"')
    empty.configure(renamed)
    assert empty.label_studio.project(empty.project).label_config == renamed
    assert empty.rows() == [(one, "v0001")]


def a_description_is_replaced_and_nothing_else(empty: EmptyProject) -> None:
    """Line breaks, brackets and letters of all kinds stay; an empty one too."""
    before = empty.label_studio.project(empty.project)
    assert before.description == ""
    for text in ("[helioloop] v0001 – 3 of 4 <b>&amp;\n\nOur own text: Ärger, 活动区 [end]", ""):
        empty.label_studio.set_description(empty.project, text)
        assert empty.label_studio.project(empty.project) == replace(before, description=text)
    with pytest.raises(LabelStudioError):
        empty.label_studio.set_description(987_654_321, "x")
