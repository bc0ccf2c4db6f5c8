"""A worker that claims Redis for its model root, and ends where Redis serves another one."""

from typing import Final

import redis
from rq import Queue
from rq.exceptions import StopRequested
from rq.job import Job
from rq.worker import BaseWorker

from helioloop.errors import ServiceError
from helioloop.messaging.roles import FOLDER_FIELD, ROOT_FIELD
from helioloop.messaging.served_root import claim_redis
from helioloop.settings import Settings

CLAIM_SECONDS: Final = 20
"""An idle worker renews its claim this often: Redis may have been emptied, and another worker have come first."""


class ClaimingWorker(BaseWorker):
    """Takes jobs only while Redis serves its model root; the jobs of another one have the same names."""

    settings: Settings
    root_identity: str | None = None
    """The identity of its model root; None, where that is not known, claims nothing."""
    refusal: ServiceError | None = None
    """Why it ended by itself: Redis serves another model root."""

    @property
    def root_fields(self) -> dict[str, str]:
        """What it writes about its model root into Redis; empty where the identity is not known."""
        if self.root_identity is None:
            return {}
        return {ROOT_FIELD: self.root_identity, FOLDER_FIELD: str(self.settings.model_root.absolute())}

    def claim(self) -> None:
        """Claim Redis, or renew the claim; see `claim_redis`."""
        if self.root_identity is not None:
            claim_redis(self.connection, self.settings, self.root_identity)

    def dequeue_job_and_maintain_ttl(
        self,
        timeout: int | None,
        max_idle_time: int | None = None,  # noqa: ARG002 - those of helioloop do not end by themselves
    ) -> tuple[Job, Queue] | None:
        """Wait for a job and take it, after the claim was renewed; see `rq.Worker`."""
        while not self._stop_requested:
            try:
                self.claim()
            except ServiceError as error:
                self.refusal = error
                raise StopRequested from None
            except redis.RedisError:
                pass  # rq notices it while it waits
            found = super().dequeue_job_and_maintain_ttl(timeout, CLAIM_SECONDS)
            if found is not None or timeout is None:  # None: it was not to wait
                return found
        return None
