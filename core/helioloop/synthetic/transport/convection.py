"""The supergranular flow as a random velocity potential; the horizontal flow is its gradient.

References
----------
Hathaway et al. 2000, Solar Phys. 193, 299 (spectrum of the flows). Rieutord & Rincon 2010, Living Rev. Solar Phys. 7, 2
(size 36 Mm, speed 300 m/s, lifetime 1.6 days). Upton & Hathaway 2014, ApJ 780, 5 (advective flux transport).
"""

import math

import numpy as np
from numpy.typing import NDArray

from helioloop.synthetic.flow import Floats, Scale
from helioloop.synthetic.transport.constants import Constants

_BAND = 0.35  # relative width of the spectrum
_FASTEST = 2.2  # components are clipped at this many times the root mean square of one


class Convection:
    """A flow that changes from frame to frame.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the flow.
    scale : Scale
        Box and units.
    constants : Constants
        Size, lifetime and speed.

    Notes
    -----
    Each Fourier coefficient of the potential follows φ(t + 1) = a φ(t) + √(1 − a²) √P(k) ξ with complex normal ξ,
    a = exp(−cadence / lifetime) and P(k) = exp(−½ ((k / k₀ − 1) / 0.35)²) / k².
    """

    def __init__(self, rng: np.random.Generator, scale: Scale, constants: Constants) -> None:
        self._rng, self._box = rng, scale.box_px
        self._k_x = (2.0 * np.pi * np.fft.rfftfreq(self._box)).astype(np.float32)
        self._k_y = (2.0 * np.pi * np.fft.fftfreq(self._box)).astype(np.float32)[:, None]
        k = np.sqrt(self._k_x**2 + self._k_y**2)
        wave = 2.0 * np.pi * scale.mm_per_px / constants.cell_mm
        amplitude = np.exp(-0.25 * ((k / wave - 1.0) / _BAND) ** 2) / np.maximum(k, 1e-6)
        amplitude[0, 0] = 0.0
        self._speed = scale.px_per_frame(constants.speed_metre_per_second)
        self._persistence = math.exp(-scale.cadence_seconds / (constants.life_days * 86400.0))
        self._amplitude = amplitude.astype(np.float32)
        # The mean square of a real field is the sum over its spectrum; columns of rfft2 stand for two each.
        twice = np.where((self._k_x > 0) & (self._k_x < np.pi), 2.0, 1.0)
        self._scale = self._speed * self._box**2 / math.sqrt(float((2.0 * twice * (k * amplitude) ** 2).sum()))
        self._potential = self._draw()

    def _draw(self) -> NDArray[np.complexfloating]:
        noise = self._rng.standard_normal((2, *self._amplitude.shape), dtype=np.float32)
        return np.asarray(self._amplitude * (noise[0] + 1j * noise[1]))

    def velocity(self) -> tuple[Floats, Floats]:
        """Return the westward and northward flow in pixels per frame, shape (box_px, box_px), and go on by a frame."""
        limit = _FASTEST * self._speed / math.sqrt(2.0)
        flow = [
            np.clip(np.fft.irfft2(1j * k * self._potential * self._scale, s=(self._box, self._box)), -limit, limit)
            for k in (self._k_x, self._k_y)
        ]
        a = self._persistence
        self._potential = a * self._potential + math.sqrt(1.0 - a * a) * self._draw()
        return flow[0].astype(np.float32), flow[1].astype(np.float32)
