"""Checks that a worker of a role runs on this host, for health checks. It imports neither torch nor astropy."""

import os
import socket

from rq import Worker

from helioloop.errors import ServiceError
from helioloop.messaging import redis_client
from helioloop.messaging.roles import ROLE_QUEUES, Role
from helioloop.settings import Settings, plain_url


def running_worker(role: Role, settings: Settings) -> str:
    """Return one sentence about the worker of a role that runs on this host.

    Parameters
    ----------
    role : str
        ``train`` or ``score``.
    settings : Settings
        ``redis_url`` is used.

    Raises
    ------
    ServiceError
        If Redis does not answer, or no running process of this host is registered in it as a worker of this role.

    Notes
    -----
    A worker's entry in Redis expires by itself: 20 s after its last sign of life, or with the longest time that its
    job may take. So a worker that hangs between two jobs loses it, and a long job does not.
    """
    connection = redis_client.connect(settings)
    host = socket.gethostname()
    with redis_client.plain_errors(settings):
        workers = Worker.all(connection=connection)
        for worker in workers:
            if worker.hostname == host and ROLE_QUEUES[role][0] in worker.queue_names() and _runs(worker.pid):
                return f"the worker with role {role} runs on {host} as process {worker.pid}"
    raise ServiceError(
        f"no worker with role {role} of this host, {host}, is registered in Redis at {plain_url(settings.redis_url)}; "
        f"start `helioloop worker --role {role}` or read its log"
    )


def _runs(pid: int | None) -> bool:
    """Return True if a process with this id runs on this host."""
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
