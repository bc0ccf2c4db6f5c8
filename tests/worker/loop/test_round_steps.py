"""Scoring and locating of a round: in pieces that are stored, and with reading in proportion to the cubes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.whole import complete
from tests.worker.conftest import CUBES, LoopProject, score_of

from helioloop.model import ensemble
from helioloop.model.plan import Plan
from helioloop.records.cubes import CubeInfo
from helioloop.records.scores import CubeScore
from helioloop.registry import score_store
from helioloop.registry.score_store import write_scores
from helioloop.registry.staging import LOCATED, UNLOCATED
from helioloop_worker.loop import pieces, round_steps, rounds


def large_round(loop_project: LoopProject, n: int) -> tuple[Plan, Path]:
    """Return a round of `n` cubes that do not exist, and its staging folder with their scores."""
    plan = loop_project.plan()
    cubes = tuple(replace(plan.cubes[k % len(plan.cubes)], name=f"many{k:05d}", sha256=f"{k:064x}") for k in range(n))
    plan = replace(plan, cubes=cubes, folds={cube.name: k % 2 for k, cube in enumerate(cubes)})
    staging = loop_project.registry.staging(plan.fingerprint)
    plan.save(staging)
    write_scores(staging / UNLOCATED, [score_of(cube.name, cube.sha256, 0.75) for cube in cubes])
    return plan, staging


@pytest.fixture(autouse=True)
def _no_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scoring and locating cost nothing."""
    monkeypatch.setattr(ensemble.EnsembleCache, "open", lambda *_: None)
    monkeypatch.setattr(ensemble, "keep_growth_odds", lambda *_: None)
    monkeypatch.setattr(round_steps, "locate_emergences", lambda _, __, scores, runtime, labels: list(scores))  # noqa: ARG005


