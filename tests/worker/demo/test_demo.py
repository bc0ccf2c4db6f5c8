"""What the demo refuses before it starts anything, and that nothing of an earlier demo is left running."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import click
import psutil
import pytest
import redis
from rq import Worker

from helioloop.errors import ReleaseError, ServiceError, WrongUsage
from helioloop.files.lease import holding
from helioloop.messaging.served_root import KEY
from helioloop_worker.commands import services
from helioloop_worker.demo import leftovers
from helioloop_worker.demo.demo import LOCK, Demo, _terminable, run
from helioloop_worker.demo.process import Service
from helioloop_worker.demo.services import DemoServices, Programs, _takes_jobs

SLEEP = "import time; time.sleep(60)"
PARENT = f"""
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "{SLEEP}"]).pid, flush=True)
{SLEEP}
"""


def demo(folder: Path, *, own: Path | None = None) -> Demo:
    """A demo that fails where it starts a program."""
    programs = Programs(backend=Path("/no"), worker=Path("/no"), label_studio=Path("/no"))
    return Demo(
        folder=folder, n=40, seed=1, own=own, exit_when_ready=True, programs=programs, redis_url="redis://127.0.0.1:1/0"
    )


def test_a_second_demo_in_a_folder_is_refused(tmp_path: Path) -> None:
    """Two would share a database and a model folder; the settings of the first one stay as they are."""
    (tmp_path / "helioloop.env").write_text("the first one's")
    with holding(tmp_path / LOCK) as held:
        assert held
        with pytest.raises(WrongUsage, match=f"a demo runs in {tmp_path} already; stop it with Ctrl-C"):
            run(demo(tmp_path))
    assert (tmp_path / "helioloop.env").read_text() == "the first one's"


def test_a_release_that_cannot_be_imported_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    """No table, the name of the demo's release, another profile: users learnt it after minutes."""
    folder, own = tmp_path / "demo", tmp_path / "own"
    own.mkdir()
    with pytest.raises(ReleaseError, match=r"own/labels\.csv"):
        run(demo(folder, own=own))
    (own / "labels.csv").write_text("cube,label,verified\na,emergence,0\n")
    with pytest.raises(ReleaseError, match="contains no cube"):
        run(demo(folder, own=own))
    (own / "a.fits").write_bytes(b"")
    (own / "release.toml").write_text('profile = "hmi"\n')
    with pytest.raises(WrongUsage, match=r"has the profile 'hmi' \(.*'HMI' instead of 'MDI'"):
        run(demo(folder, own=own))
    (tmp_path / "synthetic").mkdir()
    with pytest.raises(WrongUsage, match="rename the folder"):
        run(demo(folder, own=tmp_path / "synthetic"))
    assert not folder.exists()


def test_a_demo_whose_folder_was_deleted_is_told_at_once_to_take_another_database(
    tmp_path: Path, redis_url: str, redis_connection: redis.Redis
) -> None:
    """The Redis that was given serves the deleted folder; minutes later its workers would be refused.

    In another database it goes on, to the program of Label Studio, which is not there.
    """
    again, elsewhere = (replace(demo(tmp_path), redis_url=url) for url in (redis_url, f"{redis_url}?db=1"))
    with pytest.raises(FileNotFoundError):
        run(again)
    assert redis_connection.exists(KEY)
    shutil.rmtree(tmp_path)
    with pytest.raises(
        ServiceError, match=r"Redis database of its own \(.*such as …/1\).*REDIS_URL is what --redis-url"
    ):
        run(again)
    with pytest.raises(FileNotFoundError):
        run(elsewhere)


def test_services_that_a_killed_demo_left_running_are_stopped_with_their_children(tmp_path: Path) -> None:
    """Only those whose process is the noted one: the system gives numbers of processes again."""
    service = Service.start(
        "worker", [sys.executable, "-c", PARENT], environment={}, folder=tmp_path, log=tmp_path / "worker.log"
    )
    other = subprocess.Popen([sys.executable, "-c", SLEEP])
    while not service.tail():
        time.sleep(0.05)
    grandchild = psutil.Process(int(service.tail()))
    leftovers.note(tmp_path, "worker", service.process.pid)
    leftovers.note(tmp_path, "other", other.pid)
    notes = json.loads((tmp_path / leftovers.NOTES).read_text())
    notes["other"][1] -= 3600.0
    (tmp_path / leftovers.NOTES).write_text(json.dumps(notes))
    try:
        assert leftovers.stop_leftovers(tmp_path) == ["worker"]
        assert not service.alive()
        assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE
        assert other.poll() is None
        assert leftovers.stop_leftovers(tmp_path) == []
    finally:
        other.kill()
        other.wait()
        service.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_ends_the_demo_as_ctrl_c_does(number: signal.Signals) -> None:
    """Otherwise its services would run on, with nobody to stop them; under nohup it runs on."""
    before = signal.signal(number, signal.SIG_DFL)  # the tests themselves may run under nohup
    try:
        with pytest.raises(KeyboardInterrupt), _terminable():
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN)
        with _terminable():
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)


def test_a_shell_that_has_read_the_settings_of_a_demo_can_start_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """REDIS_URL names the first one's Redis there, which has ended, or that of a deployment."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    arguments = ["--backend-python", sys.executable, "--label-studio", sys.executable]
    assert services.demo.make_context("demo", list(arguments)).params["redis_url"] is None
    with pytest.raises(click.BadParameter, match="not in the range x>=0"):
        services.demo.make_context("demo", [*arguments, "--seed", "-1"])


def test_a_service_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    """The demo looks every two seconds, and names it with the end of its log."""
    programs = Programs(backend=Path("/no"), worker=Path("/no"), label_studio=Path("/no"))
    stack = DemoServices(tmp_path, programs=programs, release_roots=[], environment={})
    for name, code in (("worker-score", SLEEP), ("worker-train-1", "raise SystemExit('out of memory')")):
        stack.services[name] = Service.start(
            name, [sys.executable, "-c", code], environment={}, folder=tmp_path, log=tmp_path / f"{name}.log"
        )
    with stack:
        stack.services["worker-train-1"].process.wait(timeout=20)
        assert [(service.name, service.tail()) for service in stack.ended()] == [("worker-train-1", "out of memory")]


def test_a_worker_is_ready_when_it_is_registered(redis_url: str) -> None:
    """Its process runs for a while before: loading PyTorch takes up to minutes at the first time."""
    connection = redis.Redis.from_url(redis_url)
    assert not _takes_jobs(connection, os.getpid())
    worker = Worker(["helioloop-train"], connection=connection, prepare_for_work=True)
    worker.register_birth()
    assert _takes_jobs(connection, os.getpid())
    worker.register_death()
    assert not _takes_jobs(connection, os.getpid())
    connection.close()
