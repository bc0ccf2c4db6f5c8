"""The heavy work of a round, spread over several processes of one machine: training, scoring, locating.

The result does not depend on the number of processes. The worker runs the same work as jobs instead. Needs torch
(extra ``worker``).
"""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, TypeVar

import joblib
import torch

from helioloop.emergence.locate import locate_emergences
from helioloop.environment.pools import make_pool
from helioloop.model.device import CPU_THREADS, Device
from helioloop.model.ensemble import Ensemble, score_cubes
from helioloop.model.members import train_all_members, train_member, trains_together
from helioloop.model.plan import Plan
from helioloop.model.runtime import Runtime
from helioloop.model.training import EPOCHS
from helioloop.progress import Report, silent
from helioloop.records.cubes import CubeInfo, Key
from helioloop.records.field_statistics import FieldStatistics
from helioloop.records.scores import CubeScore
from helioloop.workflows.fields import measure_fields

T = TypeVar("T")

GPU_BYTES_PER_PROCESS = 2 << 30
"""Free memory of a GPU for each process: torch's libraries, a member and its batches. An estimate, on the safe side."""
CHUNK_CUBES = 25
"""Cubes in one chunk of scoring: enough that the time to open the ensemble does not matter."""
FEW_CUBES = 1000
"""Fewer cubes have their fields measured in this process: from about so many on, two processes make up for their start,
measured on a busy machine with two cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundWork:
    """A round and what is needed to work on it; picklable, so that spawned processes can receive it.

    Parameters
    ----------
    plan : Plan
        The round.
    staging : Path
        Its staging folder, which contains the plan.
    runtime : Runtime
        Device, loader and reports; with several processes its `load` must be picklable.
    """

    plan: Plan
    staging: Path
    runtime: Runtime

    def train(self, name: str, report: Report) -> None:
        """Train one member, unless its weights exist."""
        train_member(self.plan, name, self.staging, replace(self.runtime, report=report))

    def score(self, cubes: Sequence[CubeInfo], report: Report) -> list[CubeScore]:
        """Return scores with emergence frames."""
        runtime = replace(self.runtime, report=report)
        ensemble = Ensemble.open(self.staging, device=runtime.device)
        scores = score_cubes(ensemble, cubes, runtime)
        labels = {cube.name: cube.label for cube in cubes}
        return locate_emergences(ensemble, cubes, scores, runtime, labels=labels)


def process_count(plan: Plan, device: Device) -> int:
    """Return how many processes train, score and locate at once: one per processor core, and at most one per member.

    Cores are those that this process may use: affinity and a container's CPU limit are respected. On a GPU there are
    several, too, as many as its free memory allows: most of the work of the per-frame recipes is done by the CPU.
    """
    cores: int = joblib.cpu_count()
    most = min(len(plan.members), cores // CPU_THREADS)
    if device.kind == "cuda":
        free, _ = torch.cuda.mem_get_info()
        most = min(most, free // GPU_BYTES_PER_PROCESS)
    return max(1, most)


def train_members(work: RoundWork, *, processes: int) -> None:
    """Train all members of a round, `processes` at a time; progress is reported in epochs of all members.

    On a GPU one process trains them together where their recipe allows it.
    """
    report = work.runtime.report
    if trains_together(work.plan, work.runtime.device):
        train_all_members(work.plan, work.staging, work.runtime)
        torch.cuda.empty_cache()  # torch would keep the memory, which the processes that score need
        return
    members = [member.name for member in work.plan.members]
    epochs_of = [work.plan.recipe.passes(len(work.plan.training_cubes(member))) for member in work.plan.members]
    total = sum(epochs_of)
    if processes > 1:
        _run_chunks(_train, work, members, processes, lambda done: report(min(done, total), total, EPOCHS))
        return
    for k, name in enumerate(members):
        before = sum(epochs_of[:k])

        def report_epoch(done: int, _: int, __: str, before: int = before) -> None:
            report(before + done, total, EPOCHS)

        work.train(name, report_epoch)


def score_and_locate(work: RoundWork, *, processes: int) -> list[CubeScore]:
    """Score all cubes of a round whose members are trained, and locate emergences; in the order of the plan."""
    cubes = work.plan.cubes
    if processes == 1:
        return work.score(cubes, work.runtime.report)
    scored = _run_on_cubes(_score, work, cubes, processes, "scoring cubes, locating emergences")
    return [score for chunk in scored for score in chunk]


def measure_all_fields(work: RoundWork, cubes: Sequence[CubeInfo], *, processes: int) -> dict[Key, FieldStatistics]:
    """Return the field statistics of cubes, as `measure_fields` does."""
    if processes == 1 or len(cubes) < FEW_CUBES:
        return measure_fields(cubes, work.runtime)
    measured = _run_on_cubes(_measure, work, cubes, processes, "measuring fields")
    return {key: fields for chunk in measured for key, fields in chunk.items()}


def _run_on_cubes(
    task: Callable[[RoundWork, Any], T], work: RoundWork, cubes: Sequence[CubeInfo], processes: int, what: str
) -> list[T]:
    """Run `task` on chunks of cubes and return the results in order; `what` is reported with the cubes done."""
    n, report = len(cubes), work.runtime.report
    chunks = [cubes[k : k + CHUNK_CUBES] for k in range(0, n, CHUNK_CUBES)]
    return _run_chunks(task, work, chunks, processes, lambda done: report(min(done, n), n, what))


# -- in the child processes -----------------------------------------------------------------------

_counter: "Synchronized[int] | None" = None


def _receive_counter(counter: "Synchronized[int]") -> None:
    global _counter  # noqa: PLW0603 - a spawned child has no other way to receive shared memory
    _counter = counter


def _count(n: int = 1) -> None:
    if _counter is not None:
        with _counter.get_lock():
            _counter.value += n


def _train(work: RoundWork, name: str) -> None:
    work.train(name, lambda *_: _count())


def _score(work: RoundWork, cubes: Sequence[CubeInfo]) -> list[CubeScore]:
    scores = work.score(cubes, silent)
    _count(len(cubes))
    return scores


def _measure(work: RoundWork, cubes: Sequence[CubeInfo]) -> dict[Key, FieldStatistics]:
    fields = measure_fields(cubes, work.runtime)
    _count(len(cubes))
    return fields


def _run_chunks(
    task: Callable[[RoundWork, Any], T],
    work: RoundWork,
    chunks: Sequence[Any],
    processes: int,
    on_progress: Callable[[int], None],
) -> list[T]:
    """Run `task` on each chunk and return the results in order; `on_progress` receives the children's count."""
    counter = multiprocessing.get_context("spawn").Value("q", 0)
    with make_pool(processes, initializer=_receive_counter, initargs=(counter,)) as pool:
        # `report` and `on_excluded` may be bound to this process's terminal; the children only count.
        bare = replace(work, runtime=replace(work.runtime, report=silent, on_excluded=None))
        futures = [pool.submit(task, bare, chunk) for chunk in chunks]
        waiting: set[Future[T]] = set(futures)
        try:
            while waiting:
                finished, waiting = wait(waiting, timeout=0.5)
                on_progress(counter.value)
                for future in finished:
                    future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)  # otherwise the remaining chunks would run before the error is raised
            raise
    return [future.result() for future in futures]
