"""Answers to /predict as JSON: the text of each prediction is made once and joined with those of the other tasks.

A prediction depends on the score, the controls and the current label. There are two labels, so each cube has at most
two texts. A text is used only for the very score that it was made from.
"""

import json
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from helioloop.labelstudio.predictions import prediction
from helioloop.records.controls import Controls
from helioloop.records.cubes import Key
from helioloop.records.labels import Label
from helioloop.records.scores import CubeScore

Entry = dict[str, Any] | list[Any]
"""A prediction in Label Studio's JSON, or ``[]`` where there is none: Label Studio then stores nothing."""

NOTHING: Final = b"[]"
SETS_IN_MEMORY: Final = 8
"""Texts are kept for this many pairs of a version and a labelling configuration."""


@dataclass(slots=True)
class Wording:
    """How predictions of a version are written into a project, and the texts that were made so far.

    Parameters
    ----------
    version : str
        The version in each prediction.
    controls : Controls
        Names in the labelling configuration.
    n_frames : int
        Frames on the grid.
    """

    version: str
    controls: Controls
    n_frames: int
    _texts: dict[Label, dict[Key, tuple[CubeScore, bytes]]] = field(
        default_factory=lambda: {label: {} for label in Label}, repr=False
    )

    def entry(self, score: CubeScore, label: Label | None) -> dict[str, Any]:
        """Return a prediction in Label Studio's JSON."""
        return prediction(score, label, self.controls, model_version=self.version, n_frames=self.n_frames)

    def text(self, score: CubeScore, label: Label | None) -> bytes:
        """Return the prediction as text; without a current label it is that of the predicted class."""
        texts = self._texts[label or score.predicted]
        key = (score.cube, score.sha256)
        held = texts.get(key)
        if held is None or held[0] is not score:
            held = texts[key] = (score, _text(self.entry(score, label)))
        return held[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What each task gets, and how many tasks there were of each kind.

    Parameters
    ----------
    found : sequence
        In the order of the tasks, the score of the task's cube and the current label of that cube; None for a task
        that gets no prediction.
    wording : Wording or None
        How scores are written; None while no version is published.
    hits : int
        Tasks whose cube has a stored score.
    misses : int
        Tasks whose cube is not scored yet.
    unscorable : int
        Tasks whose cube the published version could not score.
    foreign : int
        Tasks that are not helioloop's; all tasks while no version is published.
    blind : int
        Tasks of random checks that nobody has answered: they get no prediction.
    """

    found: Sequence[tuple[CubeScore, Label | None] | None]
    wording: Wording | None
    hits: int
    misses: int
    unscorable: int
    foreign: int
    blind: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many tasks there were of each kind, for the log and the metrics; every task is of one kind."""
        return {
            "hits": self.hits,
            "misses": self.misses,
            "unscorable": self.unscorable,
            "foreign": self.foreign,
            "blind": self.blind,
        }

    def entries(self) -> list[Entry]:
        """Return one entry per task."""
        wording = self.wording
        return [[] if found is None or wording is None else wording.entry(*found) for found in self.found]

    def body(self, *, untrained: str) -> bytes:
        """Return the answer to /predict as JSON; `untrained` is the version where none is published."""
        wording = self.wording
        if wording is None:
            texts, version = [NOTHING] * len(self.found), untrained
        else:
            write = wording.text
            texts, version = [NOTHING if found is None else write(*found) for found in self.found], wording.version
        return b'{"model_version":%b,"results":[%b]}' % (_text(version), b",".join(texts))


class Wordings:
    """The wordings of the latest versions and configurations; for several threads."""

    def __init__(self) -> None:
        self._held: OrderedDict[Hashable, Wording] = OrderedDict()

    def get(self, project: int, version: str, controls: Controls, *, n_frames: int) -> Wording:
        """Return the wording of a version under these controls and on a grid of so many frames."""
        key = (project, version)
        held = self._held.get(key)
        if held is None or held.controls != controls or held.n_frames != n_frames:
            held = self._held[key] = Wording(version, controls, n_frames)
            while len(self._held) > SETS_IN_MEMORY:
                self._held.popitem(last=False)
        return held


def _text(value: Any) -> bytes:
    """Return a value as compact JSON in ASCII."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")
