"""The controls of a labelling configuration: names, class values, and the frame rate of the video.

Takes the configuration as text, as Label Studio sends it.
"""

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from helioloop.errors import ConfigurationError
from helioloop.records.labels import Label

MAX_CONFIG_CHARS = 1_000_000
"""A longer labelling configuration is refused unread; real ones have a few thousand characters."""
ONSET_LABEL: Final = "emergence onset"
"""The timeline label in helioloop's configuration."""
_EARLIER_ONSET_LABEL: Final = "emergence"
"""The timeline label in helioloop's configuration before it was called `ONSET_LABEL`."""
FPS: Final = 25
"""Frames per second of every video that ingestion renders; ``framerate`` of its ``<Video>`` must be the same."""
_FRAMERATE: Final = re.compile(rf"{FPS}(\.0*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """Names of the controls that take classes and onsets in a project's labelling configuration.

    Parameters
    ----------
    video : str
        Name of the ``<Video>`` that both controls point to.
    choices : str
        Name of the ``<Choices>`` with both class values.
    timeline : str or None
        Name of the ``<TimelineLabels>``; None where the configuration has none: no onset is written.
    timeline_label : str or None
        The label of a range that starts at the emergence frame; predictions have it.
    values : mapping
        Class -> choice value.
    """

    video: str
    choices: str
    timeline: str | None
    timeline_label: str | None
    values: Mapping[Label, str]

    @property
    def onset_labels(self) -> frozenset[str]:
        """The labels of ranges that are read as an onset: also those of annotations made under an earlier label."""
        names = {self.timeline_label, ONSET_LABEL, _EARLIER_ONSET_LABEL, self.values[Label.EMERGENCE]}
        return frozenset(name for name in names if name is not None)

    def label_of(self, value: str) -> Label | None:
        """Return the class with this choice value; None for any other value."""
        return next((label for label, own in self.values.items() if own == value), None)


def parse_config(xml: str, *, emergence: str, non_emergence: str) -> Controls:
    """Return the controls in a labelling configuration.

    Parameters
    ----------
    xml : str
        The configuration as Label Studio sends it.
    emergence, non_emergence : str
        The two choice values (settings).

    Raises
    ------
    ConfigurationError
        Where the text is too long, is not XML or declares a DOCTYPE; where not exactly one ``<Choices>`` on a
        ``<Video>`` has both values; or where the ``framerate`` of that video is not `FPS`.
    """
    root = _parse(xml)
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
            f"{len(matching)} <Choices> on a <Video> have both {emergence!r} and {non_emergence!r} (choices found: "
            f"{', '.join(seen) or 'none'}), but exactly one must; change the configuration, or the settings "
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


def _parse(xml: str) -> Element:
    """Return the root of a configuration; too long or other text is a `ConfigurationError`."""
    if len(xml) > MAX_CONFIG_CHARS:
        raise ConfigurationError(
            f"the labelling configuration has {len(xml)} characters, at most {MAX_CONFIG_CHARS} are read; load "
            "labeling_config/bipoles.xml"
        )
    try:
        return fromstring(xml, forbid_dtd=True)
    except DefusedXmlException:
        raise ConfigurationError(
            "the labelling configuration declares a DOCTYPE or entities, but must be plain tags; load "
            "labeling_config/bipoles.xml"
        ) from None
    except (ParseError, RecursionError, UnicodeError) as error:
        raise ConfigurationError(
            f"the labelling configuration is not XML ({error}); load labeling_config/bipoles.xml"
        ) from None


def _values(tag: Element, kind: str) -> set[str]:
    return {child.get("value", "") for child in tag.iter(kind)}


def _check_framerate(root: Element, video: str) -> None:
    """Refuse a ``<Video>`` with another rate than the files.

    Label Studio computes frames as time × this value.
    """
    for tag in root.iter("Video"):
        stated = tag.get("framerate")
        if tag.get("name", "") != video or (stated is not None and _FRAMERATE.fullmatch(stated.strip())):
            continue
        found = "no framerate" if stated is None else f"framerate={reprlib.repr(stated)}"
        raise ConfigurationError(
            f"<Video name={reprlib.repr(video)}> has {found}, but the videos have {FPS} frames per second; with "
            "another rate (24 where none is given) Label Studio counts frames wrong, and with them every onset: write "
            f'framerate="{FPS}" into the <Video> tag'
        )


def _timeline(root: Element, video: str, emergence: str) -> tuple[str | None, str | None]:
    """Return name and label of the first ``<TimelineLabels>`` with an onset's label, or with one label of any name."""
    for tag in root.iter("TimelineLabels"):
        if tag.get("toName") != video:
            continue
        labels = _values(tag, "Label")
        for known in (ONSET_LABEL, emergence):
            if known in labels:
                return tag.get("name"), known
        if len(labels) == 1:
            return tag.get("name"), labels.pop()
    return None, None
