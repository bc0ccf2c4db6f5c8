"""A round's heavy work over several processes of one machine: members trained, cubes scored and located.

Between `ensemble` and `rounds`. What comes out does not depend on the number of processes. The worker spreads the same
work over jobs instead. Needs torch (extra ``worker``).
"""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, TypeVar

from helioloop.emergence.locate import locate
from helioloop.model.device import Device
from helioloop.model.ensemble import score_cubes, train_member
from helioloop.model.inputs import Load
from helioloop.model.plan import Plan
from helioloop.progress import Report, silent
from helioloop.records import CubeScore, PlannedCube

T = TypeVar("T")

CHUNK_CUBES = 25
"""Cubes that one process scores and locates at a time: enough to be worth opening the ensemble for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What every process of a round needs; a plain value, so that a spawned one can have it.

    Parameters
    ----------
    plan : Plan
        The round.
    staging : Path
        Its staging folder; the plan is in it.
    load : Load
        Gives a cube on the grid; with several processes it must be picklable.
    device : Device
        Where to train and score.
    inputs : Path or None
        Folder that keeps prepared inputs.
    """

    plan: Plan
    staging: Path
    load: Load
    device: Device
    inputs: Path | None

    def train(self, name: str, report: Report) -> None:
        """Train one member, if it is not there."""
        train_member(
            self.plan, name, self.staging, self.load, device=self.device, report=report, inputs=self.inputs
        )  # fmt: skip

    def score(self, cubes: Sequence[PlannedCube], report: Report) -> list[CubeScore]:
        """Score cubes and locate emergences."""
        labels = {cube.ref.cube: cube.label for cube in cubes}
        scores = score_cubes(
            self.staging, cubes, self.load, device=self.device, report=report, inputs=self.inputs
        )  # fmt: skip
        return locate(self.staging, cubes, scores, self.load, labels=labels, device=self.device, report=report)


def train_members(work: Round, *, processes: int, report: Report) -> None:
    """Train all members of a round, `processes` at a time; `report` is told the epochs."""
    members = [member.name for member in work.plan.members]
    epochs_of = [work.plan.recipe.passes(len(work.plan.training_cubes(member))) for member in work.plan.members]
    total = sum(epochs_of)
    if processes > 1:
        _spread(_train, work, members, processes, lambda done: report(min(done, total), total, "training members"))
        return
    for k, name in enumerate(members):
        passed = sum(epochs_of[:k])

        def tell(done: int, _: int, what: str, passed: int = passed) -> None:
            report(passed + done, total, what)

        work.train(name, tell)


def score_and_locate(work: Round, *, processes: int, report: Report) -> list[CubeScore]:
    """Score all cubes of a round whose members are trained, and locate emergences; in the order of the plan."""
    cubes = work.plan.cubes
    if processes == 1:
        return work.score(cubes, report)
    n = len(cubes)
    chunks = _spread(
        _score,
        work,
        [cubes[k : k + CHUNK_CUBES] for k in range(0, n, CHUNK_CUBES)],
        processes,
        lambda done: report(min(done, n), n, "scoring cubes, locating emergences"),
    )
    return [score for chunk in chunks for score in chunk]


# -- in the children ------------------------------------------------------------------------------

_done: "Synchronized[int] | None" = None


def _share(done: "Synchronized[int]") -> None:
    global _done  # noqa: PLW0603 - a spawned child has no other way to receive shared memory
    _done = done


def _count(n: int = 1) -> None:
    if _done is not None:
        with _done.get_lock():
            _done.value += n


def _train(work: Round, name: str) -> None:
    work.train(name, lambda *_: _count())


def _score(work: Round, cubes: Sequence[PlannedCube]) -> list[CubeScore]:
    scores = work.score(cubes, silent)
    _count(len(cubes))
    return scores


def _spread(
    task: Callable[[Round, Any], T], work: Round, shares: Sequence[Any], processes: int, say: Callable[[int], None]
) -> list[T]:
    """Do `task` on each share, results in the order of the shares; `say` is told what the children counted."""
    # Spawned, not forked: a forked child inherits torch's locked thread pools.
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    with ProcessPoolExecutor(processes, context, _share, (done,)) as pool:
        futures = [pool.submit(task, work, share) for share in shares]
        waiting: set[Future[T]] = set(futures)
        try:
            while waiting:
                finished, waiting = wait(waiting, timeout=0.5)
                say(done.value)
                for future in finished:
                    future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)  # or what is left would be done before the error is said
            raise
    return [future.result() for future in futures]
