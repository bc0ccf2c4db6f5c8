"""gunicorn's worker with threads, where only whole requests occupy a thread and no connection is open for ever.

gunicorn hands a connection to a thread before its request has arrived, so a few clients that send half a request block
all threads, and its main loop waits for each client to close. Here the main loop itself collects what arrives, without
waiting, until the head of a request is complete. A body is read by the thread, after authentication.

    head    `HEAD_SECONDS` from connecting, or from the first byte of a further request, `HEAD_BYTES`
    body    `BODY_SECONDS` from the end of the head, `PAUSE_SECONDS` between two pieces
    close   `LINGER_SECONDS` after the answer for a client to close its side
    number  `CONNECTIONS` at once; beyond them the oldest incomplete one is closed
"""

import errno
import socket as socket_options
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from socket import AF_UNIX, IPPROTO_TCP, SHUT_WR, TCP_NODELAY, socket
from typing import Any, Final

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

HEAD_SECONDS: Final = 5.0
HEAD_BYTES: Final = 64 * 1024
BODY_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 10.0
LINGER_SECONDS: Final = 2.0
CONNECTIONS: Final = 500
NOTIFY_SECONDS: Final = 0.5
_AT_ONCE: Final = 32
"""Connections that are accepted before other events are looked at."""
_PIECE_BYTES: Final = 256 * 1024
_LINE_ENDS: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"


class Reader(SocketUnreader):
    """Reads the body of a request with a deadline."""

    deadline = 0.0

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return the next piece.

        Raises
        ------
        TimeoutError
            Where none arrives for `PAUSE_SECONDS`, or the body is not complete after `BODY_SECONDS`.
        """
        self.sock.settimeout(max(0.001, min(PAUSE_SECONDS, self.deadline - time.monotonic())))
        try:
            piece: bytes = super().chunk(size_hint)  # type: ignore[call-arg] # its stubs are of an earlier version
        finally:
            self.sock.settimeout(PAUSE_SECONDS)  # for the answer: a client may stop reading it
        return piece


class Connection(TConn):
    """A connection, and what arrived of the head of its next request."""

    timeout: float
    reader: Reader

    def __init__(self, cfg: Any, sock: socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.received = bytearray()

    def has_head(self) -> bool:
        """Return whether a whole head has arrived; blank lines before it do not count."""
        if self.received.startswith((b"\r", b"\n")):
            self.received = bytearray(self.received.lstrip(_LINE_ENDS))
        return _HEAD_END in self.received

    def start_request(self) -> None:
        """Hand what arrived to gunicorn's parser."""
        if not self.initialized:
            self.init()
            self.reader = self.parser.unreader = Reader(self.sock)  # type: ignore[union-attr] # it is one of HTTP/1
        self.reader.deadline = time.monotonic() + BODY_SECONDS
        self.reader.unread(bytes(self.received))
        self.received.clear()
        self.data_ready = True  # gunicorn's `handle` would wait for data otherwise


