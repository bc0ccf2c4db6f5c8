"""The pictures of helioloop's own instruction: placed by whichever setup can, and a team's text stays."""

from pathlib import Path

import pytest

from helioloop.errors import LabelStudioError
from helioloop.labelstudio.new_controls import GivenWords
from helioloop.settings import Settings
from helioloop_worker.labelstudio.fake import FakeLabelStudio
from helioloop_worker.labelstudio.project_template import instruction, labeling_configuration
from helioloop_worker.labelstudio.setup import set_up

NOWHERE = "http://127.0.0.1:9"
PICTURE = "emergence-1.png"


class WithoutLocalFiles(FakeLabelStudio):
    """A Label Studio that was started without the right to serve local files."""

    serves = False

    def ensure_local_storage(self, project: int, path: str) -> None:
        """Refuse the folder as Label Studio does."""
        if not self.serves:
            raise LabelStudioError("connecting the media folder: Label Studio answered 400; read Label Studio's log")
        super().ensure_local_storage(project, path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with folders of their own."""
    return Settings(model_root=tmp_path / "models", media_root=tmp_path / "media")


def shown(label_studio: FakeLabelStudio, project: int) -> str:
    """Return the instruction."""
    return label_studio.project(project).instruction


def stills(settings: Settings, project: int) -> list[str]:
    """Return the names of the pictures in the project's media folder."""
    return sorted(path.name for path in (settings.media_dir(project) / "instruction").glob("*"))


def address(project: int) -> str:
    """Return the address of the pictures of a project."""
    return f"/data/local-files/?d=helioloop/project-{project}/instruction"


@pytest.mark.parametrize("given", [GivenWords(), GivenWords(emergence='ja & <"q">', non_emergence="nein")])
def test_a_setup_that_broke_off_before_the_media_folder_is_completed(settings: Settings, given: GivenWords) -> None:
    """As where Label Studio did not serve local files yet; a later setup changes nothing more."""
    label_studio, said = WithoutLocalFiles(), list[str]()
    with pytest.raises(LabelStudioError, match="set LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true"):
        set_up(label_studio, settings, backend_url=NOWHERE, given=given)
    (project,) = label_studio.find_projects("helioloop")
    assert "<img" not in shown(label_studio, project)
    label_studio.serves = True
    for _ in range(2):
        set_up(label_studio, settings, backend_url=NOWHERE, given=given, say=said.append)
        assert shown(label_studio, project).count(f'<img src="{address(project)}/') == 6
        assert len(stills(settings, project)) == 6
    assert said.count("set: the pictures of the instruction") == 1


@pytest.mark.parametrize(
    "earlier",
    [
        instruction(None),
        instruction("/label-studio/data/local-files/?d=helioloop/project-1/instruction"),
        instruction(address(77)),
        instruction(None).replace("<tr>", "<tbody><tr>").replace("→", "&rarr;").replace("<p>", '<p style="">\n'),
    ],
    ids=["without pictures", "under another path", "of the project that it was copied from", "written otherwise"],
)
def test_helioloops_own_text_shows_the_pictures_of_its_project(settings: Settings, earlier: str) -> None:
    label_studio = FakeLabelStudio()
    project = label_studio.create_project(title="team", label_config=labeling_configuration(), instruction=earlier)
    set_up(label_studio, settings, project=project, backend_url=NOWHERE)
    assert shown(label_studio, project) == instruction(address(project))
    assert PICTURE in stills(settings, project)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ours",
        instruction(None).replace("Two numbers", "Three numbers"),
        instruction(None).replace("<em>", "").replace("</em>", ""),
        instruction(None, emergence="ja", non_emergence="nein"),
        f'<p>Ours <img src="{address(77)}/{PICTURE}"></p>',
    ],
    ids=["none", "its own", "a changed word", "changed letters", "other words", "pictures of another project"],
)
def test_a_teams_text_stays_and_gets_no_pictures(settings: Settings, text: str) -> None:
    label_studio = FakeLabelStudio()
    project = label_studio.create_project(title="team", label_config=labeling_configuration(), instruction=text)
    set_up(label_studio, settings, project=project, backend_url=NOWHERE)
    assert shown(label_studio, project) == text
    assert stills(settings, project) == []


@pytest.mark.parametrize("path", ["", "/label-studio"])
def test_pictures_that_a_teams_text_names_are_there_again_after_a_loss(settings: Settings, path: str) -> None:
    """As after the media folder was lost."""
    own, label_studio = settings.model_copy(update={"label_studio_public_url": f"https://a.b{path}"}), FakeLabelStudio()
    text = f'<p>Ours <img src="{path}{address(1)}/{PICTURE}"></p>'
    project = label_studio.create_project(title="team", label_config=labeling_configuration(), instruction=text)
    set_up(label_studio, own, project=project, backend_url=NOWHERE)
    assert shown(label_studio, project) == text
    assert PICTURE in stills(settings, project)
