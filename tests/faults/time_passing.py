"""Lets the time pass after which Redis and rq notice that workers have died: minutes, which a test does not wait."""

import os
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

import redis

LOCKS = ("helioloop:writer:*", "helioloop:reconciling:*", "rq:scheduler-lock:*", "rq:clean_registries:*")


def left_behind(connection: redis.Redis) -> dict[bytes, bytes]:
    """Return what the workers hold now, to let it expire if they are dead.

    These are the locks of the loop and of rq with what they contain, a token of the holder; and the jobs that a worker
    has taken from a queue and not started, with nothing.
    """
    keys = [key for pattern in LOCKS for key in connection.scan_iter(pattern)]
    held = {key: content for key in keys if (content := connection.dump(key)) is not None}
    for queue in connection.scan_iter("rq:queue:*:intermediate"):
        held |= {queue + b":first_seen:" + job: b"" for job in connection.lrange(queue, 0, -1)}
    return held


def let_time_pass(connection: redis.Redis, *, held: Mapping[bytes, bytes], frozen: Collection[int] = ()) -> None:
    """Let everything expire that dead and frozen workers renewed.

    Parameters
    ----------
    connection : redis.Redis
        The Redis.
    held : mapping
        What the workers held when they died, see `left_behind`.
    frozen : collection of int
        Process ids of workers that are alive, and give no sign of life.
    """
    living = set()
    for key in connection.scan_iter("rq:worker:*"):
        if connection.type(key) != b"hash":  # the executions of a worker
            continue
        pid = int(connection.hget(key, "pid") or 0)
        if is_alive(pid) and pid not in frozen:
            living.add(key.removeprefix(b"rq:worker:"))
        else:
            connection.delete(key)
    for registry in connection.scan_iter("rq:wip:*"):
        for member in connection.zrange(registry, 0, -1):
            if connection.hget(b"rq:execution:" + member, "worker_name") not in living:
                connection.zadd(registry, {member: time.time() - 1}, xx=True)
                connection.delete(b"rq:execution:" + member)
    for key, content in held.items():
        if not content:
            connection.set(key, time.time() - 120, ex=600)  # seen there two minutes ago
        elif connection.dump(key) == content:
            connection.delete(key)


def is_alive(process: int) -> bool:
    """Return whether there is a process with this id."""
    if process <= 0:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def children(process: int) -> list[int]:
    """Return the process ids of the children of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = path.read_text().rpartition(")")[2].split()[1]  # the name before it may have blanks
            if int(parent) == process:
                found.append(int(path.parent.name))
    return found
