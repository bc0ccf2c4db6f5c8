"""Worker processes: what the training role leaves to its forked jobs, and how long the scoring role keeps members."""

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rq import SimpleWorker, Worker
from tests.worker.conftest import CUBES, LoopProject, score_of, work

from helioloop.errors import ServiceError
from helioloop.logs import start_logging
from helioloop.messaging import job_monitor, messages, queues, redis_client
from helioloop.messaging.job_failures import JobFailures
from helioloop.messaging.roles import ROLE_QUEUES, Role
from helioloop.model import ensemble, member_weights
from helioloop.model.members import train_member
from helioloop.progress import silent
from helioloop.workflows import rounds as rounding
from helioloop_worker import jobs
from helioloop_worker.serving import worker_process
from helioloop_worker.serving.described_worker import DescribedWorker
from helioloop_worker.serving.forks import signals_wait
from helioloop_worker.serving.role_workers import ScoringWorker, TrainingWorker
from helioloop_worker.serving.worker_process import run

Data = dict[str, dict[str, str]]

LATER = CUBES[-2:]
"""Two cubes that the published version has no score of."""


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """A worker that runs in this process leaves its signal handlers behind."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


# -- the training role ----------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_the_training_role_initialises_no_cuda_before_a_fork(
    loop_project: LoopProject, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on a machine with CUDA nor without: the device is chosen, and members are loaded, by the jobs alone."""

    def initialises(*_: Any) -> None:
        raise AssertionError("CUDA was initialised in the process that forks")

    worked: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "_lazy_init", initialises)
    monkeypatch.setattr(torch._C, "_cuda_init", initialises, raising=False)

    def works(self: TrainingWorker, **_: Any) -> None:
        worked.append(type(self).__name__)
        self._stop_requested = True

    monkeypatch.setattr(TrainingWorker, "work", works)
    context = replace(
        loop_project.context, settings=loop_project.context.settings.model_copy(update={"device": device})
    )
    run("train", context)
    assert worked == ["TrainingWorker"]
    assert {"device", "ensembles"}.isdisjoint(vars(context))


def test_the_roles_differ_in_who_runs_the_job() -> None:
    """The training worker forks, the scoring worker does not."""
    forks, does_not = (super(DescribedWorker, kind).execute_job for kind in (TrainingWorker, ScoringWorker))
    assert forks is Worker.execute_job
    assert does_not is SimpleWorker.execute_job
    assert ROLE_QUEUES["train"] == ("helioloop-train",)


def test_a_function_that_is_not_a_job_of_helioloop_is_not_run(loop_project: LoopProject, tmp_path: Path) -> None:
    """Whatever stands in Redis: here a job that would create a file."""
    target = queues.queue(loop_project.context.connection, messages.QUEUE_SCORE)
    job = target.enqueue("pathlib.Path.touch", kwargs={"self": str(tmp_path / "made")}, job_id="foreign")
    work(loop_project)
    assert "is not a job of helioloop; it was not run" in job_monitor.failure(job)
    assert list(tmp_path.glob("made")) == []


