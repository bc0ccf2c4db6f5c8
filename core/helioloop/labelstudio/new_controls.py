"""Chooses the controls of a project that is set up: by words given, kept or usual, and says what is doubtful."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from helioloop.errors import ConfigurationError
from helioloop.labelstudio.config import SUPPLIED_FIELDS, parse_config
from helioloop.labelstudio.markup import (
    choices_on_videos,
    find_option,
    options_of,
    read_markup,
    seen_options,
    shown_fields,
)
from helioloop.records.controls import Controls
from helioloop.records.labels import Label


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenWords:
    """The words and names that somebody gave for a project; None for those that were not given."""

    emergence: str | None = None
    non_emergence: str | None = None
    choices: str | None = None
    onset: str | None = None


def choose_controls(
    xml: str, given: GivenWords, kept: Controls | None, *, emergence: str, non_emergence: str
) -> Controls:
    """Return the controls of a project from its own labelling configuration.

    The words of the two classes are those given; else those kept; else the usual ones of the settings; else choices
    that read like them in any case and with any hyphen. One given word of a control with two choices gives the other.

    Parameters
    ----------
    xml : str
        The project's labelling configuration.
    given : GivenWords
        What somebody gave.
    kept : Controls or None
        What the project's model folder has.
    emergence, non_emergence : str
        The words of the settings.

    Raises
    ------
    ConfigurationError
        Where the configuration cannot be used or mapped to two classes, a given name is not in it, or it shows a field
        that the tasks of helioloop do not have.
    """
    root = read_markup(xml)
    tags = choices_on_videos(root)
    if given.choices is not None and given.choices not in [tag.get("name") for tag in tags]:
        raise ConfigurationError(
            f"--choices is {given.choices!r}, but the configuration has no such <Choices> on a <Video> (found: "
            f"{seen_options(root.iter('Choices'))}); give the name of one of them"
        )
    usual = [(emergence, non_emergence), *_usual(root)]
    if given.emergence is not None or given.non_emergence is not None:
        words = [_completed(root, given)]
    elif kept is not None:
        words = [(kept.values[Label.EMERGENCE], kept.values[Label.NON_EMERGENCE]), *usual]
    else:
        words = usual
    wanted = given.choices or (None if kept is None else kept.choices)
    onset = given.onset or (None if kept is None else kept.timeline_label)
    for tag_words in words:
        if _fit(tags, *tag_words):
            controls = parse_config(
                xml, emergence=tag_words[0], non_emergence=tag_words[1], choices=wanted, onset=onset
            )
            _check(root, controls, given)
            return controls
    raise ConfigurationError(
        f"no <Choices> on a <Video> has {' and '.join(map(repr, words[0]))} (found: "
        f"{seen_options(root.iter('Choices'))}), so the two classes are not clear; name them with --emergence VALUE "
        "--non-emergence VALUE, or change the configuration"
    )


def doubts(xml: str, controls: Controls) -> Iterator[str]:
    """Yield what works but should be known about a configuration, one sentence each."""
    root = read_markup(xml)
    for tag in root.iter("Choices"):
        if tag.get("name") == controls.choices and tag.get("choice", "") == "multiple":
            yield (
                f'<Choices name="{controls.choices}"> has choice="multiple", and an answer with both classes does not '
                'count; write choice="single-radio" there'
            )
    if controls.timeline is None:
        labels = [
            option.shown
            for tag in root.iter("TimelineLabels")
            if tag.get("toName") == controls.video
            for option in options_of(tag, "Label")
        ]
        if labels:
            yield (
                f"none of the timeline labels {', '.join(map(repr, labels))} is known to be the onset, so none is read "
                "or written; name it with --onset LABEL"
            )
        else:
            yield (
                f'no <TimelineLabels> is on <Video name="{controls.video}">, so no onset is read or written; add one '
                "with a label for the onset"
            )
    if missing := [name for name in ("curve", "reason") if name not in shown_fields(root)]:
        yield (
            f"the configuration does not show ${' and $'.join(missing)}, so annotators do not see why a task is shown; "
            "labeling_config/bipoles.xml has the tags"
        )


def _check(root: Element, controls: Controls, given: GivenWords) -> None:
    """Refuse an onset label that is not there, and fields that tasks of helioloop do not have."""
    if given.onset is not None:
        labels = [
            option
            for tag in root.iter("TimelineLabels")
            if tag.get("toName") == controls.video
            for option in options_of(tag, "Label")
        ]
        if find_option(given.onset, labels) is None:
            seen = ", ".join(repr(option.shown) for option in labels) or "none"
            raise ConfigurationError(
                f"--onset is {given.onset!r}, but no <TimelineLabels> on the video has that label "
                f"(labels found: {seen}); give one of them"
            )
    has = {controls.video_field, *SUPPLIED_FIELDS}
    if lacking := sorted(shown_fields(root) - has):
        raise ConfigurationError(
            f"the configuration shows {', '.join(f'${name}' for name in lacking)}, which the tasks that helioloop "
            f"imports do not have (they have {', '.join(sorted(has))}), and Label Studio would refuse to import them; "
            "remove these tags or let them show one of those fields"
        )


def _completed(root: Element, given: GivenWords) -> tuple[str, str]:
    """Return both words where one was given and the control has two choices."""
    words = (given.emergence, given.non_emergence)
    if words[0] is not None and words[1] is not None:
        if words[0] == words[1]:
            raise ConfigurationError(
                f"--emergence and --non-emergence are both {words[0]!r}, but the classes have different values; "
                "correct one of them"
            )
        return words[0], words[1]
    one = words[0] if words[0] is not None else words[1]
    others = set()
    for tag in choices_on_videos(root):
        options = options_of(tag, "Choice")
        found = find_option(one or "", options)
        if found is not None and len(options) == len(Label) and given.choices in (None, tag.get("name")):
            others |= {option.value for option in options if option.value != found.value}
    if len(others) != 1:
        option, missing = (
            ("--emergence", "--non-emergence") if words[0] is not None else ("--non-emergence", "--emergence")
        )
        raise ConfigurationError(
            f"only {option} is given ({one!r}), and the other class is not clear from the configuration (found: "
            f"{seen_options(root.iter('Choices'))}); give {missing} VALUE too"
        )
    other = others.pop()
    return (one or "", other) if words[0] is not None else (other, one or "")


def _fit(tags: list[Element], emergence: str, non_emergence: str) -> bool:
    """Tell whether a control has both words."""
    for tag in tags:
        options = options_of(tag, "Choice")
        if find_option(emergence, options) is not None and find_option(non_emergence, options) is not None:
            return True
    return False


def _usual(root: Element) -> list[tuple[str, str]]:
    """Return choices that read like the names of the classes, such as Emergence and Non-Emergence."""
    found = []
    for tag in choices_on_videos(root):
        words: dict[str, set[str]] = {}
        for option in options_of(tag, "Choice"):
            for text in (option.value, option.shown):
                words.setdefault(_plain(text), set()).add(option.value)
        pair = [words.get(_plain(label.value), set()) for label in (Label.EMERGENCE, Label.NON_EMERGENCE)]
        if all(len(values) == 1 for values in pair) and pair[0] != pair[1]:
            found.append((pair[0].pop(), pair[1].pop()))
    return list(dict.fromkeys(found))


def _plain(text: str) -> str:
    """Return the letters and digits of a word, in small letters."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())
