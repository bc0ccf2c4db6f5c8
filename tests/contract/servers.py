"""Three servers that answer Label Studio: helioloop's own, and those that label-studio-ml 1.0.9 and 2.x make."""

import base64
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helioloop.records.scores import CubeScore
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from tests.cards import FINGERPRINT, bare_card

DOUBLE = Path(__file__).parent / "label_studio_ml_2"
USER, PASSWORD, SECRET = "label-studio", "pässwörd", "geheim"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
CONFIG = """<View><Video name="video" value="$video" framerate="25"/>
<Choices name="class" toName="video"><Choice value="emergence"/><Choice value="non-emergence"/></Choices></View>"""
DATA = {"video": "v", "cube": "A", "release": "r", "crude_label": "emergence", "sha256": "a" * 64}
TASK = {"id": 1, "project": 1, "data": DATA, "annotations": [], "predictions": []}
MODEL = "from helioloop_backend.model import HelioloopModel\n\n\nclass NewModel(HelioloopModel):\n    pass\n"
"""What a user writes into the model.py of a server of label-studio-ml."""


@dataclass(frozen=True)
class Server:
    """A running server and its log."""

    kind: str
    port: int
    log: Path

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Return status and body of an answer; the right credentials are sent unless `headers` are given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            data = None if body is None else json.dumps(body)
            sent = {"Content-Type": "application/json", **(BASIC if headers is None else headers)}
            connection.request(method, path, body=data, headers=sent)
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if answer.headers["Content-Type"] == "application/json" else text
        finally:
            connection.close()


def publish(model_root: Path) -> None:
    """Let project 1 have published v0001 with a score for cube A."""
    registry = Registry(Settings(model_root=model_root).model_dir(1))
    registry.admit(registry.staging(FINGERPRINT), bare_card())
    score = CubeScore(cube="A", sha256="a" * 64, p_emergence=0.75, p_spread=None, members=("f0s0",))
    registry.add_scores("v0001", [score])
    registry.publish("v0001", why="test")


def environment(folder: Path, redis_url: str, *, kind: str) -> dict[str, str]:
    """Return the environment of a server without credentials; that of 2.x finds the stand-in, not 1.0.9."""
    found = {
        "PATH": os.environ["PATH"],
        "REDIS_URL": redis_url,
        "HELIOLOOP_MODEL_ROOT": str(folder / "models"),
        "MODEL_DIR": str(folder),
    }
    return found | {"PYTHONPATH": str(DOUBLE)} if kind == "2.x" else found


def start(kind: str, folder: Path, redis_url: str) -> tuple[Server, subprocess.Popen[bytes]]:
    """Start a server with credentials and return it when it answers."""
    publish(folder / "models")
    (folder / "model.py").write_text(MODEL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    credentials = {
        "HELIOLOOP_BASIC_AUTH_USER": USER,
        "HELIOLOOP_BASIC_AUTH_PASSWORD": PASSWORD,
        "HELIOLOOP_WEBHOOK_SECRET": SECRET,
    }
    variables = environment(folder, redis_url, kind=kind) | credentials
    commands = {
        "helioloop": ["-c", "from helioloop.cli import main; main()", "backend", "--port", str(port)],
        "1.0.9": [
            str(folder / "made" / "_wsgi.py"),
            "--port",
            str(port),
            "--host",
            "127.0.0.1",
            "--log-level",
            "DEBUG",
        ],
        "2.x": [str(folder / "_wsgi.py"), "--port", str(port), "--host", "127.0.0.1"],
    }
    if kind == "1.0.9":
        program = "from label_studio_ml.server import main; main()"
        made = ["init", "made", "--root-dir", str(folder), "--script", f"{folder / 'model.py'}:NewModel"]
        subprocess.run([sys.executable, "-c", program, *made], env=variables, check=True, capture_output=True)
    if kind == "2.x":
        (folder / "_wsgi.py").write_text((DOUBLE / "_wsgi.py").read_text())
    log = folder / "server.log"
    with log.open("ab") as output:
        process = subprocess.Popen([sys.executable, *commands[kind]], env=variables, stdout=output, stderr=output)
    server = Server(kind, port, log)
    deadline = time.monotonic() + 60
    while True:
        try:
            server.call("GET", "/health")
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)
        else:
            return server, process
