"""Templates of a new project: the labelling configuration, and the instruction for annotators with its stills."""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from helioloop.files import atomic
from helioloop.records.controls import ONSET_LABEL
from helioloop.records.labels import Label


def labeling_configuration(
    *, emergence: str = Label.EMERGENCE, non_emergence: str = Label.NON_EMERGENCE, onset: str | None = None
) -> str:
    """Return helioloop's labelling configuration, with the words of a project.

    It is inside the package of an installed wheel, and in ``labeling_config/`` of a source tree.

    Parameters
    ----------
    emergence, non_emergence : str
        The choices of the two classes.
    onset : str, optional
        The timeline label.
    """
    text = (_folder() / "bipoles.xml").read_text(encoding="utf-8")
    words = {
        f'<Choice value="{Label.EMERGENCE}"': f"<Choice value={quoteattr(emergence)}",
        f'<Choice value="{Label.NON_EMERGENCE}"': f"<Choice value={quoteattr(non_emergence)}",
        f'<Label value="{ONSET_LABEL}"': f"<Label value={quoteattr(onset or ONSET_LABEL)}",
        'requiredMessage="Choose emergence or non-emergence"': "requiredMessage="
        + quoteattr(f"Choose {emergence} or {non_emergence}"),
    }
    for own, wanted in words.items():
        text = text.replace(own, wanted)
    return text


def instruction(
    stills: str | None, *, emergence: str = Label.EMERGENCE, non_emergence: str = Label.NON_EMERGENCE
) -> str:
    """Return the instruction as the HTML that Label Studio keeps: it removes styles and pictures inside the text.

    Parameters
    ----------
    stills : str or None
        Address under which Label Studio serves the pictures of `copy_stills`; None leaves them out.
    emergence, non_emergence : str
        The choices of the two classes, as annotators see them.
    """
    text = (_folder() / "instruction.html").read_text(encoding="utf-8")
    for label, shown in ((Label.EMERGENCE, emergence), (Label.NON_EMERGENCE, non_emergence)):
        word = escape(shown)
        for own, wanted in (
            (f"<strong>{label.value.capitalize()}:</strong>", f"<strong>{word[:1].upper()}{word[1:]}:</strong>"),
            (f"<strong>{label.value[0]}</strong> {label.value}", f"<strong>{label.value[0]}</strong> {word}"),
            (f"the class to {label.value}", f"the class to {word}"),
        ):
            text = text.replace(own, wanted)
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
