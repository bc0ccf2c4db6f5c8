"""The controls of a project's labelling configuration: their names, and the values that mean the two classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final, Self

from helioloop.records.labels import Label

ONSET_LABEL: Final = "emergence onset"
"""The timeline label in helioloop's configuration."""
_EARLIER_ONSET_LABEL: Final = "emergence"
"""The timeline label in helioloop's configuration before it was called `ONSET_LABEL`."""


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
        Class -> value in results: the alias of the choice where it has one, else the choice itself.
    shown : mapping
        Class -> choice as annotators see it; without it, `values`.
    video_field : str
        Field of a task's data that has the address of the video.
    timeline_shown : str or None
        The onset's label as annotators see it; None where it is not known.
    timeline_others : frozenset of str
        The other labels that the timeline offers, as they are in results and as annotators see them.
    earlier : mapping
        Class -> values that it had in the configuration before; answers that have them still count.
    """

    video: str
    choices: str
    timeline: str | None
    timeline_label: str | None
    values: Mapping[Label, str]
    shown: Mapping[Label, str] = field(default_factory=dict)
    video_field: str = "video"
    timeline_shown: str | None = None
    timeline_others: frozenset[str] = frozenset()
    earlier: Mapping[Label, tuple[str, ...]] = field(default_factory=dict)

    @property
    def class_names(self) -> Mapping[Label, str]:
        """Class -> its name on the labelling screen."""
        return self.shown or self.values

    @property
    def onset_labels(self) -> frozenset[str]:
        """The labels of ranges that are read as an onset: also those of annotations made under an earlier label.

        A label that got its alias later has its own text in earlier results. What the timeline offers as a label of its
        own beside that of the onset marks something else, whatever it was called in earlier configurations.
        """
        earlier = {self.timeline_shown, ONSET_LABEL, _EARLIER_ONSET_LABEL, self.values[Label.EMERGENCE]}
        names = {self.timeline_label, *(earlier - self.timeline_others)}
        return frozenset(name for name in names if name is not None)

    def label_of(self, value: str) -> Label | None:
        """Return the class with this choice value, or without one, this choice on the screen; None for any other.

        A choice that got its alias later has its own text in earlier results. Of values that a class had earlier, those
        count that mean neither class now.
        """
        for names in (self.values, self.shown):
            for label, own in names.items():
                if own == value:
                    return label
        return next((label for label, values in self.earlier.items() if value in values), None)

    def after(self, before: "Controls | None") -> "Controls":
        """Return these controls with the values that the classes had before, except those that were of both."""
        if before is None:
            return self
        found = {
            label: dict.fromkeys((*before.earlier.get(label, ()), before.values[label], before.class_names[label]))
            for label in Label
        }
        own = {*self.values.values(), *self.class_names.values()}
        both = set.intersection(*(set(values) for values in found.values()))
        kept = {label: tuple(value for value in values if value not in own | both) for label, values in found.items()}
        return replace(self, earlier={label: values for label, values in kept.items() if values})

    def reused(self, before: "Controls") -> dict[str, Label]:
        """Return the values that meant one class before and mean the other one now, each with its class of now."""
        words = {*before.values.values(), *before.class_names.values(), *chain(*before.earlier.values())}
        now = {word: self.label_of(word) for word in sorted(words)}
        return {word: label for word, label in now.items() if label not in {None, before.label_of(word)}}

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "video": self.video,
            "video_field": self.video_field,
            "choices": self.choices,
            "timeline": self.timeline,
            "timeline_label": self.timeline_label,
            "values": {label.value: self.values[label] for label in Label},
            "shown": {label.value: self.class_names[label] for label in Label},
            "earlier": {label.value: list(values) for label, values in self.earlier.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the controls in JSON values; raises `ValueError`, `KeyError` or `TypeError` for others."""
        named = {name: values[name] for name in ("video", "video_field", "choices", "timeline", "timeline_label")}
        texts = [named["video"], named["video_field"], named["choices"]]
        classes = {name: {label: values[name][label.value] for label in Label} for name in ("values", "shown")}
        texts += [text for words in classes.values() for text in words.values()]
        optional = [named[name] for name in ("timeline", "timeline_label")]
        if not all(isinstance(text, str) for text in texts + [text for text in optional if text is not None]):
            raise TypeError("a name is not a text")
        if len({*classes["values"].values()}) != len(Label):
            raise ValueError("both classes have the same value")
        earlier = {Label(name): tuple(map(str, words)) for name, words in values.get("earlier", {}).items()}
        return cls(**named, values=classes["values"], shown=classes["shown"], earlier=earlier)
