"""Rounds as jobs: the order of the steps, resuming, parking, closing, and recovery after a loss."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
import torch
from rq.executions import Execution
from rq.job import Job, JobStatus
from tests.whole import complete
from tests.worker.conftest import CUBES, SETTLED, LoopProject, crude, score_of, work

from helioloop.errors import MissingInLabelStudio, RegistryError
from helioloop.messaging import messages, queues
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.retrain_state import Running
from helioloop.model import members
from helioloop.model.plan import Plan
from helioloop.progress import silent
from helioloop.records.cubes import CubeInfo
from helioloop.registry.score_store import write_scores
from helioloop.registry.staging import ATTEMPTS_FILE, MAX_ATTEMPTS, Staging
from helioloop.registry.trained_fields import read_trained_fields
from helioloop.registry.unscorable import read_unscorable
from helioloop.workflows import rounds as rounding
from helioloop_worker import jobs
from helioloop_worker.loop import round_steps, rounds
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.retrain_check import check_retraining

Data = dict[str, dict[str, str]]


@pytest.fixture
def plan(loop_project: LoopProject, task_data: Data) -> Plan:
    """A round of two members that was started on the release."""
    loop_project.import_cubes(task_data)
    plan: Plan = loop_project.plan()
    assert rounds.start(loop_project.context, loop_project.id, plan, forced=False)
    return plan


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


# -- sending --------------------------------------------------------------------------------------


def test_steps_wait_for_those_they_need(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members can run at once; scoring waits for all members, each chunk for scoring, closing for all chunks."""
    monkeypatch.setattr(rounds, "CHUNK_CUBES", 10)
    loop_project.import_cubes(task_data)
    plan = loop_project.plan()
    rounds.start(loop_project.context, loop_project.id, plan, forced=False)
    steps = rounds.steps_of(loop_project.id, plan)
    members, scoring, locating, closing = steps.members, steps.scoring, steps.locating, steps.closing
    assert [step.member for step in members] == ["fold0-0", "fold1-0"]
    assert [(step.chunk, step.chunks) for step in locating] == [(0, 3), (1, 3), (2, 3)]
    assert loop_project.queued() == [step.job_id for step in members]
    needs = {step.job_id: set(loop_project.job(step.job_id)._dependency_ids) for step in (scoring, *locating, closing)}
    assert needs == {
        scoring.job_id: {step.job_id for step in members},
        **{step.job_id: {scoring.job_id} for step in locating},
        closing.job_id: {step.job_id for step in locating},
    }
    assert loop_project.deferred() == set(needs)


def test_only_what_is_missing_is_sent_again(loop_project: LoopProject, plan: Plan) -> None:
    """The job of one member was lost; the other jobs stay as they are."""
    steps = rounds.steps_of(loop_project.id, plan)
    members, scoring = steps.members, steps.scoring
    before = loop_project.job(scoring.job_id).created_at
    loop_project.job(members[0].job_id).delete()
    rounds.send_steps(loop_project.context, loop_project.id, plan)
    assert loop_project.queued() == [members[1].job_id, members[0].job_id]
    assert loop_project.job(scoring.job_id).created_at == before


def test_a_started_round_has_its_plan_on_disk_and_others_are_discarded(
    loop_project: LoopProject, task_data: Data
) -> None:
    """The folder of an abandoned round is deleted; files of this round stay."""
    loop_project.import_cubes(task_data)
    plan = loop_project.plan()
    loop_project.registry.staging("ab" * 32)
    (loop_project.registry.staging(plan.fingerprint) / "fold0-0.safetensors").write_bytes(b"member")
    rounds.start(loop_project.context, loop_project.id, plan, forced=False)
    (folder,) = (loop_project.model_dir / "staging").iterdir()
    assert folder.name == plan.fingerprint
    assert Plan.read(folder).fingerprint == plan.fingerprint
    assert (folder / "fold0-0.safetensors").exists()


def test_a_second_round_is_a_follow_up_run(loop_project: LoopProject, plan: Plan) -> None:
    """One round runs at a time: nothing is sent, the running round goes on, a check follows it."""
    queued = loop_project.queued()
    assert not rounds.start(loop_project.context, loop_project.id, plan, forced=True)
    assert loop_project.queued() == queued
    follow_up = loop_project.context.state.end(loop_project.id, plan.fingerprint)
    assert follow_up is not None
    assert follow_up.forced


# -- resuming -------------------------------------------------------------------------------------


