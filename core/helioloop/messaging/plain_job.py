"""A job of rq as helioloop reads it from Redis: plain JSON, of which nothing is imported, called or unpickled.

Whoever can write to Redis can write anything into a job. rq would import and call the function and the callbacks that
a job names, post to the addresses that it names, and end a worker that cannot read it.
"""

import logging
from contextlib import suppress
from typing import Any, Final

import redis
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.executions import Execution, ExecutionRegistry
from rq.job import Job
from rq.serializers import JSONSerializer

from helioloop.errors import ServiceError

log = logging.getLogger(__name__)

_SHOWN: Final = 80
"""Longest part of a foreign name in a line of the log."""


class PlainJob(Job):
    """A job whose fields are data only; it cannot be run. Workers derive the class that runs helioloop's jobs."""

    def __init__(self, id: str | None = None, connection: Any = None, serializer: Any = None) -> None:  # noqa: A002, ARG002 - as rq calls it
        try:
            super().__init__(id, connection, serializer=JSONSerializer)
        except ValueError as error:
            log.error("job %r in Redis has no valid id; it is refused", str(id)[:_SHOWN])
            raise NoSuchJobError(f"{str(id)[:_SHOWN]!r} is not the id of a job") from error

    @property
    def func(self) -> Any:
        """Refuse to import the function that the job names."""
        raise ServiceError(f"job {self.id[:_SHOWN]!r} is not run here; workers run helioloop's jobs only")

    @property
    def success_callback(self) -> None:
        """No function is called after the job."""

    @property
    def failure_callback(self) -> None:
        """No function is called after the job failed."""

    @property
    def stopped_callback(self) -> None:
        """No function is called after the job was stopped."""

    def send_webhooks(self, status: Any, *, exc_string: str | None = None) -> None:
        """Post nothing."""

    @property
    def execution_registry(self) -> ExecutionRegistry:
        """The executions of this job, without those that have expired."""
        return _Executions(self.id, connection=self.connection)

    def delete(self, *arguments: Any, **options: Any) -> None:
        """Delete the job; nothing where another process has deleted it meanwhile, for which rq has an error."""
        with suppress(InvalidJobOperation):
            super().delete(*arguments, **options)

    def restore(self, raw_data: Any, *, payload: bool = False) -> Any:
        """Read the job from Redis; with `payload` it must have a function's name and keyword arguments.

        Raises
        ------
        NoSuchJobError
            If it cannot be read: rq then drops it, where another error would end the worker at each start.
        """
        try:
            super().restore(raw_data)
            if payload:
                _check_payload(self)
        except NoSuchJobError:
            raise
        except Exception as error:
            log.error("job %r in Redis cannot be read (%s); it is refused", self.id[:_SHOWN], type(error).__name__)
            raise NoSuchJobError(f"job {self.id[:_SHOWN]!r} cannot be read") from error


def _check_payload(job: Job) -> None:
    """Raise where the payload of a job is not JSON of a function's name and its arguments."""
    if not (isinstance(job.func_name, str) and isinstance(job.kwargs, dict)):
        raise TypeError("the payload has another shape")


class _Executions(ExecutionRegistry):
    """The executions of a job. Those of a killed worker expire a minute before their entry here; rq would raise.

    So it would where somebody else wrote one.
    """

    def get_executions(self, start: int = 0, end: int = -1) -> list[Execution]:
        """Return the executions that have not expired and can be read."""
        found = []
        for execution_id in self.get_execution_ids(start, end):
            try:
                found.append(Execution.fetch(id=execution_id, job_id=self.job_id, connection=self.connection))
            except (ValueError, KeyError, OverflowError):
                continue
        return found

    def delete(self, job: Job, pipeline: "redis.client.Pipeline") -> None:
        """Delete all executions, expired ones too."""
        for execution_id in self.get_execution_ids():
            Execution(execution_id, job.id, self.connection).delete(job=job, pipeline=pipeline)
        pipeline.delete(self.key)
