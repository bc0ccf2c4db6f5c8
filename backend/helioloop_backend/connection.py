"""One connection: what arrived of its next request, and the reading of a large body that has not arrived yet.

body     a large one after `BODY_SECONDS`, with pauses of at most `PAUSE_SECONDS`
answer   with pauses of at most `PAUSE_SECONDS` in which the client reads nothing
"""

import re
import struct
import threading
import time
from contextlib import suppress
from socket import SO_SNDTIMEO, SOL_SOCKET, socket
from typing import Any, Final

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn

HEAD_BYTES: Final = 64 * 1024
SMALL_BYTES: Final = 2**20
BODY_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 5.0
PIECE_BYTES: Final = 256 * 1024
"""Bytes that are read from a connection at one time."""
HANDED_BYTES: Final = 64 * 1024
"""Bytes that are handed to gunicorn's parser at one time, at most."""
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,12})[ \t]*(?=\r\n)", re.IGNORECASE)
_LATER: Final = re.compile(rb"\r\n(?:expect|transfer-encoding):", re.IGNORECASE)
"""Headers of a body that does not follow at once, or whose end cannot be seen before it is read."""
_LINE_ENDS: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"


class Reader(SocketUnreader):
    """Reads a request from what has arrived, and the rest of a large body from the socket with a deadline.

    Parameters
    ----------
    sock : socket
        The connection.
    may_wait : Semaphore
        As many threads as may wait for clients.
    """

    def __init__(self, sock: socket, may_wait: threading.Semaphore) -> None:
        super().__init__(sock)
        self.deadline = 0.0
        self._may_wait = may_wait
        self._collected = memoryview(b"")

    def hold(self, collected: bytearray) -> None:
        """Take what the main loop collected: `chunk` returns it before the socket is read.

        It does so piece by piece, as a socket would, because gunicorn copies all that it was handed and has not used
        for each part of the head, and again whenever the app reads from the body.
        """
        self._collected = memoryview(collected)

    def take_buffered(self) -> bytes:
        """Return what arrived and was not read, without touching the socket."""
        taken: bytes = super().take_buffered() + bytes(self._collected)
        self._collected = memoryview(b"")
        return taken

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return the next piece.

        Raises
        ------
        TimeoutError
            Where none arrives for `PAUSE_SECONDS`, the body is not complete after `BODY_SECONDS`, or too many threads
            wait already.
        """
        if self._collected:
            size = min(size_hint or self.mxchunk, HANDED_BYTES)
            collected, rest = self._collected[:size], self._collected[size:]
            self._collected = rest or memoryview(b"")  # an empty rest would keep the whole request in memory
            return bytes(collected)
        if time.monotonic() > self.deadline:  # also of a client that never pauses
            raise TimeoutError("the body is not complete in time")
        arrived = self._arrived(size_hint)
        if arrived is not None:
            return arrived
        if not self._may_wait.acquire(blocking=False):
            raise TimeoutError("too many clients send large bodies")
        self.sock.settimeout(max(0.001, min(PAUSE_SECONDS, self.deadline - time.monotonic())))
        try:
            piece: bytes = super().chunk(size_hint)  # type: ignore[call-arg] # its stubs are of an earlier version
        finally:
            self._may_wait.release()
            self.sock.settimeout(None)  # a timeout of Python's would hold for the whole answer, not for a pause in it
        return piece

    def _arrived(self, size_hint: int | None) -> bytes | None:
        """Return what has arrived already; None where nothing has."""
        self.sock.setblocking(False)  # with a timeout of Python's, no flag of `recv` keeps it from waiting
        try:
            return self.sock.recv(max(size_hint or 0, PIECE_BYTES))
        except BlockingIOError:
            return None
        finally:
            self.sock.setblocking(True)


class Connection(TConn):
    """A connection, and what arrived of its next request."""

    timeout: float
    reader: Reader

    def __init__(self, cfg: Any, sock: socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.received = bytearray()
        self.held_bytes = 0
        self._needed: int | None = None
        with suppress(OSError):  # a client may stop reading its answer
            sock.setsockopt(SOL_SOCKET, SO_SNDTIMEO, struct.pack("ll", int(PAUSE_SECONDS), 0))

    @property
    def is_closed(self) -> bool:
        """Whether the connection was closed since the main loop saw that something had arrived on it."""
        return self.sock.fileno() < 0

    def is_whole(self) -> bool:
        """Return whether a request has arrived, or as much as the main loop collects; blank lines do not count."""
        if self._needed is None:
            if self.received.startswith((b"\r", b"\n")):
                self.received = bytearray(self.received.lstrip(_LINE_ENDS))
            end = self.received.find(_HEAD_END)
            if end < 0:
                return False
            self._needed = end + len(_HEAD_END) + _body_bytes(bytes(self.received[: end + len(_LINE_ENDS)]))
        return len(self.received) >= self._needed

    def is_too_large(self) -> bool:
        """Return whether the head is too large."""
        return self._needed is None and len(self.received) > HEAD_BYTES

    def start_request(self, may_wait: threading.Semaphore) -> None:
        """Hand what arrived to gunicorn's parser."""
        if not self.initialized:
            self.init()
            self.reader = self.parser.unreader = Reader(self.sock, may_wait)  # type: ignore[union-attr] # it is one of HTTP/1
        self.reader.deadline = time.monotonic() + BODY_SECONDS
        self.held_bytes = len(self.received)
        self.reader.hold(self.received)
        self.received = bytearray()
        self._needed = None
        self.data_ready = True  # gunicorn's `handle` would wait for data otherwise


def _body_bytes(head: bytes) -> int:
    """Return the length of a body that the main loop collects; 0 where a thread reads it, or there is none."""
    found = _LENGTH.findall(head)
    if len(found) != 1 or _LATER.search(head) is not None:
        return 0
    length = int(found[0])
    return length if length <= SMALL_BYTES else 0
