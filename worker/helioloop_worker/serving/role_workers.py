"""The workers of the two roles.

The role ``train`` forks a process for each job. The role ``score`` runs jobs in its own process, where members stay
loaded. Reconciliations are sent from the loop of the worker, so an emptied Redis does not stop them.
"""

from contextlib import nullcontext
from typing import Any

from rq import Queue, SimpleWorker, Worker
from rq.executions import Execution
from rq.job import Job

from helioloop.messaging import messages, queues
from helioloop.messaging.job_failures import PARKED_SECONDS
from helioloop.settings import Settings
from helioloop_worker.loop.failing import give_second_chance
from helioloop_worker.priority import yielding
from helioloop_worker.serving.described_worker import DescribedWorker
from helioloop_worker.serving.device_name import CUDA
from helioloop_worker.serving.forks import accept_signals, signals_wait


class TrainingWorker(DescribedWorker, Worker):
    """Forks a process for each job, so that a job that dies does not end the worker.

    The worker itself never initialises CUDA, which does not work in a forked process afterwards.
    """

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork the process of a job; see `rq.Worker.fork_work_horse`."""
        with signals_wait():
            super().fork_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """Install the handlers of the process of a job, in this process; see `rq.Worker`."""
        super().setup_work_horse_signals()  # type: ignore[no-untyped-call]
        accept_signals()

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        """Run a job in the forked process; training on a CPU yields to other programs, the worker itself does not."""
        trains = job.func_name == messages.TrainMember.job and not self.device_name.startswith(CUDA)
        with yielding() if trains and self.settings.training_yields else nullcontext():
            return super().perform_job(job, queue, execution)


class ScoringWorker(DescribedWorker, SimpleWorker):
    """Runs jobs in its own process, where members stay loaded and connections open, and sends reconciliations."""

    def maintain(self) -> None:
        """Do the maintenance of rq, and send reconciliations."""
        super().maintain()
        give_second_chance(self.connection, self.settings, parked_seconds=PARKED_SECONDS)
        request_reconciliation(self.connection, self.settings)


def request_reconciliation(connection: Any, settings: Settings) -> None:
    """Send a reconciliation for every project that has a model folder, unless one waits already."""
    for project in settings.projects():
        queues.send(connection, messages.Reconcile(project=project))
