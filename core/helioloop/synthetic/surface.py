"""Surface field: moves the magnetic elements of a scenario and adds them up on a pixel grid.

Positions are in pixels from the south-west corner of a periodic box that is larger than the patch, so that flux enters
and leaves the patch.
"""

import numpy as np
from numpy.typing import NDArray

from helioloop.records.instrument import Instrument
from helioloop.synthetic.constants import Constants
from helioloop.synthetic.elements import Elements, bipole_elements, ephemeral_elements, network_elements
from helioloop.synthetic.flow import MEGAMETRE_PER_DEGREE, Floats, Scale, Supergranules
from helioloop.synthetic.scenario import SECONDS_PER_DAY, Purpose, Scenario, stream
from helioloop.synthetic.tracking import ROTATION_DEG_PER_DAY

_SLOWEST_FRACTION = 0.2


def radial_deposit(scenario: Scenario, instrument: Instrument, *, quiet_sun: bool = True) -> Floats:
    """Return the radial field of a scenario as magnetic elements on pixels, before any smoothing.

    Parameters
    ----------
    scenario : Scenario
        What happens on the Sun.
    instrument : Instrument
        Grid.
    quiet_sun : bool
        False leaves out network and ephemeral flux.

    Returns
    -------
    array of float32, shape (n_frames, box_px, box_px)
        Gauss, without NaN; row 0 south, column 0 east; wider than the patch by `MARGIN_PX` on each side.
    """
    scale = Scale.of(instrument)
    first = scenario.sun_frame
    # Two views of one Sun start up to a day apart and must draw the same elements, so all are drawn for a day more.
    span = scale.n_frames + round(SECONDS_PER_DAY / scale.cadence_seconds)
    # Bipoles are in frames and pixels of this cube, all elements in those of the first view of their Sun.
    shift = np.asarray(scenario.tracking.shift_px)
    groups = [
        bipole_elements(bipole, scenario, scale, number=number, shift=shift, n_frames=span)
        for number, bipole in enumerate(scenario.bipoles)
    ]
    rng = stream(scenario.seed, scenario.sun_index, Purpose.QUIET_SUN)
    if quiet_sun:
        groups += [network_elements(rng, scenario, scale, span), ephemeral_elements(rng, scenario, scale, span)]
    if not groups:
        return np.zeros((scale.n_frames, scale.box_px, scale.box_px), dtype=np.float32)
    flow = Supergranules(stream(scenario.seed, scenario.sun_index, Purpose.FLOW), scale, span, scenario.constants)
    shear = _shear_px_per_frame(scenario, scale)
    walks = [stream(scenario.seed, scenario.sun_index, Purpose.WALK, number) for number in range(len(groups))]
    moved = [
        _move(group, walk, flow, shear_px=shear, scale=scale, first=first, constants=scenario.constants)
        for group, walk in zip(groups, walks, strict=True)
    ]
    return _deposit(moved, shift, scale)


