"""Messages to workers: queue names and JSON payloads, one dataclass per kind of job.

The web side sends `RetrainCheck` and `Score` and never imports the worker; jobs are named by their dotted path.
Payloads are plain JSON values: nothing is pickled. They carry a format number; `payloads` reads them.
"""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

from pydantic import ConfigDict

from helioloop.errors import CubeError, ReleaseError, SettingsError, WrongUsage
from helioloop.records.cubes import CubeInfo

FORMAT: Final = 1
"""The format of payloads that this version of helioloop writes and reads; a payload without one has this format."""

QUEUE_TRAIN = "helioloop-train"
"""Ingestion, planning and the steps of rounds; served by the role ``train``."""
QUEUE_SCORE = "helioloop-score"
"""Scores that somebody is waiting for; the role ``score`` serves this queue first."""
QUEUE_MAINTENANCE = "helioloop-maintenance"
"""Retrain checks, write-back, reconciliation; the role ``score`` serves this queue second."""
QUEUE_BULK = "helioloop-bulk"
"""Scores of whole releases, for which nobody is waiting; the role ``score`` serves this queue last."""

SCORE_CHUNK = 100
"""Cubes in one scoring job: as many are lost with a job that dies, and other jobs wait as long as they take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request to run a job: its queue, its function, its name, and in the fields its arguments.

    Two messages with the same `job_id` are one job while the first is waiting or running.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)

    queue: ClassVar[str]
    job: ClassVar[str]
    running_counts: ClassVar[bool] = True
    """False where a running job may have read its inputs before the event of a new message, so one more is enqueued."""
    longest_seconds: ClassVar[int] = 3600
    """Longest run of a job, for kinds whose duration does not depend on their size."""
    attempts: ClassVar[int] = 4
    """A job that failed so often is parked, see `job_failures`; 0 where its failures are counted elsewhere."""
    is_parkable: ClassVar[bool] = True
    """False for a job that repairs the others: it is tried again for ever, once an hour."""
    refused_by: ClassVar[tuple[type[Exception], ...]] = ()
    """Errors by which the job refuses what it was given: nobody repeats it, so they are not counted."""

    project: int

    @property
    def timeout_seconds(self) -> int:
        """Longest run; a job of a killed scoring worker counts as running for as long."""
        return self.longest_seconds

    @property
    def job_id(self) -> str:
        """The job's unique name."""
        return f"{self.job.rpartition('.')[2]}-{self.project}"

    @property
    def failure_key(self) -> str:
        """The name under which its failures are counted."""
        return self.job_id

    @property
    def limit(self) -> int | None:
        """It is parked after so many failures; None where it is never parked."""
        return self.attempts if self.is_parkable else None

    @property
    def version_worked_on(self) -> str:
        """The version that the job works on; "" where it works on none."""
        return str(getattr(self, "version", ""))

    def payload_to_repeat(self) -> dict[str, Any] | None:
        """Return the payload with which reconciliation repeats a failed job; None where others send it again."""
        return self.payload()

    def payload(self) -> dict[str, Any]:
        """Return the job's keyword arguments as plain JSON values, with the format of the payload."""
        return {**asdict(self), "format": FORMAT}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainCheck(Message):
    """Read a project's annotations and decide whether a round starts."""

    queue = QUEUE_MAINTENANCE
    job = "helioloop_worker.jobs.check_retraining"
    running_counts = False
    longest_seconds = 300

    forced: bool = False
    """True where somebody pressed "Start training": a round starts even with unchanged labels."""

    @property
    def job_id(self) -> str:
        """A name of its own for a forced check: a scheduled ordinary one must not replace it."""
        return f"retrain-check-{self.project}{'-forced' if self.forced else ''}"

    @property
    def failure_key(self) -> str:
        """One name for both: “Start training” puts the ordinary check back, too."""
        return f"retrain-check-{self.project}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRound(Message):
    """Prepare the cubes of a project for a round that a retrain check requested, and start the round.

    The work may be long, because every cube that is not in the cache is gridded, so it waits with the training. The
    request is a file in the model folder: this message only starts the job that reads it.
    """

    queue = QUEUE_TRAIN
    job = "helioloop_worker.jobs.plan_round"
    longest_seconds = 24 * 3600

    @property
    def job_id(self) -> str:
        """One planning job per project."""
        return f"plan-round-{self.project}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Message):
    """Score and locate cubes with the published version; somebody is waiting for their scores.

    The cubes include their region: members that were trained on a region do not score its other cubes.
    """

    queue = QUEUE_SCORE
    job = "helioloop_worker.jobs.score"
    name: ClassVar[str] = "score"
    start_seconds: ClassVar[int] = 600
    """Time to load the members, from a slow disk too."""
    cube_seconds: ClassVar[int] = 60
    """Time for one cube; ten members of the slowest recipe take about 20 s on one core."""

    version: str
    cubes: tuple[CubeInfo, ...]

    @property
    def job_id(self) -> str:
        """One job per project, version and set of cubes; bulk jobs have other names."""
        names = "\n".join(sorted(f"{cube.release}/{cube.name}/{cube.sha256}" for cube in self.cubes))
        return f"{self.name}-{self.project}-{self.version}-{_digest(names)}"

    @property
    def timeout_seconds(self) -> int:
        """Longest run: the time to load the members, and a time for each cube."""
        return self.start_seconds + self.cube_seconds * len(self.cubes)

    def payload_to_repeat(self) -> None:
        """Return None: /predict and write-backs request again what has no score."""

    def payload(self) -> dict[str, Any]:
        """Return the job's keyword arguments as plain JSON values; `CubeInfo.from_dict` reads the cubes back."""
        cubes = [cube.as_dict() for cube in self.cubes]
        return {"project": self.project, "version": self.version, "cubes": cubes, "format": FORMAT}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreBulk(Score):
    """The same for a chunk of many cubes, for which nobody is waiting."""

    queue = QUEUE_BULK
    name = "bulk"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundStep(Message):
    """A step of the round in the staging folder `fingerprint`."""

    queue = QUEUE_TRAIN
    longest_seconds = 6 * 3600
    attempts = 0  # the round counts them

    fingerprint: str

    @property
    def job_id(self) -> str:
        """One job per step and round."""
        return f"{self.job.rpartition('.')[2]}-{self.project}-{self.fingerprint[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainMember(RoundStep):
    """Train one member of a round; the members of one round may be trained on several machines and GPUs."""

    job = "helioloop_worker.jobs.train_member"

    member: str

    @property
    def job_id(self) -> str:
        """One job per member and round."""
        return f"member-{self.project}-{self.fingerprint[:16]}-{self.member}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRound(RoundStep):
    """Score every cube of a round with its out-of-fold members, after these are trained."""

    job = "helioloop_worker.jobs.score_round"