def test_a_living_round_is_left_alone(loop_project: LoopProject, plan: Plan) -> None:
    """It has a fresh heartbeat, or jobs that wait, which renew the heartbeat."""
    assert rounds.resume(loop_project.context, loop_project.id) is None
    silence(loop_project, plan)
    assert rounds.resume(loop_project.context, loop_project.id) is None
    running = loop_project.context.state.running(loop_project.id)
    assert running is not None
    assert time.time() - running.heartbeat_at < rounds.SILENT_SECONDS


def test_a_silent_round_is_resumed_and_parked_after_three_failures(loop_project: LoopProject, plan: Plan) -> None:
    """Twice all steps are sent again; the third time none is, and the round no longer runs."""
    every = {step.job_id for step in rounds.steps_of(loop_project.id, plan).all}
    for _ in range(2):
        lose_jobs(loop_project, plan)
        said = rounds.resume(loop_project.context, loop_project.id)
        assert said == f"round {plan.fingerprint[:16]} failed: a worker was lost; it is resumed"
        assert {*loop_project.queued(), *loop_project.deferred()} == every
    lose_jobs(loop_project, plan)
    said = rounds.resume(loop_project.context, loop_project.id)
    assert said is not None
    assert "failed 3 times and is parked (workers were lost)" in said
    assert Staging(loop_project.model_dir).all_parked() == [said]
    assert loop_project.context.state.running(loop_project.id) is None
    assert loop_project.queued() == []
    assert rounds.resume(loop_project.context, loop_project.id) is None


def test_progress_resets_the_count_of_attempts(loop_project: LoopProject, plan: Plan) -> None:
    """Two failures, then one more member, then two failures: the round still runs."""
    for attempt in range(4):
        if attempt == 2:
            (loop_project.registry.staging(plan.fingerprint) / "fold0-0.safetensors").write_bytes(b"one member")
        lose_jobs(loop_project, plan)
        assert "it is resumed" in (rounds.resume(loop_project.context, loop_project.id) or "")
    counted = json.loads((loop_project.registry.staging(plan.fingerprint) / ATTEMPTS_FILE).read_text())
    assert counted["attempts"] == 2


def test_a_follow_up_run_outlives_the_parked_round(loop_project: LoopProject, plan: Plan) -> None:
    """Its check is sent at once, forced if it was requested so."""
    loop_project.context.state.request_follow_up(loop_project.id, forced=True)
    for _ in range(MAX_ATTEMPTS):
        lose_jobs(loop_project, plan)
        rounds.resume(loop_project.context, loop_project.id)
    assert loop_project.queued() == [f"retrain-check-{loop_project.id}-forced"]


def test_a_parked_round_starts_again_only_when_forced(loop_project: LoopProject, plan: Plan) -> None:
    """The same inputs would fail again; "Start training" means that the cause is removed, and resets the count."""
    for _ in range(MAX_ATTEMPTS):
        lose_jobs(loop_project, plan)
        rounds.resume(loop_project.context, loop_project.id)
    assert "is parked" in loop_project.check()
    assert loop_project.context.state.running(loop_project.id) is None
    assert loop_project.check(forced=True).startswith("round started")
    running = loop_project.context.state.running(loop_project.id)
    assert running is not None
    assert running.fingerprint == plan.fingerprint
    assert Staging(loop_project.model_dir).parked(plan.fingerprint) is None


def test_a_round_goes_on_after_redis_was_emptied(loop_project: LoopProject, plan: Plan) -> None:
    """Only its staging folder is left: a check is sent, and the same round goes on with the files it had."""
    member = loop_project.registry.staging(plan.fingerprint) / "fold0-0.safetensors"
    member.write_bytes(b"trained before")
    loop_project.context.connection.flushall()
    assert "was begun and no job of it is left: checking" in (
        rounds.resume(loop_project.context, loop_project.id) or ""
    )
    assert loop_project.queued() == [f"retrain-check-{loop_project.id}"]
    assert loop_project.check().startswith("round started")
    running = loop_project.context.state.running(loop_project.id)
    assert running is not None
    assert running.fingerprint == plan.fingerprint
    assert member.read_bytes() == b"trained before"


