"""The controls of a labelling configuration: under which names it takes classes and onsets, and at which frame rate.

Below `labels`. Pure: the configuration is text, as Label Studio sends it. Web and worker both stand on it.
"""

import re
import reprlib
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from helioloop.errors import ConfigurationError
from helioloop.records import Label

MAX_CONFIG_CHARS = 1_000_000
"""A labelling configuration longer than this is refused unread; real ones have a few thousand characters."""
FPS: Final = 25
"""Frames a second of every video that ingestion renders; what ``framerate`` of its ``<Video>`` has to say."""
_FRAMERATE: Final = re.compile(rf"{FPS}(\.0*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The names under which a project's configuration takes classes and onsets.

    Parameters
    ----------
    video : str
        Name of the ``<Video>`` that both controls point to.
    choices : str
        Name of the ``<Choices>`` with both class values.
    timeline : str or None
        Name of the ``<TimelineLabels>``; None where the configuration has none: no onset is written.
    timeline_label : str or None
        The label of a range that starts at the emergence frame.
    values : mapping
        Class -> choice value.
    """

    video: str
    choices: str
    timeline: str | None
    timeline_label: str | None
    values: Mapping[Label, str]

    def label_of(self, value: str) -> Label | None:
        """Return the class that a choice value stands for; None for any other value."""
        return next((label for label, own in self.values.items() if own == value), None)


def parse_config(xml: str, *, emergence: str, non_emergence: str) -> Controls:
    """Find the controls in a labelling configuration as Label Studio sends it.

    Parameters
    ----------
    xml : str
        The configuration.
    emergence, non_emergence : str
        The two choice values (settings).

    Raises
    ------
    ConfigurationError
        Where no single ``<Choices>`` on a ``<Video>`` holds both values, the ``framerate`` of that video is not `FPS`,
        or the text is no configuration.
    """
    if len(xml) > MAX_CONFIG_CHARS or "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise ConfigurationError(
            f"the labelling configuration has {len(xml)} characters or declares a DOCTYPE; it must be plain tags of at "
            f"most {MAX_CONFIG_CHARS} characters: load labeling_config/bipoles.xml"
        )
    try:
        root = ET.fromstring(xml)  # noqa: S314 - DOCTYPE and entities are refused above
    except (ET.ParseError, RecursionError, UnicodeError) as error:
        raise ConfigurationError(
            f"the labelling configuration is no XML ({error}); load labeling_config/bipoles.xml"
        ) from None
    values = {Label.EMERGENCE: emergence, Label.NON_EMERGENCE: non_emergence}
    videos = {tag.get("name", "") for tag in root.iter("Video")}
    matching = [
        tag
        for tag in root.iter("Choices")
        if tag.get("toName", "") in videos and set(values.values()) <= _values(tag, "Choice")
    ]
    if len(matching) != 1:
        seen = sorted({value for tag in root.iter("Choices") for value in _values(tag, "Choice")})
        raise ConfigurationError(
            f"{len(matching)} <Choices> on a <Video> hold both {emergence!r} and {non_emergence!r} (choices found: "
            f"{', '.join(seen) or 'none'}); exactly one must: change the configuration, or the settings "
            f"HELIOLOOP_CLASS_EMERGENCE and HELIOLOOP_CLASS_NON_EMERGENCE"
        )
    video = matching[0].get("toName", "")
    _check_framerate(root, video)
    timeline, timeline_label = _timeline(root, video, emergence)
    return Controls(
        video=video,
        choices=matching[0].get("name", ""),
        timeline=timeline,
        timeline_label=timeline_label,
        values=values,
    )


def _values(tag: ET.Element, kind: str) -> set[str]:
    return {child.get("value", "") for child in tag.iter(kind)}


def _check_framerate(root: ET.Element, video: str) -> None:
    """Refuse a ``<Video>`` of another rate than the files': Label Studio counts frames as time × this value."""
    for tag in root.iter("Video"):
        stated = tag.get("framerate")
        if tag.get("name", "") != video or (stated is not None and _FRAMERATE.fullmatch(stated.strip())):
            continue
        found = "no framerate" if stated is None else f"framerate={reprlib.repr(stated)}"
        raise ConfigurationError(
            f"<Video name={reprlib.repr(video)}> has {found}, but the videos run at {FPS} frames a second; at another "
            f"rate (24 where none is given) Label Studio counts frames wrong, and every onset with them: write "
            f'framerate="{FPS}" into the <Video> tag'
        )


def _timeline(root: ET.Element, video: str, emergence: str) -> tuple[str | None, str | None]:
    """Take the first ``<TimelineLabels>`` on the video that has the emergence value, or a single label of any name."""
    for tag in root.iter("TimelineLabels"):
        if tag.get("toName") != video:
            continue
        labels = _values(tag, "Label")
        if emergence in labels:
            return tag.get("name"), emergence
        if len(labels) == 1:
            return tag.get("name"), labels.pop()
    return None, None
