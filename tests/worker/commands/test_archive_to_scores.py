"""A whole campaign on a profile of the user's own: full-disk images → cubes → crude labels → a version → scores."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time, TimeDelta
from tests.core.archive.sun import Spot, header, paint, paint_everywhere, times, write_series
from tests.worker.shell import read_table, run_one_of

from helioloop import settings
from helioloop.model import recipes
from helioloop.registry.versions import Registry
from helioloop.workflows import releases
from helioloop_worker.commands import archive, learning
from helioloop_worker.commands import releases as release_commands

FIRST = "2001-03-07T00:00:00"  # the central meridian is at Carrington longitude 81.3°
MERIDIAN_DEG = 81.3
DEG_PER_DAY = 13.2

PROFILE = """
name = "twice a day"
patch_deg = 15.0
projection = "CAR"
grid_tolerance_seconds = 60.0
to_mdi_factor = 1.0
to_mdi_source = "painted"
bad_quality_bits = 0

[instrument]
name = "PAINTED"
cadence_seconds = 43200.0
n_frames = 30
size_px = 30
clip_gauss = 800.0
frozen_frames = 3
"""


@dataclass(frozen=True, kw_only=True)
class PaintedRegion:
    """A region that emerges at a central-meridian distance, or that has always been there.

    `first_deg` is its central-meridian distance in the first image.
    """

    name: str
    lat: float
    first_deg: float
    emerges_at_deg: float | None

    @property
    def lon(self) -> float:
        return (MERIDIAN_DEG + self.first_deg) % 360.0

    def day_at(self, distance_deg: float) -> float:
        """Days since the first image at which it passes a central-meridian distance."""
        return (distance_deg - self.first_deg) / DEG_PER_DAY

    def spots(self, days: float) -> list[Spot]:
        """Two spots of opposite field, which grow within a day and a half."""
        since = np.inf if self.emerges_at_deg is None else days - self.day_at(self.emerges_at_deg)
        gauss = 400.0 * float(np.clip(since / 1.5, 0.0, 1.0))
        return [Spot(lon=self.lon + side * 1.8, lat=self.lat, gauss=side * gauss, sigma_deg=1.0) for side in (-1, 1)]


REGIONS = [
    PaintedRegion(
        name=f"P{8 * column + row:02d}",
        lat=11.0 * row - 38.5,
        first_deg=-98.0 - 16.0 * column,
        emerges_at_deg=-30.0 + 7.0 * row if (column + row) % 2 else None,
    )
    for column in range(5)
    for row in range(8)
]
"""Forty regions that come over the east limb within five days; every other one emerges on the disk."""


def first_seen(region: PaintedRegion) -> str:
    """The time in a mission's table: two days after the onset, or 25° behind the east limb; empty for every third."""
    if int(region.name[1:]) % 3 == 0:
        return ""
    day = region.day_at(-65.0) if region.emerges_at_deg is None else region.day_at(region.emerges_at_deg) + 2.0
    return str((Time(FIRST, scale="tai") + TimeDelta(day, format="jd")).utc.isot)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """The files of a campaign; each command has ended with 0."""

    folder: Path
    printed: dict[str, str]

    @property
    def release(self) -> Path:
        return self.folder / "release"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """Images painted from known positions, and all four commands."""
    folder = tmp_path_factory.mktemp("campaign")
    images, release, models = folder / "images", folder / "release", folder / "models"
    write_series(
        images,
        times(FIRST, hours=12.0, n=36),
        lambda days: [spot for region in REGIONS for spot in region.spots(days)],
        noise=15.0,
        painter=paint_everywhere,
    )
    (folder / "profile.toml").write_text(PROFILE)
    rows = [f"{r.name},{r.lon:.3f},{r.lat:.3f},{first_seen(r)}\n" for r in REGIONS]
    (folder / "regions.csv").write_text("region,carrington_lon,carrington_lat,first_seen\n" + "".join(rows))
    printed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HELIOLOOP_CACHE_ROOT", str(folder / "cache"))
        patch.setenv("HELIOLOOP_DEVICE", "cpu")
        patch.setitem(recipes.RECIPES, "quick", replace(recipes.QUICK, epochs=4, min_steps=0))
        patch.setattr(releases, "process_count", lambda *_: 1)  # starting processes takes longer than the training
        settings.load_settings.cache_clear()
        commands = [*archive.commands(), *release_commands.commands(), *learning.commands()]
        table = ("--regions", folder / "regions.csv")
        for words in (
            ("cutouts", images, *table, "--out", release, "--profile", folder / "profile.toml", "--processes", "1"),
            ("crude-labels", release, *table, "--processes", "1"),
            ("train", release, "--model-dir", models),
            ("score", release, "--model-dir", models, "--out", folder / "scores.csv"),
        ):
            result = run_one_of(commands, *words)
            assert result.exit_code == 0, result.output
            printed[str(words[0])] = result.output
        yield Campaign(folder=folder, printed=printed)
    settings.load_settings.cache_clear()


def test_both_painters_paint_the_same_image() -> None:
    """The one that is quick for many spots, and the one that looks up the windows around a few."""
    of, spots = header(size=256, scale=8.0), [Spot(lon=70.0, lat=20.0), Spot(lon=30.0, lat=-15.0, gauss=-500.0)]
    one, other = paint(of, spots), paint_everywhere(of, spots)
    assert np.nanmax(np.abs(one - other)) < 1.0
    assert np.mean(np.isnan(one) == np.isnan(other)) > 0.995


def test_cutouts_make_a_cube_of_each_region(campaign: Campaign) -> None:
    """Forty cubes on the grid of the profile."""
    assert "40 cubes" in campaign.printed["cutouts"]
    assert 'name = "twice a day"' in (campaign.release / "release.toml").read_text()


def test_crude_labels_follow_from_both_sources(campaign: Campaign) -> None:
    """All are right, as the regions are simple; detections are within a day and a half of the onset."""
    table = Table.read(campaign.release / "crude-labels.ecsv")
    by_region = {row["region"]: row for row in table}
    assert {row["rule"] for row in table} == {"first_seen", "pixels"}
    labels = {row["cube"]: row["label"] for row in read_table(campaign.release / "labels.csv")}
    for region in REGIONS:
        row = by_region[region.name]
        expected = "non-emergence" if region.emerges_at_deg is None else "emergence"
        assert (row["rule"] == "pixels") == (first_seen(region) == "")
        assert row["label"] == labels[row["cube"]] == expected
        if row["rule"] == "pixels" and region.emerges_at_deg is not None:
            assert 0.0 < row["longitude"] - region.emerges_at_deg < 1.5 * DEG_PER_DAY


def test_the_version_is_trained_on_the_profile_and_scores_all_cubes(campaign: Campaign) -> None:
    """Forty probabilities, most of them on the side of the label."""
    registry = Registry(campaign.folder / "models")
    version = registry.published()
    assert version is not None
    assert registry.card(version).profile["name"] == "twice a day"
    rows = read_table(campaign.folder / "scores.csv")
    assert len(rows) == 40
    agreeing = [(float(row["p_emergence"]) > 0.5) == (row["label"] == "emergence") for row in rows]
    assert np.mean(agreeing) > 0.85
