"""Frozen records that modules exchange: names and numbers of cubes, labels and scores, without arrays.

Frames are 0-based on the grid, except in Label Studio's JSON (see `helioloop.labelstudio.annotations`).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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


Key = tuple[str, str]
"""A cube's name and content hash; scores are stored under it. A changed file is another cube."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeInfo:
    """One cube: its file, start time and region, and its current label.

    Parameters
    ----------
    release : str
        Name of the folder of its release; the file is ``<a release root>/<release>/<name>.fits``.
    name : str
        Cube name: its file name without ``.fits``.
    sha256 : str
        Content hash of the cube's files, lower-case hex.
    start : str or None
        Absolute time of grid frame 0, ISO 8601 without zone, UTC; None if the files do not have it.
    region : str or None
        Name of the region it follows; all cubes of a region are in the same fold.
    label : Label or None
        Current label; a cube without one is scored but never trained on.
    verified : bool
        True if a human set the label.
    """

    release: str
    name: str
    sha256: str
    start: str | None = None
    region: str | None = None
    label: Label | None = None
    verified: bool = False

    @property
    def key(self) -> Key:
        """Name and content hash."""
        return self.name, self.sha256

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a record from the values of `as_dict`; start, region, label and verified may be absent."""
        label = values.get("label")
        return cls(**{**values, "label": None if label is None else Label(label)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergence:
    """Emergence frame of a region and its interval, 0-based on the grid.

    Parameters
    ----------
    frame : int
        Emergence frame; the index ``Instrument.frozen_frames`` means "at this frame or earlier".
    frame_lo, frame_hi : int
        First and last frame of the interval; `frame_lo` is 0 if the region may have emerged in the frozen frames.
    """

    frame: int
    frame_lo: int
    frame_hi: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFrame:
    """The emergence frame (0-based) that an annotator set on the timeline; it does not change the class."""

    frame: int
    annotator: str
    at: str


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
    """

    cube: str
    label: Label | None
    verified: bool = False
    source: LabelSource = LabelSource.CRUDE
    verified_frame: VerifiedFrame | None = None
    contradiction: str | None = None
    crude: Label | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return asdict(self)

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
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeScore:
    """The scores that one model version gives one cube. Agreement is not stored; see `agreement`.

    Parameters
    ----------
    cube : str
        Cube name.
    sha256 : str
        Content hash of the cube's files, lower-case hex.
    p_emergence : float
        Mean probability of emergence over `members`.
    p_spread : float or None
        Standard deviation over `members`; None for a single member.
    members : tuple of str
        Names of the members whose probabilities are averaged: those that did not train on this cube.
    emergence : Emergence or None
        Emergence frame and its interval; None if none was located.
    curve : tuple of float or None
        Mean masking curve, shape (n_frames,): value i is P(emergence) when all frames after i are replaced by frame i.
    """

    cube: str
    sha256: str
    p_emergence: float
    p_spread: float | None
    members: tuple[str, ...]
    emergence: Emergence | None = None
    curve: tuple[float, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.p_emergence) and 0.0 <= self.p_emergence <= 1.0):
            raise ValueError(f"p_emergence of cube {self.cube} is {self.p_emergence}; a probability lies in [0, 1]")

    @property
    def key(self) -> Key:
        """Name and content hash of the cube."""
        return self.cube, self.sha256

    def probability(self, label: Label) -> float:
        """Return the probability of `label`."""
        return self.p_emergence if label is Label.EMERGENCE else 1.0 - self.p_emergence

    def agreement(self, label: Label) -> float:
        """Return 1 − disagreement: the probability of the current label, which Label Studio shows as score.

        It changes with the current label, so it is computed when a prediction is written or returned.
        """
        return self.probability(label)

    @property
    def predicted(self) -> Label:
        """The class that the ensemble predicts: emergence if its probability is 0.5 or more."""
        return Label.EMERGENCE if self.p_emergence >= 0.5 else Label.NON_EMERGENCE

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Make a record from the values of `as_dict`."""
        curve, emergence = values.get("curve"), values.get("emergence")
        return cls(
            **{
                **values,
                "members": tuple(values["members"]),
                "emergence": None if emergence is None else Emergence(**emergence),
                "curve": None if curve is None else tuple(curve),
            }
        )
