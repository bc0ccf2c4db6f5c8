"""Frozen records that cross module boundaries. Arrays stay inside modules; these carry names and numbers.

Ground floor. Frames are 0-based on the grid everywhere but in Label Studio's JSON (see `labels`).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class Label(StrEnum):
    """The two classes, in the words of ``labels.csv``."""

    EMERGENCE = "emergence"
    NON_EMERGENCE = "non-emergence"


class LabelSource(StrEnum):
    """Where a cube's current label comes from."""

    CRUDE = "crude"
    GROUND_TRUTH = "ground truth"
    MAJORITY = "majority"
    TIED = "tied"  # annotators disagree evenly: the crude label stays


Key = tuple[str, str]
"""A cube's name and content hash: what scores are stored and found under. A changed file is another cube."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeInfo:
    """One cube: where its file is, when and where on the Sun it was observed, and its current label.

    Parameters
    ----------
    release : str
        Name of the release's folder; the file is ``<a release root>/<release>/<name>.fits``.
    name : str
        Cube name: its file name without ``.fits``.
    sha256 : str
        Content hash of the cube's files, lower-case hex.
    start : str or None
        Absolute time of grid frame 0, ISO 8601 without zone, UTC; None where the files give none.
    region : str or None
        Name of the region it follows; cubes of one region are always in one fold.
    label : Label or None
        Current label; a cube without one is scored, never trained on.
    verified : bool
        True when the label is a human's.
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
        """Read what `as_dict` wrote; start, region, label and verified may be absent."""
        label = values.get("label")
        return cls(**{**values, "label": None if label is None else Label(label)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergence:
    """When a region emerged: frames 0-based on the grid; at the frozen start it means "at or before", and lo is 0."""

    frame: int
    frame_lo: int
    frame_hi: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFrame:
    """The emergence frame a human set on the timeline (0-based), with who and when. It never moves the class."""

    frame: int
    annotator: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentLabel:
    """What a cube counts as now, and why.

    Parameters
    ----------
    cube : str
        Cube name: its file name without ``.fits``.
    label : Label or None
        None where there is neither a human nor a crude label: scored, never trained on.
    verified : bool
        True when a human's label was resolved.
    source : LabelSource
        Which rule decided.
    verified_frame : VerifiedFrame or None
        The human's timeline start, where the current label is emergence.
    contradiction : str or None
        A sentence where a human's timeline and class say different things, or an annotation cannot be read; listed,
        never acted on.
    crude : Label or None
        The crude label, whatever counts now; None where there is none.
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
        """Read what `as_dict` wrote."""
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
    """What one model version says of one cube. Stored; agreement is computed from it when written or answered.

    Parameters
    ----------
    cube : str
        Cube name.
    sha256 : str
        Content hash of the cube's files: a changed file is another cube.
    p_emergence : float
        Mean probability of emergence over `members`.
    p_spread : float or None
        Standard deviation over `members`; None for a single member.
    members : tuple of str
        Names of the members that spoke: those that did not train on this cube.
    emergence : Emergence or None
        Emergence frame and its interval; None where none was located.
    curve : tuple of float or None
        Mean masking curve, shape (n_frames,): P(emergence) with frames after i frozen to frame i.
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
        """Return 1 − disagreement: the out-of-fold probability of the current label, the score Label Studio shows."""
        return self.probability(label)

    @property
    def predicted(self) -> Label:
        """The class the ensemble gives: emergence at 0.5 and above."""
        return Label.EMERGENCE if self.p_emergence >= 0.5 else Label.NON_EMERGENCE

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what `as_dict` wrote."""
        curve, emergence = values.get("curve"), values.get("emergence")
        return cls(
            **{
                **values,
                "members": tuple(values["members"]),
                "emergence": None if emergence is None else Emergence(**emergence),
                "curve": None if curve is None else tuple(curve),
            }
        )
