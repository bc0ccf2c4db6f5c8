"""Work in several processes: what the loop sends to another process arrives there, and comes back with its item."""

import os
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import pytest
from tests.worker.conftest import SMALL
from tests.worker.dying import exits_at_seven

from helioloop.data.cube_report import Verdict
from helioloop.data.loader import Loader
from helioloop.environment.pools import make_pool
from helioloop.progress import silent
from helioloop.records.cubes import CubeInfo
from helioloop_worker.loop import processes, readable
from helioloop_worker.loop.preparation import Preparation, prepare
from helioloop_worker.loop.processes import in_order, in_processes
from helioloop_worker.loop.readable import readable_cubes

Data = dict[str, dict[str, str]]


@pytest.fixture(autouse=True)
def _real_processes(_one_thread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use processes, unlike the other tests of the worker."""
    monkeypatch.setattr(processes, "make_pool", make_pool)


@pytest.fixture
def loader(made: Path, tmp_path: Path) -> Loader:
    """A loader of the release ``made`` with an empty cache."""
    return Loader(roots=(made.parent,), cache=tmp_path / "cache", instrument=SMALL)


def test_each_item_comes_with_its_result() -> None:
    """In any order, and each once."""
    assert sorted(in_processes(abs, [-3, 2, -1])) == [(-3, 3), (-1, 1), (2, 2)]
    assert list(in_processes(abs, [])) == []


def test_an_error_ends_the_work() -> None:
    """It is raised where the results are used."""
    with pytest.raises(ValueError, match="invalid literal"):
        list(in_processes(int, ["1", "x"]))


def test_a_process_that_dies_takes_no_other_item_with_it() -> None:
    """The item that killed it gets the result of `died`; items in work at the same time are tried again alone."""
    results = dict(in_processes(exits_at_seven, range(12), died=lambda number: -number))
    assert results == {number: -7 if number == 7 else number for number in range(12)}


def test_without_a_result_for_it_a_dead_process_ends_the_work() -> None:
    """As an error does."""
    with pytest.raises(BrokenProcessPool, match="a process died"):
        list(in_processes(os._exit, [7]))


def test_readable_cubes_are_gridded_by_other_processes(loader: Loader, task_data: Data) -> None:
    """The cube that can be read is in the cache afterwards; the one without a file is excluded."""
    known = CubeInfo(release="made", name="cube00", sha256=task_data["cube00"]["sha256"])
    gone = CubeInfo(release="made", name="gone", sha256="0" * 64)
    assert readable_cubes([gone, known], loader, silent) == [known]
    (entry,) = loader.cache.rglob("*.npy")
    assert entry.name.startswith(known.sha256)


def test_no_process_is_started_for_cubes_that_are_prepared(
    loader: Loader, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starting them takes seconds, for each round; a prepared cube whose file is gone is left to them."""
    cubes = [CubeInfo(release="made", name=cube, sha256=task_data[cube]["sha256"]) for cube in ("cube00", "cube01")]
    for cube in cubes:
        loader(cube)
    begun: list[object] = []
    monkeypatch.setattr(readable, "in_processes", lambda _, loadings, **__: begun.extend(loadings) or [])
    assert readable_cubes(cubes, loader, silent) == cubes
    assert begun == []
    readable_cubes([replace(cubes[0], name="gone"), cubes[1]], loader, silent)
    assert [loading.cube.name for loading in begun] == ["gone"]  # type: ignore[attr-defined]


def test_any_error_at_one_cube_leaves_the_others_to_a_round(
    loader: Loader, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, so that the test can break the reading of one cube."""
    monkeypatch.setattr(processes, "make_pool", lambda *_, **__: ThreadPoolExecutor(1))
    found = [CubeInfo(release="made", name=cube, sha256=task_data[cube]["sha256"]) for cube in ("cube00", "cube01")]
    load = Loader.__call__

    def breaks(self: Loader, cube: CubeInfo) -> object:
        if cube.name == "cube00":
            raise TypeError("a card of an odd kind")
        return load(self, cube)

    monkeypatch.setattr(Loader, "__call__", breaks)
    assert readable_cubes(found, loader, silent) == found[1:]


def test_cubes_are_prepared_by_other_processes(loader: Loader, tmp_path: Path) -> None:
    """The data of a task come back, and its video is there; a refusal comes back with its reason."""
    preparations = [
        Preparation(release="made", cube=cube, known=None, loader=loader, media=tmp_path / "project-1")
        for cube in ("cube00", "gone")
    ]
    outcomes = {preparation.cube: outcome for preparation, outcome in in_processes(prepare, preparations)}
    data, gone = outcomes["cube00"].data, outcomes["gone"]
    assert data is not None
    assert (data["cube"], data["region"]) == ("cube00", "region0")
    assert len(list((tmp_path / "project-1" / "made").glob("cube00-*.mp4"))) == 1
    assert (gone.data, gone.report.cube, gone.report.verdict) == (None, "gone", Verdict.REFUSED)


def test_results_follow_in_the_order_of_the_items() -> None:
    """Each finished item gives what can follow by then; equal items are told apart."""
    items = [[0], [0], [2], [3]]
    finished = [(items[k], k) for k in (1, 0, 3, 2)]
    due = list(in_order(finished, items))
    assert [[result for _, result in some] for some in due] == [[], [0, 1], [], [2, 3]]
