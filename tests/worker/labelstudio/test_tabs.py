"""Helioloop's tabs in a project: what is adopted, renamed, made anew, and left alone."""

from pathlib import Path

import pytest
from tests.worker.labelstudio.contract.empty_project import BackendPlace, EmptyProject
from tests.worker.labelstudio.contract.projects import helioloops_tabs_are_made_once_and_the_teams_stay

from helioloop.errors import RegistryError
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project_template import labeling_configuration
from helioloop_worker.labelstudio.tab import TABS
from helioloop_worker.labelstudio.tabs import update_tabs

TITLES = [tab.title for tab in TABS]


@pytest.fixture
def label_studio() -> FakeLabelStudio:
    found = FakeLabelStudio()
    found.create_project(title="team", label_config=labeling_configuration())
    return found


def titles(label_studio: FakeLabelStudio) -> list[str]:
    return [tab.settings["title"] for tab in label_studio.tabs(1)]


def test_tabs_are_made_once_and_a_teams_tabs_stay(label_studio: FakeLabelStudio, tmp_path: Path) -> None:
    """The same check runs on the real Label Studio."""

    def unused(*_: object) -> int:
        pytest.fail("tabs need no annotations")

    helioloops_tabs_are_made_once_and_the_teams_stay(
        EmptyProject(
            label_studio=label_studio, project=1, annotate=unused, skip=unused, revise=unused,
            delete_annotation=unused, copy_predictions=unused, configure=unused,
            configured=unused, titled=unused,
            backend=BackendPlace(url="", user="", password="", secret="", media_root=tmp_path, arrived=unused),
        ),
        tmp_path,
    )  # fmt: skip


def test_the_tab_of_earlier_versions_becomes_the_first_one(label_studio: FakeLabelStudio, tmp_path: Path) -> None:
    """Its widths stay as the team left them; it hides what the team hid, and what a new tab hides."""
    hidden = {"explore": ["tasks:data.video", "tasks:annotators"], "labeling": []}
    old = label_studio.create_tab(
        1,
        {
            **TABS[0].new(),
            "title": "Model disagrees first",
            "filters": {},
            "columnsWidth": {"tasks:id": 90},
            "hiddenColumns": hidden,
        },
    )
    update_tabs(label_studio, 1, tmp_path)
    assert titles(label_studio) == TITLES
    assert label_studio.tabs(1)[0].id == old
    assert label_studio.tabs(1)[0].settings["columnsWidth"] == {"tasks:id": 90}
    assert TABS[0].matches(label_studio.tabs(1)[0].settings)
    after = label_studio.tabs(1)[0].settings["hiddenColumns"]
    assert after["explore"][:2] == hidden["explore"]
    for place in ("explore", "labeling"):
        assert {"tasks:predictions_model_versions", "tasks:data.curve", "tasks:data.reason"} <= {*after[place]}
        assert len(after[place]) == len({*after[place]})


