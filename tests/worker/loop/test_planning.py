"""Planning: cubes are prepared and the round starts; killed or without Redis at any point, nothing is lost."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from rq.job import JobStatus
from tests.worker.conftest import CUBES, SETTLED, LoopProject, work

from helioloop.data.loader import Loader
from helioloop.errors import CubesAway, TooFewLabels
from helioloop.messaging import messages
from helioloop.messaging.retrain_state import FollowUp
from helioloop.model.plan import Plan
from helioloop.progress import silent
from helioloop.records.cubes import CubeInfo
from helioloop.registry.last_check import read_last_check
from helioloop.registry.staging import Staging
from helioloop_worker import jobs
from helioloop_worker.labelstudio.project import read_project
from helioloop_worker.loop import planning, rounds
from helioloop_worker.loop.checked import read_checked
from helioloop_worker.loop.failing import may_pass
from helioloop_worker.loop.planning import plan_round
from helioloop_worker.loop.readable import readable_cubes
from helioloop_worker.loop.reconcile import reconcile
from helioloop_worker.loop.retrain_check import check_retraining
from helioloop_worker.loop.round_requests import requests

Data = dict[str, dict[str, str]]

LOST = "a round was requested and no job plans it: planning"


@pytest.fixture
def corrected(loop_project: LoopProject, task_data: Data) -> str:
    """A project with v0001, one label that was corrected since, and a check that has requested a round."""
    tasks = loop_project.import_cubes(task_data)
    loop_project.publish()
    check_retraining(loop_project.context, loop_project.id, forced=False)
    loop_project.label_studio.annotate(tasks["cube00"], "emergence")
    loop_project.context.state.add_events(loop_project.id, 1, now=time.time() - SETTLED)
    assert check_retraining(loop_project.context, loop_project.id, forced=False).startswith("a round is requested")
    return "1 label differs from those v0001 was trained on"


def plan(loop_project: LoopProject) -> str:
    """Run the planning alone."""
    return plan_round(loop_project.context, loop_project.id, report=silent)


def nothing_is_settled(loop_project: LoopProject) -> bool:
    """Tell whether the correction would be found again."""
    return read_checked(loop_project.model_dir) == {} and requests(loop_project.context, loop_project.id) == {"check"}


def press_start_training(loop_project: LoopProject) -> None:
    """Make a forced check."""
    check_retraining(loop_project.context, loop_project.id, forced=True)


# -- the whole way --------------------------------------------------------------------------------


def test_the_job_starts_the_round_and_settles_the_check(loop_project: LoopProject, corrected: str) -> None:
    """The round has the new label; the event, the annotation and the request are dealt with."""
    assert jobs.plan_round(loop_project.context, loop_project.id) == f"round started: {corrected}"
    running = loop_project.context.state.running(loop_project.id)
    assert running is not None
    planned = Plan.read(Staging(loop_project.model_dir).folder(running.fingerprint))
    assert {cube.name for cube in planned.cubes if cube.verified} == {"cube00"}
    assert loop_project.context.state.pending_events(loop_project.id) is None
    assert len(read_checked(loop_project.model_dir) or {}) == 1
    assert requests(loop_project.context, loop_project.id) == set()
    assert f"member-{loop_project.id}-{running.fingerprint[:16]}-fold0-0" in loop_project.queued()


@pytest.mark.usefixtures("corrected")
def test_the_status_shows_which_step_the_last_outcome_is_of(loop_project: LoopProject) -> None:
    """A retrain check requests a round, and the planning starts it."""
    outcome = jobs.check_retraining(loop_project.context, loop_project.id)
    found = read_last_check(loop_project.model_dir)
    assert found is not None
    assert (found.step, found.outcome) == ("retrain check", outcome)
    outcome = jobs.plan_round(loop_project.context, loop_project.id)
    found = read_last_check(loop_project.model_dir)
    assert found is not None
    assert (found.step, found.outcome) == ("round planning", outcome)
    written = loop_project.model_dir / "last-check.json"
    written.write_text(json.dumps({"at": found.at, "outcome": "of an earlier version of helioloop"}))
    found = read_last_check(loop_project.model_dir)
    assert found is not None
    assert found.step == "retrain check"


@pytest.mark.usefixtures("corrected")
def test_a_worker_of_the_role_train_runs_the_job(loop_project: LoopProject) -> None:
    """And then the round that it starts."""
    work(loop_project, messages.QUEUE_TRAIN)
    assert loop_project.job(f"plan-round-{loop_project.id}").get_status() is JobStatus.FINISHED
    assert loop_project.registry.versions() == ["v0001", "v0002"]


@pytest.mark.usefixtures("corrected")
def test_progress_is_reported_while_cubes_are_prepared(loop_project: LoopProject) -> None:
    """From none to all 24, which are in the cache."""
    state = read_project(loop_project.label_studio, loop_project.id, settings=loop_project.context.settings)
    readable_cubes(state.cubes(), loop_project.context.loader(state.profile), silent)
    reported: list[tuple[int, int]] = []
    plan_round(loop_project.context, loop_project.id, report=lambda done, total, _: reported.append((done, total)))
    assert reported == [(done, len(CUBES)) for done in range(len(CUBES) + 1)]


def test_without_a_request_nothing_is_planned(loop_project: LoopProject, task_data: Data) -> None:
    """A second job of one request finds it settled."""
    loop_project.import_cubes(task_data)
    assert plan(loop_project) == "no round is requested"
    assert loop_project.context.state.running(loop_project.id) is None


# -- cubes ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("corrected")
def test_a_cube_that_cannot_be_read_is_excluded(
    loop_project: LoopProject, task_data: Data, caplog: pytest.LogCaptureFixture
) -> None:
    """The round is planned without it, and the log contains the reason."""
    loop_project.label_studio.import_tasks(
        loop_project.id, [{**task_data["cube00"], "cube": "gone", "sha256": "0" * 64}]
    )
    assert plan(loop_project).startswith("round started")
    running = loop_project.context.state.running(loop_project.id)
    assert running is not None
    planned = Plan.read(Staging(loop_project.model_dir).folder(running.fingerprint))
    assert sorted(cube.name for cube in planned.cubes) == sorted(CUBES)
    assert "cube gone is excluded from the round: " in caplog.text


def test_a_change_that_training_would_not_see_starts_nothing(loop_project: LoopProject, task_data: Data) -> None:
    """The file of a newly verified cube is gone: without the cube the fingerprint is that of the last version."""
    loop_project.import_cubes(task_data)
    version = loop_project.publish()
    (task,) = loop_project.label_studio.import_tasks(
        loop_project.id, [{**task_data["cube00"], "cube": "gone", "sha256": "0" * 64}]
    )
    loop_project.label_studio.annotate(task, "emergence")
    assert loop_project.check() == f"no round: labels, data, recipe and code are those of {version}"
    assert loop_project.context.state.running(loop_project.id) is None
    assert requests(loop_project.context, loop_project.id) == set()
    assert len(read_checked(loop_project.model_dir) or {}) == 1


def test_too_few_cubes_that_can_be_read_fail_the_planning(loop_project: LoopProject, task_data: Data) -> None:
    """Twelve cubes of each class are labelled, but three files of each class have changed, and ten are needed.

    The request stays, so that the job is tried again: the files may be on a disk that comes back.
    """
    changed = {cube: {**task_data[cube], "sha256": f"{k:064x}"} for k, cube in enumerate(CUBES[:6])}
    loop_project.import_cubes(task_data | changed)
    assert check_retraining(loop_project.context, loop_project.id, forced=False).startswith(
        "a round is requested: it is the first round"
    )
    with pytest.raises(TooFewLabels, match=r"6 of 24 cubes cannot be read, .* of the others, 9 cubes are labelled"):
        plan(loop_project)
    assert loop_project.context.state.running(loop_project.id) is None
    assert requests(loop_project.context, loop_project.id) == {"check"}


def away(loop_project: LoopProject, task_data: Data, cubes: Sequence[str], *, release: str = "made") -> None:
    """Have v0001 trained on 24 cubes, of which the files of some are away since, and correct the label of another."""
    elsewhere = {cube: {**task_data[cube], "sha256": f"{k:064x}", "release": release} for k, cube in enumerate(cubes)}
    tasks = loop_project.import_cubes(task_data | elsewhere)
    loop_project.publish()
    loop_project.label_studio.annotate(tasks["cube00"], "emergence")
    loop_project.context.state.add_events(loop_project.id, 1, now=time.time() - SETTLED)


def test_a_round_waits_for_a_release_that_is_away(loop_project: LoopProject, task_data: Data) -> None:
    """Two of 24 cubes are of a release whose folder is gone: no version without them, until somebody asks for one."""
    away(loop_project, task_data, CUBES[1:3], release="unmounted")
    check_retraining(loop_project.context, loop_project.id, forced=False)
    with pytest.raises(CubesAway, match=r"2 of 24 cubes that v0001 was trained on cannot be read.* release unmounted;"):
        plan(loop_project)
    assert requests(loop_project.context, loop_project.id) == {"check"}
    assert may_pass(CubesAway(""))

    press_start_training(loop_project)
    assert plan(loop_project) == 'round started: somebody pressed "Start training"'


def test_a_round_waits_where_many_cubes_cannot_be_read(loop_project: LoopProject, task_data: Data) -> None:
    """Three of 24 are more than a tenth: a disk that is away, though the folder is there."""
    away(loop_project, task_data, CUBES[1:4])
    check_retraining(loop_project.context, loop_project.id, forced=False)
    with pytest.raises(CubesAway, match=r"3 of 24 cubes that v0001 was trained on cannot be read now"):
        plan(loop_project)


def test_a_round_goes_on_without_a_few_damaged_files(loop_project: LoopProject, task_data: Data) -> None:
    """Two of 24 cubes, under a tenth, of a release that is there."""
    away(loop_project, task_data, CUBES[1:3])
    check_retraining(loop_project.context, loop_project.id, forced=False)
    assert plan(loop_project).startswith("round started")


# -- broken off -----------------------------------------------------------------------------------


def stop_at(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have planning killed at one of its steps."""

    def killed(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(*{
        "read": (planning, "read_project", killed),
        "prepare": (Loader, "is_kept", killed),
        "plan": (planning, "make_plan", killed),
        "start": (rounds, "start", killed),
    }[place])  # fmt: skip


@pytest.mark.parametrize("place", ["read", "prepare", "plan", "start"])
@pytest.mark.parametrize("redis_is_emptied", [False, True], ids=["killed", "killed and Redis emptied"])
def test_planning_that_was_killed_is_repeated(
    loop_project: LoopProject, corrected: str, place: str, redis_is_emptied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is settled; reconciliation sends the job again, and that starts the round."""
    with monkeypatch.context() as broken:
        stop_at(place, broken)
        with pytest.raises(KeyboardInterrupt):
            plan(loop_project)
    assert nothing_is_settled(loop_project)
    if redis_is_emptied:
        loop_project.context.connection.flushall()
    else:
        loop_project.clear_queues()
        assert loop_project.context.state.pending_events(loop_project.id) is not None
    assert LOST in reconcile(loop_project.context, loop_project.id).done
    assert loop_project.queued().count(f"plan-round-{loop_project.id}") == 1
    assert LOST not in reconcile(loop_project.context, loop_project.id).done
    assert plan(loop_project) == f"round started: {corrected}"
    assert requests(loop_project.context, loop_project.id) == set()


def test_a_full_disk_loses_no_request(
    loop_project: LoopProject, corrected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan cannot be written: what was read does not count as checked."""

    def fails(*_: object, **__: object) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(rounds, "start", fails)
        with pytest.raises(OSError, match="No space"):
            plan(loop_project)
    assert nothing_is_settled(loop_project)
    assert plan(loop_project) == f"round started: {corrected}"


@pytest.mark.usefixtures("corrected")
def test_planning_killed_after_the_round_began_loses_nothing(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round goes on; the request that was left becomes a follow-up run, which finds nothing new."""
    with monkeypatch.context() as killed:
        killed.setattr(planning, "complete_check", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            plan(loop_project)
    running = loop_project.context.state.running(loop_project.id)
    assert running is not None
    loop_project.clear_queues()
    assert LOST in reconcile(loop_project.context, loop_project.id).done
    assert plan(loop_project) == "a round runs; the next check follows it"
    assert requests(loop_project.context, loop_project.id) == set()
    assert loop_project.context.state.end(loop_project.id, running.fingerprint) == FollowUp(forced=False)


def test_a_failed_job_is_sent_again(loop_project: LoopProject, corrected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By reconciliation, for the end of its pause; a job that waits or runs is not sent twice."""
    assert corrected
    with monkeypatch.context() as broken:
        broken.setattr(planning, "make_plan", lambda *_, **__: 1 / 0)
        work(loop_project, messages.QUEUE_TRAIN)
    assert loop_project.job(f"plan-round-{loop_project.id}").get_status() is JobStatus.FAILED
    assert reconcile(loop_project.context, loop_project.id).done[0] == LOST
    assert loop_project.job(f"plan-round-{loop_project.id}").get_status() is JobStatus.SCHEDULED
    assert LOST not in reconcile(loop_project.context, loop_project.id).done


# -- "Start training" -----------------------------------------------------------------------------


def test_a_forced_request_outlives_a_kill_and_an_emptied_redis(
    loop_project: LoopProject, task_data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No label has changed: only a forced round can start."""
    loop_project.import_cubes(task_data)
    loop_project.publish()
    press_start_training(loop_project)
    with monkeypatch.context() as broken:
        stop_at("prepare", broken)
        with pytest.raises(KeyboardInterrupt):
            plan(loop_project)
    loop_project.context.connection.flushall()
    assert LOST in reconcile(loop_project.context, loop_project.id).done
    assert plan(loop_project) == 'round started: somebody pressed "Start training"'


@pytest.mark.usefixtures("corrected")
def test_start_training_joins_a_round_that_is_not_planned_yet(loop_project: LoopProject) -> None:
    """One job waits for both requests, and one round starts."""
    press_start_training(loop_project)
    assert loop_project.queued() == [f"plan-round-{loop_project.id}"]
    assert plan(loop_project) == 'round started: somebody pressed "Start training"'
    assert requests(loop_project.context, loop_project.id) == set()


def meanwhile(monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]) -> None:
    """Do something once, while planning prepares the cubes."""
    whole, pending = Loader.is_kept, [action]

    def loads(loader: Loader, cube: CubeInfo) -> Any:
        while pending:
            pending.pop()()
        return whole(loader, cube)

    monkeypatch.setattr(Loader, "is_kept", loads)


def add_events(loop_project: LoopProject) -> None:
    """Add three events."""
    loop_project.context.state.add_events(loop_project.id, 3, now=time.time())


def begin_other_round(loop_project: LoopProject) -> None:
    """Begin another round."""
    assert loop_project.context.state.begin(loop_project.id, "ab" * 32, now=time.time())


@pytest.mark.usefixtures("corrected")
def test_start_training_during_planning_is_a_follow_up_run(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The labels of the round were read before it was pressed, and the request stays until that round has ended."""
    meanwhile(monkeypatch, lambda: press_start_training(loop_project))
    assert plan(loop_project) == "a round runs; the next check follows it"
    running = loop_project.context.state.running(loop_project.id)
    assert running is not None
    assert requests(loop_project.context, loop_project.id) == {"forced"}
    assert loop_project.context.state.end(loop_project.id, running.fingerprint) == FollowUp(forced=True)


def test_events_during_planning_stay(
    loop_project: LoopProject, corrected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only events from before the annotations were read are settled; the others get a check."""
    loop_project.clear_queues()
    meanwhile(monkeypatch, lambda: add_events(loop_project))
    assert plan(loop_project) == f"round started: {corrected}"
    left = loop_project.context.state.pending_events(loop_project.id)
    assert left is not None
    assert left.count == 3
    assert f"retrain-check-{loop_project.id}" in [*loop_project.queued(), *loop_project.scheduled()]


# -- beside other rounds --------------------------------------------------------------------------


@pytest.mark.usefixtures("corrected")
def test_a_round_that_began_meanwhile_is_followed(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process was faster: this request becomes a follow-up run, and its annotations are read again then."""
    meanwhile(monkeypatch, lambda: begin_other_round(loop_project))
    assert plan(loop_project) == "a round runs; the next check follows it"
    assert read_checked(loop_project.model_dir) == {}
    assert loop_project.context.state.pending_events(loop_project.id) is not None
    assert loop_project.context.state.end(loop_project.id, "ab" * 32) == FollowUp(forced=False)
    assert not any(job.startswith("member") for job in loop_project.queued())


def test_a_round_that_a_command_makes_is_planned_later(loop_project: LoopProject, corrected: str) -> None:
    """`helioloop train` works in the folder of the same round; the request stays until it has ended."""
    with Staging(loop_project.model_dir).locked(loop_project.plan().fingerprint):
        assert "`helioloop train`, makes this round now" in plan(loop_project)
        assert nothing_is_settled(loop_project)
    assert plan(loop_project) == f"round started: {corrected}"


@pytest.mark.usefixtures("corrected")
def test_orphans_wait_for_a_round_that_is_being_planned(loop_project: LoopProject) -> None:
    """Planning resumes or discards the folder that a lost round left."""
    loop_project.registry.staging("ab" * 32)
    assert rounds.resume(loop_project.context, loop_project.id) is None
    assert plan(loop_project).startswith("round started")
    assert "ab" * 32 not in Staging(loop_project.model_dir).fingerprints()
