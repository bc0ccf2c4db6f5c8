"""Reads the tags of a labelling configuration: its choices and labels with their aliases, and the fields it shows."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from helioloop.errors import ConfigurationError

MAX_CONFIG_CHARS = 1_000_000
"""A longer labelling configuration is refused unread; real ones have a few thousand characters."""
_FIELD: Final = re.compile(r"\$([\w-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A choice or a label: its value in results, and its text on the labelling screen."""

    value: str
    shown: str


def read_markup(xml: str) -> Element:
    """Return the root tag of a labelling configuration.

    Raises
    ------
    ConfigurationError
        Where the text is too long, is not XML, or declares a DOCTYPE.
    """
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


def options_of(tag: Element, kind: str) -> list[Option]:
    """Return the options of a control, in order; Label Studio writes the alias into results where there is one."""
    found = []
    for child in tag.iter(kind):
        shown = child.get("value", "")
        found.append(Option(value=child.get("alias") or shown, shown=shown))
    return found


def find_option(word: str, options: Sequence[Option]) -> Option | None:
    """Return the option with this value in results, or without one, the only one with this text on the screen."""
    for option in options:
        if option.value == word:
            return option
    shown = [option for option in options if option.shown == word]
    return shown[0] if len(shown) == 1 else None


def choices_on_videos(root: Element) -> list[Element]:
    """Return the ``<Choices>`` that classify a ``<Video>`` as a whole."""
    videos = {tag.get("name", "") for tag in root.iter("Video")}
    return [
        tag
        for tag in root.iter("Choices")
        if tag.get("toName", "") in videos and tag.get("perRegion", "").strip().lower() != "true"
    ]


def seen_options(tags: Iterable[Element]) -> str:
    """Return what the ``<Choices>`` among some tags offer, for a message."""
    parts = []
    for tag in tags:
        names = [
            option.shown + (f" (alias {option.value})" if option.value != option.shown else "")
            for option in options_of(tag, "Choice")
        ]
        remark = ", per region" if tag.get("perRegion", "").strip().lower() == "true" else ""
        parts.append(f'<Choices name="{tag.get("name", "")}"{remark}>: {", ".join(names) or "no choice"}')
    return "; ".join(parts) or "no <Choices>"


def field_of(value: str) -> str | None:
    """Return the field of a task's data that a tag with this value shows; None for any other value than ``$field``."""
    match = _FIELD.fullmatch(value.strip())
    return None if match is None else match[1]


def shown_fields(root: Element) -> set[str]:
    """Return the fields that a task must have: Label Studio imports no task that lacks a field that a tag shows."""
    found = set()
    for tag in root.iter():
        match = _FIELD.search(tag.get("value", "")) if tag.get("name") else None
        if match is not None:
            found.add(match[1])
    return found