def _move(
    elements: Elements,
    rng: np.random.Generator,
    flow: Supergranules,
    *,
    shear_px: Floats,
    scale: Scale,
    first: int,
    constants: Constants,
) -> tuple[Floats, Floats]:
    """Move elements with flow, shear and a random walk.

    Parameters
    ----------
    elements : Elements
        n elements.
    rng : numpy.random.Generator
        For the random walk.
    flow : Supergranules
        Velocity field.
    shear_px : array, shape (box_px,)
        Westward drift of each row in pixels per frame.
    scale : Scale
        Box and units.
    first : int
        Frame of the Sun at grid frame 0.
    constants : Constants
        Diffusivities, and how soon released elements move with the flow.

    Returns
    -------
    position : array, shape (n_frames, n, 2)
        From frame `first` on.
    flux : array, shape (n_frames, n)
        Gauss times pixel area; 0 before birth and after death.
    """
    n = elements.flux_gauss_px.size
    n_frames = scale.n_frames + first
    walk = np.float32(scale.walk_px(constants.granulation_metre2_per_second))
    position = elements.start.copy()
    if elements.held is not None:
        # Elements released before frame 0 have dispersed since then.
        since = np.maximum(-elements.release, 0.0)[:, None]
        position = elements.held[0] + rng.standard_normal((n, 2), dtype=np.float32) * np.sqrt(
            since * np.float32(scale.walk_px(constants.dispersal_metre2_per_second) ** 2)
        )
    track = np.empty((n_frames, n, 2), dtype=np.float32)
    last_row = scale.box_px - 1
    for frame in range(n_frames):
        free = frame >= elements.release
        if elements.held is not None:
            position = np.where((free | (elements.release < 0))[:, None], position, elements.held[frame])
        track[frame] = position
        step = flow.velocity(position, frame) + walk * rng.standard_normal((n, 2), dtype=np.float32)
        if elements.held is not None:
            # Strong field suppresses convection, so an element reaches the speed of the flow over some days.
            step *= np.clip((frame - elements.release) / constants.join_frames, _SLOWEST_FRACTION, 1.0)[:, None]
        step[:, 0] += shear_px[np.clip(position[:, 1], 0, last_row).astype(np.int32)]
        position = np.where(free[:, None], position + step, position)
    frames = np.arange(first, n_frames, dtype=np.float32)[:, None]
    rise = np.clip((frames - elements.birth) / elements.ramp + 0.5, 0.0, 1.0)
    fall = np.clip((elements.death - frames) / elements.ramp + 0.5, 0.0, 1.0)
    return track[first:], (elements.flux_gauss_px * rise * fall).astype(np.float32)


def _shear_px_per_frame(scenario: Scenario, scale: Scale) -> Floats:
    """Return the westward drift of each row in pixels per frame, shape (box_px,).

    It is the differential rotation relative to the centre of the region's first view, plus the tracking error.
    """
    degrees_per_px = scale.mm_per_px / MEGAMETRE_PER_DEGREE
    centre = scenario.latitude_deg - scenario.tracking.shift_px[1] * degrees_per_px
    latitude = np.radians(centre + (np.arange(scale.box_px) - 0.5 * (scale.box_px - 1)) * degrees_per_px)
    _, b, c = ROTATION_DEG_PER_DAY

    def relative_rate(angle: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(b * np.sin(angle) ** 2 + c * np.sin(angle) ** 4)

    deg_per_day = relative_rate(latitude) - relative_rate(np.radians(np.array(centre)))
    deg_per_frame = deg_per_day * scale.cadence_seconds / SECONDS_PER_DAY
    return np.asarray(deg_per_frame / degrees_per_px + scenario.tracking.drift_px_per_frame, dtype=np.float32)


def _deposit(moved: list[tuple[Floats, Floats]], shift: NDArray[np.float64], scale: Scale) -> Floats:
    """Add up the flux of all elements on pixels, with bilinear weights on the four nearest ones.

    Parameters
    ----------
    moved : list of (position, flux)
        Per group of elements, as from `_move`.
    shift : array, shape (2,)
        Subtracted from positions: from the first view to this one.
    scale : Scale
        Box and units.

    Returns
    -------
    array of float32, shape (n_frames, box_px, box_px)
        Gauss.
    """
    box = scale.box_px
    track = np.concatenate([position for position, _ in moved], axis=1)
    flux = np.concatenate([value for _, value in moved], axis=1)
    frame, element = np.nonzero(flux)
    value = flux[frame, element]
    place = track[frame, element] - shift.astype(np.float32)
    low = np.floor(place)
    column, row = (low.astype(np.int64) % box).T
    west, north = (place - low).T
    west_next, north_next = (column + 1) % box, (row + 1) % box
    base = frame * (box * box)
    index = np.concatenate(
        [
            base + row * box + column,
            base + row * box + west_next,
            base + north_next * box + column,
            base + north_next * box + west_next,
        ]
    )
    weight = np.concatenate(
        [
            value * (1 - west) * (1 - north),
            value * west * (1 - north),
            value * (1 - west) * north,
            value * west * north,
        ]
    )
    field = np.bincount(index, weights=weight, minlength=scale.n_frames * box * box)
    return field.astype(np.float32).reshape(scale.n_frames, box, box)
