"""Crude labels of single cubes, by a table's first_seen and by the pixels."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from tests.core.data.passing import CARRINGTON, CARRINGTON_LON, LATITUDE, PROFILE, START, write_passing

from helioloop.data.crude_labels import CrudeLabel, KnownRegion, Rule, label_by_longitude, label_cube
from helioloop.records.labels import Label


def seen_at(first_seen_tai: str | None, *, lon: float = CARRINGTON_LON) -> dict[str, KnownRegion]:
    """A table with the region of the cubes."""
    return {"A": KnownRegion(lon_deg=lon, lat_deg=LATITUDE, first_seen_tai=first_seen_tai)}


def label(path: Path, first_seen_tai: str | None = None, **options: float) -> CrudeLabel:
    """The label by the pixels, or by a time of first detection."""
    regions = None if first_seen_tai is None else seen_at(first_seen_tai)
    return label_cube(path, PROFILE, regions=regions, **options)


@pytest.mark.parametrize(
    ("longitude", "expected"),
    [
        (-89.0, "non-emergence"),
        (-56.1, "non-emergence"),
        (-56.0, "emergence"),
        (10.0, "emergence"),
        (60.0, "emergence"),
    ],
)
def test_the_rule_separates_at_56_degrees_east(longitude: float, expected: str) -> None:
    assert label_by_longitude(longitude) == expected


@pytest.mark.parametrize("cards", [None, CARRINGTON], ids=["limb", "WCS"])
@pytest.mark.parametrize(
    ("emerges_at", "expected"),
    [(None, "non-emergence"), (-65.0, "non-emergence"), (-20.0, "emergence"), (30.0, "emergence")],
)
def test_the_place_of_the_first_detection_decides(
    tmp_path: Path, cards: dict[str, object] | None, emerges_at: float | None, expected: str
) -> None:
    """The longitude is that of the onset, or of the first frames at most 75° away; time and frame belong to it."""
    found = label(write_passing(tmp_path / "A_20010307.fits", emerges_at=emerges_at, cards=cards))
    assert (found.label, found.rule, found.reason) == (expected, Rule.PIXELS, "")
    assert found.longitude_source == ("both limbs" if cards is None else "WCS")
    assert found.longitude_deg is not None
    assert found.seconds is not None
    assert found.longitude_deg == pytest.approx(-73.0 if emerges_at is None else emerges_at, abs=4.0)
    assert found.longitude_deg == pytest.approx(-96.0 + 13.2 * found.seconds / 86400.0, abs=1.5)
    assert found.tai > found.utc > "2001-03-08"


def test_a_header_as_jsoc_spells_it_gives_the_place(tmp_path: Path) -> None:
    """A region near the threshold, of which one limb is seen, has a label by its coordinates alone."""
    cards = {**CARRINGTON, "CUNIT1": "degree", "CUNIT2": "degree"}
    found = label(write_passing(tmp_path / "A_20010307.fits", emerges_at=-62.0, last=40.0, cards=cards))
    assert (found.label, found.longitude_source, found.reason) == (Label.NON_EMERGENCE, "WCS", "")


def test_coordinates_in_the_first_header_of_a_file_give_the_place(tmp_path: Path) -> None:
    path = write_passing(tmp_path / "A_20010307.fits", emerges_at=-62.0, last=40.0, cards=CARRINGTON)
    with fits.open(path) as hdus:
        first = fits.PrimaryHDU(header=hdus[0].header)
        image = fits.ImageHDU(hdus[0].data.astype(np.float32))
        fits.HDUList([first, image, hdus[1].copy()]).writeto(path, overwrite=True)
    found = label(path)
    assert (found.label, found.longitude_source) == (Label.NON_EMERGENCE, "WCS")


def test_another_threshold_gives_another_label(tmp_path: Path) -> None:
    path = write_passing(tmp_path / "A_20010307.fits", emerges_at=-50.0)
    assert label(path).label is Label.EMERGENCE
    assert label(path, threshold_deg=-40.0).label is Label.NON_EMERGENCE


def test_one_limb_is_enough_where_its_uncertainty_does_not_matter(tmp_path: Path) -> None:
    """The limb may be at 75° to 93°, so a first detection 9° or less from the threshold gives no label."""
    path = tmp_path / "A_20010307.fits"
    east = label(write_passing(path, emerges_at=-20.0, last=40.0))
    assert (east.label, east.longitude_source, east.uncertainty_deg) == (Label.EMERGENCE, "east limb", 9.0)
    west = label(write_passing(path, emerges_at=10.0, first=-30.0))
    assert (west.label, west.longitude_source) == (Label.EMERGENCE, "west limb")
    near = label(write_passing(path, emerges_at=-62.0, last=40.0))
    assert near.label is None
    assert "as far as one limb shows, and the threshold of -56° is between" in near.reason


def test_a_region_that_is_there_after_a_gap_gets_no_label(tmp_path: Path) -> None:
    """It may have rotated in while nothing was observed; one that is detected later emerged."""
    path = tmp_path / "A_20010307.fits"
    found = label(write_passing(path, emerges_at=None, first=-30.0, cards=CARRINGTON))
    assert found.label is None
    assert found.reason.startswith("it is there in the first frame after a gap, at -")
    assert label(write_passing(path, emerges_at=0.0, first=-30.0, cards=CARRINGTON)).label is Label.EMERGENCE


def test_copies_of_the_first_frame_are_not_observations(tmp_path: Path) -> None:
    """The authors' files repeat a frame at the beginning; the limb is not taken from it."""
    path = write_passing(tmp_path / "A_20010307.fits", emerges_at=-20.0, frozen=3)
    plain = label(write_passing(tmp_path / "B_20010307.fits", emerges_at=-20.0))
    assert label(path).longitude_deg == pytest.approx(plain.longitude_deg, abs=1.0)


