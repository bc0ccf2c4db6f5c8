"""FITS files of a release's folder that are not read as cubes are found, each with the reason."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from helioloop.data.other_files import other_fits_files, why_not_a_cube


def test_fits_files_that_are_not_cubes(tmp_path: Path) -> None:
    """Other endings, upper case, subfolders, archives, FITS content without an ending; hidden files are not listed."""
    fits.PrimaryHDU(np.zeros((2, 2))).writeto(tmp_path / "A.fits")
    content = (tmp_path / "A.fits").read_bytes()
    names = [
        "A.dt.fits",
        "B.dt.fits",
        "C.fts",
        "D.FITS",
        "E.fits.gz",
        "F.fits.bz2",
        "G",
        "sub/H.fits",
        "sub/deep/I.fit",
    ]
    for name in [*names, ".hidden.fits", ".sub/J.fits", "labels.csv"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"cube,label" if name == "labels.csv" else content)
    (tmp_path / "K.header").write_bytes(content[:100])
    (tmp_path / "L.cut").write_bytes(content[:3000])
    (tmp_path / "M.cube").write_bytes(gzip.compress(content))
    found = {str(path.relative_to(tmp_path)): reason for path, reason in other_fits_files(tmp_path).items()}
    assert list(found) == sorted([*names[1:], "L.cut", "M.cube"])
    assert found["B.dt.fits"] == "it has the times of a cube that is not beside it: add B.fits"
    assert all(found[name].endswith(f"rename it {name[0]}.fits") for name in ("C.fts", "D.FITS", "E.fits.gz", "G"))
    assert found["F.fits.bz2"].endswith("decompress it")
    assert all("subfolder" in found[name] for name in ("sub/H.fits", "sub/deep/I.fit"))


@pytest.mark.parametrize("ending", [".part", ".PART2", ".partial", ".filepart", ".crdownload", ".tmp", ".aria2"])
def test_an_unfinished_download_is_not_to_be_renamed(tmp_path: Path, ending: str) -> None:
    assert why_not_a_cube(tmp_path, tmp_path / f"A.fits{ending}") == (
        f"its name ends in {ending}, as that of an unfinished download or copy: finish or remove it"
    )


@pytest.mark.parametrize("ending", ["~", ".bak", ".old", ".orig", ".sav1"])
def test_an_earlier_state_of_a_file_is_not_to_be_renamed(tmp_path: Path, ending: str) -> None:
    reason = why_not_a_cube(tmp_path, tmp_path / f"A.fits{ending}")
    assert reason is not None
    assert reason.startswith(f"its name ends in {ending}, as that of an earlier state of a file")
