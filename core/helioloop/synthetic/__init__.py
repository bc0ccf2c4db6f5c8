"""Synthetic cubes with known truth, for the demo, the tests and the benchmarks.

Modules in reading order; each imports only from those above it:

    constants     of the Sun and the magnetograph, in one cube or in all
    scenario      the numbers that define a cube: bipoles, tracking of the patch, and the truth that follows from them
    tracking      start, latitude and longitude of a patch, and the frames that were observed
    regions       bipolar regions with the statistics of the Sun
    detection     where a detector first finds the region, and the crude label that follows from it
    sampling      random scenarios by seed and index
    scenes        how many regions varied cubes show, where, and of which kind
    varied        random scenarios whose constants differ from cube to cube
    flow          supergranular flow
    elements      magnetic elements, the small concentrations that make up all flux
    surface       the radial field of a scenario
    observation   what a magnetograph observes: projection, noise, gaps, bad frames
    transport     a second generator, of another kind
    making        cubes, and a release of cubes on disk, by any generator

A scenario takes well under a millisecond and the field of a cube half a second. Truth and crude labels need the
scenario only.
"""

from helioloop.synthetic.detection import crude_label
from helioloop.synthetic.making import CrudeRule, Generator, SyntheticCube, SyntheticRelease, make_cube, make_release
from helioloop.synthetic.sampling import draw_scenario

__all__ = [
    "CrudeRule",
    "Generator",
    "SyntheticCube",
    "SyntheticRelease",
    "crude_label",
    "draw_scenario",
    "make_cube",
    "make_release",
]