def test_a_round_that_was_begun_and_never_sent_is_resumed(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker was killed between the two: reconciliation sends the steps when the heartbeat is old."""
    loop_project.import_cubes(task_data)
    with monkeypatch.context() as killed:
        killed.setattr(rounds, "send_steps", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            loop_project.check()
    running = loop_project.context.state.running(loop_project.id)
    assert running is not None
    loop_project.context.state.heartbeat(loop_project.id, running.fingerprint, now=time.time() - SETTLED)
    assert "it is resumed" in reconcile(loop_project.context, loop_project.id).done[0]
    assert f"member-{loop_project.id}-{running.fingerprint[:16]}-fold0-0" in loop_project.queued()


def test_an_attempt_that_is_not_made_is_not_counted(
    loop_project: LoopProject, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs of the round cannot be deleted: five reconciliations fail, the round is not parked, the sixth resumes it."""

    def fails(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("gone")

    for _ in range(5):
        lose_jobs(loop_project, plan)
        rounds.send_steps(loop_project.context, loop_project.id, plan)
        steps = rounds.steps_of(loop_project.id, plan)
        for step in steps.all:
            loop_project.job(step.job_id).set_status(JobStatus.FAILED)
        with monkeypatch.context() as broken:
            broken.setattr(Job, "delete", fails)
            with pytest.raises(redis.ConnectionError):
                rounds.resume(loop_project.context, loop_project.id)
    assert Staging(loop_project.model_dir).parked(plan.fingerprint) is None
    said = rounds.resume(loop_project.context, loop_project.id)
    assert said is not None
    assert said.endswith("it is resumed")


def test_a_round_whose_worker_was_killed_is_resumed_within_the_first_minute(
    loop_project: LoopProject, plan: Plan
) -> None:
    """The execution of its running step has expired, and rq's entry of it has not."""
    step = rounds.steps_of(loop_project.id, plan).members[0]
    job, connection = loop_project.job(step.job_id), loop_project.context.connection
    loop_project.clear_queues()
    job.save()
    with connection.pipeline() as pipeline:
        job.set_status(JobStatus.STARTED, pipeline=pipeline)
        Execution.create(job, 60, pipeline)
        pipeline.execute()
    entries = connection.zrange(f"rq:wip:{step.queue}", 0, -1)
    connection.zadd(f"rq:wip:{step.queue}", {entry: time.time() - 1 for entry in entries})
    for key in connection.scan_iter("rq:execution:*"):
        connection.delete(key)
    loop_project.context.state.request_follow_up(loop_project.id, forced=True)
    silence(loop_project, plan)
    said = rounds.resume(loop_project.context, loop_project.id)
    assert said is not None
    assert said.endswith("it is resumed")
    assert json.loads((loop_project.registry.staging(plan.fingerprint) / ATTEMPTS_FILE).read_text())["attempts"] == 1
    assert step.job_id in loop_project.queued()
    assert loop_project.context.state.end(loop_project.id, plan.fingerprint) is not None


@pytest.mark.parametrize("killed_at", ["before", "sending"])
@pytest.mark.parametrize("place", ["closed", "parked"])
def test_a_forced_request_outlives_a_kill_after_the_end_of_the_round(
    loop_project: LoopProject, plan: Plan, place: str, killed_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the check is sent: reconciliation sends it, once."""
    loop_project.context.state.request_follow_up(loop_project.id, forced=True)
    send = queues.send

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    def dies_at_a_check(connection: Any, message: messages.Message, **options: Any) -> bool:
        if isinstance(message, messages.RetrainCheck):
            dies()
        return send(connection, message, **options)

    def ends() -> None:
        if place == "closed":
            finish(loop_project, plan)
            jobs.close_round(loop_project.context, loop_project.id, plan.fingerprint)
        for _ in range(MAX_ATTEMPTS):
            lose_jobs(loop_project, plan)
            rounds.resume(loop_project.context, loop_project.id)

    with monkeypatch.context() as killed:
        if killed_at == "before":
            killed.setattr(rounds, "send_follow_up", dies)
        else:
            killed.setattr(queues, "send", dies_at_a_check)
        with pytest.raises(KeyboardInterrupt):
            ends()
    assert loop_project.context.state.running(loop_project.id) is None
    forced = f"retrain-check-{loop_project.id}-forced"
    assert forced not in loop_project.queued()
    reconcile(loop_project.context, loop_project.id)
    assert forced in loop_project.queued()
    loop_project.clear_queues()
    reconcile(loop_project.context, loop_project.id)
    assert forced not in loop_project.queued()


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


# -- loss -----------------------------------------------------------------------------------------


def test_a_round_without_files_leads_to_a_check(loop_project: LoopProject, plan: Plan) -> None:
    """Somebody deleted its folder."""
    Staging(loop_project.model_dir).discard()
    loop_project.clear_queues()
    assert "has no files any more" in jobs.close_round(loop_project.context, loop_project.id, plan.fingerprint)
    assert loop_project.context.state.running(loop_project.id) is None
    assert loop_project.queued() == [f"retrain-check-{loop_project.id}"]


def test_a_round_without_a_plan_is_closed_although_its_closing_waits_for_steps(
    loop_project: LoopProject, plan: Plan
) -> None:
    """Its plan was damaged and put aside, and the steps were taken by a worker that was killed."""
    rounds.send_steps(loop_project.context, loop_project.id, plan)
    closing = rounds.steps_of(loop_project.id, plan).closing.job_id
    assert closing in loop_project.deferred()
    (loop_project.registry.staging(plan.fingerprint) / "plan.json").write_text('{"recipe')
    for key in loop_project.context.connection.scan_iter("rq:queue:*"):
        loop_project.context.connection.delete(key)
    silence(loop_project, plan)
    said = reconcile(loop_project.context, loop_project.id).done
    assert any("has left its staging folder: closing it" in sentence for sentence in said)
    assert closing in loop_project.queued()
    assert closing not in loop_project.deferred()


def test_a_forced_repeat_is_not_confused_with_the_older_version(loop_project: LoopProject, task_data: Data) -> None:
    """Both have the same fingerprint; only a version admitted since the round began is its own."""
    loop_project.import_cubes(task_data)
    version = loop_project.publish()
    card = loop_project.registry.card(version)
    made_at = datetime.fromisoformat(card.created_at).astimezone(UTC).timestamp()
    later = Running(fingerprint=card.fingerprint, since=made_at + 5, heartbeat_at=made_at + 5)
    before = Running(fingerprint=card.fingerprint, since=made_at - 5, heartbeat_at=made_at)
    other = Running(fingerprint="ab" * 32, since=made_at - 5, heartbeat_at=made_at)
    found = [rounds.admitted(loop_project.registry, running) for running in (later, before, other)]
    assert found == [None, version, None]


def test_scores_of_cubes_that_left_the_plan_do_not_count(loop_project: LoopProject, plan: Plan) -> None:
    """A resumed round may find scores of a file that has changed since."""
    finish(loop_project, plan)
    stray = score_of("cube00", "0" * 64, 0.75)
    write_scores(loop_project.registry.staging(plan.fingerprint) / round_steps.UNLOCATED, [stray])
    assert jobs.close_round(loop_project.context, loop_project.id, plan.fingerprint) == "v0001 is published"
    assert stray.key not in loop_project.registry.scores("v0001")


# -- complete rounds, by a real worker --------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError("the network does not fit"), "MemoryError: the network does not fit"),
        (
            torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2 GiB.\nSee documentation of memory management"
            ),
            "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB.",
        ),
    ],
    ids=["host", "GPU"],
)
def test_a_round_that_always_fails_is_parked_with_its_reason(
    loop_project: LoopProject, plan: Plan, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    """Steps run even after failed ones, so that closing notices, sends them again, and stops after three attempts."""
    trained = []

    def fails(_: Plan, member: str, *__: Any, **___: Any) -> Any:
        trained.append(member)
        raise error

    monkeypatch.setattr(members, "train_member", fails)
    work(loop_project, messages.QUEUE_TRAIN)
    assert sorted(trained) == ["fold0-0"] * 3 + ["fold1-0"] * 3
    said = Staging(loop_project.model_dir).parked(plan.fingerprint)
    assert said is not None
    assert "failed 3 times" in said
    assert reason in said
    assert "\n" not in said
    assert loop_project.context.state.running(loop_project.id) is None
    assert loop_project.registry.versions() == []


def test_a_project_that_is_deleted_during_its_round_ends_with_a_reason(
    loop_project: LoopProject, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round is closed, since its version needs no Label Studio; what writes there is parked with the reason."""
    whole = members.train_member

    def trains(*arguments: Any) -> Any:
        monkeypatch.setattr(loop_project.label_studio, "project", deleted)
        return whole(*arguments)

    def deleted(number: int) -> Any:
        raise MissingInLabelStudio(f"there is no project {number}; check the project id")

    monkeypatch.setattr(members, "train_member", trains)
    work(loop_project)
    assert loop_project.registry.published() == "v0001"
    assert loop_project.context.state.running(loop_project.id) is None
    failing = {
        known.key: known.reason for known in JobFailures(loop_project.context.connection).failing(loop_project.id)
    }
    assert "there is no project 1" in failing["write-back-1-v0001"]
    assert sum(plan.fingerprint in path.name for path in (loop_project.model_dir / "staging").glob("*")) == 0


def test_on_a_gpu_the_first_job_trains_all_members_together(
    loop_project: LoopProject, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The jobs of the other members find them trained, and the round goes on as usual."""
    trained: list[str] = []

    def trains(plan: Plan, staging: Path, runtime: Any) -> None:
        for member in plan.members:
            if not (staging / member.file).exists():
                trained.append(member.name)
                whole(plan, member.name, staging, runtime)

    whole = members.train_member
    monkeypatch.setattr(members, "trains_together", lambda *_: True)
    monkeypatch.setattr(members, "train_all_members", trains)
    work(loop_project, messages.QUEUE_TRAIN)
    assert trained == [member.name for member in plan.members]
    assert loop_project.registry.published() == "v0001"


def test_a_round_learns_and_publishes_and_its_version_scores_what_comes_later(
    loop_project: LoopProject, plan: Plan, task_data: Data
) -> None:
    """Two members of one epoch; a cube that cannot be read when it is to be scored later is not requested again.

    The version keeps the field statistics of all cubes trained on, with which drift is found later.
    """
    work(loop_project, messages.QUEUE_TRAIN)
    assert loop_project.registry.published() == "v0001"
    fields = read_trained_fields(loop_project.registry.folder("v0001")) or {}
    assert fields.keys() == {cube.key for cube in plan.labelled}
    assert all(15.0 < field.noise_gauss < 25.0 for field in fields.values())
    scores = loop_project.registry.scores("v0001")
    assert {cube for cube, _ in scores} == set(CUBES)
    assert {score.members for score in scores.values()} == {("fold0-0",), ("fold1-0",)}
    assert loop_project.job(rounds.steps_of(loop_project.id, plan).closing.job_id).get_status() is JobStatus.FINISHED
    known = CubeInfo(release="made", name="cube00", sha256=task_data["cube00"]["sha256"])
    gone = CubeInfo(release="made", name="gone", sha256="0" * 64)
    asked = [cube.as_dict() for cube in (known, gone)]
    assert jobs.score(loop_project.context, loop_project.id, "v0001", asked) == 0
    assert read_unscorable(loop_project.model_dir, "v0001") == {gone.sha256}


# -- beside `helioloop train` ----------------------------------------------------------------------


def made_by_a_command(
    loop_project: LoopProject, plan: Plan, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]
) -> str:
    """Make a round as `helioloop train` does, with something else going on before its members are trained."""
    whole = rounding.train_members

    def trains(*args: Any, **kwargs: Any) -> None:
        meanwhile()
        whole(*args, **kwargs)

    monkeypatch.setattr(rounding, "train_members", trains)
    runtime = loop_project.context.runtime(loop_project.id, silent)
    return rounding.run_round(plan, loop_project.registry, runtime).version


def test_a_round_of_a_command_outlives_what_the_worker_clears_up(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`helioloop train` on the project's folder: neither a check, nor another round, nor reconciliation touches it."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    on_queue = loop_project.plan()
    plan = replace(on_queue, recipe=replace(on_queue.recipe, epochs=2))
    folder = loop_project.registry.staging(plan.fingerprint)

    def meanwhile() -> None:
        assert rounds.resume(loop_project.context, loop_project.id) is None
        assert loop_project.check().startswith("no round")
        assert rounds.start(loop_project.context, loop_project.id, on_queue, forced=False)
        assert Plan.read(folder).fingerprint == plan.fingerprint

    assert made_by_a_command(loop_project, plan, monkeypatch, meanwhile) == "v0002"


def test_the_folder_of_a_killed_command_is_found_and_resumed(loop_project: LoopProject, task_data: Data) -> None:
    """Its lock is free: the round counts as one that was begun and lost."""
    loop_project.import_cubes(task_data)
    plan = loop_project.plan()
    with Staging(loop_project.model_dir).locked(plan.fingerprint) as folder:
        plan.save(folder)
        assert rounds.resume(loop_project.context, loop_project.id) is None
    assert "was begun and no job of it is left: checking" in (
        rounds.resume(loop_project.context, loop_project.id) or ""
    )


def test_a_round_is_not_started_while_a_command_makes_it(loop_project: LoopProject, task_data: Data) -> None:
    """Two processes in one folder would take each other's files; nothing counts as running."""
    loop_project.import_cubes(task_data)
    plan = loop_project.plan()
    with (
        Staging(loop_project.model_dir).locked(plan.fingerprint),
        pytest.raises(RegistryError, match="is being made by another process"),
    ):
        rounds.start(loop_project.context, loop_project.id, plan, forced=False)
    assert loop_project.context.state.running(loop_project.id) is None
    assert rounds.start(loop_project.context, loop_project.id, plan, forced=False)
