"""Clients that send half a request, or too slowly, do not keep others waiting; the real server, over plain sockets."""

import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from gunicorn.config import Config
from gunicorn.http.message import Request
from pydantic import SecretStr

from helioloop.settings import Settings
from helioloop_backend import connections
from helioloop_backend.connection import HANDED_BYTES, PAUSE_SECONDS, Reader

Serve = Callable[[Settings], tuple[str, subprocess.Popen[bytes]]]
EVENT = json.dumps({"action": "ANNOTATION_CREATED", "project": {"id": 1}}).encode()
SECRET = b"X-Helioloop-Secret: s3cret\r\n"
WHOLE = b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(EVENT)
HALVES = {
    "nothing": b"",
    "blank lines": b"\r\n\r\n\r\n",
    "one letter": b"G",
    "half a line": b"POST /webhook HT",
    "half a head": WHOLE + SECRET,
    "head of /health": b"GET /health HTTP/1.1\r\nHost: x\r\n",
    "half a body": WHOLE + b"\r\n" + EVENT[:10],
    "half a body with credentials": WHOLE + SECRET + b"\r\n" + EVENT[:10],
    "half a large body": b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n" + EVENT[:10],
    "large body of /health": b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n" + EVENT[:10],
    "half a chunk": b"POST /webhook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
    "a body that is awaited": b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
    "a whole request and half of another one": b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /hea",
}


@pytest.fixture
def guarded(settings: Settings) -> Settings:
    credentials = {
        "basic_auth_user": "label-studio",
        "basic_auth_password": SecretStr("passw0rd"),
        "webhook_secret": SecretStr("s3cret"),
        "backend_threads": 4,
    }
    return settings.model_copy(update=credentials)


def _connect(url: str, sent: bytes) -> socket.socket:
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname, address.port), timeout=30)
    connection.sendall(sent)
    return connection


def _answer(url: str, sent: bytes) -> tuple[int, float]:
    """Return status and seconds of an answer."""
    started = time.perf_counter()
    with _connect(url, sent) as connection:
        received = connection.recv(4096)
    return int(received.split()[1]) if received else 0, time.perf_counter() - started


def _check_quick(url: str) -> None:
    """Check that both routes that Label Studio waits for are answered within its second."""
    for sent, status in ((b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 200), (WHOLE + SECRET + b"\r\n" + EVENT, 201)):
        found, seconds = _answer(url, sent)
        assert (found, seconds < 1) == (status, True), (found, seconds)


