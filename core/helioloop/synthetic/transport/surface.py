"""Flux transport: the radial field of a patch under rotation, meridional flow, convection and diffusion.

The field is a periodic grid wider than the patch. Each frame it is carried by the flow with a limited second-order
upwind scheme, which conserves flux, and diffused; then ephemeral regions and the flux that active regions release are
added. The clusters of active regions resist the flow and are added to the result.

References
----------
DeVore et al. 1984, Solar Phys. 92, 1; Upton & Hathaway 2014, ApJ 780, 5 (the equation). Hathaway & Rightmire 2011, ApJ
729, 80 (rotation and meridional flow of magnetic elements). Hagenaar et al. 2003, ApJ 584, 1107 (ephemeral regions).
van Leer 1974, J. Comput. Phys. 14, 361 (the limiter).
"""

import math

import numpy as np
from scipy.ndimage import uniform_filter

from helioloop.synthetic.flow import MEGAMETRE_PER_DEGREE, Floats, Scale
from helioloop.synthetic.scenario import SECONDS_PER_DAY, Purpose, stream
from helioloop.synthetic.transport.convection import Convection
from helioloop.synthetic.transport.passage import ROTATION_DEG_PER_DAY, Passage
from helioloop.synthetic.transport.regions import Fragments, fragments

SPIN_UP_FRAMES = 45
"""Frames before the first one, three days: two lifetimes of the convection, in which the network forms."""
MERIDIONAL_METRE_PER_SECOND = 11.0
"""Largest poleward flow, at 45° of latitude."""

_EPHEMERAL_SEPARATION_MM = 6.0
_SUN_MM2 = 6.08e6
_LARGEST_COURANT = 0.9
_LEAST_GAUSS_PX = 1e-3  # less flux than this is not rendered
_WIDEST = 6.0  # standard deviations from which on a footpoint's profile is level


def radial_field(passage: Passage, scale: Scale) -> Floats:
    """Return the radial field of a passage in gauss, shape (n_frames, box_px, box_px), row 0 south, column 0 east."""
    seed, index, constants = passage.seed, passage.index, passage.constants
    frames = np.arange(-SPIN_UP_FRAMES, scale.n_frames, dtype=np.float64)
    parts = [fragments(region, scale, latitude_deg=passage.latitude_deg, frames=frames) for region in passage.regions]
    convection = Convection(stream(seed, index, Purpose.FLOW), scale, constants)
    rng = stream(seed, index, Purpose.QUIET_SUN)
    steady_x, steady_y = _steady_flow(passage, scale)
    box = scale.box_px
    field: Floats = np.full((box, box), passage.background_gauss, dtype=np.float32)
    result = np.empty((scale.n_frames, box, box), dtype=np.float32)
    diffused = constants.diffusion_metre2_per_second * scale.cadence_seconds / (scale.mm_per_px * 1e6) ** 2
    area_mm2 = (box * scale.mm_per_px) ** 2
    per_day = constants.ephemeral_mx_per_day / constants.ephemeral_mx * area_mm2 / _SUN_MM2
    per_frame = per_day * scale.cadence_seconds / SECONDS_PER_DAY
    for step in range(frames.size):
        held = sum((_render(part, part.flux_gauss_px, step, box) for part in parts), np.zeros_like(field))
        flow_x, flow_y = convection.velocity()
        strong = uniform_filter(np.abs(field + held), 3, mode="wrap")
        slow = 1.0 / (1.0 + (strong / constants.quenching_gauss) ** 2)
        field = _advect(field, flow_x * slow + steady_x, flow_y * slow + steady_y)
        field = _diffuse(field, diffused)
        _add_ephemeral(field, rng, int(rng.poisson(per_frame)), scale, mean_mx=constants.ephemeral_mx)
        for part in parts:
            field += _render(part, part.released_gauss_px, step, box)
        if step >= SPIN_UP_FRAMES:
            result[step - SPIN_UP_FRAMES] = field + held
    return result


