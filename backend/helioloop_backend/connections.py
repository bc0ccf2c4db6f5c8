"""gunicorn's worker with threads, where only whole requests occupy a thread and no connection is open for ever.

gunicorn hands a connection to a thread before its request has arrived, so a few clients that send half a request block
all threads, and its main loop waits for each client to close. Here the main loop itself collects a request, without
waiting, and hands it to a thread when it is whole. A body of more than `SMALL_BYTES` is read by the thread, after
authentication; two threads never wait for one. `connection` has the limits of one connection.

    request  whole after `ARRIVAL_SECONDS`, its head in `HEAD_BYTES`
    close    `LINGER_SECONDS` after the answer for a client to close its side
    number   `CONNECTIONS` with `WAITING_BYTES`; beyond them one that is idle or incomplete is closed
"""

import errno
import socket as socket_options
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from socket import AF_UNIX, IPPROTO_TCP, SHUT_WR, TCP_NODELAY
from typing import Any, Final

from gunicorn.workers.gthread import ThreadWorker

from helioloop_backend.connection import HEAD_BYTES, PIECE_BYTES, Connection

ARRIVAL_SECONDS: Final = 5.0
WAITING_BYTES: Final = 64 * 2**20
LINGER_SECONDS: Final = 2.0
CONNECTIONS: Final = 500
NOTIFY_SECONDS: Final = 0.5
_AT_ONCE: Final = 32
"""Connections that are accepted before other events are looked at."""
_DRAIN_SECONDS: Final = 0.01


class Worker(ThreadWorker):
    """Collects requests in the main loop, and hands whole ones to the threads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.worker_connections = CONNECTIONS
        self.pending_conns: deque[Connection]  # type: ignore[assignment] # it holds what `accept` makes
        self.keepalived_conns: deque[Connection]  # type: ignore[assignment]
        self._lingering: deque[Connection] = deque()
        self._notified = -NOTIFY_SECONDS
        self._may_wait = threading.BoundedSemaphore(max(1, self.cfg.threads - 2))
        self._held_bytes = 0

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
                if error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK):
                    self.log.warning("a connection was not accepted: %s", error.strerror)
                return
            self.nr_conns += 1
            conn = Connection(self.cfg, sock, client, listener.getsockname())
            with suppress(OSError):  # a Unix socket has no such option
                sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            self._await_request(conn)
            if self.nr_conns >= self.worker_connections and not self._close_oldest():
                return  # all of them have a request that is being answered

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """Read the first piece of a further request."""
        if conn.is_closed:
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn)

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Keep a connection for its next request, or close it."""
        self._held_bytes -= conn.held_bytes
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
            self._await_request(conn)
            return
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + LINGER_SECONDS)
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_client_socket_readable, conn))

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Return whether a connection stays open: not where its client would have to send a body first."""
        conn.reader.deadline = time.monotonic() + _DRAIN_SECONDS
        return bool(super()._keepalive_after(conn, keepalive))  # type: ignore[misc] # its stubs are of an earlier version

    def murder_pending(self) -> None:
        """Close connections whose request is not complete in time, or whose client does not close its side."""
        # When the worker stops, it does not wait for the rest of a request that has hardly begun.
        now = time.monotonic() + (0.0 if self.alive else ARRIVAL_SECONDS - 1.0)
        incomplete: list[Connection] = []
        for waiting in (self.pending_conns, self._lingering):
            while waiting and waiting[0].timeout <= now:
                conn = waiting[0]
                if waiting is self.pending_conns and conn.received:
                    incomplete.append(conn)
                self._forget(conn, waiting)
                self._close(conn)
        if incomplete:  # one line for all, so that many clients do not fill the log
            self.log.warning(
                "closed without an answer: %d requests that were not complete after %g s; the first is from %s, with "
                "%d bytes",
                len(incomplete),
                ARRIVAL_SECONDS,
                _address(incomplete[0].client),
                len(incomplete[0].received),
            )

    def _await_request(self, conn: Connection) -> None:
        """Start a request that has arrived, as most have when the connection is accepted; else wait for the rest."""
        conn.timeout = time.monotonic() + ARRIVAL_SECONDS
        proceed = self._collect(conn)
        if proceed is None:
            self.pending_conns.append(conn)
            self.poller.register(conn.sock, EVENT_READ, partial(self._on_more, conn))
        else:
            proceed(conn)

    def _on_more(self, conn: Connection, _sock: Any) -> None:
        """Read the next piece of a head."""
        if conn.is_closed:
            return
        proceed = self._collect(conn)
        if proceed is not None:
            self._forget(conn, self.pending_conns)
            proceed(conn)
        elif self._waiting_bytes() > WAITING_BYTES:
            self._close_oldest()

    def _waiting_bytes(self) -> int:
        """Return the size of what has arrived of requests that wait for more, and of whole ones until their answer."""
        return self._held_bytes + sum(len(conn.received) for conn in self.pending_conns)

    def _collect(self, conn: Connection) -> Callable[[Connection], None] | None:
        """Read what has arrived of a head, and return what to do next; None where more of it has to come."""
        if not conn.is_whole():
            try:
                piece = conn.sock.recv(PIECE_BYTES)
            except BlockingIOError:
                return None
            except OSError:
                piece = b""
            conn.received += piece
            if not piece:
                return self._close
        if conn.is_whole():
            return self._start
        return self._refuse if conn.is_too_large() else None

    def _start(self, conn: Connection) -> None:
        if len(conn.received) > HEAD_BYTES and self._waiting_bytes() + len(conn.received) > WAITING_BYTES:
            self._refuse(conn, HTTPStatus.SERVICE_UNAVAILABLE)
            return
        try:
            conn.start_request(self._may_wait)
        except Exception as error:  # noqa: BLE001 - one connection must not end the worker
            self.log.warning("a connection was closed: %s", type(error).__name__)
            self._close(conn)
            return
        self._held_bytes += conn.held_bytes
        self.enqueue_req(conn)

    def _refuse(self, conn: Connection, status: HTTPStatus = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) -> None:
        """Refuse a head that is too large, or a request for which there is no memory now."""
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
        if conn.is_closed:
            return
        try:
            if conn.sock.recv(PIECE_BYTES):
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
        """Close a connection that is answered, else an idle one, else the oldest incomplete; False where none waits.

        It may have an event later in the list that the main loop is going through: see `Connection.is_closed`.
        """
        for waiting in (self._lingering, self.keepalived_conns, self.pending_conns):
            if waiting:
                conn = waiting[0]
                self._forget(conn, waiting)
                self._close(conn)
                return True
        return False


def _address(client: Any) -> str:
    """Return the address of a client; one of a Unix socket has none."""
    return str(client[0]) if isinstance(client, tuple) and client else "a Unix socket"
