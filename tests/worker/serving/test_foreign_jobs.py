"""Jobs that somebody else wrote into Redis: real worker processes run none of them, import nothing and live on."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
import redis
from rq.job import JobStatus
from tests.worker.conftest import LoopProject

from helioloop.messaging import job_monitor, messages, queues
from helioloop.messaging.messages import RetrainCheck

WAIT_SECONDS = 90.0
KNOWN = RetrainCheck.job


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def write(connection: redis.Redis, queue: str, name: str, data: bytes, **fields: bytes | str) -> None:
    """Write a job into Redis as somebody with any client can."""
    now = "2026-01-01T00:00:00.000000Z"
    job = {"data": zlib.compress(data), "created_at": now, "enqueued_at": now, "origin": queue, "status": "queued"}
    connection.hset(f"rq:job:{name}", mapping={**job, **fields})
    connection.rpush(f"rq:queue:{queue}", name)


def foreign_jobs(connection: redis.Redis, queue: str, folder: Path) -> list[str]:
    """Write all kinds of foreign jobs into a queue, each of which would make a folder; return their names."""
    made = 0

    def place() -> Path:
        nonlocal made
        made += 1
        return folder / f"made{made}"

    def call(function: str, instance: Any = None, args: Any = (), **kwargs: Any) -> bytes:
        return json.dumps([function, instance, list(args), kwargs]).encode()

    known = call(KNOWN, project=1)
    jobs: dict[str, tuple[bytes, dict[str, bytes | str]]] = {
        "system": (call("os.system", args=[f"mkdir {place()}"]), {}),
        "keywords": (call("os.mkdir", path=str(place())), {}),
        "other-module-of-helioloop": (call("helioloop.files.atomic.write_text", path=str(place()), text=""), {}),
        "private-function": (call("helioloop_worker.jobs._log", project=1, sentence=""), {}),
        "name-in-the-module": (call("helioloop_worker.jobs.atomic.write_text", path=str(place()), text=""), {}),
        "pickled": (pickle.dumps((Bomb(place()), None, (), {})), {}),
        "pickled-arguments": (pickle.dumps((KNOWN, None, (), {"project": Bomb(place())})), {}),
        "method": (call("mkdir", instance=str(place())), {}),
        "positional": (call(KNOWN, args=[1]), {}),
        "one-key-more": (call(KNOWN, project=1, context=str(place())), {}),
        "wrong-type": (call(KNOWN, project="1"), {}),
        "another-format": (call(KNOWN, project=1, format=99), {}),
        "path-as-version": (call("helioloop_worker.jobs.write_back", project=1, version="../../x"), {}),
        "not-JSON": (b"\x80\x04nonsense", {}),
        "JSON-of-another-shape": (b"7", {}),
        "callbacks": (
            known,
            dict.fromkeys(("success_callback_name", "failure_callback_name", "stopped_callback_name"), "tests.made_by"),
        ),
        "callback-of-a-failure": (call("os.system", args=["true"]), {"failure_callback_name": "tests.made_by"}),
        "pickled-result": (known, {"result": pickle.dumps(Bomb(place()))}),
        "pickled-meta": (known, {"meta": pickle.dumps(Bomb(place()))}),
        "id with blanks/../x": (known, {}),
        "unreadable-time": (known, {"created_at": "yesterday"}),
        "unreadable-status": (known, {"status": "\\xff"}),
        "unreadable-numbers": (known, {"timeout": "never", "result_ttl": "x"}),
    }
    for name, (data, fields) in jobs.items():
        write(connection, queue, name, data, **fields)
    return list(jobs)


@pytest.mark.parametrize(("role", "queue"), [("train", messages.QUEUE_TRAIN), ("score", messages.QUEUE_SCORE)])
def test_a_worker_runs_no_job_that_is_not_helioloop_s(
    loop_project: LoopProject, role: str, queue: str, tmp_path: Path
) -> None:
    """It refuses and logs each, reads results without unpickling, and runs the job of helioloop that comes last."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    connection, settings = loop_project.context.connection, loop_project.context.settings
    names = foreign_jobs(connection, queue, folder)
    last = messages.WriteBack(project=loop_project.id, version="v0001")  # nothing is published: it does nothing
    write(connection, queue, "last", json.dumps([last.job, None, [], last.payload()]).encode())
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HELIOLOOP_")},
        "HELIOLOOP_REDIS_URL": settings.redis_url,
        "HELIOLOOP_MODEL_ROOT": str(settings.model_root),
        "HELIOLOOP_MEDIA_ROOT": str(settings.media_root),
        "HELIOLOOP_CACHE_ROOT": str(tmp_path / "cache"),
        "HELIOLOOP_LABEL_STUDIO_URL": "http://127.0.0.1:9",
        "HELIOLOOP_LABEL_STUDIO_API_KEY": "x" * 40,
        "HELIOLOOP_DEVICE": "cpu",
    }
    log = tmp_path / "worker.log"
    with log.open("w") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "helioloop", "worker", "--role", role], stdout=output, stderr=output, env=environment
        )
        try:
            deadline = time.monotonic() + WAIT_SECONDS
            while (job := job_monitor.find_job(connection, "last")) is None or job.get_status() in {
                JobStatus.QUEUED,
                JobStatus.STARTED,
            }:
                assert worker.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        finally:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(timeout=60) == 0
    text = log.read_text()
    assert job.get_status() is JobStatus.FINISHED, text
    assert list(folder.iterdir()) == []
    refused = [name for name in names if f"job '{name}'" in text]
    ordinary = {"callbacks", "pickled-result", "pickled-meta"}  # what they name runs, what was added to them does not
    assert sorted(refused) == sorted(set(names) - ordinary), text
    assert "made_by" not in text
    for name in names:
        if (found := job_monitor.find_job(connection, name)) is not None:
            found.return_value()
    assert list(folder.iterdir()) == []


def test_the_web_side_calls_nothing_that_a_job_names(redis_connection: redis.Redis, tmp_path: Path) -> None:
    """A job of a lost worker with callbacks stands in the way of an event; rq would import and call them."""
    folder = tmp_path / "made"
    message = RetrainCheck(project=1)
    write(
        redis_connection, message.queue, message.job_id, pickle.dumps((KNOWN, None, (), {"project": Bomb(folder)})),
        status="started", failure_callback_name="tests.nothing.that.exists", result=pickle.dumps(Bomb(folder)),
    )  # fmt: skip
    redis_connection.delete(f"rq:queue:{message.queue}")
    redis_connection.zadd(f"rq:wip:{message.queue}", {f"{message.job_id}:0": time.time() - 1})
    assert queues.send(redis_connection, message)
    assert queues.queue(redis_connection, message.queue).get_job_ids() == [message.job_id]
    assert not folder.exists()
