"""Whether the loop has completed once: all cubes imported, a version published, its predictions shown."""

import time
from collections.abc import Sequence

import redis

from helioloop.errors import ServiceError
from helioloop.messaging import messages
from helioloop.messaging.job_monitor import outcome_of, running
from helioloop.registry.label_snapshot import Snapshot
from helioloop.registry.random_checks import blind_cubes
from helioloop.registry.shown_versions import read_shown_versions
from helioloop.registry.staging import Staging
from helioloop.registry.unscorable import read_unscorable
from helioloop.registry.versions import Registry
from helioloop.settings import Settings
from helioloop_worker.labelstudio.client import LabelStudioClient

STALL_SECONDS = 120.0
"""Longest time without a job before the demo reports an error."""


class FirstPass:
    """The first pass of releases through the loop.

    Parameters
    ----------
    connection : redis.Redis
        Redis, for the state of the jobs.
    settings : Settings
        The settings of the services.
    project : int
        Label Studio project.
    ingestions : sequence of Ingest
        The ingestion jobs that were sent.
    """

    def __init__(
        self, connection: redis.Redis, settings: Settings, project: int, ingestions: Sequence[messages.Ingest]
    ) -> None:
        self._connection = connection
        self._project = project
        self._ingestions = ingestions
        self._model_dir = settings.model_dir(project)
        self._gateway = LabelStudioClient.from_settings(settings)
        self._busy_at = time.monotonic()

    def completed(self) -> bool:
        """Return True once every imported cube has the published version's prediction, except random checks.

        Raises
        ------
        ServiceError
            If an ingestion or the round failed, or no job has run for `STALL_SECONDS`.
        """
        cubes = self._imported()
        version = Registry(self._model_dir).published()
        shown = read_shown_versions(self._model_dir)
        if cubes and version is not None and shown and shown[-1].version == version:
            unscorable = len(read_unscorable(self._model_dir, version))
            snapshot = Snapshot.read(self._model_dir)
            blind = len(blind_cubes(self._model_dir, {} if snapshot is None else snapshot.cubes))
            return self._gateway.model_versions(self._project).get(version, 0) >= cubes - unscorable - blind
        if failure := next(iter(Staging(self._model_dir).all_parked()), None):
            raise ServiceError(failure)
        if any(not job.startswith(("reconcile-", "retrain-check-")) for job in running(self._connection)):
            self._busy_at = time.monotonic()
        if time.monotonic() - self._busy_at > STALL_SECONDS:
            raise ServiceError(
                f"no job has run for {STALL_SECONDS:.0f} s, and no predictions are shown; read `helioloop status "
                f"--project {self._project}` and the logs of the workers"
            )
        return False

    def _imported(self) -> int:
        """Return how many cubes have a task; 0 until all ingestions have ended."""
        total = 0
        for ingestion in self._ingestions:
            outcome = outcome_of(self._connection, ingestion)
            if outcome is None:
                return 0
            total += int(outcome["imported"]) + int(outcome["present"])
        return total