@dataclass(frozen=True, slots=True, kw_only=True)
class Locate(RoundStep):
    """Locate the emergence frames of one chunk of a round's cubes by masking."""

    job = "helioloop_worker.jobs.locate"

    chunk: int
    chunks: int

    @property
    def job_id(self) -> str:
        """One job per chunk and round."""
        return f"locate-{self.project}-{self.fingerprint[:16]}-{self.chunk}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRound(RoundStep):
    """Admit the finished round as a version, publish it and request its write-back."""

    job = "helioloop_worker.jobs.close_round"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBack(Message):
    """Import a version's predictions into Label Studio and make it the project's model version."""

    queue = QUEUE_MAINTENANCE
    job = "helioloop_worker.jobs.write_back"
    running_counts = False
    longest_seconds = 1800

    version: str

    @property
    def job_id(self) -> str:
        """One job per project and version."""
        return f"write-back-{self.project}-{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest(Message):
    """Check, render and import a release; it needs much computing, so it is queued with the training."""

    queue = QUEUE_TRAIN
    job = "helioloop_worker.jobs.ingest"
    longest_seconds = 24 * 3600
    refused_by = (ReleaseError, CubeError, SettingsError, WrongUsage)

    release: str

    @property
    def job_id(self) -> str:
        """One job per project and release."""
        return f"ingest-{self.project}-{_digest(self.release)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept(Message):
    """Accept the labels of a release for which the project's audit sample supports a risk guarantee."""

    queue = QUEUE_BULK
    job = "helioloop_worker.jobs.accept"
    longest_seconds = 6 * 3600

    release: str
    rate: float
    confidence: float

    @property
    def job_id(self) -> str:
        """One job per project and release."""
        return f"accept-{self.project}-{_digest(self.release)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile(Message):
    """Repair what a lost webhook, an emptied Redis or a killed worker left undone."""

    queue = QUEUE_MAINTENANCE
    job = "helioloop_worker.jobs.reconcile"
    running_counts = False  # it repairs the rest: a job whose worker was killed must not block the next one
    longest_seconds = 300
    is_parkable = False

    def payload_to_repeat(self) -> None:
        """Return None: workers send it every few minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeReport(Message):
    """Write the report page of a project, which Label Studio serves to the annotators."""

    queue = QUEUE_MAINTENANCE
    job = "helioloop_worker.jobs.make_report"
    running_counts = False
    longest_seconds = 1800

    @property
    def job_id(self) -> str:
        """One job per project."""
        return f"report-{self.project}"


def _digest(text: str) -> str:
    """Return a text of any length and content as part of a job's name."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
