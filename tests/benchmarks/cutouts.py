"""How much faster `cut_patches` is than a loop that calls `reproject_adaptive` for each region; prints a table.

Run it with ``python -m tests.benchmarks.cutouts``. One full-disk image each of MDI's and HMI's size is painted and kept
in memory; both ways cut the same ten regions from it on the same grid. reproject may use both cores.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from reproject import reproject_adaptive

from helioloop.archive.observation import Observation
from helioloop.archive.patches import cut_patches
from helioloop.archive.regions import Region
from helioloop.archive.solar_wcs import SolarWcs, solar_wcs
from helioloop.profiles import BUILT_IN
from tests.core.archive import sun

TAI = "2001-03-07T00:00:00"
PLACES = ((-62, 20), (-45, -8), (-30, -25), (-12, 14), (0, 8), (10, -31), (24, 5), (35, 33), (50, -20), (60, -12))
"""Longitude from the central meridian and latitude of the regions, in degrees."""


def image(size: int, scale: float, instrument: str) -> tuple[fits.Header, np.ndarray, SolarWcs, list[Region]]:
    """Return a painted image with its coordinates, and ten regions on it."""
    header = sun.header(TAI, size=size, scale=scale, crota2=3.1, instrument=instrument)
    at = [(header["CRLN_OBS"] + lon, lat) for lon, lat in PLACES]
    field = sun.paint(header, [sun.Spot(lon=lon, lat=lat) for lon, lat in at], noise=10.0)
    observation = Observation(
        name="", field_gauss=field, header=header, time=Time(TAI, scale="tai"), time_card="", quality=0, instrument=None
    )
    regions = [Region(name=str(k), lon_deg=lon % 360.0, lat_deg=lat) for k, (lon, lat) in enumerate(at)]
    return header, field, solar_wcs(observation), regions


def target(region: Region, header: fits.Header) -> WCS:
    """Return the grid of a region's patch, as `reproject_adaptive` wants it."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["CRLN-CAR", "CRLT-CAR"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.cdelt = [15 / 90, 15 / 90]
    wcs.wcs.crval = [region.lon_deg, 0.0]
    wcs.wcs.crpix = [45.5, 45.5 - region.lat_deg / (15 / 90)]
    wcs.wcs.dateobs = header["DATE-OBS"]
    for name in ("crln_obs", "hglt_obs", "dsun_obs", "rsun_ref"):
        setattr(wcs.wcs.aux, name, header["CRLT_OBS" if name == "hglt_obs" else name.upper()])
    return wcs


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """Return the shortest of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    print("image         regions   cut_patches   loop of reproject_adaptive   ratio   largest difference of the mean")  # noqa: T201
    for instrument, size, scale in (("MDI", 1024, 1.98), ("HMI", 4096, 0.504)):
        header, field, place, regions = image(size, scale, instrument)
        source = WCS(header, fix=False)

        def loop(field: Any = field, source: WCS = source, regions: Any = regions, header: Any = header) -> list[Any]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return [
                    reproject_adaptive((field, source), target(region, header), shape_out=(90, 90))[0]
                    for region in regions
                ]

        def ours(field: Any = field, place: SolarWcs = place, regions: Any = regions) -> Any:
            return cut_patches(field, place, regions, BUILT_IN["mdi"])

        fast, slow = seconds(ours, repeats), seconds(loop, max(1, repeats // 3))
        apart = max(
            abs(float(np.nanmean(ours()[region.name]) - np.nanmean(theirs)))
            for region, theirs in zip(regions, loop(), strict=True)
        )
        print(  # noqa: T201
            f"{instrument} {size:4d}^2    {len(regions):4d}      {fast:8.3f} s   {slow:20.2f} s    {slow / fast:11.0f}x"
            f"   {apart:8.3f} G"
        )


if __name__ == "__main__":
    main()
