"""Rounds on the queue: steps in order, what is missing sent again, failures parked, everything back after a loss."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from rq.job import JobStatus
from tests.worker.conftest import CUBES, SETTLED, Desk, crude, score_of, work

from helioloop.messaging import messages
from helioloop.messaging.retrain_state import Running
from helioloop.model import ensemble
from helioloop.model.plan import Plan
from helioloop.records import CubeInfo
from helioloop.registry.score_store import write_scores
from helioloop_worker import jobs
from helioloop_worker.loop import rounds, writeback
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.retrain_check import check_retraining

Data = dict[str, dict[str, str]]


@pytest.fixture
def plan(desk: Desk, task_data: Data) -> Plan:
    """A round of two members that was started on the release."""
    desk.import_cubes(task_data)
    plan: Plan = desk.plan()
    assert rounds.start(desk.context, desk.project, plan, forced=False)
    return plan


def fall_silent(desk: Desk, plan: Plan) -> None:
    """Put the running round's last sign of life long ago."""
    assert desk.context.state.heartbeat(desk.project, plan.fingerprint, now=time.time() - SETTLED)


def lose_jobs(desk: Desk, plan: Plan) -> None:
    """Let the round fall silent, with no job left of it."""
    desk.clear_queues()
    fall_silent(desk, plan)


def finish(desk: Desk, plan: Plan, *, located: int = len(CUBES), p_emergence: float = 0.75) -> None:
    """Leave in staging what scoring and locating would, with the times of `located` cubes only."""
    staging = desk.registry.staging(plan.fingerprint)
    scores = [score_of(cube.name, cube.sha256, p_emergence) for cube in plan.cubes]
    write_scores(staging / jobs.UNLOCATED, scores)
    write_scores(staging / jobs.LOCATED, scores[:located])


# -- sending --------------------------------------------------------------------------------------