@pytest.mark.parametrize(
    ("hidden", "in_list", "beside_task"),
    [
        ({"explore": ["tasks:annotators"], "labeling": []}, ["tasks:annotators"], []),
        (
            {"explore": ["tasks:data.crude_label", "tasks:annotators"]},
            ["tasks:data.crude_label", "tasks:annotators"],
            [],
        ),
        (None, [], []),
    ],
    ids=["as an earlier version made it", "where one place is missing", "where nothing is hidden"],
)
def test_the_tab_of_random_checks_never_shows_score_and_crude_label(
    label_studio: FakeLabelStudio, tmp_path: Path, hidden: object, in_list: list[str], beside_task: list[str]
) -> None:
    """Both would tell an answer; a team's other columns stay, and a tab that is right is not written again."""
    update_tabs(label_studio, 1, tmp_path)
    checks = next(tab for tab in label_studio.tabs(1) if tab.settings["title"] == "Random checks")
    label_studio.change_tab(1, checks.id, {**checks.settings, "hiddenColumns": hidden})
    update_tabs(label_studio, 1, tmp_path)
    after = {tab.id: tab.settings for tab in label_studio.tabs(1)}[checks.id]["hiddenColumns"]
    both = {"tasks:data.crude_label", "tasks:predictions_score"}
    for place, before in (("explore", in_list), ("labeling", beside_task)):
        assert after[place][: len(before)] == before
        assert {*after[place]} == {*before} | both
        assert len(after[place]) == len({*after[place]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_studio, "change_tab", lambda *_: pytest.fail("all tabs are right"))
        update_tabs(label_studio, 1, tmp_path)


def test_a_team_may_show_the_crude_label_in_the_other_tabs(label_studio: FakeLabelStudio, tmp_path: Path) -> None:
    update_tabs(label_studio, 1, tmp_path)
    for tab in label_studio.tabs(1):
        label_studio.change_tab(1, tab.id, {**tab.settings, "hiddenColumns": {"explore": [], "labeling": []}})
    update_tabs(label_studio, 1, tmp_path)
    changed = [tab.settings["title"] for tab in label_studio.tabs(1) if tab.settings["hiddenColumns"]["explore"]]
    assert changed == ["Random checks"]


def test_an_interrupted_update_makes_no_tab_twice(label_studio: FakeLabelStudio, tmp_path: Path) -> None:
    """The tab was created and its id not written."""
    update_tabs(label_studio, 1, tmp_path)
    (tmp_path / "tabs.json").unlink()
    update_tabs(label_studio, 1, tmp_path)
    assert titles(label_studio) == TITLES


def test_a_deleted_tab_stays_deleted_until_the_project_is_set_up_again(
    label_studio: FakeLabelStudio, tmp_path: Path
) -> None:
    update_tabs(label_studio, 1, tmp_path)
    own = label_studio._project(1).tabs
    del own[label_studio.tabs(1)[1].id]
    update_tabs(label_studio, 1, tmp_path)
    assert titles(label_studio) == [TITLES[0], *TITLES[2:]]
    update_tabs(label_studio, 1, tmp_path, restore=True)
    assert sorted(titles(label_studio)) == sorted(TITLES)


TEAMS = {
    "title": "Emergences of Anna",
    "type": "list",
    "target": "tasks",
    "filters": {
        "conjunction": "and",
        "items": [{"filter": "filter:tasks:data.region", "operator": "equal", "type": "String", "value": "11158"}],
    },
    "ordering": ["tasks:id"],
    "hiddenColumns": {"explore": [], "labeling": []},
}
"""A tab that a team made for itself."""


@pytest.mark.parametrize("place", range(len(TABS)), ids=TITLES)
def test_a_teams_tab_that_has_the_id_of_a_lost_one_is_left_alone(
    label_studio: FakeLabelStudio, tmp_path: Path, place: int
) -> None:
    """The database was restored from before the tab was made, and the team made one of its own; helioloop makes its."""
    update_tabs(label_studio, 1, tmp_path)
    reused = label_studio.tabs(1)[place].id
    label_studio.change_tab(1, reused, TEAMS)
    for _ in range(2):
        update_tabs(label_studio, 1, tmp_path)
    after = {tab.id: tab.settings for tab in label_studio.tabs(1)}
    assert after[reused] == TEAMS
    assert sorted(titles(label_studio)) == sorted([*TITLES, TEAMS["title"]])


def test_the_tabs_of_another_database_are_left_alone(label_studio: FakeLabelStudio, tmp_path: Path) -> None:
    """The project was moved with its model folder: all ids are those of the team's tabs there."""
    update_tabs(label_studio, 1, tmp_path)
    for tab in label_studio.tabs(1):
        label_studio.change_tab(1, tab.id, TEAMS)
    update_tabs(label_studio, 1, tmp_path)
    assert titles(label_studio) == [TEAMS["title"]] * len(TABS) + TITLES


def test_a_tab_without_filters_has_none_of_helioloops(label_studio: FakeLabelStudio, tmp_path: Path) -> None:
    """Label Studio's own first tab has no settings at all."""
    update_tabs(label_studio, 1, tmp_path)
    reused = label_studio.tabs(1)[0].id
    label_studio.change_tab(1, reused, {})
    update_tabs(label_studio, 1, tmp_path)
    assert {tab.id: tab.settings for tab in label_studio.tabs(1)}[reused] == {}


@pytest.mark.parametrize(
    "changed",
    [{"filters": {}, "ordering": []}, {"title": "ours"}, {"title": "ours", "ordering": ["tasks:id"]}],
    ids=["filters and ordering", "title", "title and ordering"],
)
def test_a_tab_that_the_team_changed_is_still_helioloops(
    label_studio: FakeLabelStudio, tmp_path: Path, changed: dict[str, object]
) -> None:
    """Title or filters tell it; filters and ordering are restored, and no second one is made."""
    update_tabs(label_studio, 1, tmp_path)
    tab = label_studio.tabs(1)[1]
    label_studio.change_tab(1, tab.id, {**tab.settings, **changed})
    update_tabs(label_studio, 1, tmp_path)
    assert len(label_studio.tabs(1)) == len(TABS)
    assert TABS[1].matches(label_studio.tabs(1)[1].settings)
    assert label_studio.tabs(1)[1].settings["title"] == changed.get("title", TABS[1].title)


def test_a_damaged_list_of_tabs_is_refused_with_the_remedy(label_studio: FakeLabelStudio, tmp_path: Path) -> None:
    (tmp_path / "tabs.json").write_text("[1]")
    with pytest.raises(RegistryError, match="delete it: it is written again"):
        update_tabs(label_studio, 1, tmp_path)
