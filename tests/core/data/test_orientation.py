"""Frames come out with row 0 south and column 0 east, or the cube is refused: by cards, and by the moving limb."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.core.data.passing import CARRINGTON, GRID, LONGITUDE_AT_START, PROFILE

from helioloop.data.cube_report import CubeReport, Verdict
from helioloop.data.cubes import CubeFiles, write_cube
from helioloop.data.inspection import inspect_cube
from helioloop.data.limb import Limb, corner_codes, limb_motion
from helioloop.errors import CubeError

UPRIGHT, REVERSED, SIDEWAYS = Limb.UPRIGHT, Limb.REVERSED, Limb.SIDEWAYS
SECONDS = np.arange(GRID.n_frames) * GRID.cadence_seconds
CENTRE = LONGITUDE_AT_START + 13.2 * SECONDS / 86400.0
COLUMNS = CENTRE[:, None, None] + (np.arange(30) - 14.5) * 0.5
FIELD = np.random.default_rng(0).normal(0.0, 20.0, (GRID.n_frames, 30, 30)).astype(np.float32).round(1)
FIELD = np.where(np.abs(COLUMNS) > 85.0, np.nan, FIELD).astype(np.float32)
INSIDE = np.abs(CENTRE) < 70.0
TURN = {
    "none": np.s_[:, :, :],
    "x": np.s_[:, :, ::-1],
    "y": np.s_[:, ::-1],
    "both": np.s_[:, ::-1, ::-1],
}
AS_CARDS: dict[str, dict[str, Any]] = {
    "CROTA2": {"CROTA2": 180.0},
    "CROTA2 of HMI": {"CROTA2": 179.98},
    "PC": {"PC1_1": -1.0, "PC1_2": 0.0, "PC2_1": 0.0, "PC2_2": -1.0},
    "PC in whole numbers": {"PC1_1": -1, "PC1_2": 0, "PC2_1": 0, "PC2_2": -1},
    "CD": {"CD1_1": -0.5, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": -0.5},
    "CDELT": {"CDELT1": -0.5, "CDELT2": -0.5},
}


def _file(folder: Path, field: np.ndarray, *, kept: np.ndarray | None = None, **cards: Any) -> CubeFiles:
    kept = np.ones(len(SECONDS), dtype=bool) if kept is None else kept
    path = folder / "A.fits"
    write_cube(path, field[kept], SECONDS[kept], start="2001-03-07T00:00:00", region="A", instrument=GRID, header=cards)
    return CubeFiles.read(path)


def _report(files: CubeFiles) -> CubeReport:
    return inspect_cube(files.path, GRID, PROFILE)


# -- the limb ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [np.nan, 0.0, -1000.0, -32768.0, 5000.0, -999.0])
def test_the_limb_enters_at_the_west_side_and_leaves_at_it(code: float) -> None:
    """Whatever the code of off-disk pixels; entry or exit alone is enough."""
    field = np.where(np.isnan(FIELD), np.float32(code), FIELD)
    for half in (slice(None), slice(0, 40), slice(20, None)):
        found = [
            limb_motion(turned[half], code_gauss=1000.0)
            for turned in (field, field[:, ::-1], field[:, :, ::-1], field[:, ::-1, ::-1], field.swapaxes(1, 2))
        ]
        assert found == [UPRIGHT, UPRIGHT, REVERSED, REVERSED, SIDEWAYS]


def test_what_is_no_moving_limb_gives_no_answer() -> None:
    """No off-disk pixel; always the same; a few frames; lost rows at random."""
    rng = np.random.default_rng(1)
    always = np.where(np.arange(30) < 8, np.nan, 1.0) * np.ones((60, 30, 1))
    lost = np.ones((60, 30, 30))
    for frame in rng.choice(60, 20, replace=False):
        lost[frame, :, : rng.integers(2, 25)] = np.nan
        lost[frame] = np.rot90(lost[frame], rng.integers(4))
    for field in (np.ones((60, 30, 30)), always, FIELD[9:40], FIELD[:1], lost):
        assert limb_motion(field.astype(np.float32), code_gauss=1000.0) is None


def test_unusual_codes_are_found_only_where_many_pixels_share_them() -> None:
    """5000 and −999 are; a saturated spot in a corner, and codes that gridding finds anyway, are not."""
    coded = np.where(np.isnan(FIELD), np.float32(5000.0), FIELD)
    assert corner_codes(coded, code_gauss=1000.0) == [5000.0]
    assert corner_codes(np.where(coded == 5000.0, np.float32(-999.0), coded), code_gauss=1000.0) == [-999.0]
    spot = FIELD.copy()
    spot[:, :5, :5] = 1500.0
    for field in (spot, FIELD, np.where(np.isnan(FIELD), np.float32(-2000.0), FIELD)):
        assert corner_codes(field, code_gauss=1000.0) == []


# -- cards -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cards", AS_CARDS.values(), ids=AS_CARDS)
def test_rotation_by_180_degrees_is_undone(tmp_path: Path, cards: dict[str, Any]) -> None:
    """The limb confirms it, so nothing is doubtful."""
    coordinates = {key: value for key, value in CARRINGTON.items() if not ("CD1_1" in cards and "CDELT" in key)}
    files = _file(tmp_path, FIELD[TURN["both"]], **{**coordinates, **cards})
    np.testing.assert_allclose(files.cube(PROFILE).observed_gauss, FIELD, atol=0.01)
    report = _report(files)
    assert report.verdict == Verdict.OK
    assert "rotated by 180° by" in report.reasons[0]


@pytest.mark.parametrize(("turn", "cards"), [("x", {"CDELT1": -0.5}), ("y", {"CDELT2": -0.5})])
def test_flips_are_undone(tmp_path: Path, turn: str, cards: dict[str, Any]) -> None:
    """The limb tells east from west, but not north from south, so the latter remains doubtful."""
    files = _file(tmp_path, FIELD[TURN[turn]], **{**CARRINGTON, **cards})
    np.testing.assert_allclose(files.cube(PROFILE).observed_gauss, FIELD, atol=0.01)
    assert _report(files).verdict == (Verdict.OK if turn == "x" else Verdict.WARNED)


def test_without_a_limb_the_cards_count_and_it_is_said(tmp_path: Path) -> None:
    files = _file(tmp_path, FIELD[TURN["both"]], kept=INSIDE, CROTA2=180.0)
    np.testing.assert_allclose(files.cube(PROFILE).observed_gauss, FIELD[INSIDE], atol=0.01)
    report = _report(files)
    assert report.verdict == Verdict.WARNED
    assert any("CROTA2 180 and were turned upright: check" in reason for reason in report.reasons)


def test_a_card_left_over_from_the_images_is_not_followed(tmp_path: Path) -> None:
    """HMI's images are upside down, their headers say so, and a program that turned them may have kept the card."""
    files = _file(tmp_path, FIELD, CROTA2=180.0)
    np.testing.assert_allclose(files.cube(PROFILE).observed_gauss, FIELD, atol=0.01)
    report = _report(files)
    assert report.verdict == Verdict.WARNED
    assert any("read as stored" in reason for reason in report.reasons)


