"""Constants of the Sun and of the magnetograph by which elements make cubes.

A cube of `draw_scenario` has the constants of the Sun as far as they are known, and those of MDI. Networks that are to
know the cubes of other instruments, and of the real Sun, which these numbers describe only roughly, learn from cubes
whose constants differ, see `helioloop.synthetic.varied`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """What is the same in all cubes of a release of `draw_scenario`.

    Parameters
    ----------
    cell_mm, cell_life_seconds, flow_metre_per_second : float
        Diameter and lifetime of a supergranule, and the speed at its border.
    granulation_metre2_per_second : float
        Diffusivity of the random walk beside the flow.
    dispersal_metre2_per_second : float
        Diffusivity of flow and random walk together, by which flux spread before the first frame.
    join_frames : float
        Time after its release in which an element reaches the speed of the flow.
    network_element_mx, network_life_frames : float
        Mean flux and lifetime of the elements of the network.
    ephemeral_element_mx, ephemeral_life_frames, ephemeral_per_frame : float
        Mean flux and lifetime of ephemeral pairs, and how many are born in each frame on a box of 120 pixels.
    approach_frames : float
        E-folding time with which an element of a bipole approaches its pole.
    spot_fraction : tuple of float
        Fraction of the elements of the leading and of the following pole that are in spots.
    plage_gauss : float
        Field of a bipole's flux if it filled the extent of its poles evenly: smaller values spread the poles.
    rise_days, decay_days, separation_deg : float
        Of a region of 1e21 Mx.
    blur_px : float
        Optics, remapping and the size of a flux tube: standard deviation in pixels of the patch.
    disk_blur_px : float
        The same in pixels of the instrument, which cover more columns near the limb.
    horizontal_fraction : float
        Fraction of the potential field's horizontal part that is there; plage is nearly vertical, penumbrae are not.
    gain : float
        Measured field divided by the true one.
    noise_correlation : tuple of float
        Noise of the neighbouring pixels in the south and in the east that a pixel has besides its own.
    """

    cell_mm: float = 30.0
    cell_life_seconds: float = 150e3
    flow_metre_per_second: float = 260.0
    granulation_metre2_per_second: float = 5.0e7
    dispersal_metre2_per_second: float = 2.5e8
    join_frames: float = 80.0
    network_element_mx: float = 1.3e19
    network_life_frames: float = 150.0
    ephemeral_element_mx: float = 6e18
    ephemeral_life_frames: float = 14.0
    ephemeral_per_frame: float = 4.0
    approach_frames: float = 7.0
    spot_fraction: tuple[float, float] = (0.66, 0.45)
    plage_gauss: float = 350.0
    rise_days: float = 1.7
    decay_days: float = 4.0
    separation_deg: float = 2.5
    blur_px: float = 0.95
    disk_blur_px: float = 0.8
    horizontal_fraction: float = 0.4
    gain: float = 1.0
    noise_correlation: tuple[float, float] = (0.4, 0.3)


USUAL = Constants()
"""Those of `draw_scenario`."""
