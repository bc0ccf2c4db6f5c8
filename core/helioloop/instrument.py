"""Instrument settings as one object: what a grid frame is, how many there are, where the field is clipped.

Ground floor.
"""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """How one instrument's videos are laid on the grid.

    Parameters
    ----------
    name : str
        Short name, written into cards.
    cadence_seconds : float
        Time between two grid frames.
    n_frames : int
        Frames on the grid.
    size_px : int
        Height and width of a frame.
    clip_gauss : float
        Line-of-sight field beyond ± this value is clipped; scaled fields span [0, 1] over ± this value.
    frozen_frames : int
        The first frames, all set to the frame of this index before a network sees them; an emergence found at
        this frame means "at or before".

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
        """Return the settings as plain JSON values."""
        return asdict(self)


MDI = Instrument(name="MDI", cadence_seconds=5760.0, n_frames=225, size_px=90, clip_gauss=1000.0, frozen_frames=30)
