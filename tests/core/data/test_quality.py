"""Frames that QUALITY excludes are dropped, wherever the file has QUALITY; other bits exclude nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from helioloop.data.cube_report import Verdict
from helioloop.data.cubes import COMPANION_SUFFIX, CubeFiles
from helioloop.data.inspection import inspect_cube
from helioloop.errors import CubeError
from helioloop.records.profiles import BUILT_IN

MDI = BUILT_IN["mdi"]
N = 12
FIELD = np.random.default_rng(0).normal(0.0, 20.0, (N, 90, 90)).astype(np.float32)
SECONDS = np.arange(N) * 10.0 * 5760.0
BAD = [2, 5]
NO_IMAGE = -(2**31)


def _write(
    path: Path, *, column: Any = None, kind: str = "J", place: str = "table", card: Any = None, name: str = "QUALITY"
) -> CubeFiles:
    image = fits.PrimaryHDU(FIELD)
    image.header["DATE-BEG"] = "2001-03-07"
    if card is not None:
        image.header["QUALITY"] = card
    quality = [] if column is None else [fits.Column(name, kind, array=column)]
    times = [fits.Column("SECONDS", "D", array=SECONDS)]
    if place == "table":
        hdus = [image, fits.BinTableHDU.from_columns([*times, *quality])]
    elif place == "own table":
        hdus = [image, fits.BinTableHDU.from_columns(times), fits.BinTableHDU.from_columns(quality)]
    else:
        hdus = [image]
        beside = fits.ImageHDU(column, name=name) if place == "image" else fits.BinTableHDU.from_columns(quality)
        companion = path.with_name(path.name.removesuffix(".fits") + COMPANION_SUFFIX)
        fits.HDUList([fits.PrimaryHDU(SECONDS), beside]).writeto(companion)
    fits.HDUList(hdus).writeto(path)
    return CubeFiles.read(path)


def _column(bad: int, good: int = 512) -> np.ndarray:
    return np.where(np.isin(np.arange(N), BAD), bad, good)


@pytest.mark.parametrize("place", ["table", "own table", "companion", "image"])
def test_bad_frames_are_dropped_and_counted(tmp_path: Path, place: str) -> None:
    """In the table of times, in a table of its own, in a table or an image of the companion."""
    files = _write(tmp_path / "A.fits", column=_column(NO_IMAGE).astype(np.int32), place=place)
    np.testing.assert_array_equal(files.cube(MDI).observed_gauss, np.delete(FIELD, BAD, axis=0))
    report = inspect_cube(files.path, MDI.instrument, MDI)
    assert (report.verdict, report.frames_in_file, report.frames_used) == (Verdict.OK, N, N - len(BAD))
    assert report.reasons == ("2 frames are excluded by QUALITY and dropped",)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (_column(NO_IMAGE + 512), "K"),
        (_column(2**31), "K"),
        (_column(NO_IMAGE).astype(float), "D"),
        (np.where(_column(1, 0) == 1, "0x80000000", "0x00000200"), "10A"),
        (np.where(_column(1, 0) == 1, "-2147483648", "512"), "11A"),
        (np.where(_column(1, 0) == 1, "2147483648.0", "512.0"), "12A"),
        (np.where(_column(1, 0) == 1, "0x00000002", ""), "10A"),
    ],
    ids=["signed", "unsigned", "float", "hexadecimal", "decimal text", "float text", "missing text"],
)
def test_spellings_of_quality(tmp_path: Path, column: np.ndarray, kind: str) -> None:
    files = _write(tmp_path / "A.fits", column=column, kind=kind, name="quality")
    assert files.cube_and_origin(MDI)[1].bad_quality.nonzero()[0].tolist() == BAD


def test_a_vector_in_a_table_of_one_row_is_read(tmp_path: Path) -> None:
    """As IDL writes a structure of arrays."""
    files = _write(tmp_path / "A.fits", column=_column(2, 0)[None], kind=f"{N}J", place="own table")
    assert files.cube_and_origin(MDI)[1].bad_quality.nonzero()[0].tolist() == BAD


def test_other_bits_and_missing_values_exclude_nothing(tmp_path: Path) -> None:
    """512 is set in normal images of MDI; a column of another name is not QUALITY, and NaN is missing."""
    for k, (values, name) in enumerate(
        [(_column(512), "QUALITY"), (_column(NO_IMAGE), "QUALLEV1"), (np.full(N, np.nan), "QUALITY")]
    ):
        files = _write(tmp_path / f"{k}.fits", column=values, kind="D", name=name)
        assert not files.cube_and_origin(MDI)[1].bad_quality.any()


def test_the_bits_are_those_of_the_profile(tmp_path: Path) -> None:
    """512 excludes an HMI observation (an eclipse); without a profile nothing is excluded."""
    files = _write(tmp_path / "A.fits", column=_column(512, 0))
    assert files.cube_and_origin(BUILT_IN["hmi"])[1].bad_quality.sum() == 2
    assert files.cube_and_origin(MDI)[1].bad_quality.sum() == 0
    assert files.cube_and_origin()[1].bad_quality.sum() == 0


@pytest.mark.parametrize("card", [NO_IMAGE, 2**31 + 512, 2.0**31, "2147483648.0", "0x80000000", 2])
def test_a_card_counts_for_the_whole_cube(tmp_path: Path, card: Any) -> None:
    with pytest.raises(CubeError, match=r"QUALITY is 0x[08]000[02][02]0[02] and profile 'mdi' excludes"):
        _write(tmp_path / "A.fits", card=card).cube(MDI)


@pytest.mark.parametrize("card", [0, 512, 512.0, "0x00000200", "good", 2.5, ""])
def test_a_card_with_other_bits_excludes_nothing(tmp_path: Path, card: Any) -> None:
    assert len(_write(tmp_path / "A.fits", card=card).cube(MDI).seconds) == N


def test_a_column_counts_more_than_the_card_of_one_frame(tmp_path: Path) -> None:
    files = _write(tmp_path / "A.fits", column=_column(0, 0), card=NO_IMAGE)
    assert len(files.cube(MDI).seconds) == N


def test_a_cube_without_a_good_frame_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CubeError, match="QUALITY of all its 12 frames"):
        _write(tmp_path / "A.fits", column=_column(2, 2)).cube(MDI)
