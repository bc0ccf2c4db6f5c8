"""Field statistics: three field strengths that characterise one cube's magnetograms."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldStatistics:
    """Noise, typical field and peaks of the field of one cube, in gauss.

    Parameters
    ----------
    noise_gauss : float
        Standard deviation of the noise from pixel to pixel.
    typical_gauss : float
        Median of |B| on the disk: noise and the weak field of the quiet Sun.
    peak_gauss : float
        Value that two fifths of the local maxima of |B| exceed: the concentrations of the network.
    """

    noise_gauss: float
    typical_gauss: float
    peak_gauss: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the record that `as_dict` wrote; a missing or additional key raises TypeError."""
        return cls(**{name: float(value) for name, value in values.items()})