def test_steps_wait_for_those_they_need(desk: Desk, task_data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members can run at once; scoring waits for all of them, each share for scoring, closing for all shares."""
    monkeypatch.setattr(rounds, "SHARE_CUBES", 10)
    desk.import_cubes(task_data)
    plan = desk.plan()
    rounds.start(desk.context, desk.project, plan, forced=False)
    members, scoring, shares, closing = rounds.steps(desk.project, plan)
    assert [step.member for step in members] == ["fold0-0", "fold1-0"]
    assert [(step.share, step.shares) for step in shares] == [(0, 3), (1, 3), (2, 3)]
    assert desk.queued() == [step.job_id for step in members]
    needs = {step.job_id: set(desk.job(step.job_id)._dependency_ids) for step in (scoring, *shares, closing)}
    assert needs == {
        scoring.job_id: {step.job_id for step in members},
        **{share.job_id: {scoring.job_id} for share in shares},
        closing.job_id: {share.job_id for share in shares},
    }
    assert desk.deferred() == set(needs)


def test_only_what_is_missing_is_sent_again(desk: Desk, plan: Plan) -> None:
    """One member's job was lost; the others keep their places."""
    members, scoring, _, _ = rounds.steps(desk.project, plan)
    before = desk.job(scoring.job_id).created_at
    desk.job(members[0].job_id).delete()
    rounds.send_steps(desk.context, desk.project, plan)
    assert desk.queued() == [members[1].job_id, members[0].job_id]
    assert desk.job(scoring.job_id).created_at == before


def test_a_started_round_has_its_plan_on_disk_and_others_go(desk: Desk, task_data: Data) -> None:
    """What an abandoned round left is discarded, what this one has is kept."""
    desk.import_cubes(task_data)
    plan = desk.plan()
    desk.registry.staging("ab" * 32)
    (desk.registry.staging(plan.fingerprint) / "fold0-0.safetensors").write_bytes(b"kept")
    rounds.start(desk.context, desk.project, plan, forced=False)
    (folder,) = (desk.model_dir / "staging").iterdir()
    assert folder.name == plan.fingerprint
    assert Plan.read(folder).fingerprint == plan.fingerprint
    assert (folder / "fold0-0.safetensors").exists()


def test_a_second_round_is_a_wish(desk: Desk, plan: Plan) -> None:
    """Single flight: nothing is sent, the running round stays, one more is judged after it."""
    queued = desk.queued()
    assert not rounds.start(desk.context, desk.project, plan, forced=True)
    assert desk.queued() == queued
    trailing = desk.context.state.end(desk.project, plan.fingerprint)
    assert trailing is not None
    assert trailing.forced


# -- taking up ------------------------------------------------------------------------------------


def test_a_living_round_is_left_alone(desk: Desk, plan: Plan) -> None:
    """It gave a sign of life, or its jobs wait: then that counts as one."""
    assert rounds.take_up(desk.context, desk.project) is None
    fall_silent(desk, plan)
    assert rounds.take_up(desk.context, desk.project) is None
    running = desk.context.state.running(desk.project)
    assert running is not None
    assert time.time() - running.heartbeat_at < rounds.SILENT_SECONDS


def test_a_silent_round_is_taken_up_and_parked_after_three_failures(desk: Desk, plan: Plan) -> None:
    """Each time all steps are sent again; the third time none is, and the round no longer runs."""
    every = {step.job_id for step in rounds._all_steps(desk.project, plan)}
    for _ in range(2):
        lose_jobs(desk, plan)
        said = rounds.take_up(desk.context, desk.project)
        assert said == f"round {plan.fingerprint[:16]} failed: a worker was lost; it is taken up again"
        assert {*desk.queued(), *desk.deferred()} == every
    lose_jobs(desk, plan)
    said = rounds.take_up(desk.context, desk.project)
    assert said is not None
    assert "failed 3 times and is parked (workers were lost)" in said
    assert list(rounds.all_parked(desk.registry)) == [said]
    assert desk.context.state.running(desk.project) is None
    assert desk.queued() == []
    assert rounds.take_up(desk.context, desk.project) is None


def test_progress_counts_the_attempts_anew(desk: Desk, plan: Plan) -> None:
    """Two failures, then one more member, then two failures: the round still runs."""
    for attempt in range(4):
        if attempt == 2:
            (desk.registry.staging(plan.fingerprint) / "fold0-0.safetensors").write_bytes(b"one member")
        lose_jobs(desk, plan)
        assert "taken up again" in (rounds.take_up(desk.context, desk.project) or "")
    kept = json.loads((desk.registry.staging(plan.fingerprint) / rounds.ATTEMPTS).read_text())
    assert kept["attempts"] == 2


def test_a_wish_outlives_the_parked_round(desk: Desk, plan: Plan) -> None:
    """It is judged at once, as forced as it was."""
    desk.context.state.request_follow_up(desk.project, forced=True)
    for _ in range(rounds.MAX_ATTEMPTS):
        lose_jobs(desk, plan)
        rounds.take_up(desk.context, desk.project)
    assert desk.queued() == [f"retrain-check-{desk.project}-forced"]


def test_a_parked_round_starts_again_only_when_forced(desk: Desk, plan: Plan) -> None:
    """The same inputs would fail again; "Start training" says that the cause is mended, and the count begins anew."""
    for _ in range(rounds.MAX_ATTEMPTS):
        lose_jobs(desk, plan)
        rounds.take_up(desk.context, desk.project)
    assert "is parked" in check_retraining(desk.context, desk.project, forced=False)
    assert desk.context.state.running(desk.project) is None
    assert check_retraining(desk.context, desk.project, forced=True).startswith("round started")
    running = desk.context.state.running(desk.project)
    assert running is not None
    assert running.fingerprint == plan.fingerprint
    assert rounds.parked(desk.registry, plan.fingerprint) is None


def test_a_round_whose_redis_was_emptied_goes_on(desk: Desk, plan: Plan) -> None:
    """Nobody knows of it but its staging folder: it is judged, and the same round goes on with what it had."""
    member = desk.registry.staging(plan.fingerprint) / "fold0-0.safetensors"
    member.write_bytes(b"trained before")
    desk.context.connection.flushall()
    assert "nobody runs it: judging" in (rounds.take_up(desk.context, desk.project) or "")
    assert desk.queued() == [f"retrain-check-{desk.project}"]
    assert check_retraining(desk.context, desk.project, forced=False).startswith("round started")
    running = desk.context.state.running(desk.project)
    assert running is not None
    assert running.fingerprint == plan.fingerprint
    assert member.read_bytes() == b"trained before"


def test_a_round_that_was_begun_and_never_sent_is_taken_up(
    desk: Desk, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker was killed between beginning and sending: after the silence the sweep sends the steps."""
    desk.import_cubes(task_data)
    with monkeypatch.context() as killed:
        killed.setattr(rounds, "send_steps", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            check_retraining(desk.context, desk.project, forced=False)
    running = desk.context.state.running(desk.project)
    assert running is not None
    desk.context.state.heartbeat(desk.project, running.fingerprint, now=time.time() - SETTLED)
    assert "it is taken up again" in reconcile(desk.context, desk.project).done[0]
    assert f"member-{desk.project}-{running.fingerprint[:16]}-fold0-0" in desk.queued()


# -- closing --------------------------------------------------------------------------------------


def test_a_finished_round_is_published_and_written_back(desk: Desk, plan: Plan) -> None:
    """Files first, pointer then; the round is over and its write-back waits."""
    finish(desk, plan)
    desk.clear_queues()
    assert jobs.close_round(desk.context, desk.project, plan.fingerprint) == "v0001 is published"
    assert desk.registry.published() == "v0001"
    assert len(desk.registry.scores("v0001")) == len(CUBES)
    assert desk.context.state.running(desk.project) is None
    assert desk.queued() == [f"write-back-{desk.project}-v0001"]
    assert jobs.close_round(desk.context, desk.project, plan.fingerprint) == f"round {plan.fingerprint[:16]} is over"


def test_a_wish_is_judged_after_the_round(desk: Desk, plan: Plan) -> None:
    """Somebody pressed "Start training" meanwhile."""
    desk.context.state.request_follow_up(desk.project, forced=True)
    finish(desk, plan)
    desk.clear_queues()
    jobs.close_round(desk.context, desk.project, plan.fingerprint)
    assert f"retrain-check-{desk.project}-forced" in desk.queued()


def test_an_unfinished_round_is_not_admitted(desk: Desk, plan: Plan) -> None:
    """One cube lacks its time: the steps are sent again."""
    finish(desk, plan, located=len(CUBES) - 1)
    desk.clear_queues()
    assert "it is taken up again" in jobs.close_round(desk.context, desk.project, plan.fingerprint)
    assert desk.registry.versions() == []
    assert len(desk.queued()) == 2


def test_a_closing_that_broke_off_after_admission_is_finished(desk: Desk, plan: Plan) -> None:
    """The version is there, the pointer is not: the silent round is closed again, and no second version made."""
    finish(desk, plan)
    staging = desk.registry.staging(plan.fingerprint)
    scores = list(jobs._scores_of(plan, staging / jobs.LOCATED).values())
    jobs.rounding.close_round(plan, staging, desk.registry, scores)
    lose_jobs(desk, plan)
    assert "is staged no more: closing it" in (rounds.take_up(desk.context, desk.project) or "")
    assert jobs.close_round(desk.context, desk.project, plan.fingerprint) == "v0001 is published"
    assert desk.registry.published() == "v0001"
    assert desk.context.state.running(desk.project) is None


# -- the promotion gate ---------------------------------------------------------------------------


@pytest.fixture
def worse(desk: Desk, task_data: Data) -> Plan:
    """A round that is worse than v0001, which is published: half of the 24 cubes it knows as verified are lost."""
    tasks = desk.import_cubes(task_data)
    desk.publish(p_emergence=0.5)
    for cube, task in tasks.items():
        desk.label_studio.annotate(task, crude(cube).value)
    assert check_retraining(desk.context, desk.project, forced=False).startswith(
        "round started: 24 more cubes are verified"
    )
    running = desk.context.state.running(desk.project)
    assert running is not None
    plan = Plan.read(desk.registry.staging(running.fingerprint))
    finish(desk, plan, p_emergence=0.95)
    desk.clear_queues()
    return plan


def test_a_worse_version_is_kept_and_nothing_is_written_back(desk: Desk, worse: Plan) -> None:
    """The round is over and says why; v0001 stays; no write-back waits."""
    said = jobs.close_round(desk.context, desk.project, worse.fingerprint)
    assert said.startswith("v0002 is rejected by the promotion check: on 24 randomly sampled verified cubes")
    assert desk.registry.versions() == ["v0001", "v0002"]
    assert desk.registry.published() == "v0001"
    assert desk.context.state.running(desk.project) is None
    assert desk.queued() == []
    assert jobs.write_back(desk.context, desk.project, "v0002") == {"written": 0, "present": 0, "missing": 0}


def test_a_kept_version_starts_no_round_again(desk: Desk, worse: Plan) -> None:
    """Neither a judgement nor a sweep trains on the same labels once more; the next word of a human does."""
    jobs.close_round(desk.context, desk.project, worse.fingerprint)
    assert "no label differs from those v0002 was trained on" in check_retraining(
        desk.context, desk.project, forced=False
    )
    swept = reconcile(desk.context, desk.project).done
    assert [sentence for sentence in swept if "judging" in sentence] == []
    assert [sentence for sentence in swept if "v0002" in sentence] == []
    desk.clear_queues()
    (task, *_) = desk.view().tasks.values()
    desk.label_studio.annotate(task.ids[0], "emergence")
    assert reconcile(desk.context, desk.project).done[0] == "annotations differ from those last judged: judging"
    assert desk.queued()[0] == f"retrain-check-{desk.project}"


def test_start_training_trains_and_does_not_publish(desk: Desk, worse: Plan) -> None:
    """Somebody pressed it while the worse round ran: it is judged after it, trained again, and kept again."""
    desk.context.state.request_follow_up(desk.project, forced=True)
    jobs.close_round(desk.context, desk.project, worse.fingerprint)
    assert desk.queued() == [f"retrain-check-{desk.project}-forced"]
    assert check_retraining(desk.context, desk.project, forced=True).startswith("round started")
    finish(desk, worse, p_emergence=0.95)
    assert "v0003 is rejected by the promotion check" in jobs.close_round(desk.context, desk.project, worse.fingerprint)
    assert desk.registry.published() == "v0001"


def test_a_closing_that_broke_off_keeps_the_same_version(
    desk: Desk, worse: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Admitted, then killed: the card holds the verdict, nothing is compared anew."""
    with monkeypatch.context() as killed:
        killed.setattr(desk.context.state, "end", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            jobs.close_round(desk.context, desk.project, worse.fingerprint)
    assert desk.registry.versions() == ["v0001", "v0002"]
    lose_jobs(desk, worse)
    assert "is staged no more: closing it" in (rounds.take_up(desk.context, desk.project) or "")
    assert jobs.close_round(desk.context, desk.project, worse.fingerprint).startswith(
        "v0002 is rejected by the promotion check"
    )
    assert desk.registry.published() == "v0001"
    assert desk.context.state.running(desk.project) is None
    assert [job for job in desk.queued() if job.startswith("write-back")] == []


# -- loss -----------------------------------------------------------------------------------------


def test_a_round_that_left_nothing_is_judged_anew(desk: Desk, plan: Plan) -> None:
    """Somebody deleted its folder."""
    desk.registry.discard(desk.registry.staging(plan.fingerprint))
    desk.clear_queues()
    assert "left nothing on disk" in jobs.close_round(desk.context, desk.project, plan.fingerprint)
    assert desk.context.state.running(desk.project) is None
    assert desk.queued() == [f"retrain-check-{desk.project}"]


def test_a_forced_repeat_is_not_taken_for_the_older_version(desk: Desk, task_data: Data) -> None:
    """Both bear one fingerprint; only what was admitted since the round began is its own."""
    desk.import_cubes(task_data)
    version = desk.publish()
    card = desk.registry.card(version)
    made_at = datetime.fromisoformat(card.created_at).astimezone(UTC).timestamp()
    later = Running(fingerprint=card.fingerprint, since=made_at + 5, heartbeat_at=made_at + 5)
    before = Running(fingerprint=card.fingerprint, since=made_at - 5, heartbeat_at=made_at)
    other = Running(fingerprint="ab" * 32, since=made_at - 5, heartbeat_at=made_at)
    found = [rounds.admitted(desk.registry, running) for running in (later, before, other)]
    assert found == [None, version, None]


def test_scores_of_cubes_that_left_the_plan_do_not_count(desk: Desk, plan: Plan) -> None:
    """A resumed round may find scores of a file that has changed since."""
    finish(desk, plan)
    stray = score_of("cube00", "0" * 64, 0.75)
    write_scores(desk.registry.staging(plan.fingerprint) / jobs.UNLOCATED, [stray])
    assert jobs.close_round(desk.context, desk.project, plan.fingerprint) == "v0001 is published"
    assert stray.key not in desk.registry.scores("v0001")


# -- whole rounds, by a real worker ----------------------------------------------------------------


def test_a_round_that_always_fails_is_parked_with_its_reason(
    desk: Desk, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps run even behind failed ones, so that closing notices, sends them again, and gives up after three."""
    trained = []

    def fails(_: Plan, member: str, *__: Any, **___: Any) -> Any:
        trained.append(member)
        raise MemoryError("no room for the network")

    monkeypatch.setattr(ensemble, "train_member", fails)
    work(desk, messages.QUEUE_TRAIN)
    assert sorted(trained) == ["fold0-0"] * 3 + ["fold1-0"] * 3
    said = rounds.parked(desk.registry, plan.fingerprint)
    assert said is not None
    assert "failed 3 times" in said
    assert "MemoryError: no room for the network" in said
    assert desk.context.state.running(desk.project) is None
    assert desk.registry.versions() == []


def test_a_round_learns_and_publishes_and_its_version_scores_what_comes_later(
    desk: Desk, plan: Plan, task_data: Data
) -> None:
    """Two members of one epoch; a cube of a later request is scored, one that cannot be read is not asked for again."""
    work(desk, messages.QUEUE_TRAIN)
    assert desk.registry.published() == "v0001"
    scores = desk.registry.scores("v0001")
    assert {cube for cube, _ in scores} == set(CUBES)
    assert {score.members for score in scores.values()} == {("fold0-0",), ("fold1-0",)}
    _, _, _, closing = rounds.steps(desk.project, plan)
    assert desk.job(closing.job_id).get_status() is JobStatus.FINISHED
    known = CubeInfo(release="made", name="cube00", sha256=task_data["cube00"]["sha256"])
    gone = CubeInfo(release="made", name="gone", sha256="0" * 64)
    asked = [cube.as_dict() for cube in (known, gone)]
    assert jobs.score(desk.context, desk.project, "v0001", asked) == 0
    assert writeback.read_unscorable(desk.model_dir, "v0001") == {gone.sha256}
