"""What web and worker say to each other: queue names and JSON payloads. One dataclass a job.

The web side sends `RetrainCheck` and `Score` and never imports the worker; jobs are named by their dotted path.
Payloads are plain JSON values: nothing is pickled.
"""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from helioloop.records import CubeInfo

QUEUE_TRAIN = "helioloop-train"
"""Ingestion, planning and the steps of rounds; served by the role ``train``."""
QUEUE_SCORE = "helioloop-score"
"""Scores somebody waits for; served first by the role ``score``."""
QUEUE_MAINTENANCE = "helioloop-maintenance"
"""Judging, write-back, sweep: short or patient; served by the role ``score`` after the scores somebody waits for."""
QUEUE_BULK = "helioloop-bulk"
"""Scores of whole releases, for which nobody waits; served by the role ``score`` where nothing else is to be done."""

SCORE_CHUNK = 100
"""Cubes that one scoring job takes on: what is lost with a job that dies, and how long others wait behind it."""

SECRET_HEADER = "X-Helioloop-Secret"  # noqa: S105 - the header's name, not its value
"""Header of our webhook: `init` has Label Studio send it, the backend asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A job to be done: where it waits, which function does it, and what it is called.

    Two messages with the same `job_id` are one job while the first is waiting or running.
    """

    queue: ClassVar[str]
    job: ClassVar[str]
    running_counts: ClassVar[bool] = True
    """False where a job that already runs may have read what the new message is about: one more then waits behind."""
    longest_seconds: ClassVar[int] = 3600
    """Longest run of a job whose size does not matter."""

    project: int

    @property
    def timeout_seconds(self) -> int:
        """Longest run; also how long a job counts as running whose worker was killed in the scoring role."""
        return self.longest_seconds

    @property
    def job_id(self) -> str:
        """The job's unique name."""
        return f"{self.job.rpartition('.')[2]}-{self.project}"

    def payload(self) -> dict[str, Any]:
        """Return the job's keyword arguments as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainCheck(Message):
    """Re-read a project's annotations and decide whether a round starts."""

    queue = QUEUE_MAINTENANCE
    job = "helioloop_worker.jobs.check_retraining"
    running_counts = False
    longest_seconds = 300

    forced: bool = False
    """True where somebody pressed "Start training": a round runs even with unchanged labels."""

    @property
    def job_id(self) -> str:
        """A forced judgement is a job of its own: a waiting patient one must not swallow it."""
        return f"retrain-check-{self.project}{'-forced' if self.forced else ''}"


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
    """Score and locate cubes with the published version, for which no score is stored yet; somebody waits for them.

    Cubes travel with their region: members that were trained on a region do not speak of another cube of it.
    """

    queue = QUEUE_SCORE
    job = "helioloop_worker.jobs.score"
    name: ClassVar[str] = "score"
    start_seconds: ClassVar[int] = 600
    """For loading the members, and for a disk that is slow to answer."""
    cube_seconds: ClassVar[int] = 60
    """For one cube; ten members of the slowest recipe take about 20 s on one core."""

    version: str
    cubes: tuple[CubeInfo, ...]

    @property
    def job_id(self) -> str:
        """One job per project, version and set of cubes; one that nobody waits for never stands for one awaited."""
        names = "\n".join(sorted(f"{cube.release}/{cube.name}/{cube.sha256}" for cube in self.cubes))
        return f"{self.name}-{self.project}-{self.version}-{hashlib.sha256(names.encode()).hexdigest()[:16]}"

    @property
    def timeout_seconds(self) -> int:
        """Longest run: so much for each cube."""
        return self.start_seconds + self.cube_seconds * len(self.cubes)

    def payload(self) -> dict[str, Any]:
        """Return the job's keyword arguments as plain JSON values; `CubeInfo.from_dict` reads the cubes back."""
        cubes = [cube.as_dict() for cube in self.cubes]
        return {"project": self.project, "version": self.version, "cubes": cubes}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreBulk(Score):
    """The same for a part of many cubes, for which nobody waits."""

    queue = QUEUE_BULK
    name = "bulk"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundStep(Message):
    """A step of the round that is made in the staging folder `fingerprint`."""

    queue = QUEUE_TRAIN
    longest_seconds = 6 * 3600

    fingerprint: str

    @property
    def job_id(self) -> str:
        """One job per step and round."""
        return f"{self.job.rpartition('.')[2]}-{self.project}-{self.fingerprint[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainMember(RoundStep):
    """Train one member of a round; several machines and GPUs share a round's members."""

    job = "helioloop_worker.jobs.train_member"

    member: str

    @property
    def job_id(self) -> str:
        """One job per member and round."""
        return f"member-{self.project}-{self.fingerprint[:16]}-{self.member}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRound(RoundStep):
    """Score every cube of a round out of fold, once its members are there."""

    job = "helioloop_worker.jobs.score_round"


@dataclass(frozen=True, slots=True, kw_only=True)
class Locate(RoundStep):
    """Locate the emergence frames of one share of a round's cubes by masking."""

    job = "helioloop_worker.jobs.locate"

    share: int
    shares: int

    @property
    def job_id(self) -> str:
        """One job per share and round."""
        return f"locate-{self.project}-{self.fingerprint[:16]}-{self.share}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRound(RoundStep):
    """Admit the finished round as a version, publish it and have its predictions written back."""

    job = "helioloop_worker.jobs.close_round"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBack(Message):
    """Write a version's predictions into Label Studio and make it the project's model version."""

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
    """Check, render and import a release. Heavy, so it waits with the training."""

    queue = QUEUE_TRAIN
    job = "helioloop_worker.jobs.ingest"
    longest_seconds = 24 * 3600

    release: str

    @property
    def job_id(self) -> str:
        """One job per project and release."""
        return f"ingest-{self.project}-{hashlib.sha256(self.release.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile(Message):
    """Do what a lost webhook, an emptied Redis or a killed worker left undone."""

    queue = QUEUE_MAINTENANCE
    job = "helioloop_worker.jobs.reconcile"
    running_counts = False  # recovery hangs on it: one whose worker was killed must not keep the next one out
    longest_seconds = 300