def test_without_a_region_limb_or_file_there_is_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "A_20010307.fits"
    assert "no bipolar region stands out" in label(write_passing(path, emerges_at=None, gauss=0.0)).reason
    single = label(write_passing(path, emerges_at=0.0, first=10.0, last=13.0, cards=CARRINGTON))
    assert single.reason == "only 1 of its frames is usable and a detection needs 2 in a row"
    nowhere = label(write_passing(path, emerges_at=0.0, first=-50.0, last=50.0))
    assert "no limb crosses its patch" in nowhere.reason
    path.write_text("<html>")
    assert "begins with b'<html>" in label(path).reason
    assert "restore it" in label(tmp_path / "B.fits").reason


def test_without_a_time_the_limb_counts_and_the_label_has_no_date(tmp_path: Path) -> None:
    """The day in a name is not precise enough: the Sun turns by 13° in it."""
    found = label(write_passing(tmp_path / "A_20010307.fits", emerges_at=-20.0, start=None, cards=CARRINGTON))
    assert (found.label, found.longitude_source, found.utc) == (Label.EMERGENCE, "both limbs", "")


def test_a_card_with_a_day_only_counts_as_the_day_in_a_name(tmp_path: Path) -> None:
    """Midnight in place of noon put a region 7° farther east, here beyond the threshold."""
    cards = {**CARRINGTON, "DATE-OBS": START[:10]}
    late = {"emerges_at": -50.0, "start": None, "late": -43200.0}
    found = label(write_passing(tmp_path / "A.fits", cards=cards, **late))
    assert (found.label, found.longitude_source, found.utc) == (Label.EMERGENCE, "both limbs", "")
    assert found.longitude_deg == pytest.approx(-50.0, abs=4.0)
    nowhere = label(write_passing(tmp_path / "B.fits", cards=cards, first=-50.0, last=50.0, **late))
    assert nowhere.label is None
    assert nowhere.reason.startswith(
        "no limb crosses its patch, so its place on the disk is unknown; DATE-OBS gives only"
    )
    seen = label_cube(tmp_path / "A.fits", PROFILE, regions=seen_at("2001-03-11T00:00:00"))
    assert (seen.label, seen.frame) == (Label.EMERGENCE, None)


