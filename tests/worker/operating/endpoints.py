"""Small servers on loopback: an endpoint in place of Label Studio, a reverse proxy, a forward proxy, a TLS front."""

import base64
import http.client
import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PROJECT = {
    "id": 1, "title": "t", "label_config": "<View/>", "model_version": "v0001", "task_number": 3,
    "num_tasks_with_annotations": 2, "total_annotations_number": 2, "skipped_annotations_number": 0,
}  # fmt: skip
ANSWERS: dict[str, Any] = {"/api/projects/1/": PROJECT, "/api/projects/1/export": []}


def personal_access_token(kind: str = "refresh") -> str:
    """Return a token of the form that Label Studio's have, valid for an hour."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"token_type": kind, "exp": int(time.time()) + 3600})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


@dataclass
class Endpoint:
    """An HTTP server that records method, path and authorization of each request."""

    port: int
    requests: list[tuple[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Run an HTTP server in a thread, and yield its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    """Run a server that answers as Label Studio does to the few calls in `ANSWERS`, and 404 to all others."""
    found = Endpoint(port=0)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path
            found.requests.append((self.command, self.path))
            found.tokens.append(self.headers.get("Authorization") or "")
            body = {"access": personal_access_token("access")} if path.startswith("/api/token/refresh") else None
            body = ANSWERS.get(path, {"detail": "not found"}) if body is None else body
            self.send_response(404 if body == {"detail": "not found"} else 200)
            content = json.dumps(body).encode()
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with serving(Handler) as port:
        found.port = port
        yield found


@contextmanager
def reverse_proxy(port: int, *, prefix: str) -> Iterator[str]:
    """Serve what is at `port` under a path, as nginx does with ``location PREFIX/ { proxy_pass http://…/; }``."""

    class Handler(BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            inner = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            headers = {key: value for key, value in self.headers.items() if key.lower() != "connection"}
            inner.request(self.command, self.path.removeprefix(prefix), body=body or None, headers=headers)
            answer = inner.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in {"transfer-encoding", "connection", "content-length"}:
                    self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            inner.close()

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = forward  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with serving(Handler) as own:
        yield f"http://127.0.0.1:{own}{prefix}"


@contextmanager
def tls_front(connect: Callable[[], socket.socket], context: ssl.SSLContext) -> Iterator[int]:
    """Accept TLS connections and forward what is inside them; yield the port."""
    stop = threading.Event()

    def forward(raw: socket.socket) -> None:
        with suppress(OSError), raw, context.wrap_socket(raw, server_side=True) as outer, connect() as inner:
            outer.settimeout(10)
            while not stop.is_set():
                ready = [outer] if outer.pending() else select.select([outer, inner], [], [], 0.05)[0]
                for side, other in ((outer, inner), (inner, outer)):
                    if side in ready:
                        content = side.recv(65536)
                        if not content:
                            return
                        other.sendall(content)

    threads: list[threading.Thread] = []

    def accept() -> None:
        while not stop.is_set():
            with suppress(TimeoutError):
                raw, _ = listening.accept()
                threads.append(threading.Thread(target=forward, args=(raw,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        port = listening.getsockname()[1]
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield port
        finally:
            stop.set()
            thread.join()
            for one in threads:
                one.join()
