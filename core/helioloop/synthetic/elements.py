"""Magnetic elements: small concentrations that make up all flux of the quiet Sun and of bipoles.

Elements of the quiet Sun are free from the start: the flow carries them. Those of a bipole emerge in pairs between its
poles, move to their pole within half a day and are held there, in spots and plage, until they are released to the flow.
The two elements of a pair carry opposite flux and end together, so a bipole has no net flux and its unsigned flux
follows `Bipole.flux`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helioloop.synthetic.flow import Floats, Scale
from helioloop.synthetic.scenario import Bipole, Purpose, Scenario, stream

_BIPOLE_ELEMENT_GAUSS_PX = 110.0
_BIPOLE_ELEMENTS = (14, 420)  # smallest and largest number of pairs
_INITIAL_SEPARATION = 0.12  # as a fraction of the separation that the poles approach in the end
_SEPARATION_RATE = 1.8  # per rise time

# Of the leading and the following pole:
_SPOT_GAUSS = (1300.0, 950.0)  # mean radial field of the spots
_SPOT_COUNTS = ((2, 5), (3, 8))  # range of the number of spots, end excluded
_POLE_SIDES = ((1.0, 0.58), (-1.0, 0.42))  # direction along the axis, and fraction of the separation, from the centre


@dataclass(frozen=True, slots=True)
class Elements:
    """Magnetic elements: fluxes, lifetimes and positions.

    Times are in frames, positions (x, y) in pixels from the south-west corner of the box.

    Parameters
    ----------
    flux_gauss_px : array, shape (n,)
        Signed flux in gauss times pixel area.
    birth, death : array, shape (n,)
        Middle of the rise and of the fall of the flux.
    release : array, shape (n,)
        Frame from which on the flow carries the element.
    ramp : array, shape (n,)
        Duration of the linear rise and fall of the flux.
    start : array, shape (n, 2)
        Position at frame 0; unused if there is `held`.
    held : array, shape (n_frames, n, 2), or None
        Position until the release; None if all elements are free from the start.
    """

    flux_gauss_px: Floats
    birth: Floats
    death: Floats
    release: Floats
    ramp: Floats
    start: Floats
    held: Floats | None = None


def network_elements(rng: np.random.Generator, scenario: Scenario, scale: Scale, n_frames: int) -> Elements:
    """Draw the elements of the network: long-lived, with the flux imbalance of the scenario."""
    mean = scale.gauss_px(scenario.constants.network_element_mx)
    life = scenario.constants.network_life_frames
    turnover = (n_frames + 2.0 * life) / life
    n = round(scenario.network_gauss * scale.box_px**2 / mean * turnover)
    sign = np.where(rng.random(n) < 0.5 * (1.0 + scenario.network_imbalance), 1.0, -1.0)
    birth = rng.uniform(-2.0 * life, n_frames, size=n)
    return _free_elements(
        sign * rng.exponential(mean, size=n), birth, birth + life, rng.uniform(0.0, scale.box_px, (n, 2)), ramp=8.0
    )


def ephemeral_elements(rng: np.random.Generator, scenario: Scenario, scale: Scale, n_frames: int) -> Elements:
    """Draw short-lived pairs of opposite polarity that appear anywhere in the box."""
    mean = scale.gauss_px(scenario.constants.ephemeral_element_mx)
    life = scenario.constants.ephemeral_life_frames
    n = round(scenario.constants.ephemeral_per_frame * (scale.box_px / 120.0) ** 2 * (n_frames + life))
    flux = rng.exponential(mean, size=n)
    place = rng.uniform(0.0, scale.box_px, (n, 2))
    apart = rng.normal(0.0, 1.5, (n, 2))
    birth = rng.uniform(-life, n_frames, size=n)
    death = birth + 4.0 + rng.exponential(life - 4.0, size=n)
    return _free_elements(
        np.concatenate([flux, -flux]),
        np.tile(birth, 2),
        np.tile(death, 2),
        np.concatenate([place + apart, place - apart]),
        ramp=2.0,
    )


def _free_elements(
    flux: NDArray[np.float64],
    birth: NDArray[np.float64],
    death: NDArray[np.float64],
    start: NDArray[np.float64],
    *,
    ramp: float,
) -> Elements:
    """Return elements that the flow carries from their birth on."""
    return Elements(
        flux_gauss_px=flux.astype(np.float32),
        birth=birth.astype(np.float32),
        death=death.astype(np.float32),
        release=birth.astype(np.float32),
        ramp=np.full(flux.shape, ramp, dtype=np.float32),
        start=start.astype(np.float32),
    )


def bipole_elements(
    bipole: Bipole, scenario: Scenario, scale: Scale, *, number: int, shift: NDArray[np.float64], n_frames: int
) -> Elements:
    """Draw the n pairs of elements of a bipole.

    Parameters
    ----------
    bipole : Bipole
        In frames and pixels of this cube.
    scenario : Scenario
        The cube's scenario.
    scale : Scale
        Box and units.
    number : int
        Which bipole of the scenario; selects the random numbers.
    shift : array, shape (2,)
        The `shift_px` of this view; positions are returned for the first view.
    n_frames : int
        Frames of the Sun that are needed.

    Returns
    -------
    Elements
        2 n elements with `held`: the n of the leading pole first, then the n of the following one.

    Notes
    -----
    With the time x = (frame − onset) / rise_frames since the onset, in rise times:

    - Births k = 0 … n − 1 lie at x_k = (2/π) · arcsin √((k + ½) / n), so the number born grows as sin²(π/2 · x).
    - The separation of the poles is s(x) = s_end · (1 − 0.88 · exp(−1.8 · x)) / (1 − 0.88 · exp(−1.8)).
    - An element of a pole belongs at P = centre ± fraction · s(x) · axis + size(x) · offset, where `offset` is its
      place in a spot or in plage and size(x) = sin(π/2 · x) is the relative size of the pole, between √0.06 and 1.
      It is born at a source Q between the poles and held at P(frame) + exp(−(frame − birth) / 7) · (Q − P(birth)),
      plus the drift by the tracking error.
    """
    rng = stream(scenario.seed, scenario.sun_index, Purpose.BIPOLE_ELEMENTS, number)
    constants = scenario.constants
    total = scale.gauss_px(bipole.flux_mx)
    n = int(np.clip(total / _BIPOLE_ELEMENT_GAUSS_PX, *_BIPOLE_ELEMENTS))
    onset = bipole.onset_frame + scenario.sun_frame
    rise = bipole.rise_frames
    birth = onset + rise * 2.0 / math.pi * np.arcsin(np.sqrt((np.arange(n) + 0.5) / n))
    flux = rng.lognormal(0.0, 0.5, size=n)
    flux *= total / flux.sum()
    death = onset + rise + rng.exponential(bipole.decay_frames, size=n)
    death = np.maximum(death, birth + 2.0)

    frames = np.arange(n_frames)
    progress = np.clip((frames - onset) / rise, 0.0, None)
    grown = 1.0 - _INITIAL_SEPARATION
    separation = (
        bipole.separation_px
        * (_INITIAL_SEPARATION + grown * (1.0 - np.exp(-_SEPARATION_RATE * progress)))
        / (1.0 - grown * math.exp(-_SEPARATION_RATE))
    )
    # The tilt turns the axis about the centre and brings the leading pole towards the equator.
    equatorward = -1.0 if scenario.latitude_deg > 0 else 1.0
    tilt = math.radians(bipole.tilt_deg)
    axis = np.array([math.cos(tilt), equatorward * math.sin(tilt)])
    across = np.array([-axis[1], axis[0]])
    centre = 0.5 * (scale.box_px - 1) + shift + np.array([bipole.x_px, bipole.y_px])
    size = np.sqrt(np.clip(np.sin(0.5 * math.pi * np.minimum(progress, 1.0)) ** 2, 0.06, 1.0))
    drift = scenario.tracking.drift_px_per_frame * (frames - np.clip(onset, 0.0, n_frames))

    along_birth = rng.normal(0.0, 0.16, size=n)
    across_birth = rng.normal(0.0, 0.35, size=n)
    extent = math.sqrt(total / (math.pi * constants.plage_gauss))
    held = []
    release = []
    for pole, (side, fraction) in enumerate(_POLE_SIDES):
        offset, in_spot = _pole_offsets(rng, n, total, extent, pole=pole, spot_fraction=constants.spot_fraction[pole])
        place = (
            centre
            + (side * fraction * separation)[:, None, None] * axis
            + size[:, None, None] * (offset[:, :1] * axis + offset[:, 1:] * across)[None]
        )
        at_birth = np.clip(np.round(birth), 0, n_frames - 1).astype(int)
        reach = np.interp(birth, frames, separation)
        spread = np.interp(birth, frames, size) * extent
        source = centre + (along_birth * reach)[:, None] * axis + (across_birth * (spread + 1.0))[:, None] * across
        lag = np.exp(-np.clip(frames[:, None] - birth[None], 0.0, None) / constants.approach_frames)
        place_at_birth = place[at_birth, np.arange(n)]
        position = place + lag[..., None] * (source - place_at_birth)[None]
        position[..., 0] += drift[:, None]
        held.append(position)
        from_plage = birth + 8.0 + rng.exponential(1.2 * rise, size=n)
        from_spot = onset + rise + rng.exponential(0.8 * bipole.decay_frames, size=n)
        release.append(np.where(in_spot, from_spot, from_plage))
    return Elements(
        flux_gauss_px=np.concatenate([flux, -flux]).astype(np.float32) * np.float32(bipole.leading_polarity),
        birth=np.tile(birth, 2).astype(np.float32),
        death=np.tile(death, 2).astype(np.float32),
        release=np.concatenate(release).astype(np.float32),
        ramp=np.full(2 * n, 3.0, dtype=np.float32),
        start=np.empty((0, 2), dtype=np.float32),
        held=np.concatenate(held, axis=1).astype(np.float32),
    )


def _pole_offsets(
    rng: np.random.Generator, n: int, total_gauss_px: float, extent_px: float, *, pole: int, spot_fraction: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Draw where the elements of one pole gather: in a few round spots, and in plage around them.

    Parameters
    ----------
    rng : numpy.random.Generator
        Advanced by the draw.
    n : int
        Number of elements.
    total_gauss_px : float
        Flux of the pole.
    extent_px : float
        Size of the pole at the end of the rise.
    pole : int
        0 for the leading pole, 1 for the following one.
    spot_fraction : float
        Fraction of the elements in spots.

    Returns
    -------
    offset_px : array, shape (n, 2)
        Along and across the axis of the bipole, from the centre of the pole.
    in_spot : array of bool, shape (n,)
        True for elements in spots, False for those in plage.
    """
    n_spots = int(rng.integers(*_SPOT_COUNTS[pole]))
    weight = rng.dirichlet(np.full(n_spots, 2.0)) if n_spots > 1 else np.ones(1)
    spot = rng.choice(n_spots, size=n, p=weight)
    centres = rng.normal(0.0, (0.55, 0.85)[pole] * extent_px, size=(n_spots, 2)) * np.array([1.0, 0.8])
    centres -= weight @ centres
    in_spot = rng.random(n) < spot_fraction
    fraction = np.bincount(spot[in_spot], minlength=n_spots) / n
    radius = np.sqrt(total_gauss_px * fraction / (math.pi * _SPOT_GAUSS[pole]))
    angle = rng.uniform(0.0, 2.0 * math.pi, size=n)
    distance = radius[spot] * np.sqrt(rng.random(n))  # uniform in a circle
    offset = centres[spot] + np.where(
        in_spot[:, None],
        distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1),
        rng.normal(0.0, 0.6 * extent_px + 1.0, size=(n, 2)),
    )
    return offset, in_spot
