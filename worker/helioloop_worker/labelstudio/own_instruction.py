"""The instruction of a project as helioloop writes it, and its pictures, which the project's media folder has.

Whether an instruction gets its pictures follows from what the project has now, not from who created it when: a setup
that broke off before there was a media folder is completed by the next one.
"""

from html.parser import HTMLParser
from typing import Final
from urllib.parse import quote, urlsplit

from helioloop.records.controls import Controls
from helioloop.records.labels import Label
from helioloop.settings import Settings
from helioloop_worker.labelstudio.port import ProjectInfo
from helioloop_worker.labelstudio.project_template import copy_stills, instruction
from helioloop_worker.labelstudio.setup_port import LabelStudioSetup

STILLS: Final = "instruction"
"""Folder of the instruction's pictures below a project's media folder."""


def own_instruction(controls: Controls, *, stills: str | None = None) -> str:
    """Return helioloop's instruction with the words that annotators see; with pictures if their address is given."""
    names = controls.class_names
    return instruction(stills, emergence=names[Label.EMERGENCE], non_emergence=names[Label.NON_EMERGENCE])


def place_pictures(label_studio: LabelStudioSetup, settings: Settings, info: ProjectInfo, controls: Controls) -> bool:
    """Give helioloop's own instruction the pictures of this project, and return whether that has changed it.

    The files are also copied where a team's instruction names them. Its text is never changed.
    """
    media = settings.media_dir(info.id)
    base = urlsplit(settings.label_studio_public_url or settings.label_studio_url).path.rstrip("/")
    address = f"{base}/data/local-files/?d={quote(f'helioloop/{media.name}/{STILLS}')}"
    own = own_instruction(controls, stills=address)
    there, wanted = _Read(info.instruction), _Read(own)
    is_own = there.content == wanted.content
    if is_own or any(picture.startswith(f"{address}/") for picture in there.pictures):
        copy_stills(media / STILLS)
    if not is_own or there.pictures == wanted.pictures:
        return False
    label_studio.update_project(info.id, expert_instruction=own)
    return True


class _Read(HTMLParser):
    """What HTML says: its words with the tags between them, and the addresses of its pictures.

    Label Studio writes some of it in another way: attributes, entities, and the body of a table.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.content: list[str] = []
        self.pictures: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the address of a picture; take another tag as it is."""
        if tag == "img":
            self.pictures.append(dict(attrs).get("src") or "")
        elif tag != "tbody":
            self.content.append(f"<{tag}>")

    def handle_data(self, data: str) -> None:
        """Take the words."""
        self.content += data.split()
