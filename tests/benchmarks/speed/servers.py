"""Servers that are timed, as processes of their own, and clients that open a connection for each request.

Label Studio opens one for each request, too.
"""

import hashlib
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import redis

from helioloop.messaging.queues import queue_lengths
from helioloop.records.labels import CurrentLabel, Label
from helioloop.records.scores import CubeScore, Emergence
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.score_store import STEP_SECONDS
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from tests.cards import FINGERPRINT, bare_card
from tests.redis_server import BINARY

USER, PASSWORD, SECRET = "label-studio", "a-password", "a-secret"
BASIC = f"Authorization: Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
SECRET_LINE = f"X-Helioloop-Secret: {SECRET}"
CONFIG = """<View><Video name="video" value="$video" framerate="25"/>
<Choices name="class" toName="video"><Choice value="emergence"/><Choice value="non-emergence"/></Choices>
<TimelineLabels name="onset" toName="video"><Label value="emergence onset"/></TimelineLabels></View>"""
CUBES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Ports of helioloop's backend and of the reference, the folder and the Redis that both use, and ours' process."""

    backend: int
    reference: int
    folder: Path
    redis_socket: Path
    process: int

    def held(self) -> dict[str, float]:
        """Return the keys and jobs in Redis, and the memory of the backend in MiB."""
        with redis.Redis(unix_socket_path=str(self.redis_socket)) as connection:
            jobs, keys = sum(queue_lengths(connection).values()), int(connection.dbsize())
        processes = [psutil.Process(self.process), *psutil.Process(self.process).children()]
        mib = sum(process.memory_info().rss for process in processes) / 2**20
        return {"jobs": float(jobs), "keys": float(keys), "backend_mib": mib}


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Start Redis, `helioloop backend` with a version of `CUBES` scores, and the reference under the same gunicorn."""
    _publish(folder / "models")
    with ExitStack() as stack:
        redis_socket = folder / "redis.sock"
        _start(stack, folder, [BINARY, "--port", "0", "--unixsocket", redis_socket, "--save", "", "--dir", folder])
        variables = {
            "PATH": os.environ["PATH"],
            "HELIOLOOP_MODEL_ROOT": str(folder / "models"),
            "HELIOLOOP_REDIS_URL": f"unix://{redis_socket}",
            "HELIOLOOP_BASIC_AUTH_USER": USER,
            "HELIOLOOP_BASIC_AUTH_PASSWORD": PASSWORD,
            "HELIOLOOP_WEBHOOK_SECRET": SECRET,
            "MODEL_DIR": str(folder),
        }
        backend, reference = _free_port(), _free_port()
        ours = [sys.executable, "-c", "from helioloop.cli import main; main()", "backend", "--port", str(backend)]
        theirs = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{reference}", "-w", "1", "-k", "gthread"]
        theirs += ["--threads", "8", "--no-control-socket", "tests.benchmarks.speed.no_op_backend:app"]
        process = _start(stack, folder, ours, variables)
        _start(stack, folder, theirs, {name: value for name, value in variables.items() if "HELIOLOOP" not in name})
        for port in (backend, reference):
            _wait_for(port)
        call(reference, request("POST", "/setup", {"project": "1.1700000000", "schema": CONFIG}))
        time.sleep(STEP_SECONDS)  # a version that was published just now is listed at each request
        yield Servers(backend=backend, reference=reference, folder=folder, redis_socket=redis_socket, process=process)


def predict_request(n: int) -> bytes:
    """Return a request for predictions of `n` tasks, as Label Studio sends it."""
    params = {"login": None, "password": None, "context": None}
    body = {"tasks": [_task(k) for k in range(n)], "project": "1.1700000000", "label_config": CONFIG, "params": params}
    return request("POST", "/predict", body, BASIC)


def event_request() -> bytes:
    """Return an event of a submitted annotation, as Label Studio sends it with the payload switched on."""
    item = {"from_name": "class", "to_name": "video", "type": "choices", "value": {"choices": ["emergence"]}}
    annotation = {"id": 1, "completed_by": 1, "result": [item], "was_cancelled": False, "task": 1, "project": 1}
    project = {"id": 1, "title": "Bipoles", "label_config": CONFIG, "created_by": {"id": 1, "email": "a@example.org"}}
    event = {"action": "ANNOTATION_CREATED", "annotation": annotation, "project": project, "task": _task(1)}
    return request("POST", "/webhook", event, SECRET_LINE)


