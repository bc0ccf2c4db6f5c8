"""The watch with real processes: what arrives is taken when it is complete, once, whatever is killed meanwhile."""

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from tests.core.archive.sun import times, write_series
from tests.worker.conftest import CUBES, PROFILE, crude, make_release, write_small
from tests.worker.watch.conftest import Site, wait_for, write_checksums

from helioloop.data.release import read_labels
from helioloop.data.release_profile import write_release_profile
from helioloop.records.profiles import BUILT_IN
from helioloop.registry.watched import WatchState

Data = dict[str, dict[str, str]]

NEW = ("cube30", "cube31", "cube32", "cube33")
FIRST = "2001-03-07T00:00:00"  # the central meridian is at 81.3°


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release that has not arrived yet."""
    return make_release(tmp_path / "elsewhere" / "new", NEW)


def test_a_release_that_arrives_in_pieces_is_taken_when_all_hashes_fit(running_site: Site, release: Path) -> None:
    """A file is copied half, then whole; the list of hashes is the first to arrive."""
    site = running_site
    write_checksums(release)
    site.watch()
    there = site.root / "new"
    there.mkdir()
    for name in ("SHA256SUMS", "labels.csv", "release.toml"):
        shutil.copy(release / name, there)
    for cube in NEW[:3]:
        shutil.copy(release / f"{cube}.fits", there)
    content = (release / f"{NEW[3]}.fits").read_bytes()
    (there / f"{NEW[3]}.fits").write_bytes(content[:5000])
    wait_for(lambda: site.says(f"new: arriving: {NEW[3]}.fits has another hash than in SHA256SUMS"))
    assert site.cubes() == []
    (there / f"{NEW[3]}.fits").write_bytes(content)
    wait_for(lambda: site.says("new: 4 cubes pre-labelled by v0001"))
    assert site.cubes() == list(NEW)
    assert site.predicted() == list(NEW)
    wait_for(lambda: site.row("new").state is WatchState.PRE_LABELLED)  # written after the line is printed
    assert site.says("new: new, complete by SHA256SUMS")
    assert site.says("new: 4 cubes imported, 0 already present, 0 excluded, 0 warned, 0 crude labels changed")


def test_without_hashes_a_release_is_taken_after_a_quiet_period(running_site: Site, release: Path) -> None:
    """Copying tools keep times of modification, so the time of change in the folder counts."""
    site = running_site
    shutil.copytree(release, site.root / "new")
    site.watch_once(quiet_seconds=1000.0)
    assert site.says("new: arriving: it is taken when it has not changed for 1000 s")
    assert site.cubes() == []
    time.sleep(0.5)
    site.watch_once(quiet_seconds=0.4)
    assert site.predicted() == list(NEW)


@pytest.mark.parametrize("after", ["complete by", "imported", "accepted by"])
def test_a_watch_that_is_killed_is_continued_by_the_next(running_site: Site, release: Path, after: str) -> None:
    """Killed as soon as it said a line; nothing is imported or predicted twice."""
    site = running_site
    write_checksums(release)
    shutil.copytree(release, site.root / "new")
    first = site.watch()
    wait_for(lambda: site.says(after))
    first.kill()
    first.join(10)
    site.watch_once()
    assert site.cubes() == list(NEW)
    assert site.predicted() == list(NEW)
    assert site.row("new").state is WatchState.PRE_LABELLED
    n = len(site.lines())
    site.watch_once()
    assert len(site.lines()) == n, "a further watch finds nothing to do"


def test_labels_that_the_audit_sample_supports_are_accepted_and_marked(running_site: Site, task_data: Data) -> None:
    """The 24 cubes of the first release are verified; half of the new one is checked at random."""
    site = running_site
    tasks = site.label_studio.import_tasks(site.project, [task_data[cube] for cube in CUBES])
    for cube, task in zip(CUBES, tasks, strict=True):
        site.label_studio.annotate(task, crude(cube).value)
    make_release(site.root / "new", [f"cube{k}" for k in range(30, 50)])
    site.watch_once(quiet_seconds=0.0, rate=0.1)
    found = [task["data"] for task in site.label_studio.tasks(site.project)]
    accepted = [data for data in found if data.get("triage", "").startswith("accepted")]
    assert len(accepted) > 4
    assert {data["release"] for data in accepted} == {"new"}
    assert len([data for data in found if data.get("triage", "").startswith("random check")]) == 10
    assert site.says(
        f"new: {len(accepted)} labels accepted by v0001. Of labels accepted in this way at most 10 % are wrong"
    )
    assert site.says(
        "new: 10 cubes pre-labelled by v0001; 10 random checks have no prediction until somebody answers blind"
    )


def test_killed_at_random_moments_a_watch_ends_with_the_same_result(running_site: Site, release: Path) -> None:
    """A release and a series, and a watch that is killed every few tenths of a second until all is done."""
    site, moments = running_site, np.random.default_rng(7)
    write_checksums(release)
    shutil.copytree(release, site.root / "new")
    series = site.root / "fulldisk"
    write_series(series, times(FIRST, hours=4.8, n=8), lambda _: [])
    write_release_profile(series, PROFILE)
    (series / "regions.csv").write_text("region,carrington_lon,carrington_lat\nA,350,10\nC,330,-5\n")
    for _ in range(8):
        watch = site.watch(quiet_seconds=0.0)
        time.sleep(moments.uniform(0.1, 0.7))
        watch.kill()
        watch.join(10)
    site.watch_once(quiet_seconds=0.0)
    assert site.cubes() == ["A_20010306", *NEW]
    assert site.predicted() == ["A_20010306", *NEW]
    assert list(read_labels(site.root / "fulldisk-cubes" / "labels.csv")) == ["A_20010306"]
    states = {name: site.row(name).state for name in ("new", "fulldisk", "fulldisk-cubes")}
    assert states == {
        "new": WatchState.PRE_LABELLED,
        "fulldisk": WatchState.CUT,
        "fulldisk-cubes": WatchState.PRE_LABELLED,
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_the_watch_cleanly(site: Site, number: signal.Signals) -> None:
    process = site.watch()
    wait_for(lambda: site.says("watching"))
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(10)
    assert process.exitcode == 0


def test_what_cannot_be_used_is_set_aside_and_taken_once_changed(running_site: Site, release: Path) -> None:
    """Four kinds of fault; the good release beside them is taken."""
    site = running_site
    shutil.copytree(release, site.root / "good")
    for name in ("good", "hashes", "noise", "profile"):
        if name != "good":
            make_release(site.root / name, ("cube40", "cube41"))
    write_checksums(site.root / "hashes")
    write_small(site.root / "hashes" / "cube41.fits", emergence=True, seed=99)
    for cube in ("cube40", "cube41"):
        (site.root / "noise" / f"{cube}.fits").write_text("<html>")
    write_release_profile(site.root / "profile", BUILT_IN["hmi"])
    (site.root / "empty").mkdir()
    site.watch_once(quiet_seconds=0.0)
    assert site.predicted() == list(NEW)
    reasons = {name: site.row(name).reason for name in ("hashes", "noise", "profile", "empty")}
    assert "cube41.fits has another hash than in SHA256SUMS" in reasons["hashes"]
    assert "no cube can be used; cube40: cube40.fits: it begins with" in reasons["noise"]
    assert "90" in reasons["profile"]
    assert "neither labels.csv nor a FITS file" in reasons["empty"]
    assert all(site.row(name).state is WatchState.SET_ASIDE for name in reasons)
    n = len(site.lines())
    site.watch_once(quiet_seconds=0.0)
    assert len(site.lines()) == n, "they are not tried again while nothing changes"
    write_checksums(site.root / "hashes")
    site.watch_once(quiet_seconds=0.0)
    assert site.row("hashes").state is WatchState.PRE_LABELLED
    assert site.says("hashes: changed, complete by SHA256SUMS")
    assert site.predicted() == sorted([*NEW, "cube40", "cube41"])


def test_regions_in_a_series_become_cubes_when_their_passage_is_over(running_site: Site) -> None:
    """The grid of 1.6 days is over for A; C came over the limb a day later and is waited for."""
    site = running_site
    series = site.root / "fulldisk"
    images = write_series(series, times(FIRST, hours=4.8, n=8), lambda _: [])
    write_release_profile(series, PROFILE)
    (series / "regions.csv").write_text(
        "region,carrington_lon,carrington_lat,first_seen\nA,350,10,2001-03-07\nC,330,-5,\n"
    )
    later = images[4:]
    held = [path.rename(series.parent / f".{path.name}") for path in later]
    site.watch_once(quiet_seconds=0.0)
    assert site.says("fulldisk: 4 files read, 0 cubes made in fulldisk-cubes")
    assert site.says("fulldisk: region A: still on the disk, until 2001-03-08; its cube follows")
    assert site.cubes() == []
    for path, place in zip(held, later, strict=True):
        path.rename(place)
    site.watch_once(quiet_seconds=0.0)
    assert site.says("fulldisk: 4 files read, 1 cube made in fulldisk-cubes")
    assert site.says("fulldisk: crude labels of fulldisk-cubes: 1 non-emergence"), "it was first seen at the east limb"
    (task,) = site.label_studio.tasks(site.project)
    assert (task["data"]["cube"], task["data"]["crude_label"]) == ("A_20010306", "non-emergence")
    assert site.predicted() == ["A_20010306"]
    assert list(read_labels(site.root / "fulldisk-cubes" / "labels.csv")) == ["A_20010306"]
    n = len(site.lines())
    site.watch_once(quiet_seconds=0.0)
    assert len(site.lines()) == n


def test_half_copied_full_disk_files_are_not_read(site: Site) -> None:
    """They changed a moment ago."""
    series = site.root / "fulldisk"
    write_series(series, times(FIRST, hours=4.8, n=1), lambda _: [])
    (series / "regions.csv").write_text("region,carrington_lon,carrington_lat\nA,350,10\n")
    site.watch_once(quiet_seconds=1000.0)
    assert site.lines() == ["fulldisk: arriving: files are read when unchanged for 1000 s"]


@pytest.mark.parametrize("name", ["release.toml", "labels.csv", f"{NEW[0]}.fits"])
def test_a_link_to_nothing_in_a_folder_is_named(site: Site, release: Path, name: str) -> None:
    """Such as one to a disk that is not mounted; a file that is being moved would be there at the next look."""
    there = site.root / "new"
    shutil.copytree(release, there)
    (there / name).unlink(missing_ok=True)
    (there / name).symlink_to(site.root / "unmounted" / name)
    site.watch_once(quiet_seconds=0.0)
    assert site.says(f"{name} is a link to a file that does not exist: restore that file")
    assert site.cubes() == []


def test_a_watch_waits_for_workers_and_says_so(site: Site, release: Path) -> None:
    """With --once it ends with the reason; nothing is set aside."""
    shutil.copytree(release, site.root / "new")
    process = site.watch(once=True, quiet_seconds=0.0)
    process.join(30)
    assert process.exitcode == 1
    assert site.says("new: not taken yet: no worker serves the queue helioloop-train")
    site.start_workers()
    site.watch_once(quiet_seconds=0.0)
    assert site.predicted() == list(NEW)


def test_before_the_first_version_a_release_is_ingested_and_the_rest_follows(site: Site, release: Path) -> None:
    shutil.rmtree(site.context.settings.model_dir(site.project))
    site.context.settings.model_dir(site.project).mkdir()
    site.start_workers()
    shutil.copytree(release, site.root / "new")
    site.watch_once(quiet_seconds=0.0)
    assert site.says("new: no version is published yet; the first round trains on the crude labels")
    assert site.row("new").state is WatchState.INGESTED
    assert np.unique(site.cubes()).size == len(NEW)