def _steady_flow(passage: Passage, scale: Scale) -> tuple[Floats, Floats]:
    """Return rotation relative to the tracking, and meridional flow, in pixels per frame, shape (box_px, 1)."""
    degrees_per_px = scale.mm_per_px / MEGAMETRE_PER_DEGREE
    offset = (np.arange(scale.box_px) - 0.5 * (scale.box_px - 1)) * degrees_per_px
    _, b, c = ROTATION_DEG_PER_DAY
    sine2 = np.sin(np.radians(passage.latitude_deg + offset)) ** 2
    centre2 = math.sin(math.radians(passage.latitude_deg)) ** 2
    per_day = b * (sine2 - centre2) + c * (sine2**2 - centre2**2)
    west = per_day * scale.cadence_seconds / SECONDS_PER_DAY / degrees_per_px + passage.tracking.drift_px_per_frame
    north = scale.px_per_frame(MERIDIONAL_METRE_PER_SECOND) * np.sin(2.0 * np.radians(passage.latitude_deg + offset))
    return west[:, None].astype(np.float32), north[:, None].astype(np.float32)


def _advect(field: Floats, flow_x: Floats, flow_y: Floats) -> Floats:
    """Return the field after a frame of flow, in pixels per frame; the total flux is unchanged."""
    fastest = max(float(np.abs(flow_x).max()), float(np.abs(flow_y).max()))
    steps = max(1, math.ceil(fastest / _LARGEST_COURANT))
    faces = [
        np.float32(0.5 / steps) * (flow + np.roll(flow, -1, axis=axis))
        for flow, axis in ((np.broadcast_to(flow_x, field.shape), 1), (np.broadcast_to(flow_y, field.shape), 0))
    ]
    for _ in range(steps):
        for axis, courant in zip((1, 0), faces, strict=True):
            field = _advect_axis(field, courant, axis)
    return field


def _advect_axis(field: Floats, courant: Floats, axis: int) -> Floats:
    """Return the field after a step along one axis; `courant` is at the face after each pixel."""
    ahead = np.roll(field, -1, axis=axis) - field
    behind = np.roll(ahead, 1, axis=axis)
    product = ahead * behind
    slope = np.where(product > 0.0, 2.0 * product / np.where(product > 0.0, ahead + behind, 1.0), 0.0)
    from_here = field + 0.5 * (1.0 - courant) * slope
    from_next = np.roll(field - 0.5 * (1.0 + np.roll(courant, 1, axis=axis)) * slope, -1, axis=axis)
    flux = courant * np.where(courant > 0.0, from_here, from_next)
    return np.asarray(field - flux + np.roll(flux, 1, axis=axis), dtype=np.float32)


def _diffuse(field: Floats, amount: float) -> Floats:
    """Return the field after explicit diffusion by `amount` = D · Δt / Δx²."""
    steps = max(1, math.ceil(amount / 0.2))
    for _ in range(steps):
        around = sum(np.roll(field, shift, axis=axis) for axis in (0, 1) for shift in (-1, 1))
        field = field + np.float32(amount / steps) * (around - 4.0 * field)
    return field


def _add_ephemeral(field: Floats, rng: np.random.Generator, n: int, scale: Scale, *, mean_mx: float) -> None:
    """Add n ephemeral bipoles with random places, axes and exponential fluxes to `field`, in place."""
    flux = scale.gauss_px(0.5 * mean_mx) * rng.exponential(size=n)
    place = rng.uniform(0.0, scale.box_px, (n, 2))
    angle = rng.uniform(0.0, 2.0 * math.pi, n)
    half = 0.5 * _EPHEMERAL_SEPARATION_MM / scale.mm_per_px * rng.lognormal(0.0, 0.3, n)
    apart = half[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for sign in (1.0, -1.0):
        column, row = (np.floor(place + sign * apart).astype(np.int64) % scale.box_px).T
        np.add.at(field, (row, column), (sign * flux).astype(np.float32))


def _render(part: Fragments, flux_gauss_px: Floats, step: int, box: int) -> Floats:
    """Return the field of footpoints, or of what they release, in one frame: periodic Gaussians of unit sum."""
    counts = np.abs(flux_gauss_px[step]) > _LEAST_GAUSS_PX
    if not counts.any():
        return np.zeros((box, box), dtype=np.float32)
    flux, width = flux_gauss_px[step, counts], part.width_px[step, counts, None]
    pixels = np.arange(box, dtype=np.float32)
    profiles = []
    for axis in (0, 1):
        distance = pixels - part.place_px[step, counts, axis, None]
        distance -= box * np.round(distance / box)
        # farther out only numbers too small for fast arithmetic
        profile = np.exp(-0.5 * np.minimum(np.abs(distance / width), _WIDEST) ** 2)
        profiles.append(profile / profile.sum(axis=1, keepdims=True))
    # einsum, because a matrix product of this size would occupy every core, and other cubes are made beside this one
    return np.asarray(np.einsum("ny,nx->yx", flux[:, None] * profiles[1], profiles[0]), dtype=np.float32)
