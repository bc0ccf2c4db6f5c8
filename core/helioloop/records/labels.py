"""Labels: the two classes, and what a cube counts as now.

Frames are 0-based on the grid, except in Label Studio's JSON (see `helioloop.labelstudio.annotations`).
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self


class Label(StrEnum):
    """The two classes, with their values in ``labels.csv``."""

    EMERGENCE = "emergence"
    NON_EMERGENCE = "non-emergence"


class LabelSource(StrEnum):
    """The source of a cube's current label."""

    CRUDE = "crude"
    GROUND_TRUTH = "ground truth"
    MAJORITY = "majority"
    TIED = "tied"  # equally many annotators for each class: the crude label stays


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFrame:
    """The emergence frame (0-based) that an annotator set on the timeline; it does not change the class."""

    frame: int
    annotator: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindAnswer:
    """What annotators answered who had no prediction before them: a class, and perhaps an onset frame."""

    label: Label
    frame: VerifiedFrame | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentLabel:
    """The current label of a cube, and its source.

    Parameters
    ----------
    cube : str
        Cube name: its file name without ``.fits``.
    label : Label or None
        None if there is neither a human's label nor a crude one; the cube is scored but never trained on.
    verified : bool
        True if the annotations of humans gave a label.
    source : LabelSource
        Rule that gave the label.
    verified_frame : VerifiedFrame or None
        Start of the annotated timeline range, if the current label is emergence.
    contradiction : str or None
        A sentence, if an annotator's timeline and class contradict each other or an annotation cannot be read. It is
        listed for humans and has no other effect.
    crude : Label or None
        The crude label, whatever the current one is; None if there is none.
    blind : BlindAnswer or None
        What the annotations gave that were made without a prediction, by the same rules as the current label; None if
        there are none or they are tied. Estimates, calibration and guarantees use these answers alone.
    skips : int
        How many annotators skipped the task; it stays unanswered unless another one gave a class.
    """

    cube: str
    label: Label | None
    verified: bool = False
    source: LabelSource = LabelSource.CRUDE
    verified_frame: VerifiedFrame | None = None
    contradiction: str | None = None
    crude: Label | None = None
    blind: BlindAnswer | None = None
    skips: int = 0

    @property
    def answered(self) -> bool:
        """True if an annotation gave a class, even where the votes are tied; skips do not count."""
        return self.verified or self.source is LabelSource.TIED

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        values = {name: getattr(self, name) for name in self.__slots__}  # `asdict` takes ten times as long
        for name in ("verified_frame", "blind"):
            if values[name] is not None:
                values[name] = asdict(values[name])
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Make a record from the values of `as_dict`."""
        frame, crude = values.get("verified_frame"), values.get("crude")
        return cls(
            cube=values["cube"],
            label=None if values["label"] is None else Label(values["label"]),
            verified=bool(values["verified"]),
            source=LabelSource(values["source"]),
            verified_frame=None if frame is None else VerifiedFrame(**frame),
            contradiction=values.get("contradiction"),
            crude=None if crude is None else Label(crude),
            blind=_blind_answer(values.get("blind")),
            skips=int(values.get("skips", 0)),
        )


def _blind_answer(values: dict[str, Any] | None) -> BlindAnswer | None:
    if values is None:
        return None
    frame = values["frame"]
    return BlindAnswer(label=Label(values["label"]), frame=None if frame is None else VerifiedFrame(**frame))
