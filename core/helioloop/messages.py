"""What web and worker say to each other: queue names and JSON payloads. One dataclass a job.

The web side sends `Judge` and `Score` and never imports the worker; jobs are named by their dotted path. Payloads are
plain JSON values: nothing is pickled.
"""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from helioloop.records import CubeRef

QUEUE_TRAIN = "helioloop-train"
"""Members of a round and what closes it; served by the role ``train``."""
QUEUE_SCORE = "helioloop-score"
"""Scores somebody waits for; served first by the role ``score``."""
QUEUE_TEND = "helioloop-tend"
"""Judging, ingestion, write-back, sweep: short or patient; served by the role ``score`` after its scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A job to be done: where it waits, which function does it, and what it is called.

    Two messages with the same `job_id` are one job while the first is waiting or running.
    """

    queue: ClassVar[str]
    job: ClassVar[str]

    project: int

    @property
    def job_id(self) -> str:
        """The job's unique name."""
        return f"{self.job.rpartition('.')[2]}-{self.project}"

    def payload(self) -> dict[str, Any]:
        """Return the job's keyword arguments as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge(Message):
    """Re-read a project's annotations and decide whether a round starts."""

    queue = QUEUE_TEND
    job = "helioloop_worker.jobs.judge"

    forced: bool = False
    """True where somebody pressed "Start training": a round runs even with unchanged labels."""

    @property
    def job_id(self) -> str:
        """A forced judgement is a job of its own: a waiting patient one must not swallow it."""
        return f"judge-{self.project}-{'forced' if self.forced else 'patient'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Message):
    """Score and locate cubes with a published version, for which no score is stored yet."""

    queue = QUEUE_SCORE
    job = "helioloop_worker.jobs.score"

    version: str
    cubes: tuple[CubeRef, ...]

    @property
    def job_id(self) -> str:
        """One job per project, version and set of cubes."""
        names = "\n".join(sorted(f"{ref.release}/{ref.cube}/{ref.sha256}" for ref in self.cubes))
        return f"score-{self.project}-{self.version}-{hashlib.sha256(names.encode()).hexdigest()[:16]}"
