"""What tests do to a round that was started: end its jobs, and write the results of its steps."""

import time

from tests.whole import complete
from tests.worker.conftest import CUBES, SETTLED, LoopProject, score_of

from helioloop.model.plan import Plan
from helioloop.registry.score_store import write_scores
from helioloop_worker.loop import round_steps


def silence(loop_project: LoopProject, plan: Plan) -> None:
    """Put the last heartbeat of the running round long ago."""
    assert loop_project.context.state.heartbeat(loop_project.id, plan.fingerprint, now=time.time() - SETTLED)


def lose_jobs(loop_project: LoopProject, plan: Plan) -> None:
    """Delete all jobs of the round and put its last heartbeat long ago."""
    loop_project.clear_queues()
    silence(loop_project, plan)


def finish(loop_project: LoopProject, plan: Plan, *, located: int = len(CUBES), p_emergence: float = 0.75) -> None:
    """Write the results of scoring and locating into staging, with the emergence frames of `located` cubes only."""
    staging = complete(loop_project.registry.staging(plan.fingerprint), [member.file for member in plan.members])
    scores = [score_of(cube.name, cube.sha256, p_emergence) for cube in plan.cubes]
    write_scores(staging / round_steps.UNLOCATED, scores)
    write_scores(staging / round_steps.LOCATED, scores[:located])
