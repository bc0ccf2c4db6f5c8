"""Crude labels: the label that follows from the place where a detector first finds a region.

The authors' rule: a region first found far from the east limb emerged there; one first found near the east limb rotated
in. The detector adds up the line-of-sight flux of pixels above a threshold in the observed frames. Both detectors
label systematically wrong:

- emergence as non-emergence: near the east limb, and where an older region in the patch is found first;
- non-emergence as emergence: where a weak or dispersed region is found late, and where a gap hides the first days.
"""

import numpy as np

from helioloop.data.crude_labels import label_by_longitude
from helioloop.records.instrument import Instrument
from helioloop.records.labels import Label
from helioloop.synthetic.scenario import PATCH_DEG, SECONDS_PER_DAY, Purpose, Scenario, stream

DETECTOR_FIELD_GAUSS = 70.0
"""Pixel threshold of the detector, line-of-sight."""
DETECTOR_FLUX_MX = 1.5e20
"""Flux at which the detector finds a region on a Sun with a network of 5.4 G, before a random factor."""
DETECTOR_LONGITUDE_DEG = 75.0
"""The detector ignores regions farther than this from the central meridian."""


def first_detection(scenario: Scenario, instrument: Instrument) -> tuple[int, float] | None:
    """Return grid frame and longitude in degrees at the first detection; None if there is none.

    Notes
    -----
    A region of radial flux Φ at longitude l and latitude φ, with μ = cos l · cos φ, contributes ::

        Φ · μ · exp(−DETECTOR_FIELD_GAUSS / (B · μ))    for |l| ≤ DETECTOR_LONGITUDE_DEG,

    the line-of-sight flux in pixels above the threshold if the field is exponentially distributed with mean B. B falls
    with the age a in days since the end of the rise, B = 60 G + 340 G / (1 + a / 5), as the region disperses. A region
    is found in the first observed frame in which the sum over all regions exceeds a threshold that grows with the
    network's field.
    """
    rng = stream(scenario.seed, scenario.sun_index, Purpose.DETECTION)
    frames = np.asarray(scenario.tracking.observed, dtype=np.float64)
    days_per_frame = instrument.cadence_seconds / SECONDS_PER_DAY
    detected_mx = np.zeros(frames.shape)
    for bipole in scenario.bipoles:
        if not bipole.is_region:
            continue
        longitude = scenario.tracking.longitude(frames) + bipole.x_px * PATCH_DEG / instrument.size_px
        cosine = np.cos(np.radians(np.clip(longitude, -90.0, 90.0))) * np.cos(np.radians(scenario.latitude_deg))
        age_days = np.maximum(frames - bipole.onset_frame - bipole.rise_frames, 0.0) * days_per_frame
        field_gauss = 60.0 + 340.0 / (1.0 + age_days / 5.0)
        above = np.exp(-DETECTOR_FIELD_GAUSS / (field_gauss * np.maximum(cosine, 1e-3)))
        visible = np.abs(longitude) <= DETECTOR_LONGITUDE_DEG
        detected_mx += np.where(visible, bipole.flux(frames) * cosine * above, 0.0)
    threshold_mx = DETECTOR_FLUX_MX * (0.7 + scenario.network_gauss / 18.0) * rng.lognormal(0.0, 0.2)
    found = np.flatnonzero(detected_mx > threshold_mx)
    if not found.size:
        return None
    frame = scenario.tracking.observed[found[0]]
    return frame, float(scenario.tracking.longitude(np.array(frame)))


def crude_label(scenario: Scenario, instrument: Instrument) -> Label:
    """Return the crude label: emergence if the region is first found away from the east limb."""
    found = first_detection(scenario, instrument)
    return Label.NON_EMERGENCE if found is None else label_by_longitude(found[1])
