"""The tutorial's blocks run in order, on a painted Sun, exactly as the document has them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from helioloop import settings
from helioloop.archive.regions import read_regions
from helioloop.data.positions import read_position
from tests.core.archive.sun import Spot, cea_header, paint_everywhere, paint_map, times, write, write_series
from tests.documents.blocks import blocks
from tests.documents.running import run_blocks, work_in
from tests.worker.shell import read_table

TUTORIAL = "docs/tutorial.md"
FIRST = "2001-03-07T00:00:00"
MERIDIAN_DEG, DEG_PER_DAY = 81.3, 13.2
"""Carrington longitude of the central meridian in the first image, and how fast it decreases."""


@dataclass(frozen=True, kw_only=True)
class PaintedRegion:
    """A bipolar region; `first_deg` is its central-meridian distance in the first image.

    It emerges on the disk at `emerges_at_deg`, or has always been there where this is None.
    """

    number: int
    lat: int
    first_deg: int
    emerges_at_deg: int | None

    @property
    def lon(self) -> int:
        return round(MERIDIAN_DEG + self.first_deg) % 360

    def distance(self, days: float) -> float:
        """Its central-meridian distance, degrees west."""
        return self.first_deg + DEG_PER_DAY * days

    def spots(self, days: float) -> list[Spot]:
        """Two spots of opposite field, which grow within a day and a half."""
        since = np.inf if self.emerges_at_deg is None else (self.distance(days) - self.emerges_at_deg) / DEG_PER_DAY
        gauss = 400.0 * float(np.clip(since / 1.5, 0.0, 1.0))
        return [Spot(lon=self.lon + side * 1.8, lat=self.lat, gauss=side * gauss, sigma_deg=1.0) for side in (-1, 1)]

    def has_spots(self, days: float) -> bool:
        """Return True when NOAA would list it."""
        begin = -80 if self.emerges_at_deg is None else self.emerges_at_deg + 6
        return begin < self.distance(days) < 80


REGIONS = [
    PaintedRegion(
        number=9400 + 7 * column + row,
        lat=12 * row - 36,
        first_deg=-98 - 16 * column,
        emerges_at_deg=7 * row - 30 if (column + row) % 2 else None,
    )
    for column in range(3)
    for row in range(7)
]
"""Regions that come over the east limb within four days; ten emerge on the disk, eleven have always been there."""


def region_summary(issued: datetime, days: float) -> str:
    """Return one of NOAA's daily summaries, with the places at the midnight before its issue."""
    rows = []
    for region in REGIONS:
        if region.has_spots(days):
            west = round(region.distance(days))
            place = f"{'NS'[region.lat < 0]}{abs(region.lat):02d}{'WE'[west < 0]}{abs(west):02d}"
            rows.append(f"{region.number} {place}   {region.lon:03d}  0090 Dao  08   12 Beta")
    valid = (issued - timedelta(days=1)).strftime("%d/2400Z")
    return "\n".join(
        (
            ":Product: Solar Region Summary",
            f":Issued: {issued:%Y %b %d} 0030 UTC",
            "# Prepared jointly by the U.S. Dept. of Commerce, NOAA,",
            "#",
            f"I.  Regions with Sunspots.  Locations Valid at {valid} ",
            "Nmbr Location  Lo  Area  Z   LL   NN Mag Type",
            *(rows or ["None"]),
            f"IA. H-alpha Plages without Spots.  Locations Valid at {valid}",
            "Nmbr  Location  Lo",
            "9390  N10W70   151",
            f"II. Regions Due to Return {issued:%d %b}",
            "Nmbr Lat    Lo",
            "9338 S20    300",
            "",
        )
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the archive and NOAA give: 17 full-disk images, daily summaries, and a few patches."""
    folder = tmp_path_factory.mktemp("tutorial")
    write_series(
        folder / "mdi",
        times(FIRST, hours=24.0, n=17),
        lambda days: [spot for region in REGIONS for spot in region.spots(days)],
        noise=15.0,
        painter=paint_everywhere,
    )
    (folder / "srs").mkdir()
    for day in range(17):
        issued = datetime.fromisoformat(FIRST).replace(tzinfo=UTC) + timedelta(days=day)
        (folder / "srs" / f"{issued:%Y%m%d}SRS.txt").write_text(region_summary(issued, day))
    (folder / "sharps").mkdir()
    for text in times("2011-02-14T00:00:00", hours=1.6, n=3):
        of = cea_header(text, lon=30.0, lat=-20.0, shape=(180, 300))
        stamp = text.replace("-", "").replace(":", "").replace("T", "_")
        path = folder / "sharps" / f"hmi.sharp_cea_720s.377.{stamp}_TAI.magnetogram.fits"
        write(path, of, paint_map(of, [Spot(lon=30.0, lat=-20.0, sigma_deg=1.0)], noise=10.0))
    return folder


@pytest.fixture
def _quickly(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in the folder, with networks that are trained for one epoch."""
    work_in(folder, monkeypatch)
    yield
    settings.load_settings.cache_clear()


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("_quickly")
def test_the_blocks_of_the_tutorial_run_in_order(folder: Path) -> None:
    """From the archive's files to scores; the tables agree with what was painted."""
    run_blocks(blocks(TUTORIAL), folder)
    painted = {f"NOAA{region.number}": region for region in REGIONS}
    table = {row["region"]: row for row in read_table(folder / "regions.csv")}
    assert set(table) == {*painted, "NOAA9390"}
    assert table["NOAA9390"]["first_seen"] == ""  # it is there on the first day
    release = folder / "releases" / "march-2001"
    scores = {row["cube"]: row for row in read_table(folder / "scores.csv")}
    for cube in read_table(folder / "march-2001-check.csv"):
        position = read_position(release / f"{cube['cube']}.fits")
        assert cube["verdict"] in {"ok", "warned"}, cube["reasons"]
        assert position is not None
        assert position.lon_deg == float(table[cube["region"]]["carrington_lon"])
        if cube["region"] in painted:
            emerges = painted[cube["region"]].emerges_at_deg is not None
            assert scores[cube["cube"]]["label"] == ("emergence" if emerges else "non-emergence"), cube["region"]
            assert 0.0 <= float(scores[cube["cube"]]["p_emergence"]) <= 1.0
    assert {row["region"] for row in read_table(folder / "march-2001-check.csv")} >= set(painted)
    assert [path.name for path in (folder / "releases" / "sharps").glob("*.fits")] == ["HARP377_20110206.fits"]


def test_every_block_runs_or_has_a_visible_remark_why_not() -> None:
    """What runs goes from the archive to scores; what does not needs the network, a service or a project."""
    ran = {command.split()[1] for block in blocks(TUTORIAL, "console") if block.runs_here for command in block.commands}
    assert ran == {"regions.py", "cutouts", "stack", "check", "crude-labels", "train", "score"}
    left_out = [command for block in blocks(TUTORIAL, "console") if not block.runs_here for command in block.commands]
    commands = {command.split()[1] for command in left_out if command.startswith("helioloop")}
    assert commands == {"backend", "worker", "init", "ingest", "status", "catalogue", "watch", "triage"}
    assert all(block.reason or block.text.startswith("# regions.py") for block in blocks(TUTORIAL, "python"))


def test_the_table_of_regions_that_is_shown_can_be_read(tmp_path: Path) -> None:
    """With the columns that the script writes."""
    (shown,) = blocks(TUTORIAL, "csv")
    (tmp_path / "regions.csv").write_text(shown.text)
    assert [region.name for region in read_regions(tmp_path / "regions.csv")] == ["NOAA9393", "NOAA9415"]
    (script,) = (block for block in blocks(TUTORIAL, "python") if block.runs_here)
    assert shown.text.splitlines()[0] in script.text


def test_python_that_is_not_run_is_python() -> None:
    for block in blocks(TUTORIAL, "python"):
        compile(block.text, "tutorial.md", "exec")
