"""Profiles of instruments: time step, length and size of the grid, and the clip of the field."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """The grid of one instrument, and how fields are scaled on it.

    Parameters
    ----------
    name : str
        Short name, written into the cards of model versions.
    cadence_seconds : float
        Time between two grid frames.
    n_frames : int
        Number of frames on the grid.
    size_px : int
        Height and width of a frame.
    clip_gauss : float
        Line-of-sight field is clipped to ± this value and then scaled to [0, 1]; 0.5 is 0 G.
    frozen_frames : int
        Number of frames at the start that are replaced by the frame with this index before a network gets them. An
        emergence frame equal to this index means "at this frame or earlier".

    References
    ----------
    Chatterjee, Muñoz-Jaramillo & Lamb 2022, Nature Astronomy 6, 796, doi:10.1038/s41550-022-01701-3 (MDI values).
    """

    name: str
    cadence_seconds: float
    n_frames: int
    size_px: int
    clip_gauss: float
    frozen_frames: int

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters as plain JSON values."""
        return asdict(self)


MDI = Instrument(name="MDI", cadence_seconds=5760.0, n_frames=225, size_px=90, clip_gauss=1000.0, frozen_frames=30)
