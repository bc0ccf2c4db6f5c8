"""The radial field of a scenario: its magnetic elements carried by the flow and laid on a grid.

Eighth room of `helioloop.synthetic`. Positions are in pixels from the south-west corner of a periodic box, larger than
the patch by a margin, so that flux enters and leaves the patch.
"""

import numpy as np
from numpy.typing import NDArray

from helioloop.instrument import Instrument
from helioloop.synthetic.elements import Elements, bipole_elements, ephemeral_elements, network_elements
from helioloop.synthetic.flow import MEGAMETRE_PER_DEGREE, Floats, Scale, Supergranules
from helioloop.synthetic.scenario import Scenario, stream

_WALK_METRE2_PER_SECOND = 5.0e7  # granular walk alone; the flow adds the rest of what is seen over days
_DISPERSAL_METRE2_PER_SECOND = 2.5e8


def radial_deposit(scenario: Scenario, instrument: Instrument, *, quiet_sun: bool = True) -> Floats:
    """Return the radial flux per pixel before any smoothing.

    Parameters
    ----------
    scenario : Scenario
        What happens.
    instrument : Instrument
        Grid.
    quiet_sun : bool
        False leaves network and ephemeral flux out.

    Returns
    -------
    array of float32, shape (n_frames, box, box)
        Gauss; row 0 south, column 0 east; `MARGIN_PX` wider than the patch on each side; no NaN.
    """
    scale = Scale.of(instrument)
    first = scenario.sun_frame
    # Two views of one Sun, up to a day apart, must draw the same elements: all are drawn for the longer span.
    span = scale.n_frames + round(86400.0 / scale.cadence_seconds)
    # Bipoles are in this cube's frames and pixels; the shared Sun is told in those of its first view.
    shift = np.asarray(scenario.watch.shift_px)
    groups = [
        bipole_elements(bipole, scenario, scale, number=number, shift=shift, n_frames=span)
        for number, bipole in enumerate(scenario.bipoles)
    ]
    rng = stream(scenario.seed, scenario.sun_index, 3)
    if quiet_sun:
        groups += [network_elements(rng, scenario, scale, span), ephemeral_elements(rng, scale, span)]
    if not groups:
        return np.zeros((scale.n_frames, scale.box_px, scale.box_px), dtype=np.float32)
    flow = Supergranules(stream(scenario.seed, scenario.sun_index, 5), scale, span)
    shear = _shear_px_per_frame(scenario, scale)
    walks = [stream(scenario.seed, scenario.sun_index, 4, number) for number in range(len(groups))]
    fields = [
        _carry(group, walk, flow, shear_px=shear, scale=scale, first=first)
        for group, walk in zip(groups, walks, strict=True)
    ]
    return _deposit(fields, shift, scale)


def _carry(
    elements: Elements,
    rng: np.random.Generator,
    flow: Supergranules,
    *,
    shear_px: Floats,
    scale: Scale,
    first: int,
) -> tuple[Floats, Floats]:
    """Return positions (n_frames, n, 2) and fluxes (n_frames, n) of `elements` from frame `first` on."""
    n = elements.flux_gauss_px.size
    n_frames = scale.n_frames + first
    walk = np.float32(scale.walk_px(_WALK_METRE2_PER_SECOND))
    position = elements.start.copy()
    if elements.held is not None:
        # Those released before the video begins have wandered since.
        since = np.maximum(-elements.release, 0.0)[:, None]
        position = elements.held[0] + rng.standard_normal((n, 2), dtype=np.float32) * np.sqrt(
            since * np.float32(scale.walk_px(_DISPERSAL_METRE2_PER_SECOND) ** 2)
        )
    track = np.empty((n_frames, n, 2), dtype=np.float32)
    row = scale.box_px - 1
    for frame in range(n_frames):
        free = frame >= elements.release
        if elements.held is not None:
            position = np.where((free | (elements.release < 0))[:, None], position, elements.held[frame])
        track[frame] = position
        step = flow.velocity(position, frame) + walk * rng.standard_normal((n, 2), dtype=np.float32)
        if elements.held is not None:
            # Strong field holds convection back; an element joins the flow over some days.
            step *= np.clip((frame - elements.release) / 80.0, 0.2, 1.0)[:, None]
        step[:, 0] += shear_px[np.clip(position[:, 1], 0, row).astype(np.int32)]
        position = np.where(free[:, None], position + step, position)
    frames = np.arange(first, n_frames, dtype=np.float32)[:, None]
    grown = np.clip((frames - elements.birth) / elements.ramp + 0.5, 0.0, 1.0)
    left = np.clip((elements.death - frames) / elements.ramp + 0.5, 0.0, 1.0)
    return track[first:], (elements.flux_gauss_px * grown * left).astype(np.float32)


def _shear_px_per_frame(scenario: Scenario, scale: Scale) -> Floats:
    """Return the westward drift of each row: differential rotation (Komm et al. 1993) and a mistaken rate."""
    degrees_per_px = scale.mm_per_px / MEGAMETRE_PER_DEGREE
    centre = scenario.latitude_deg - scenario.watch.shift_px[1] * degrees_per_px
    latitude = np.radians(centre + (np.arange(scale.box_px) - 0.5 * (scale.box_px - 1)) * degrees_per_px)

    def rate(angle: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(-1.95 * np.sin(angle) ** 2 - 2.17 * np.sin(angle) ** 4)

    per_day = rate(latitude) - rate(np.radians(np.array(centre)))
    drift = per_day * scale.cadence_seconds / 86400.0 / degrees_per_px + scenario.watch.drift_px_per_frame
    return drift.astype(np.float32)


def _deposit(fields: list[tuple[Floats, Floats]], shift: NDArray[np.float64], scale: Scale) -> Floats:
    """Spread each element over its four nearest pixels; shape (n_frames, box, box)."""
    box = scale.box_px
    track = np.concatenate([position for position, _ in fields], axis=1)
    flux = np.concatenate([value for _, value in fields], axis=1)
    frame, element = np.nonzero(flux)
    value = flux[frame, element]
    place = track[frame, element] - shift.astype(np.float32)
    low = np.floor(place)
    part = place - low
    column, row = (low.astype(np.int64) % box).T
    east, north = part.T
    east_next, north_next = (column + 1) % box, (row + 1) % box
    base = frame * (box * box)
    index = np.concatenate(
        [
            base + row * box + column,
            base + row * box + east_next,
            base + north_next * box + column,
            base + north_next * box + east_next,
        ]
    )
    weight = np.concatenate(
        [
            value * (1 - east) * (1 - north),
            value * east * (1 - north),
            value * (1 - east) * north,
            value * east * north,
        ]
    )
    field = np.bincount(index, weights=weight, minlength=scale.n_frames * box * box)
    return field.astype(np.float32).reshape(scale.n_frames, box, box)