def test_lines_of_a_job_have_its_project_and_id(
    loop_project: LoopProject, task_data: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also lines of other modules that the job runs through; a job that fails leaves no field behind."""
    loop_project.import_cubes(task_data)
    start_logging(loop_project.context.settings.model_copy(update={"log_format": "json"}), process="worker")
    message = messages.RetrainCheck(project=loop_project.id)
    queues.send(loop_project.context.connection, message)
    target = queues.queue(loop_project.context.connection, messages.QUEUE_SCORE)
    target.enqueue("pathlib.Path.touch", kwargs={"self": "/made"}, job_id="foreign")
    work(loop_project)
    logging.getLogger("helioloop_worker.after").info("after")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    of_job = [line for line in lines if line.get("job") == message.job_id]
    assert [line["project"] for line in of_job] == [loop_project.id] * len(of_job)
    assert "helioloop_worker.jobs" in {line["logger"] for line in of_job}
    assert any(line["message"].startswith("job check_retraining is done after ") for line in of_job)
    [after] = [line for line in lines if line["message"] == "after"]
    assert "job" not in after


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ("train", messages.PlanRound(project=1)),
        ("train", messages.Ingest(project=1, release="r")),
        ("score", messages.WriteBack(project=1, version="v0001")),
    ],
    ids=["planning", "ingestion", "write-back"],
)
def test_a_job_that_failed_is_run_once_its_pause_is_over(
    loop_project: LoopProject, role: Role, message: messages.Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a worker of its role alone: the job was sent in its pause, thus scheduled, and nobody sends it again."""
    connection = loop_project.context.connection
    known = JobFailures(connection).fail(
        1, message.failure_key, "Label Studio is down", limit=4, may_pass=True, reconcile_seconds=1.0
    )
    assert known.next_at > time.time()
    assert queues.send(connection, message)
    assert loop_project.scheduled() == [message.job_id]
    this_process = os.getpid()

    def ends(*_: Any, **__: Any) -> None:
        connection.set("ran", 1)
        os.kill(this_process, signal.SIGTERM)

    monkeypatch.setitem(jobs.FUNCTIONS, message.job, ends)  # type: ignore[arg-type]
    run_until_stopped(role, loop_project)
    assert connection.get("ran") == b"1"
    assert loop_project.scheduled() == []


def run_until_stopped(role: Role, loop_project: LoopProject, *, seconds: float = 60.0) -> None:
    """Run a worker in this process, with rq's scheduler, until a job stops it, or this long after it listens."""
    ended = threading.Event()

    def stops() -> None:
        before = signal.getsignal(signal.SIGTERM)
        while signal.getsignal(signal.SIGTERM) is before and not ended.wait(0.1):
            pass  # it does not listen yet: the signal would end all tests
        if not ended.wait(seconds):
            os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stops)
    stopper.start()
    try:
        run(role, loop_project.context)
    finally:
        ended.set()
        stopper.join()


# -- the scoring role -----------------------------------------------------------------------------


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose members were loaded, in order; each folder of two members is there twice."""
    folders: list[Path] = []
    whole = member_weights.load_member

    def counts(plan: Any, member: Any, folder: Path) -> Any:
        folders.append(folder)
        return whole(plan, member, folder)

    monkeypatch.setattr(member_weights, "load_member", counts)
    return folders


@pytest.fixture
def publish(loop_project: LoopProject, task_data: Data, loaded: list[Path]) -> Callable[[], str]:
    """Train two members of one epoch on a project of 24 cubes and publish them, with scores of all but `LATER`."""
    loop_project.import_cubes(task_data)

    def train() -> str:
        plan = loop_project.plan()
        staging = loop_project.registry.staging(plan.fingerprint)
        plan.save(staging)
        runtime = loop_project.context.runtime(loop_project.id, silent)
        for member in plan.members:
            train_member(plan, member.name, staging, runtime)
        ensemble.keep_growth_odds(plan, staging, runtime)
        scores = [score_of(cube.name, cube.sha256, 0.75) for cube in plan.cubes if cube.name not in LATER]
        version = rounding.close_round(plan, staging, loop_project.registry, scores).version
        loop_project.registry.publish(version, why="test")
        loaded.clear()
        return version

    return train


def score(loop_project: LoopProject, version: str, cube: str) -> None:
    """Have a worker of the role score run one scoring job."""
    message = messages.Score(project=loop_project.id, version=version, cubes=(loop_project.read().tasks[cube].cube,))
    queues.send(loop_project.context.connection, message)
    work(loop_project, messages.QUEUE_SCORE)
    assert loop_project.job(message.job_id).return_value() == 1


def test_two_scoring_jobs_of_one_process_load_the_members_once(
    loop_project: LoopProject, publish: Callable[[], str], loaded: list[Path]
) -> None:
    """The second one finds them loaded."""
    version = publish()
    for cube in LATER:
        score(loop_project, version, cube)
    assert loaded == [loop_project.registry.folder(version)] * 2


def test_the_members_of_a_later_version_are_loaded(
    loop_project: LoopProject, publish: Callable[[], str], loaded: list[Path]
) -> None:
    """And those of the first stay loaded, for a rollback."""
    first = publish()
    score(loop_project, first, LATER[0])
    second = publish()
    score(loop_project, second, LATER[0])
    assert loaded == [loop_project.registry.folder(second)] * 2
    loop_project.registry.publish(first, why="rollback")
    score(loop_project, first, LATER[1])
    assert loaded == [loop_project.registry.folder(second)] * 2


def test_members_that_replace_others_in_one_folder_are_loaded(
    loop_project: LoopProject, publish: Callable[[], str], loaded: list[Path]
) -> None:
    """Somebody restored the version's folder from a backup: its plan file is another one."""
    version = publish()
    score(loop_project, version, LATER[0])
    folder = loop_project.registry.folder(version)
    aside = folder.with_name("restored")
    aside.mkdir()
    for path in folder.iterdir():
        if path.is_file():
            (aside / path.name).write_bytes(path.read_bytes())
            (aside / path.name).replace(path)
    loaded.clear()
    score(loop_project, version, LATER[1])
    assert loaded == [folder] * 2


