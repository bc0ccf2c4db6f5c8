"""The crude label of a made-up cube: where a detector would first have found the region.

Fourth room of `helioloop.synthetic`. The authors' rule of thumb: a region first found far from the east limb
emerged there; one first found near the limb rotated in. The detector sees line-of-sight flux in pixels above a
threshold, in the frames that were observed, so it errs for reasons: an emergence near the limb is called
non-emergence, and so is one in a patch where an older region was found first; a weak or dispersed region that rotates
in is found late and called emergence, and so is one whose first days fall into a gap.
"""

import numpy as np

from helioloop.instrument import Instrument
from helioloop.records import Label
from helioloop.synthetic.scenario import PATCH_DEG, Scenario, stream

FIRST_FOUND_EAST_OF_DEG = -56.0
"""A region first found east of this longitude counts as rotated in."""
DETECTOR_FIELD_GAUSS = 70.0
DETECTOR_FLUX_MX = 1.5e20
DETECTOR_LONGITUDE_DEG = 75.0


def first_detection(scenario: Scenario, instrument: Instrument) -> tuple[int, float] | None:
    """Return grid frame and longitude in degrees at which the patch's region is first found, None where never."""
    rng = stream(scenario.seed, scenario.sun_index, 2)
    frames = np.asarray(scenario.watch.observed, dtype=np.float64)
    days = instrument.cadence_seconds / 86400.0
    seen = np.zeros(frames.shape)
    for bipole in scenario.bipoles:
        if not bipole.is_region:
            continue
        longitude = scenario.watch.longitude(frames) + bipole.x_px * PATCH_DEG / instrument.size_px
        cosine = np.cos(np.radians(np.clip(longitude, -90.0, 90.0))) * np.cos(np.radians(scenario.latitude_deg))
        # Mean field of the region's flux: kilogauss cores at first, plage and network as it disperses.
        age_days = np.maximum(frames - bipole.onset_frame - bipole.rise_frames, 0.0) * days
        field_gauss = 60.0 + 340.0 / (1.0 + age_days / 5.0)
        above = np.exp(-DETECTOR_FIELD_GAUSS / (field_gauss * np.maximum(cosine, 1e-3)))
        seen += np.where(np.abs(longitude) <= DETECTOR_LONGITUDE_DEG, bipole.flux(frames) * cosine * above, 0.0)
    threshold = DETECTOR_FLUX_MX * (0.7 + scenario.network_gauss / 18.0) * rng.lognormal(0.0, 0.2)
    found = np.flatnonzero(seen > threshold)
    if not found.size:
        return None
    frame = scenario.watch.observed[found[0]]
    return frame, float(scenario.watch.longitude(np.array(frame)))


def crude_label(scenario: Scenario, instrument: Instrument) -> Label:
    """Return the crude label: emergence where the region was first found away from the east limb."""
    found = first_detection(scenario, instrument)
    if found is None or found[1] < FIRST_FOUND_EAST_OF_DEG:
        return Label.NON_EMERGENCE
    return Label.EMERGENCE
