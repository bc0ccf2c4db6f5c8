"""What several tests of the client begin with."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from label_studio_sdk.core import http_client
from tests.worker.labelstudio.answering import COOKIE, Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Run the server on a free port."""

    class Handler(BaseHTTPRequestHandler):
        peer: ClassVar[Server]

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.peer.requests.append((self.command, self.path))
            self.peer.tokens.append(self.headers.get("Authorization"))
            given = self.peer.answers.pop(0) if len(self.peer.answers) > 1 else self.peer.answers[0]
            if given.slow:
                self.peer.over.wait(10)
                return
            self.send_response(given.status)
            self.send_header("Set-Cookie", COOKIE)
            self.send_header(
                "Content-Type",
                "text/html" if isinstance(given.body, bytes) and not given.is_json else "application/json",
            )
            if given.location is not None:
                self.send_header("Location", given.location)
            self.end_headers()
            self.wfile.write(given.raw())

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        found = Handler.peer = Server(url=f"http://127.0.0.1:{listening.server_port}")
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        listening.shutdown()
        thread.join()


@pytest.fixture
def peer(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Return the server without requests; the client waits a moment instead of seconds before it retries."""
    monkeypatch.setattr(http_client, "INITIAL_RETRY_DELAY_SECONDS", 0.01)
    server.requests.clear()
    server.tokens.clear()
    server.over.clear()
    yield server
    server.over.set()