# -- ends -----------------------------------------------------------------------------------------


@pytest.fixture
def stopped_as_it_is_forked(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that this one forks gets SIGTERM before its first line; one that leaves its own code writes it down."""
    this_process, fork, address = os.getpid(), os.fork, loop_project.context.settings

    def forks() -> int:
        child = fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return child

    monkeypatch.setattr(os, "fork", forks)
    yield
    if os.getpid() != this_process:
        redis_client.connect(address).set("returned from the fork", 1)
        os._exit(1)


@pytest.mark.parametrize("role", ["train", "score"])
def test_a_worker_that_rq_ends_because_of_an_error_fails(
    loop_project: LoopProject, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rq logs the error and returns, as after SIGTERM; a supervisor sees only the status of the process."""

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault of rq")

    monkeypatch.setattr(DescribedWorker, "dequeue_job_and_maintain_ttl", fails, raising=False)
    with pytest.raises(ServiceError, match=f"the worker with role {role} ended because of an error"):
        run(role, loop_project.context)


@pytest.mark.usefixtures("stopped_as_it_is_forked")
def test_a_job_whose_process_is_stopped_as_it_is_forked_fails_and_the_worker_goes_on(loop_project: LoopProject) -> None:
    """The process ends by the signal; with the worker's handlers it would have left the worker's loop."""
    connection = loop_project.context.connection
    message = messages.PlanRound(project=loop_project.id)
    queues.send(connection, message)
    forking = worker_process.make_worker("train", loop_project.context, "cpu")
    forking.work(burst=True, logging_level="CRITICAL")
    assert connection.get("returned from the fork") is None
    assert f"signal {int(signal.SIGTERM)}" in job_monitor.failure(loop_project.job(message.job_id))


@pytest.mark.usefixtures("stopped_as_it_is_forked")
def test_a_scheduler_that_is_stopped_as_it_is_forked_ends(loop_project: LoopProject) -> None:
    """By the first signal, and with the system's action instead of the handlers of the worker."""
    stopped = worker_process.make_worker("score", loop_project.context, "cpu")
    stopped._install_signal_handlers()
    stopped._start_scheduler(logging_level="CRITICAL")
    process = stopped.scheduler._process
    process.join(timeout=30)
    assert loop_project.context.connection.get("returned from the fork") is None
    assert process.exitcode == -signal.SIGTERM


def test_a_worker_that_stops_right_after_its_start_stops_its_scheduler(loop_project: LoopProject) -> None:
    """One signal is enough, which comes before the scheduler has its own handlers."""
    stopped = worker_process.make_worker("score", loop_project.context, "cpu")
    stopped._start_scheduler(logging_level="CRITICAL")
    stopped.stop_scheduler()
    assert not stopped.scheduler._process.is_alive()


def test_signals_that_come_while_a_worker_forks_reach_its_handler() -> None:
    """Also one that another thread receives: the handler stays, the system's action would end the worker."""
    came: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    waiting = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    forks = threading.Event()
    other = threading.Thread(target=lambda: forks.wait() and signal.pthread_kill(threading.get_ident(), signal.SIGTERM))
    other.start()
    with signals_wait():
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        assert came == []
    assert came == [signal.SIGTERM]
    with signals_wait():
        forks.set()
        other.join()
    assert came == [signal.SIGTERM] * 2
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == waiting


def test_a_worker_that_loses_redis_connects_again(loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """rq ends its loop; the first attempt to connect fails, with the next one the worker goes on."""
    answers = iter([False])
    rounds: list[int] = []

    def ends(self: TrainingWorker, **_: Any) -> None:
        rounds.append(1)
        self._stop_requested = len(rounds) > 1

    monkeypatch.setattr(TrainingWorker, "work", ends)
    monkeypatch.setattr(worker_process, "_answers", lambda _: next(answers))
    monkeypatch.setattr(worker_process, "RETRY_SECONDS", 0.0)
    run("train", loop_project.context)
    assert len(rounds) == 2


def test_a_worker_whose_redis_takes_no_writes_says_so_and_goes_on_when_it_does(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a replica does until it is made the master; the connection was not lost, as its log said."""
    connection = loop_project.context.connection
    monkeypatch.setattr(worker_process, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(DescribedWorker, "max_connection_wait_time", 0.1)
    queues.send(connection, messages.RetrainCheck(project=1))
    this_process = os.getpid()

    def ends(*_: Any, **__: Any) -> None:
        os.kill(this_process, signal.SIGTERM)

    def becomes_master() -> None:
        while "takes no writes" not in caplog.text:
            time.sleep(0.05)
        connection.execute_command("REPLICAOF", "NO", "ONE")

    monkeypatch.setitem(jobs.FUNCTIONS, messages.RetrainCheck.job, ends)
    connection.execute_command("REPLICAOF", "127.0.0.1", "1")
    other = threading.Thread(target=becomes_master, daemon=True)
    other.start()
    try:
        run_until_stopped("score", loop_project)
    finally:
        connection.execute_command("REPLICAOF", "NO", "ONE")
        other.join(timeout=10)
    assert "is a replica, which takes no writes; set REDIS_URL to the Redis that it copies" in caplog.text
    assert "was lost" not in caplog.text


def test_a_worker_whose_user_of_redis_may_not_use_channels_works(
    loop_project: LoopProject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A new user of Redis 7 may not. One line says what is missing; it was the traceback of a thread."""
    connection, settings = loop_project.context.connection, loop_project.context.settings
    connection.execute_command("ACL", "SETUSER", "limited", "on", ">hunter2", "~*", "resetchannels", "+@all")
    limited = settings.redis_url.replace("unix://", "unix://limited:hunter2@")
    monkeypatch.setitem(settings.__dict__, "redis_url", limited)
    queues.send(connection, messages.RetrainCheck(project=1))
    this_process = os.getpid()

    def ends(*_: Any, **__: Any) -> None:
        while "hears no commands of rq" not in caplog.text:
            time.sleep(0.05)
        os.kill(this_process, signal.SIGTERM)

    monkeypatch.setitem(jobs.FUNCTIONS, messages.RetrainCheck.job, ends)
    try:
        run_until_stopped("score", loop_project)
    finally:
        connection.execute_command("ACL", "DELUSER", "limited")
    assert "what helioloop needs on its channels; give that user all commands" in caplog.text
    assert "Traceback" not in caplog.text
