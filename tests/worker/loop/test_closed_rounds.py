"""The end of a round: its version is admitted, and published or rejected by the promotion check."""

import pytest
from tests.worker.conftest import CUBES, LoopProject, crude
from tests.worker.loop.started_round import finish, lose_jobs

from helioloop.model.plan import Plan
from helioloop.workflows import rounds as rounding
from helioloop_worker import jobs
from helioloop_worker.loop import round_steps, rounds
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.retrain_check import check_retraining

Data = dict[str, dict[str, str]]


# -- closing --------------------------------------------------------------------------------------


def test_a_finished_round_is_published_and_written_back(loop_project: LoopProject, plan: Plan) -> None:
    """Its version is published, the round has ended, and its write-back waits."""
    finish(loop_project, plan)
    loop_project.clear_queues()
    assert jobs.close_round(loop_project.context, loop_project.id, plan.fingerprint) == "v0001 is published"
    assert loop_project.registry.published() == "v0001"
    assert len(loop_project.registry.scores("v0001")) == len(CUBES)
    assert loop_project.context.state.running(loop_project.id) is None
    assert loop_project.queued() == [f"write-back-{loop_project.id}-v0001"]
    assert (
        jobs.close_round(loop_project.context, loop_project.id, plan.fingerprint)
        == f"round {plan.fingerprint[:16]} is closed already"
    )


def test_the_follow_up_check_is_sent_after_the_round(loop_project: LoopProject, plan: Plan) -> None:
    """Somebody pressed "Start training" during the round."""
    loop_project.context.state.request_follow_up(loop_project.id, forced=True)
    finish(loop_project, plan)
    loop_project.clear_queues()
    jobs.close_round(loop_project.context, loop_project.id, plan.fingerprint)
    assert f"retrain-check-{loop_project.id}-forced" in loop_project.queued()


def test_an_unfinished_round_is_not_admitted(loop_project: LoopProject, plan: Plan) -> None:
    """One cube lacks its emergence frame: the steps are sent again."""
    finish(loop_project, plan, located=len(CUBES) - 1)
    loop_project.clear_queues()
    assert "it is resumed" in jobs.close_round(loop_project.context, loop_project.id, plan.fingerprint)
    assert loop_project.registry.versions() == []
    assert len(loop_project.queued()) == 2


def test_a_closing_that_broke_off_after_admission_is_finished(loop_project: LoopProject, plan: Plan) -> None:
    """The version is there and the pointer is not: the round is closed again, and no second version is made."""
    finish(loop_project, plan)
    staging = loop_project.registry.staging(plan.fingerprint)
    scores = list(round_steps.scores_of(plan, staging / round_steps.LOCATED).values())
    rounding.close_round(plan, staging, loop_project.registry, scores)
    lose_jobs(loop_project, plan)
    assert "has left its staging folder: closing it" in (rounds.resume(loop_project.context, loop_project.id) or "")
    assert jobs.close_round(loop_project.context, loop_project.id, plan.fingerprint) == "v0001 is published"
    assert loop_project.registry.published() == "v0001"
    assert loop_project.context.state.running(loop_project.id) is None


# -- the promotion check --------------------------------------------------------------------------


@pytest.fixture
def worse(loop_project: LoopProject, task_data: Data) -> Plan:
    """A round that is worse than the published v0001 on the 24 verified cubes: it is wrong on half of them."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish(p_emergence=0.5)
    for cube, task in tasks.items():
        loop_project.label_studio.annotate(task, crude(cube).value)
    assert loop_project.check().startswith("round started: 24 more cubes are verified")
    running = loop_project.context.state.running(loop_project.id)
    assert running is not None
    plan = Plan.read(loop_project.registry.staging(running.fingerprint))
    finish(loop_project, plan, p_emergence=0.95)
    loop_project.clear_queues()
    return plan


def test_a_worse_version_is_rejected_and_nothing_is_written_back(loop_project: LoopProject, worse: Plan) -> None:
    """The round has ended with a reason; v0001 stays published; no write-back waits."""
    said = jobs.close_round(loop_project.context, loop_project.id, worse.fingerprint)
    assert said.startswith("v0002 is rejected by the promotion check: on 24 randomly sampled verified cubes")
    assert loop_project.registry.versions() == ["v0001", "v0002"]
    assert loop_project.registry.published() == "v0001"
    assert loop_project.context.state.running(loop_project.id) is None
    assert loop_project.queued() == [f"report-{loop_project.id}"]  # the report shows the rejected version
    assert jobs.write_back(loop_project.context, loop_project.id, "v0002") == {"written": 0, "present": 0, "missing": 0}


def test_a_kept_version_starts_no_round_again(loop_project: LoopProject, worse: Plan) -> None:
    """Neither a check nor a reconciliation trains on the same labels again; the next annotation does."""
    jobs.close_round(loop_project.context, loop_project.id, worse.fingerprint)
    assert "no label differs from those v0002 was trained on" in check_retraining(
        loop_project.context, loop_project.id, forced=False
    )
    reconciled = reconcile(loop_project.context, loop_project.id).done
    assert [sentence for sentence in reconciled if "checking" in sentence] == []
    assert [sentence for sentence in reconciled if "v0002" in sentence] == []
    loop_project.clear_queues()
    (task, *_) = loop_project.read().tasks.values()
    loop_project.label_studio.annotate(task.ids[0], "emergence")
    assert (
        reconcile(loop_project.context, loop_project.id).done[0]
        == "annotations differ from those of the last check: checking"
    )
    assert loop_project.queued()[0] == f"retrain-check-{loop_project.id}"


def test_start_training_trains_and_does_not_publish(loop_project: LoopProject, worse: Plan) -> None:
    """Somebody pressed it while the worse round ran: the round is trained again afterwards, and rejected again."""
    loop_project.context.state.request_follow_up(loop_project.id, forced=True)
    jobs.close_round(loop_project.context, loop_project.id, worse.fingerprint)
    assert loop_project.queued() == [f"report-{loop_project.id}", f"retrain-check-{loop_project.id}-forced"]
    assert loop_project.check(forced=True).startswith("round started")
    finish(loop_project, worse, p_emergence=0.95)
    assert "v0003 is rejected by the promotion check" in jobs.close_round(
        loop_project.context, loop_project.id, worse.fingerprint
    )
    assert loop_project.registry.published() == "v0001"


def test_a_closing_that_broke_off_rejects_the_same_version(
    loop_project: LoopProject, worse: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the admission: the card contains the verdict, and nothing is compared again."""
    with monkeypatch.context() as killed:
        killed.setattr(loop_project.context.state, "end", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            jobs.close_round(loop_project.context, loop_project.id, worse.fingerprint)
    assert loop_project.registry.versions() == ["v0001", "v0002"]
    lose_jobs(loop_project, worse)
    assert "has left its staging folder: closing it" in (rounds.resume(loop_project.context, loop_project.id) or "")
    assert jobs.close_round(loop_project.context, loop_project.id, worse.fingerprint).startswith(
        "v0002 is rejected by the promotion check"
    )
    assert loop_project.registry.published() == "v0001"
    assert loop_project.context.state.running(loop_project.id) is None
    assert [job for job in loop_project.queued() if job.startswith("write-back")] == []
