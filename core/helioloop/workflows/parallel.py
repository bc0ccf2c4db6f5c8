"""A round's heavy work over several processes of one machine: members trained, cubes scored and located.

Between `ensemble` and `rounds`. What comes out does not depend on the number of processes. The worker spreads the same
work over jobs instead. Needs torch (extra ``worker``).
"""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, TypeVar

from helioloop.emergence.locate import locate_emergences
from helioloop.model.ensemble import Ensemble, score_cubes, train_member
from helioloop.model.plan import Plan
from helioloop.model.runtime import Runtime
from helioloop.progress import Report, silent
from helioloop.records import CubeInfo, CubeScore

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
        Its staging folder, which contains the plan.
    runtime : Runtime
        What to work with; with several processes its `load` must be picklable.
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


def train_members(work: Round, *, processes: int) -> None:
    """Train all members of a round, `processes` at a time; `report` is told the epochs."""
    report = work.runtime.report
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


def score_and_locate(work: Round, *, processes: int) -> list[CubeScore]:
    """Score all cubes of a round whose members are trained, and locate emergences; in the order of the plan."""
    cubes, report = work.plan.cubes, work.runtime.report
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


def _score(work: Round, cubes: Sequence[CubeInfo]) -> list[CubeScore]:
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
        # A report and what takes excluded cubes may be bound to this process's terminal: the children count instead.
        bare = replace(work, runtime=replace(work.runtime, report=silent, on_excluded=None))
        futures = [pool.submit(task, bare, share) for share in shares]
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