def test_all_jobs_together_read_in_proportion_to_the_cubes(
    loop_project: LoopProject, task_data: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as many cubes, twice as many scores and lines of the plan, and each cube is located once."""
    loop_project.import_cubes(task_data)
    monkeypatch.setattr(rounds, "CHUNK_CUBES", 5)
    monkeypatch.setattr(rounds, "MOST_CHUNKS", 8)
    read = {"scores": 0, "plan": 0}
    parsed, read_plan = score_store._parsed, Plan.read

    def counted_scores(lines: Sequence[str], path: Path) -> list[CubeScore]:
        found = parsed(lines, path)
        read["scores"] += len(found)
        return found

    def counted_plan(folder: Path) -> Plan:
        plan = read_plan(folder)
        read["plan"] += len(plan.cubes)
        return plan

    monkeypatch.setattr(score_store, "_parsed", counted_scores)
    monkeypatch.setattr(Plan, "read", counted_plan)
    found = {}
    for n in (100, 200):
        plan, staging = large_round(loop_project, n)
        read.update(scores=0, plan=0)
        for step in rounds.steps_of(loop_project.id, plan).locating:
            round_steps.locate(loop_project.context, loop_project.id, plan.fingerprint, step.chunk, step.chunks)
        found[n] = dict(read)
        located = [path.read_text().count("\n") for path in (staging / LOCATED).glob("*.jsonl")]
        assert sum(located) == n
    assert found[200]["plan"] == 2 * found[100]["plan"] == 8 * 200
    assert found[200]["scores"] <= 2.2 * found[100]["scores"]


def test_what_was_done_before_a_job_was_killed_is_not_done_again(
    loop_project: LoopProject, task_data: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scoring and locating, killed at the second piece, go on with the second piece."""
    loop_project.import_cubes(task_data)
    plan, staging = large_round(loop_project, 10)
    scored: list[str] = []

    def scores(_: Any, cubes: Sequence[CubeInfo], __: Any) -> list[CubeScore]:
        scored.extend(cube.name for cube in cubes)
        if len(scored) == 5:
            raise KeyboardInterrupt
        return [score_of(cube.name, cube.sha256, 0.75) for cube in cubes]

    monkeypatch.setattr(ensemble, "score_cubes", scores)
    monkeypatch.setattr(round_steps, "keep_trained_fields", lambda *_: None)
    for path in (staging / UNLOCATED).iterdir():
        path.unlink()
    with pytest.raises(KeyboardInterrupt):
        round_steps.score_round(loop_project.context, loop_project.id, plan.fingerprint)
    assert round_steps.score_round(loop_project.context, loop_project.id, plan.fingerprint) == 9
    assert scored == [cube.name for cube in plan.cubes[:5]] + [cube.name for cube in plan.cubes[1:]]

    located: list[str] = []

    def emergences(_: Any, __: Any, some: Sequence[CubeScore], ___: Any, **____: Any) -> list[CubeScore]:
        located.extend(score.cube for score in some)
        if len(located) == 5:
            raise KeyboardInterrupt
        return list(some)

    monkeypatch.setattr(round_steps, "locate_emergences", emergences)
    with pytest.raises(KeyboardInterrupt):
        round_steps.locate(loop_project.context, loop_project.id, plan.fingerprint, 0, 1)
    assert round_steps.locate(loop_project.context, loop_project.id, plan.fingerprint, 0, 1) == 9
    assert located == [cube.name for cube in plan.cubes[:5]] + [cube.name for cube in plan.cubes[1:]]


def test_a_round_whose_scoring_was_killed_amid_its_cubes_is_not_closed(
    loop_project: LoopProject, task_data: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locating and closing follow a step that failed, and find the scores of five cubes; they are sent again.

    A cube that cannot be read then has no score, and the round is closed without it.
    """
    loop_project.import_cubes(task_data)
    context, project = loop_project.context, loop_project.id
    plan = loop_project.plan()
    rounds.start(context, project, plan, forced=False)
    staging = loop_project.registry.staging(plan.fingerprint)
    complete(staging, [member.file for member in plan.members])
    tried: list[int] = []

    def scores(_: Any, cubes: Sequence[CubeInfo], __: Any) -> list[CubeScore]:
        tried.append(len(cubes))
        if len(tried) == 3:
            raise KeyboardInterrupt
        return [score_of(cube.name, cube.sha256, 0.75) for cube in cubes if cube.name != CUBES[-1]]

    monkeypatch.setattr(ensemble, "score_cubes", scores)
    monkeypatch.setattr(round_steps, "keep_trained_fields", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        round_steps.score_round(context, project, plan.fingerprint)
    assert tried[:2] == [1, 4]
    round_steps.locate(context, project, plan.fingerprint, 0, 1)
    assert "it is resumed" in round_steps.close_round(context, project, plan.fingerprint)
    assert loop_project.registry.versions() == []
    round_steps.score_round(context, project, plan.fingerprint)
    round_steps.locate(context, project, plan.fingerprint, 0, 1)
    assert round_steps.close_round(context, project, plan.fingerprint) == "v0001 is published"
    assert {name for name, _ in loop_project.registry.scores("v0001")} == {*CUBES[:-1]}


def test_scores_that_were_lost_after_scoring_are_made_before_the_round_is_closed(
    loop_project: LoopProject, task_data: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged file of scores was put aside, although scoring had ended and found a cube that cannot be read."""
    loop_project.import_cubes(task_data)
    context, project = loop_project.context, loop_project.id
    plan = loop_project.plan()
    rounds.start(context, project, plan, forced=False)
    staging = loop_project.registry.staging(plan.fingerprint)
    complete(staging, [member.file for member in plan.members])
    monkeypatch.setattr(
        ensemble,
        "score_cubes",
        lambda _, cubes, __: [score_of(cube.name, cube.sha256, 0.75) for cube in cubes if cube.name != CUBES[0]],
    )
    monkeypatch.setattr(round_steps, "keep_trained_fields", lambda *_: None)
    round_steps.score_round(context, project, plan.fingerprint)
    max((staging / UNLOCATED).glob("*.jsonl"), key=lambda path: path.stat().st_size).unlink()
    round_steps.locate(context, project, plan.fingerprint, 0, 1)
    assert "it is resumed" in round_steps.close_round(context, project, plan.fingerprint)
    round_steps.score_round(context, project, plan.fingerprint)
    round_steps.locate(context, project, plan.fingerprint, 0, 1)
    assert round_steps.close_round(context, project, plan.fingerprint) == "v0001 is published"
    assert {name for name, _ in loop_project.registry.scores("v0001")} == {*CUBES[1:]}


def test_pieces_take_about_the_time_they_should() -> None:
    """Items of 2 s, then of 10 s: a piece of one, then four times as many, then 15 in 30 s, then 3."""
    now = 0.0
    sizes: list[tuple[int, int]] = []

    def work(items: Sequence[int], before: int) -> None:
        nonlocal now
        now += sum(2.0 if item < 24 else 10.0 for item in items)
        sizes.append((before, len(items)))

    pieces.in_pieces(range(40), work, seconds=30.0, clock=lambda: now)
    assert sizes == [(0, 1), (1, 4), (5, 15), (20, 15), (35, 3), (38, 2)]


def test_pieces_are_of_one_item_where_one_takes_too_long() -> None:
    """Nothing to do gives no piece."""
    now = 0.0
    sizes: list[int] = []

    def work(items: Sequence[int], _: int) -> None:
        nonlocal now
        now += 100.0 * len(items)
        sizes.append(len(items))

    pieces.in_pieces(range(3), work, seconds=30.0, clock=lambda: now)
    pieces.in_pieces([], work, seconds=30.0, clock=lambda: now)
    assert sizes == [1, 1, 1]