@pytest.mark.parametrize("turn", ["x", "both"])
@pytest.mark.parametrize("cards", [{}, CARRINGTON, {"CDELT2": -0.5, "CDELT1": 0.5}], ids=["none", "upright", "y"])
def test_a_limb_at_the_wrong_side_is_refused(tmp_path: Path, turn: str, cards: dict[str, Any]) -> None:
    """Without a card that explains it, a flip, a rotation and reversed times look alike."""
    with pytest.raises(CubeError, match="west side is off-disk first"):
        _file(tmp_path, FIELD[TURN[turn]], **cards).cube(PROFILE)


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"CROTA2": 90.0}, "x axis points north or south"),
        ({"CTYPE1": "CRLT-CAR", "CTYPE2": "CRLN-CAR"}, "x axis points north or south"),
        ({"PC1_1": 0.0, "PC1_2": 1.0, "PC2_1": 1.0, "PC2_2": 0.0}, "x axis points north or south"),
        ({"CROTA2": 30.0}, "rotated by 30.0°"),
        ({"CTYPE1": "TIME", "CTYPE2": "HPLN-TAN"}, "CTYPE1 is 'TIME'"),
        ({"CDELT1": 0.03, "CDELT2": 0.03}, r"pixels are 0.03° × 0.03° heliographic"),
        ({"CDELT1": 0.5, "CDELT2": 0.55}, r"pixels are 0.5° × 0.55° heliographic"),
        ({"CDELT1": 30.0, "CDELT2": 30.0}, "profile 'small' are 0.5°"),
        ({"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN", "CUNIT1": "arcsec", "CUNIT2": "arcsec"}, 'are 0.5" × 0.5" on'),
    ],
)
def test_swapped_axes_rotation_and_other_pixels_are_refused(
    tmp_path: Path, cards: dict[str, Any], message: str
) -> None:
    with pytest.raises(CubeError, match=message):
        _file(tmp_path, FIELD, **{**CARRINGTON, **cards}).cube(PROFILE)