def test_half_sent_requests_do_not_block_others_and_are_closed(serve: Serve, guarded: Settings, tmp_path: Path) -> None:
    """Fifty-two of thirteen kinds at once, with four threads; each is closed after the stated time, and logged."""
    url, _ = serve(guarded)
    with ExitStack() as stack:
        started = time.monotonic()
        halves = [(kind, stack.enter_context(_connect(url, sent))) for kind, sent in HALVES.items() for _ in range(4)]
        for _ in range(5):
            _check_quick(url)
        # a large body with credentials is read by a thread, and two threads never wait for one
        large = b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n" + SECRET + b"\r\n{"
        threads = [stack.enter_context(_connect(url, large)) for _ in range(10)]
        for _ in range(5):
            _check_quick(url)
        for kind, connection in [*halves, *(("large with credentials", one) for one in threads)]:
            connection.settimeout(max(0.1, started + connections.ARRIVAL_SECONDS + 4 - time.monotonic()))
            answers = b"".join(iter(lambda: _piece(connection), b""))  # noqa: B023 - read at once
            statuses = [line.split()[1] for line in answers.split(b"\r\n") if line.startswith(b"HTTP/1.1")]
            assert set(statuses) <= {b"100", b"200", b"400", b"401", b"405", b"408"}, (kind, answers)
    log = (tmp_path / "backend.log").read_text(encoding="utf-8")
    closed = re.findall(
        r"closed without an answer: (\d+) requests that were not complete after 5 s; .* 127\.0\.0\.1", log
    )
    assert sum(map(int, closed)) >= 20, "five kinds that the main loop collects, four of each"
    assert "s3cret" not in log


def _piece(connection: socket.socket) -> bytes:
    """Return the next bytes; nothing once the server has closed the connection, `TimeoutError` while it has not."""
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


def test_a_request_that_arrives_in_pieces_is_answered(serve: Serve, guarded: Settings) -> None:
    """Byte by byte at the ends of lines, and two requests over one connection."""
    url, _ = serve(guarded)
    request = WHOLE + SECRET + b"\r\n" + EVENT
    with _connect(url, b"\r\n") as connection:
        for start in range(0, len(request), 7):
            connection.sendall(request[start : start + 7])
            time.sleep(0.002)
        assert connection.recv(4096).startswith(b"HTTP/1.1 201")
        connection.sendall(request + b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while received.count(b"HTTP/1.1 ") < 2 or not received.endswith(b"}\n"):
            received += connection.recv(4096)
        assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"201", b"200"]


def test_a_request_with_a_large_body_and_the_next_one_arrive_at_once(serve: Serve, guarded: Settings) -> None:
    """The body is several times what gunicorn is handed at one time, and the second request is behind it."""
    url, _ = serve(guarded)
    event = json.dumps({"action": "ANNOTATION_CREATED", "project": {"id": 1}, "more": "x" * 5 * HANDED_BYTES}).encode()
    head = b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(event)
    with _connect(url, head + SECRET + b"\r\n" + event + b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        received = b""
        while received.count(b"HTTP/1.1 ") < 2 or not received.endswith(b"}\n"):
            received += connection.recv(4096)
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"201", b"200"]


def test_gunicorn_holds_little_of_a_body_that_has_arrived() -> None:
    """It copies what it holds for each piece that the app reads, so a whole body would be copied many times."""
    ours, other = socket.socketpair()
    body = bytes(range(256)) * 3000
    reader = Reader(ours, threading.Semaphore())
    reader.hold(bytearray(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body + b"GET /"))
    request = Request(Config(), reader, ("127.0.0.1", 1))
    read, held = b"", []
    while piece := request.body.read(HANDED_BYTES):
        read += piece
        held.append(len(reader.buf.getvalue()))
    ours.close()
    other.close()
    assert read == body
    assert max(held) <= HANDED_BYTES
    assert reader.take_buffered() == b"GET /"
    assert reader.take_buffered() == b""


def test_a_request_that_was_read_is_not_kept_in_memory() -> None:
    """A connection may stay open for its next request."""
    ours, other = socket.socketpair()
    reader = Reader(ours, threading.Semaphore())
    request = bytearray(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    reader.hold(request)
    Request(Config(), reader, ("127.0.0.1", 1))
    request.clear()  # refused while somebody looks at it
    ours.close()
    other.close()


BROKEN = {
    "large head": (b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000, 431),
    "long line": (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "nonsense": (b"nonsense\r\n\r\n", 400),
    "version": (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
    "negative length": (b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    "two lengths": (b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "bytes": (b"GET /health HTTP/1.1\r\nHost: x\r\nAuthorization: \xff\xfe\r\n\r\n", 401),
    "a client that wants TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
}


def test_broken_requests_are_refused(serve: Serve, guarded: Settings) -> None:
    """The status is a 4xx, and the server goes on."""
    url, _ = serve(guarded)
    for kind, (sent, status) in BROKEN.items():
        assert (kind, _answer(url, sent)[0]) == (kind, status)
        assert _answer(url, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")[0] == 200


def test_more_connections_than_allowed_close_the_oldest_that_wait(serve: Serve, guarded: Settings) -> None:
    """Six hundred clients send half a request each; the first ones are closed, and whole requests are answered."""
    url, _ = serve(guarded)
    with ExitStack() as stack:
        waiting = [stack.enter_context(_connect(url, b"GET /hea")) for _ in range(connections.CONNECTIONS + 100)]
        _check_quick(url)
        waiting[0].settimeout(5)
        assert _piece(waiting[0]) == b""
        waiting[-1].sendall(b"lth HTTP/1.1\r\nHost: x\r\n\r\n")
        assert waiting[-1].recv(4096).startswith(b"HTTP/1.1 200")


def test_a_client_that_does_not_close_its_side_delays_nobody(serve: Serve, guarded: Settings) -> None:
    """It asked for the connection to be closed and keeps it open; gunicorn's own worker waits two seconds for each."""
    url, _ = serve(guarded)
    request = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(20):
            assert stack.enter_context(_connect(url, request)).recv(4096).startswith(b"HTTP/1.1 200")
        _check_quick(url)


def test_connections_that_close_while_one_is_dropped_for_a_new_one_do_not_end_the_server(
    serve: Serve, guarded: Settings
) -> None:
    """All at the limit, in one look of the main loop: idle clients close, and new ones come."""
    url, server = serve(guarded)
    (worker,) = psutil.Process(server.pid).children()
    request = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with ExitStack() as stack:
        idle = [stack.enter_context(_connect(url, request)) for _ in range(connections.CONNECTIONS - 10)]
        assert all(connection.recv(4096).startswith(b"HTTP/1.1 200") for connection in idle)
        worker.suspend()
        try:
            for connection in idle:
                connection.close()
            new = [stack.enter_context(_connect(url, request)) for _ in range(60)]
        finally:
            worker.resume()
        assert any(_piece(connection).startswith(b"HTTP/1.1 200") for connection in new)
        _check_quick(url)
    assert worker.is_running()
    assert worker.pid in {child.pid for child in psutil.Process(server.pid).children()}


def test_clients_that_do_not_read_their_answers_delay_nobody_for_long(serve: Serve, guarded: Settings) -> None:
    """As many as there are threads, with more answers than their buffers take."""
    url, _ = serve(guarded)
    with ExitStack() as stack:
        for _ in range(guarded.backend_threads):
            deaf = stack.enter_context(_connect(url, b""))
            deaf.settimeout(0.5)
            with suppress(TimeoutError, OSError):
                deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100_000)
        time.sleep(PAUSE_SECONDS)
        status, seconds = _answer(url, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (status, seconds < 2 * PAUSE_SECONDS) == (200, True), (status, seconds)
