"""Which image of a file is read, and what cards and file names say that an image shows."""

import numpy as np
import pytest
from astropy.io import fits

from helioloop.data.images import cube_image, other_content, other_segment

CUBE = np.zeros((2, 4, 4), dtype=np.float32)


@pytest.mark.parametrize(
    ("cards", "read"),
    [
        ([{}, {}], 0),
        ([{}, {"EXTNAME": "ERRORS"}], 0),
        ([{"EXTNAME": "ERROR"}, {}], 1),
        ([{"CONTENT": "CONTINUUM INTENSITY"}, {"CONTENT": "DOPPLERGRAM"}, {"CONTENT": "MAGNETOGRAM"}], 2),
        ([{}, {"BTYPE": "phys.magField"}], 1),
        ([{"EXTNAME": "azimuth"}, {"EXTNAME": "b_los"}, {"EXTNAME": "magnetogram"}], 1),
        ([{"EXTNAME": "MAGNETOGRAM_ERR"}, {"EXTNAME": "MAGNETOGRAM"}], 1),
        ([{"EXTNAME": "mask"}, {"EXTNAME": "azimuth"}], 0),
    ],
)
def test_the_image_that_names_a_magnetogram_is_read(cards: list[dict[str, str]], read: int) -> None:
    """Then the first one that names nothing else; the first if all name something else."""
    hdus = fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(CUBE, fits.Header(card)) for card in cards)])
    assert hdus.index(cube_image(hdus)) == 1 + read


def test_a_small_picture_beside_the_cube_is_not_read() -> None:
    hdus = fits.HDUList([fits.PrimaryHDU(CUBE[0]), fits.ImageHDU(CUBE)])
    assert cube_image(hdus) is hdus[1]


@pytest.mark.parametrize(
    "text",
    [
        *("DOPPLERGRAM", "Line-of-sight velocity", "LOS Velocity", "phys.veloc", "CONTINUUM INTENSITY", "FD_Continuum"),
        *(
            "MAGNETOGRAM ERROR",
            "magnetic field strength",
            "magnetogram, rms noise map",
            "field_err",
            "Magnetogram uncertainty",
            "conf_disambig",
            "bitmap",
            "MASK",
            "INCLINATION",
        ),
        *("azimuth angle", "field strength", "Transverse field", "Br", "Stokes V", "LINEDEPTH", "white light"),
    ],
)
def test_cards_that_name_another_quantity(text: str) -> None:
    assert other_content(fits.Header({"CONTENT": text})) == f"CONTENT is '{text}'"


@pytest.mark.parametrize(
    "text",
    [
        *("MAGNETOGRAM", "HMI observable", "MDI Full Disk 96m Magnetogram", "Line-of-sight magnetic field", "B_LOS"),
        *("phys.magField", "magnetic field intensity", "magnetogram, masked off-limb", "error-corrected magnetogram"),
        *("Line-of-sight magnetic field strength", "longitudinal field strength", "MDI magnetogram, rms noise 20 G"),
        *("LOS field", "Terra", "COMPRESSED_IMAGE", "Tracked Active Region (HARP)", "TIMES", ""),
    ],
)
def test_cards_that_name_no_other_quantity(text: str) -> None:
    assert other_content(fits.Header({"CONTENT": text})) is None


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("hmi.sharp_cea_720s.377.20110215_020000_TAI.Br.fits", "br"),
        ("hmi.sharp_cea_720s.377.Br_err.fits", "br_err"),
        ("hmi.v_720s.20110215.Dopplergram.fits", "dopplergram"),
        ("hmi.sharp_cea_720s.377.20110215_020000_TAI.magnetogram.fits", None),
        ("Br_19990101.fits", None),
    ],
)
def test_the_segment_in_a_file_name_of_jsoc(name: str, part: str | None) -> None:
    found = other_segment(name)
    assert (found and found[0]) == part
