"""Passages: the numbers that define a cube of the flux-transport generator.

Truth follows by the rule of the first generator, see `helioloop.synthetic.scenario`: an emergence is a region that
reaches 10 % of its flux on the visible disk.
"""

from dataclasses import dataclass

from helioloop.synthetic.scenario import Tracking, Truth
from helioloop.synthetic.transport.constants import USUAL, Constants
from helioloop.synthetic.transport.regions import ActiveRegion

ROTATION_DEG_PER_DAY = (14.437, -1.48, -2.99)
"""Sidereal rotation of magnetic elements: a + b · sin²(latitude) + c · sin⁴(latitude) (Hathaway & Rightmire 2011)."""
EARTH_DEG_PER_DAY = 0.986


@dataclass(frozen=True, slots=True, kw_only=True)
class Magnetograph:
    """How an instrument measures.

    Parameters
    ----------
    pixel_deg : float
        Side of a pixel at disk centre in heliographic degrees.
    noise_gauss : tuple of float
        Noise of one pixel at disk centre; each exposure has one of these.
    limb_growth : float
        Relative growth of the noise from disk centre to the limb.
    blur_px : float
        Standard deviation of the optics' blur, in instrument pixels.
    scale : float
        Its field relative to MDI's; cubes are brought to MDI's scale by `to_mdi`.
    to_mdi : float
        The factor by which its field is multiplied.
    scale_error : float
        Standard deviation of the true factor about `to_mdi`, relative, from cube to cube.
    wave_gauss : float
        Standard deviation of what granulation and oscillations leave in the field, at the size of a few patch pixels.
    """

    pixel_deg: float
    noise_gauss: tuple[float, ...]
    limb_growth: float
    blur_px: float
    scale: float
    to_mdi: float
    scale_error: float
    wave_gauss: float


LIKE_MDI = Magnetograph(
    pixel_deg=0.118,
    noise_gauss=(16.2, 26.4, 26.4),
    limb_growth=0.9,
    blur_px=0.8,
    scale=1.0,
    to_mdi=1.0,
    scale_error=0.05,
    wave_gauss=3.0,
)
"""Full-disk MDI: noise of five-minute and one-minute magnetograms by Liu et al. 2012, Solar Phys. 279, 295."""
LIKE_HMI = Magnetograph(
    pixel_deg=0.03,
    noise_gauss=(10.2, 6.3),
    limb_growth=1.2,
    blur_px=1.0,
    scale=1.0 / 1.4,
    to_mdi=1.4,
    scale_error=0.1,
    wave_gauss=4.0,
)
"""HMI, multiplied by 1.4 as by Liu et al. 2012, who find factors from 1.2 to 1.5; noise of its 45 s and 720 s data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """All numbers that define one cube.

    Parameters
    ----------
    seed, index : int
        Seed of the release, and number of the cube in it from 0 on.
    region, name : str
        Names of region and cube.
    start : str
        Absolute time of grid frame 0, ISO 8601 without zone, UTC.
    latitude_deg : float
        Latitude of the patch centre.
    regions : tuple of ActiveRegion
        In frames and pixels of this cube.
    background_gauss : float
        Mean radial field at the start: what remnants of earlier regions left.
    tracking : Tracking
        How the patch is tracked, and which frames were observed.
    magnetograph : Magnetograph
        What observed it.
    truth : Truth
        From `derive_truth`.
    constants : Constants
        Of the Sun.
    """

    seed: int
    index: int
    region: str
    name: str
    start: str
    latitude_deg: float
    regions: tuple[ActiveRegion, ...]
    background_gauss: float
    tracking: Tracking
    magnetograph: Magnetograph
    truth: Truth
    constants: Constants = USUAL