class Worker(ThreadWorker):
    """Collects the heads of requests in the main loop, and hands whole ones to the threads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.worker_connections = CONNECTIONS
        self.pending_conns: deque[Connection]  # type: ignore[assignment] # it holds what `accept` makes
        self.keepalived_conns: deque[Connection]  # type: ignore[assignment]
        self._lingering: deque[Connection] = deque()
        self._notified = -NOTIFY_SECONDS

    def run(self) -> None:
        """Serve until the worker is stopped."""
        for listener in self.sockets:
            # Linux then reports a connection when its first bytes have arrived, or after a second without any.
            if listener.family != AF_UNIX and hasattr(socket_options, "TCP_DEFER_ACCEPT"):
                listener.setsockopt(IPPROTO_TCP, socket_options.TCP_DEFER_ACCEPT, 1)
        super().run()

    def notify(self) -> None:
        """Tell gunicorn that this process is alive; not for each event."""
        now = time.monotonic()
        if now - self._notified > NOTIFY_SECONDS:
            self._notified = now
            super().notify()

    def accept(self, listener: Any) -> None:
        """Accept new connections."""
        for _ in range(_AT_ONCE):
            try:
                sock, client = listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):  # no more open files
                    self.log.warning("a connection has to wait: the process may not open more files")
                    self._close_oldest()
                    return
                if error.errno == errno.ECONNABORTED:
                    continue
                if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK):
                    return
                raise
            self.nr_conns += 1
            conn = Connection(self.cfg, sock, client, listener.getsockname())
            with suppress(OSError):  # a Unix socket has no such option
                sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            self._await_head(conn)
            if self.nr_conns >= self.worker_connections and not self._close_oldest():
                return  # all of them have a request that is being answered

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """Read the first piece of a further request."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_head(conn)

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Keep a connection for its next request, or close it."""
        try:
            keep = not fs.cancelled() and bool(fs.result())
        except Exception:  # noqa: BLE001 - whatever it was, the thread has logged it
            keep = False
        if not keep:
            self._linger(conn)
            return
        conn.sock.setblocking(False)
        conn.received += conn.reader.take_buffered()
        if conn.received:  # the next request came with this one
            self._await_head(conn)
            return
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + LINGER_SECONDS)
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_client_socket_readable, conn))

    def murder_pending(self) -> None:
        """Close connections whose request is not complete in time, or whose client does not close its side."""
        # When the worker stops, it does not wait for the rest of a request that has hardly begun.
        now = time.monotonic() + (0.0 if self.alive else HEAD_SECONDS - 1.0)
        for waiting in (self.pending_conns, self._lingering):
            while waiting and waiting[0].timeout <= now:
                conn = waiting[0]
                self._forget(conn, waiting)
                self._close(conn)

    def _await_head(self, conn: Connection) -> None:
        """Start a request that has arrived, as most have when the connection is accepted; else wait for the rest."""
        conn.timeout = time.monotonic() + HEAD_SECONDS
        proceed = self._collect(conn)
        if proceed is None:
            self.pending_conns.append(conn)
            self.poller.register(conn.sock, EVENT_READ, partial(self._on_more, conn))
        else:
            proceed(conn)

    def _on_more(self, conn: Connection, _sock: Any) -> None:
        """Read the next piece of a head."""
        proceed = self._collect(conn)
        if proceed is not None:
            self._forget(conn, self.pending_conns)
            proceed(conn)

    def _collect(self, conn: Connection) -> Callable[[Connection], None] | None:
        """Read what has arrived of a head, and return what to do next; None where more of it has to come."""
        if not conn.has_head():
            try:
                piece = conn.sock.recv(_PIECE_BYTES)
            except BlockingIOError:
                return None
            except OSError:
                piece = b""
            conn.received += piece
            if not piece:
                return self._close
        if conn.has_head():
            return self._start
        return self._refuse if len(conn.received) > HEAD_BYTES else None

    def _start(self, conn: Connection) -> None:
        try:
            conn.start_request()
        except Exception as error:  # noqa: BLE001 - one connection must not end the worker
            self.log.warning("a connection was closed: %s", type(error).__name__)
            self._close(conn)
            return
        self.enqueue_req(conn)

    def _refuse(self, conn: Connection) -> None:
        """Refuse a head that is too large."""
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        with suppress(OSError):
            conn.sock.send(head.encode())
        self._linger(conn)

    def _linger(self, conn: Connection) -> None:
        """Close a connection after its client did; else what it still sends would reset it, and lose the answer."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(SHUT_WR)
        except OSError:
            self._close(conn)
            return
        conn.timeout = time.monotonic() + LINGER_SECONDS
        self._lingering.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self._on_rest, conn))
        self._on_rest(conn, conn.sock)

    def _on_rest(self, conn: Connection, _sock: Any) -> None:
        """Discard what a client still sends until it closes its side."""
        try:
            if conn.sock.recv(_PIECE_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._forget(conn, self._lingering)
        self._close(conn)

    def _forget(self, conn: Connection, waiting: deque[Any]) -> None:
        """Wait for a connection no longer."""
        waiting.remove(conn)
        self.poller.unregister(conn.sock)

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()

    def _close_oldest(self) -> bool:
        """Close the connection that has waited longest for its client; False where none waits."""
        for waiting in (self._lingering, self.pending_conns, self.keepalived_conns):
            if waiting:
                conn = waiting[0]
                self._forget(conn, waiting)
                self._close(conn)
                return True
        return False
