"""Files are kept in the spool whatever their names are."""

from pathlib import Path

import numpy as np
import pytest

from helioloop.archive.spool import Spool, SpooledFile, key_of


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("m.fits", "m.fits"),
        ("é.fits", r"\xe9.fits"),
        ("m_\udce9.fits", r"m_\udce9.fits"),
        ("m\n.fits", r"m\n.fits"),
        ("\u202em.fits", r"\u202em.fits"),
    ],
)
def test_what_a_file_gave_is_found_again_and_its_name_fits_into_a_header(
    tmp_path: Path, name: str, written: str
) -> None:
    """A byte that is not UTF-8, as in names of Latin-1, is \\udce9 in Python."""
    place = str(tmp_path / name)
    Path(place).touch()
    spool = Spool(tmp_path / "spool")
    kept = spool.keep(SpooledFile(place=place, key=key_of(place), regions=("A β",)), {"A β": np.ones((1, 1), "f4")})
    assert spool.find(key_of(place)) == kept
    assert spool.patch(kept, "A β") == 1.0
    assert kept.name == written
