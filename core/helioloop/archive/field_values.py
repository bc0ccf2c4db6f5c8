"""Whether values can be those of a line-of-sight magnetogram."""

import numpy as np
from numpy.typing import NDArray

from helioloop.errors import MagnetogramError

_FEW_VALUES = 100
_TYPICAL_GAUSS = 300.0
"""Half of the pixels of a magnetogram are weaker by far; rotation alone makes half of a Dopplergram faster."""
_STRONG_GAUSS = 7000.0  # sunspots reach 6e3 G
_STRONG_FRACTION = 1e-4
_QUARTILE = 0.3186
"""Lower quartile of the strength of noise over its standard deviation; strong fields hardly change it."""
_NOISE_GAUSS = 100.0  # HMI has 7 G, MDI 14 to 30 G; granulation alone moves at 200 m/s and more
_WEAK_GAUSS = 5.0
_LEAST_NOISE_GAUSS = 0.3
_NOISE_RATIO = 1e-4  # typical over strongest; less is a computed field without noise


def check_field(field: NDArray[np.float32]) -> None:
    """Refuse values that no line-of-sight magnetogram has.

    Raises
    ------
    MagnetogramError
        If all have one sign, or are too strong, too weak or too noisy.
    """
    values = field[np.isfinite(field)]
    values = values[values != 0.0]  # often the code of pixels off the disk
    if not values.size:
        raise MagnetogramError("no pixel holds a field; fetch the file again")
    if not (values < 0.0).any() or not (values > 0.0).any():
        sample = np.unique(values[: 1 << 20])
        few = len(sample) <= _FEW_VALUES and bool(np.all(sample == np.rint(sample)))
        what = (
            f"are {len(sample)} different whole numbers of one sign, as in a mask or a map of codes"
            if few
            else "have one sign only"
        )
        raise MagnetogramError(f"its values {what}; a line-of-sight magnetogram has both polarities: leave it out")
    typical = float(np.median(np.abs(values)))
    strong = float(np.mean(np.abs(values) > _STRONG_GAUSS))
    if typical > _TYPICAL_GAUSS or strong > _STRONG_FRACTION:
        raise MagnetogramError(
            f"half of its values are beyond ±{typical:.3g} G and {strong:.2%} beyond ±{_STRONG_GAUSS:g} G, which no "
            "magnetogram of the Sun is: it holds another quantity, or lost BSCALE or BUNIT: correct it"
        )
    quartile = float(np.quantile(np.abs(values - np.median(values)), 0.25))
    if quartile > _QUARTILE * _NOISE_GAUSS:
        raise MagnetogramError(
            f"its weak pixels scatter by {quartile / _QUARTILE:.3g} G and the noise of a magnetogram is below "
            f"{_NOISE_GAUSS:g} G: it holds another quantity, such as a velocity, or lost BSCALE or BUNIT: correct it"
        )
    strongest = float(np.abs(values).max())
    if strongest < _WEAK_GAUSS and _NOISE_RATIO * strongest < typical < _LEAST_NOISE_GAUSS:
        raise MagnetogramError(
            f"its strongest field is {strongest:.3g} G and half of it is below {typical:.2g} G; the noise of a "
            f"magnetogram alone exceeds {_WEAK_GAUSS:g} G: correct BUNIT or BSCALE"
        )
