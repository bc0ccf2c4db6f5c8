"""Constants of the Sun by which flux transport makes cubes.

References
----------
Hathaway et al. 2000, Solar Phys. 193, 299; Rieutord & Rincon 2010, Living Rev. Solar Phys. 7, 2 (convection). Hagenaar
et al. 2003, ApJ 584, 1107 (ephemeral regions). Otsuji et al. 2011, PASJ 63, 1047 (rise time and flux). Wang & Sheeley
1991, ApJ 375, 761 (separation of poles). van Driel-Gesztelyi & Green 2015, Living Rev. Solar Phys. 12, 1 (decay).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """What is the same in all cubes of a release of `draw_passage`.

    Parameters
    ----------
    cell_mm : float
        Wavelength at which the convection is strongest.
    life_days : float
        Time after which the flow's correlation with itself has fallen to 1/e.
    speed_metre_per_second : float
        Root mean square of the horizontal speed.
    diffusion_metre2_per_second : float
        Diffusivity of what the convection does not resolve, mainly granulation.
    quenching_gauss : float
        Field at which the convection is half as fast.
    ephemeral_mx_per_day, ephemeral_mx : float
        Unsigned flux of the ephemeral regions that emerge on the whole Sun in a day, and the mean one of a region.
    burst_frames : float
        Time in which one of the small bipoles rises of which a region consists; five frames are eight hours.
    parting_frames : float
        E-folding time with which footpoints approach their cluster.
    fragment_mm, cluster_mm : float
        Standard deviation of a fragment of 1e20 Mx, and of the leading cluster of a region of 1e21 Mx.
    following_wider : float
        How much wider the following cluster is.
    rise_days, decay_days, separation_mm : float
        Of a region of 1e21 Mx.
    """

    cell_mm: float = 36.0
    life_days: float = 1.6
    speed_metre_per_second: float = 300.0
    diffusion_metre2_per_second: float = 6.0e7
    quenching_gauss: float = 100.0
    ephemeral_mx_per_day: float = 5.0e23
    ephemeral_mx: float = 1.3e19
    burst_frames: float = 5.0
    parting_frames: float = 8.0
    fragment_mm: float = 2.0
    cluster_mm: float = 6.0
    following_wider: float = 1.7
    rise_days: float = 1.5
    decay_days: float = 6.0
    separation_mm: float = 30.0


USUAL = Constants()
"""Those of `draw_passage`."""