def test_transposed_frames_without_cards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CubeError, match="its limb moves along the columns"):
        _file(tmp_path, FIELD.swapaxes(1, 2)).cube(PROFILE)


@pytest.mark.parametrize(
    "cards",
    [
        {},
        CARRINGTON,
        {**CARRINGTON, "CUNIT1": "degree", "CUNIT2": "degree"},
        {**CARRINGTON, "CTYPE1": "HGLN-CEA", "CTYPE2": "HGLT-CEA"},
        {**CARRINGTON, "CDELT1": 0.51},
        {**CARRINGTON, "CROTA2": 0.0, "CTYPE3": "TIME"},
        {**CARRINGTON, "CROTA2": 3.1},
        {"CDELT1": 1.0, "CDELT2": 1.0, "CRPIX1": 1.0},
        {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -0.001, "CDELT2": 0.001},
        {"CTYPE1": "LINEAR", "CTYPE2": "LINEAR", "CDELT1": 2.0, "CDELT2": 2.0},
        {"CROTA2": "unknown", "CDELT1": "N/A"},
        {**CARRINGTON, "CDELT1": 0.0},
        {"CTYPE1": "CRLN-CAR", "CTYPE2": "CRLT-CAR", "CROTA2": 0.0},
        {"CTYPE1": "CRLN-CAR", "CTYPE2": "CRLT-CAR", "PC1_1": 1.0},
        {"CTYPE1": "CRLN-CAR"},
    ],
)
def test_upright_frames_stay_as_they_are_without_a_word(tmp_path: Path, cards: dict[str, Any]) -> None:
    """With or without a WCS, with one of the sky or of the detector, and with cards that are no numbers."""
    files = _file(tmp_path, FIELD, **cards)
    np.testing.assert_allclose(files.cube(PROFILE).observed_gauss, FIELD, atol=0.01)
    assert (_report(files).verdict, _report(files).reasons) == (Verdict.OK, ())


def test_a_card_that_cannot_be_parsed_is_passed_over(tmp_path: Path) -> None:
    """Text without quotes, as other programs write it."""
    files = _file(tmp_path, FIELD, **CARRINGTON, CROTA2=0.25)
    path = files.path
    content = path.read_bytes()
    card = next(content[k : k + 80] for k in range(0, 28800, 80) if content[k : k + 8] == b"CROTA2  ")
    path.write_bytes(content.replace(card, b"CROTA2  = north".ljust(80)))
    np.testing.assert_allclose(CubeFiles.read(path).cube(PROFILE).observed_gauss, FIELD, atol=0.01)


def test_a_small_rotation_is_said(tmp_path: Path) -> None:
    report = _report(_file(tmp_path, FIELD, **{**CARRINGTON, "CROTA2": -8.0}))
    assert report.verdict == Verdict.WARNED
    assert "rotated by 8.0°" in report.reasons[0]


def test_pixels_of_the_plane_of_the_sky_are_said(tmp_path: Path) -> None:
    """Half a degree at the centre of the disk is 8.4 seconds of arc."""
    sky = {"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN", "CDELT1": 8.4, "CDELT2": 8.4}
    report = _report(_file(tmp_path, FIELD, **sky))
    assert report.verdict == Verdict.WARNED
    assert "foreshortened near the limb" in report.reasons[0]


# -- the ephemeris -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "verdict"), [(0.0, Verdict.OK), (0.7, Verdict.OK), (3.0, Verdict.WARNED)])
def test_the_limb_is_where_the_ephemeris_puts_it(tmp_path: Path, days: float, verdict: Verdict) -> None:
    """A Carrington longitude that is 3 days of rotation away from where the frames show the limb is said."""
    cards = {**CARRINGTON, "CRVAL1": CARRINGTON["CRVAL1"] + 13.2 * days}
    report = _report(_file(tmp_path, FIELD, kept=CENTRE < 60.0, **cards))
    assert report.verdict == verdict
    assert any("central meridian by start" in reason for reason in report.reasons) == (verdict is Verdict.WARNED)
