"""A cube: its files, when and where on the Sun it was observed, and its current label."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from helioloop.records.labels import Label
from helioloop.records.region_spelling import region_key

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
        Name of the region it follows; all cubes of a region, by `region_key`, are in the same fold.
    label : Label or None
        Current label; a cube without one is scored but never trained on.
    verified : bool
        True if a human set the label.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid", "strict": True}

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

    @property
    def region_key(self) -> str | None:
        """The region in a spelling that is the same for NOAA9393, AR 9393 and 9393; None without a region."""
        return region_key(self.region) if self.region else None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return {name: getattr(self, name) for name in self.__slots__}  # `asdict` takes ten times as long

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a record from the values of `as_dict`; start, region, label and verified may be absent."""
        label = values.get("label")
        return cls(**{**values, "label": None if label is None else Label(label)})
