"""Made-up cubes whose truth is known, for the demo, the tests and the benchmarks.

Reading order; each room stands on those before it:

    scenario      what happens on the Sun and how it is watched: a handful of numbers, and the truth they imply
    watching      when and where a patch is followed, which frames exist
    regions       bipolar regions as the Sun has them
    detection     where a detector first finds the region, and the crude label that follows from it
    drawing       scenarios by seed and number
    flow          supergranules that carry magnetic elements
    elements      all flux in small pieces
    surface       the radial field of a scenario
    observation   what a magnetograph makes of it: projection, noise, gaps, bad frames
    making        cubes, and a release of them on disk

A scenario costs well under a millisecond, a field half a second: truth and crude labels of a release need no pixels.
"""

from helioloop.synthetic.detection import crude_label
from helioloop.synthetic.drawing import draw_scenario
from helioloop.synthetic.making import SyntheticCube, make_cube, make_release

__all__ = ["SyntheticCube", "crude_label", "draw_scenario", "make_cube", "make_release"]
