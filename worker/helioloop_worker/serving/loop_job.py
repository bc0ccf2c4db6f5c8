"""A job of the loop: read from Redis, checked, run, and counted."""

import logging
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final

from helioloop.errors import ServiceError
from helioloop.logs import log_fields
from helioloop.messaging.messages import Message
from helioloop.messaging.payloads import read_message
from helioloop.messaging.plain_job import PlainJob
from helioloop.messaging.work_figures import JOB_SECONDS, REFUSED_JOBS, add_to_figure
from helioloop_worker import jobs
from helioloop_worker.context import Context
from helioloop_worker.loop.failing import counting

log = logging.getLogger(__name__)

_LOGGED: Final = {"project": "project", "version": "version", "round": "fingerprint", "member": "member"}
"""Field of a line of the log -> argument of a job."""


class LoopJob(PlainJob):
    """A job of the loop: its function is one of `jobs.FUNCTIONS` and receives the context of this process."""

    context: ClassVar[Context]

    def restore(self, raw_data: Any, *, payload: bool = True) -> Any:
        """Read the job from Redis, with its payload; see `PlainJob.restore`."""
        return super().restore(raw_data, payload=payload)

    def _execute(self) -> Any:
        message, function, arguments = self._checked()
        started = time.monotonic()
        name = function.__name__
        with log_fields(job=self.id, **{field: arguments.get(argument) for field, argument in _LOGGED.items()}):
            log.debug("job %s starts", name)
            outcome = "failed"
            try:
                with counting(self.connection, message, self.context.settings, job_id=self.id):
                    result = function(self.context, **arguments)
                outcome = "done"
            finally:
                seconds = time.monotonic() - started
                add_to_figure(self.connection, JOB_SECONDS, name, outcome, value=seconds)
                log.info("job %s %s after %.1f s", name, "is done" if outcome == "done" else outcome, seconds)
        return result

    def _checked(self) -> tuple[Message, Callable[..., Any], dict[str, Any]]:
        """Return the message, the function of this job and its arguments.

        Raises
        ------
        ServiceError
            If it is not a job of helioloop, or its payload has another format or shape; see `read_message`.
        """
        name, payload = str(self.func_name), self.kwargs
        try:
            message = read_message(
                name, {"": "positional arguments"} if self.args or self.instance is not None else payload
            )
        except ServiceError as error:
            log.error("job %r: %s", self.id[:80], error)
            add_to_figure(self.connection, REFUSED_JOBS)
            raise
        return message, jobs.FUNCTIONS[name], {field: value for field, value in payload.items() if field != "format"}


def job_class(context: Context) -> type[LoopJob]:
    """Return the class under which a worker runs jobs with `context`."""
    return type("LoopJob", (LoopJob,), {"context": context})
