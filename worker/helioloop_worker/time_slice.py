"""The length of a process's time slices under Linux, which Python has no function for.

The kernel gives a running program a slice of some milliseconds, and a waking one may have to wait until it ends, even
if the running one is in the class for idle time. Linux 6.12 and later let a program ask for another length.

References
----------
`man 2 sched_setattr`; Linux, Documentation/scheduler/sched-eevdf.rst.
"""

import ctypes
import os
import platform
import struct
import sys
from typing import Final

SHORTEST_NS: Final = 100_000
"""The shortest slice that the kernel gives, in nanoseconds; the longest is a thousand times as long."""
_SYSTEM_CALLS: Final = {"x86_64": (314, 315), "aarch64": (274, 275)}
"""Numbers of sched_setattr and sched_getattr; glibc has functions for them since version 2.41 only."""
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
"""`struct sched_attr`: size, policy, flags, nice, priority, runtime, deadline, period."""
_RUNTIME: Final = 5


def slice_ns() -> int:
    """Return the length of this thread's time slices in nanoseconds; 0 from a kernel before 6.12.

    Raises
    ------
    OSError
        If the system has no such call, or refuses it.
    """
    return int(_attributes()[_RUNTIME])


def ask_for_shortest_slice() -> None:
    """Ask for the shortest time slices; threads and processes started from now on have them too.

    A kernel before 6.12 ignores it, and every kernel does for a thread in the class for idle time, so ask before.

    Raises
    ------
    OSError
        If the system has no such call, or refuses it.
    """
    attributes = _attributes()
    attributes[_RUNTIME] = SHORTEST_NS
    _call(0, ctypes.create_string_buffer(_ATTRIBUTES.pack(*attributes)), 0)


def _attributes() -> list[int]:
    buffer = ctypes.create_string_buffer(_ATTRIBUTES.size)
    _call(1, buffer, _ATTRIBUTES.size, 0)
    return list(_ATTRIBUTES.unpack(buffer.raw[: _ATTRIBUTES.size]))


def _call(which: int, buffer: "ctypes.Array[ctypes.c_char]", *more: int) -> None:
    numbers = _SYSTEM_CALLS.get(platform.machine())
    if sys.platform != "linux" or numbers is None:
        raise OSError(f"time slices cannot be set on {sys.platform}, {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ctypes.c_long(numbers[which]), 0, buffer, *more):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
