"""Rounds as jobs: the order of the steps, resuming, parking, and recovery after a loss."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from rq.executions import Execution
from rq.job import Job, JobStatus
from tests.worker.conftest import SETTLED, LoopProject, score_of
from tests.worker.loop.started_round import finish, lose_jobs, silence

from helioloop.messaging import messages, queues
from helioloop.messaging.retrain_state import Running
from helioloop.model.plan import Plan
from helioloop.registry.score_store import write_scores
from helioloop.registry.staging import ATTEMPTS_FILE, MAX_ATTEMPTS, Staging
from helioloop_worker import jobs
from helioloop_worker.loop import round_steps, rounds
from helioloop_worker.loop.reconcile import reconcile

Data = dict[str, dict[str, str]]


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
