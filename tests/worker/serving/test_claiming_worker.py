"""Two deployments with one Redis: workers and commands of the second are refused, so that no job goes astray."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from rq import Worker
from tests.worker.conftest import CUBES, LoopProject, work
from tests.worker.shell import run_one_of

from helioloop.errors import ServiceError
from helioloop.messaging import messages, queues
from helioloop.messaging.roles import FOLDER_FIELD, ROLE_QUEUES, ROOT_FIELD, Role
from helioloop.messaging.served_root import claim_redis, read_served_root
from helioloop.registry.root_identity import make_root_identity, read_root_identity
from helioloop.settings import Settings
from helioloop_worker import jobs
from helioloop_worker.commands import ingest, learning, project, retry
from helioloop_worker.context import Context
from helioloop_worker.own_redis import open_redis
from helioloop_worker.serving.worker_process import make_worker, run

THEIRS = "b" * 16


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """A worker that runs in this process leaves its signal handlers behind."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def production(loop_project: LoopProject) -> LoopProject:
    """A deployment whose Redis is claimed, as its first worker does."""
    settings = loop_project.context.settings
    claim_redis(loop_project.context.connection, settings, make_root_identity(settings.model_root))
    return loop_project


@pytest.fixture
def second(production: LoopProject, tmp_path: Path) -> Settings:
    """The settings of a second deployment with the same Redis, whose model root is not made yet."""
    return production.context.settings.model_copy(update={"model_root": tmp_path / "elsewhere" / "models"})


def claim_for_others(connection: redis.Redis, settings: Settings, folder: Path) -> None:
    """Have Redis serve another model root, as after it was emptied and another worker came first."""
    connection.delete("helioloop:model-root")
    claim_redis(connection, settings.model_copy(update={"model_root": folder}), THEIRS)


@pytest.mark.parametrize("role", ["train", "score"])
def test_a_worker_of_another_model_root_does_not_start(production: LoopProject, second: Settings, role: Role) -> None:
    """It names both folders; the job of production waits for production's worker, and none of the second serves it."""
    connection = production.context.connection
    queues.send(connection, messages.Ingest(project=production.id, release="made"))
    with pytest.raises(ServiceError) as refused:
        run(role, Context(second))
    assert str(production.context.settings.model_root) in str(refused.value)
    assert str(second.model_root) in str(refused.value)
    assert Worker.all(connection=connection) == []
    work(production, *ROLE_QUEUES["train"])
    assert len(production.label_studio.tasks(production.id)) == len(CUBES)


def test_a_worker_whose_redis_came_to_serve_another_model_root_ends_before_its_next_job(
    production: LoopProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis was emptied while a job ran, and another deployment claimed it; the job after that is left to the other."""
    connection, settings = production.context.connection, production.context.settings
    ran: list[int] = []

    def is_overtaken(_: Context, project: int) -> None:
        ran.append(project)
        claim_for_others(connection, settings, tmp_path / "theirs")

    monkeypatch.setitem(jobs.FUNCTIONS, messages.Reconcile.job, is_overtaken)  # type: ignore[arg-type]
    queues.send(connection, messages.Reconcile(project=1))
    queues.send(connection, messages.Reconcile(project=2))
    with pytest.raises(ServiceError, match="theirs"):
        run("score", production.context)
    assert ran == [1]
    assert production.queued() == ["reconcile-2"]
    assert Worker.all(connection=connection) == []


def test_an_idle_worker_claims_a_redis_that_was_emptied(
    production: LoopProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first job that somebody sends then."""
    connection = production.context.connection
    found: list[str] = []

    def look(context: Context, project: int) -> None:  # noqa: ARG001 - the arguments of a job
        held = read_served_root(connection)
        found.append("" if held is None else held.identity)

    monkeypatch.setitem(jobs.FUNCTIONS, messages.Reconcile.job, look)  # type: ignore[arg-type]
    identity = read_root_identity(production.context.settings.model_root)
    serving = make_worker("score", production.context, "cpu", identity)
    connection.flushdb()
    queues.send(connection, messages.Reconcile(project=1))
    serving.work(burst=True, logging_level="CRITICAL")
    assert found == [identity]


def test_a_worker_states_its_model_root_with_each_heartbeat(production: LoopProject) -> None:
    """The absolute folder, also where the setting is a relative one."""
    connection, settings = production.context.connection, production.context.settings
    serving = make_worker("train", production.context, "cpu", read_root_identity(settings.model_root))
    serving.register_birth()
    serving.heartbeat()
    assert connection.hmget(serving.key, ROOT_FIELD, FOLDER_FIELD) == [
        str(read_root_identity(settings.model_root)).encode(),
        str(settings.model_root.absolute()).encode(),
    ]
    serving.register_death()


def test_a_worker_logs_where_its_model_folders_are(
    production: LoopProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The default is relative, so it depends on the folder in which the worker was started."""
    monkeypatch.chdir(tmp_path)
    settings = production.context.settings.model_copy(update={"model_root": Path("helioloop-data/models")})
    caplog.set_level("INFO")
    with pytest.raises(ServiceError):
        run("train", Context(settings))
    assert f"model folders are in {tmp_path}/helioloop-data/models" in caplog.text


def test_commands_that_send_jobs_refuse_a_redis_of_another_model_root(
    production: LoopProject, second: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is queued, so nothing is imported into the wrong project or put back in it."""
    (second.model_root / "project-1").mkdir(parents=True)
    for module in (learning, project, retry, ingest):
        monkeypatch.setattr(module, "load_settings", lambda: second)
    release = second.release_roots[0] / "made"
    for words in (["ingest", release, "--project", 1], ["retry", "--project", 1]):
        refused = run_one_of([*project.commands(), retry.retry], *words)
        assert refused.exit_code == ServiceError.exit_code, refused.output
        assert "serves another model folder" in " ".join(refused.output.split())
    with pytest.raises(ServiceError, match="serves another model folder"):
        learning._write_back(1, "v0001")
    with pytest.raises(ServiceError, match="serves another model folder"):
        Context(second).connection.ping()
    assert production.queued() == []
    open_redis(production.context.settings).close()  # production's own are not refused


def test_init_of_a_second_deployment_is_refused_before_it_changes_the_project(
    production: LoopProject, second: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take backend and webhook of the first one away; Label Studio is not even asked, as it does not run."""
    given = second.model_copy(update={"label_studio_url": "http://127.0.0.1:9"})
    monkeypatch.setattr(project, "load_settings", lambda: given)
    refused = run_one_of(project.commands(), "init", "--api-key", "t", "--project", production.id)
    assert refused.exit_code == ServiceError.exit_code
    assert "serves another model folder" in " ".join(refused.output.split())