def request(method: str, path: str, body: Any = None, *headers: str) -> bytes:
    """Return the bytes of a request."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: keep-alive", *headers]
    lines += ["Content-Type: application/json", f"Content-Length: {len(data)}", "", ""]
    return "\r\n".join(lines).encode() + data


def call(port: int, sent: bytes) -> bytes:
    """Send a request over a new connection and return the body of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(sent)
        received = bytearray()
        while not _is_complete(received):
            piece = connection.recv(1 << 20)
            if not piece:
                break
            received += piece
    if not received.startswith(b"HTTP/1.1 20"):
        raise AssertionError(bytes(received[:300]))
    return bytes(received.partition(b"\r\n\r\n")[2])


def latencies(port: int, sent: bytes, *, total: int, at_once: int) -> list[float]:
    """Send a request `total` times, `at_once` at any time, and return the seconds of each, sorted."""
    selector = selectors.DefaultSelector()
    seconds: list[float] = []
    n_started = 0

    def start() -> None:
        nonlocal n_started
        n_started += 1
        connection = socket.socket()
        connection.setblocking(False)
        started = time.perf_counter()
        connection.connect_ex(("127.0.0.1", port))
        selector.register(connection, selectors.EVENT_WRITE, (started, bytearray()))

    with selector:
        for _ in range(min(at_once, total)):
            start()
        while len(seconds) < total:
            for key, events in selector.select(30):
                connection, (started, received) = key.fileobj, key.data
                assert isinstance(connection, socket.socket)
                if events & selectors.EVENT_WRITE:
                    connection.sendall(sent)
                    selector.modify(connection, selectors.EVENT_READ, key.data)
                    continue
                received += connection.recv(1 << 16)
                if _is_complete(received):
                    seconds.append(time.perf_counter() - started)
                    if not received.startswith(b"HTTP/1.1 20"):
                        raise AssertionError(bytes(received[:300]))
                    selector.unregister(connection)
                    connection.close()
                    if n_started < total:
                        start()
    return sorted(seconds)


def _is_complete(received: bytearray) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and bool(lengths) and len(body) >= int(lengths[0].partition(b":")[2])


def _publish(model_root: Path) -> None:
    """Publish a version with scores, half of them with an onset, and write the labels of all cubes."""
    folder = Settings(model_root=model_root).model_dir(1)
    registry = Registry(folder)
    version = registry.admit(registry.staging(FINGERPRINT), bare_card(reason="benchmark")).version
    scores = [
        CubeScore(
            cube=_name(k),
            sha256=_sha256(k),
            p_emergence=k * 37 % 100 / 100,
            p_spread=0.1,
            members=("f0s0", "f0s1"),
            emergence=Emergence(frame=30 + k % 180, frame_lo=30, frame_hi=220),
        )
        for k in range(CUBES)
    ]
    registry.add_scores(version, scores)
    registry.publish(version, why="benchmark")
    labels = {_name(k): CurrentLabel(cube=_name(k), label=Label.EMERGENCE, crude=Label.EMERGENCE) for k in range(CUBES)}
    Snapshot(read_at="2026-01-01T00:00:00+00:00", cubes=labels).write(folder)


def _task(k: int) -> dict[str, Any]:
    address = f"/data/local-files/?d=helioloop/project-1/{_name(k)}"
    data = {
        "video": f"{address}.mp4",
        "curve": f"{address}.curve.json",
        "reason": f"{address}.reason.txt",
        "cube": _name(k),
        "release": "release",
        "region": f"AR {k}",
        "start": "1998-12-06T00:00:00",
        "sha256": _sha256(k),
        "crude_label": "emergence",
    }
    stamps = {"created_at": "2026-01-01T00:00:00.000000Z", "updated_at": "2026-01-01T00:00:00.000000Z"}
    counts = dict.fromkeys(("total_annotations", "cancelled_annotations", "total_predictions", "comment_count"), 0)
    return {"id": k + 1, "project": 1, "data": data, "meta": {}, "annotations": [], "predictions": []} | stamps | counts


def _name(k: int) -> str:
    return f"BARD{k:04d}_19981206"


def _sha256(k: int) -> str:
    return hashlib.sha256(_name(k).encode()).hexdigest()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _start(stack: ExitStack, folder: Path, command: list[Any], variables: dict[str, str] | None = None) -> int:
    """Start a process that ends with the stack, and return its id."""
    with (folder / "servers.log").open("ab") as log:
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log, cwd=Path(__file__).parents[3])
    stack.callback(process.wait, timeout=30)
    stack.callback(process.terminate)
    return process.pid


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            call(port, request("GET", "/health"))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
