"""The peak flux of the regions that emerge in a synthetic release: the truth table does not contain it."""

import math

from helioloop.records.instrument import Instrument
from helioloop.synthetic import Generator
from helioloop.synthetic.making import draw
from helioloop.synthetic.transport.passage import Passage
from helioloop.synthetic.transport.sampling import WEAK_MX

WEAK_FLUX_MX = WEAK_MX
"""Emergences with a peak flux below this, 7e20 Mx of each polarity, are counted as weak, of whatever kind they are."""


def emerging_flux_mx(generator: Generator, *, seed: int, n: int, instrument: Instrument) -> dict[str, float]:
    """Return the peak flux in maxwell of the region that emerges, by name of the cube; non-emergences are absent.

    Notes
    -----
    The region is the one whose emergence gives the cube's true emergence frame, not an older one beside it.
    """
    flux = {}
    for index in range(n):
        drawn = draw(generator, seed, index, instrument)
        if drawn.truth.emergence_frame is None:
            continue
        regions = drawn.regions if isinstance(drawn, Passage) else drawn.bipoles
        flux[drawn.name] = min(
            region.flux_mx
            for region in regions
            if region.is_region and math.ceil(region.emerged_frame) == drawn.truth.emergence_frame
        )
    return flux
