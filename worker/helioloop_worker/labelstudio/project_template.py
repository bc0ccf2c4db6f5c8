"""Templates of a new project: the labelling configuration, and the instruction for annotators with its stills."""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from helioloop.files import atomic


def labeling_configuration() -> str:
    """Return helioloop's labelling configuration.

    It is inside the package of an installed wheel, and in ``labeling_config/`` of a source tree.
    """
    return (_folder() / "bipoles.xml").read_text(encoding="utf-8")


def instruction(stills: str | None) -> str:
    """Return the instruction as the HTML that Label Studio keeps: it removes styles and pictures inside the text.

    Parameters
    ----------
    stills : str or None
        Address under which Label Studio serves the pictures of `copy_stills`; None leaves them out.
    """
    text = (_folder() / "instruction.html").read_text(encoding="utf-8")
    if stills is None:
        return re.sub(r"<img [^>]*>", "", text)
    return re.sub(r'src="([^"]+)"', lambda found: f'src="{stills}/{found[1]}"', text)


def copy_stills(folder: Path) -> None:
    """Copy the pictures of the instruction into a folder."""
    for picture in (_folder() / "stills").iterdir():
        atomic.write_bytes(folder / picture.name, picture.read_bytes())


def _folder() -> Traversable:
    packaged = files("helioloop_worker") / "labeling_config"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "labeling_config"
