"""Finds the controls in a labelling configuration: names, class values, onset label, and the field of the video.

Takes the configuration as text, as Label Studio sends it.
"""

import re
import reprlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from xml.etree.ElementTree import Element

from helioloop.errors import ConfigurationError
from helioloop.labelstudio.markup import (
    Option,
    choices_on_videos,
    field_of,
    find_option,
    options_of,
    read_markup,
    seen_options,
)
from helioloop.records.controls import ONSET_LABEL, Controls
from helioloop.records.labels import Label

FPS: Final = 25
"""Frames per second of every video that ingestion renders; ``framerate`` of its ``<Video>`` must be the same."""
SUPPLIED_FIELDS: Final = ("curve", "reason", "cube", "release", "region", "start", "sha256", "crude_label")
"""Fields of an imported task's data, besides the address of the video."""
_RESERVED_FIELDS: Final = (*SUPPLIED_FIELDS, "triage")
_FRAMERATE: Final = re.compile(rf"{FPS}(\.0*)?")
_REMEDY: Final = "`helioloop init --project ID --emergence VALUE --non-emergence VALUE`"


def parse_config(
    xml: str, *, emergence: str, non_emergence: str, choices: str | None = None, onset: str | None = None
) -> Controls:
    """Return the controls in a labelling configuration.

    Parameters
    ----------
    xml : str
        The configuration as Label Studio sends it.
    emergence, non_emergence : str
        The words of the two classes: values of results, or texts of choices on the screen.
    choices : str, optional
        Name of the ``<Choices>`` to take where several have both words.
    onset : str, optional
        The timeline label to take; without it, helioloop's own, the word of emergence, or the only label there is.

    Raises
    ------
    ConfigurationError
        Where the text is too long, is not XML or declares a DOCTYPE; where not exactly one ``<Choices>`` on a
        ``<Video>`` has both words; where the ``framerate`` of that video is not `FPS`, or its value is not a field of
        its own.
    """
    root = read_markup(xml)
    matching = [
        (tag, pair)
        for tag in choices_on_videos(root)
        if (pair := _pair(options_of(tag, "Choice"), emergence, non_emergence)) is not None
    ]
    if len(matching) > 1:
        matching = [(tag, pair) for tag, pair in matching if tag.get("name") == choices] or matching
    if len(matching) != 1:
        raise ConfigurationError(
            f"{len(matching)} <Choices> on a <Video> have both {emergence!r} and {non_emergence!r} (choices found: "
            f"{seen_options(root.iter('Choices'))}), but exactly one must; name the project's values with {_REMEDY}"
            + (", and the control with --choices NAME" if matching else ", or change the configuration")
        )
    tag, (yes, no) = matching[0]
    video = tag.get("toName", "")
    _check_framerate(root, video)
    timeline, onset_option, others = _timeline(root, video, yes, onset)
    return Controls(
        video=video,
        video_field=_video_field(root, video),
        choices=tag.get("name", ""),
        timeline=timeline,
        timeline_label=None if onset_option is None else onset_option.value,
        timeline_shown=None if onset_option is None else onset_option.shown,
        timeline_others=frozenset(text for option in others for text in (option.value, option.shown)),
        values={Label.EMERGENCE: yes.value, Label.NON_EMERGENCE: no.value},
        shown={Label.EMERGENCE: yes.shown, Label.NON_EMERGENCE: no.shown},
    )


def project_controls(xml: str, kept: Controls | None, *, emergence: str, non_emergence: str) -> Controls:
    """Return the controls of a project: by the words and names that are kept for it, where there are any.

    Answers with values that its classes had earlier count, too.

    Parameters
    ----------
    xml : str
        The project's labelling configuration.
    kept : Controls or None
        What the project's model folder has.
    emergence, non_emergence : str
        The words for a project without any (settings).

    Raises
    ------
    ConfigurationError
        As `parse_config`; the sentence names the change where the configuration had the controls before.
    """
    if kept is None:
        return parse_config(xml, emergence=emergence, non_emergence=non_emergence)
    own = {
        "emergence": kept.values[Label.EMERGENCE],
        "non_emergence": kept.values[Label.NON_EMERGENCE],
        "choices": kept.choices,
    }
    try:
        found = parse_config(xml, **own, onset=kept.timeline_label)
    except ConfigurationError as error:
        raise ConfigurationError(f"the labelling configuration was changed since `helioloop init`: {error}") from None
    return replace(found, earlier=kept.earlier)


def _pair(options: Sequence[Option], emergence: str, non_emergence: str) -> tuple[Option, Option] | None:
    """Return the options of both classes; None unless there are two different ones."""
    yes, no = find_option(emergence, options), find_option(non_emergence, options)
    if yes is None or no is None or yes.value == no.value:
        return None
    return yes, no


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


def _video_field(root: Element, video: str) -> str:
    """Return the field of a task's data that has the address of the video."""
    value = next((tag.get("value", "") for tag in root.iter("Video") if tag.get("name", "") == video), "")
    name = field_of(value)
    if name is None:
        raise ConfigurationError(
            f"<Video name={reprlib.repr(video)}> has value={reprlib.repr(value)}, but each task has the address of its "
            'video in one field of its data: write a field there, for example value="$video"'
        )
    if name in _RESERVED_FIELDS:
        raise ConfigurationError(
            f"<Video name={reprlib.repr(video)}> shows ${name}, but helioloop writes something else into that field of "
            'a task: write another field there, for example value="$video"'
        )
    return name


def _timeline(
    root: Element, video: str, emergence: Option, onset: str | None
) -> tuple[str | None, Option | None, list[Option]]:
    """Return name, onset label and other labels of the timeline.

    It is the first ``<TimelineLabels>`` with an onset's label, or with only one label.
    """
    tags = [tag for tag in root.iter("TimelineLabels") if tag.get("toName") == video]
    for word in (onset, ONSET_LABEL, emergence.value, emergence.shown):
        for tag in tags if word else ():
            labels = options_of(tag, "Label")
            found = find_option(word or "", labels)
            if found is not None:
                return tag.get("name"), found, [label for label in labels if label.value != found.value]
    for tag in tags:
        labels = options_of(tag, "Label")
        if len(labels) == 1:
            return tag.get("name"), labels[0], []
    return None, None, []