@pytest.mark.parametrize(
    ("first_seen_tai", "longitude", "expected"),
    [
        ("2001-03-09T00:00:00", -69.6, "non-emergence"),
        ("2001-03-12T00:00:00", -30.0, "emergence"),
        ("2001-03-17T12:00:00", 42.6, "emergence"),
    ],
)
def test_first_seen_decides_where_the_table_has_it(
    tmp_path: Path, first_seen_tai: str, longitude: float, expected: str
) -> None:
    """Whatever the pixels show: this cube's region is there from the beginning."""
    path = write_passing(tmp_path / "A_20010307.fits", emerges_at=None, cards=CARRINGTON)
    found = label(path, first_seen_tai)
    assert (found.label, found.rule, found.reason) == (expected, Rule.FIRST_SEEN, "")
    assert found.longitude_deg == pytest.approx(longitude, abs=0.5)
    assert (found.longitude_source, found.tai) == ("regions table", first_seen_tai)


@pytest.mark.parametrize("spelling", ["NOAA 8800", "NOAA8800", "ar_8800", "8800"])
def test_first_seen_counts_however_the_table_spells_the_region(tmp_path: Path, spelling: str) -> None:
    path = write_passing(
        tmp_path / "A_20010307.fits", emerges_at=None, region=None, cards={**CARRINGTON, "NOAA_AR": 8800}
    )
    (region,) = seen_at("2001-03-12T00:00:00").values()
    found = label_cube(path, PROFILE, regions={spelling: region})
    assert (found.region, found.rule, found.label) == ("NOAA 8800", Rule.FIRST_SEEN, Label.EMERGENCE)


def test_without_first_seen_the_pixels_decide_at_the_tables_coordinates(tmp_path: Path) -> None:
    path = write_passing(tmp_path / "A_20010307.fits", emerges_at=-20.0, last=40.0)
    (region,) = seen_at(None).values()
    for name in ("A", "A_20010307"):
        found = label_cube(path, PROFILE, regions={name: region})
        assert (found.label, found.rule, found.longitude_source) == (Label.EMERGENCE, Rule.PIXELS, "regions table")


@pytest.mark.parametrize("minutes", [(0, 0), (-1, -1), (-1, 1), (1, -1)])
def test_a_frame_a_minute_early_or_late_is_detected_at_its_own_time(tmp_path: Path, minutes: tuple[int, int]) -> None:
    """The region is there from frame 12 on. In slots of six hours, an early frame had the time of the next one."""
    late = 60.0 * np.array([0, *np.tile(minutes, 30)[1:]])
    path = write_passing(tmp_path / "A_20010307.fits", emerges_at=-56.5, cards=CARRINGTON, late=late)
    found = label(path)
    assert (found.frame, found.seconds) == (12, 12 * 21600.0 + late[12])
    assert found.longitude_deg == pytest.approx(-56.4, abs=0.3)


def test_a_region_seen_a_rotation_before_rotated_in_again(tmp_path: Path) -> None:
    """One first seen a rotation after the cube cannot be in it, and one behind the limb was not seen."""
    path = write_passing(tmp_path / "A_20010307.fits", emerges_at=None, cards=CARRINGTON)
    before = label(path, "2001-02-15T00:00:00")
    assert before.label is Label.NON_EMERGENCE
    assert "first seen 1 rotation before the cube" in before.reason
    after = label(path, "2001-04-08T00:00:00")
    assert after.label is None
    assert "first seen 1 rotation after the cube" in after.reason
    hidden = label(path, "2001-03-26T00:00:00")
    assert hidden.label is None
    assert "behind the limb" in hidden.reason


def test_a_row_of_the_table_that_is_elsewhere_on_the_sun_is_refused(tmp_path: Path) -> None:
    path = write_passing(tmp_path / "A_20010307.fits", emerges_at=None, cards=CARRINGTON)
    found = label_cube(path, PROFILE, regions=seen_at("2001-03-12T00:00:00", lon=20.0))
    assert found.label is None
    assert "they must agree within 5°: correct the table" in found.reason
