"""A TCP proxy on loopback that delays, resets or swallows what passes through it."""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, Literal, TypeVar

T = TypeVar("T")

Mode = Literal["passing", "slow", "resetting", "cutting", "silent"]
"""Slow: every piece is delayed. Resetting: all connections are reset, new ones too. Cutting: connections are reset at
random, amid a piece. Silent: nothing passes and nothing is closed, as where the other host has vanished."""
MODES: Final[tuple[Mode, ...]] = ("slow", "resetting", "cutting", "silent")
DELAY_SECONDS: Final = 0.15
CUT_FRACTION: Final = 0.05
"""Fraction of the pieces at which a connection is cut."""
_RESET: Final = struct.pack("ii", 1, 0)
"""With SO_LINGER of zero seconds, closing a socket resets its connection."""


class Proxy:
    """A proxy to a port of loopback, in a thread of its own.

    Parameters
    ----------
    target : int
        The port to which it connects.
    seed : int
        Of the pieces at which connections are cut.

    Attributes
    ----------
    port : int
        The port at which it listens.
    """

    def __init__(self, target: int, *, seed: int) -> None:
        self._target, self._random = target, random.Random(seed)  # noqa: S311 - not for secrets
        self._mode: Mode = "passing"
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def mode(self) -> Mode:
        """What happens now."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        """Change what happens; after silence, and for resets, all connections are reset."""
        is_over = self._mode == "silent" or mode == "resetting"
        self._mode = mode
        if is_over:
            self._loop.call_soon_threadsafe(self._reset_all)

    def close(self) -> None:
        """End all connections and stop."""
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _stop(self) -> None:
        self._server.close()
        self._reset_all()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _reset_all(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "resetting":
            _reset(writer)
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _reset(writer)
            return
        self._writers |= {writer, back}
        try:
            await asyncio.wait(
                [asyncio.ensure_future(self._pump(reader, back)), asyncio.ensure_future(self._pump(there, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self._writers -= {writer, back}
            for one in (writer, back):
                one.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65536):
                if self._mode == "slow":
                    await asyncio.sleep(DELAY_SECONDS)
                elif self._mode == "silent":
                    await asyncio.sleep(3600)  # until the connection is reset
                elif self._mode == "cutting" and self._random.random() < CUT_FRACTION:
                    writer.write(piece[: len(piece) // 2])
                    await writer.drain()
                    _reset(writer)
                    return
                writer.write(piece)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
