"""The facts of ``helioloop status``: frozen records.

The text and the JSON of the command are made from one `ProjectStatus`. Messages in it are redacted. The names of fields
are the names in the JSON, which docs/status.md lists. `status_reading` reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from helioloop.registry.last_check import LastCheck
from helioloop.registry.lost_media import LostMedia
from helioloop_worker.labelstudio.submitted import Submitted
from helioloop_worker.reports.audit import ProjectAudit
from helioloop_worker.reports.disk_use import DiskUse
from helioloop_worker.reports.other_code import OtherCode
from helioloop_worker.reports.random_checks import RandomCheckCounts
from helioloop_worker.reports.reading import ReadRelease
from helioloop_worker.reports.service_facts import ServiceFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFacts:
    """The profile of a model folder; `is_set` is False before the first release sets it."""

    name: str
    frames: int
    cadence_minutes: float
    size_px: int
    patch_deg: float
    is_set: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFacts:
    """The published version: when and why it was made, from how many labels, and its metrics."""

    version: str
    created_at: str
    reason: str
    labels: int
    verified: int
    members: int
    recipe: str
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedFacts:
    """The newest version, if the promotion check rejected it: why, and the command that publishes it anyway."""

    version: str
    created_at: str
    reason: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeReason:
    """A cube and a sentence about it."""

    cube: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedFacts:
    """The cubes that the last ingestion of a release excluded; `table` is the file that lists them."""

    release: str
    cubes: tuple[CubeReason, ...]
    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAsideFacts:
    """A folder that ``helioloop watch`` set aside, since when and why."""

    folder: str
    since: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceFacts:
    """The labels of a release that are accepted under a risk guarantee; `version` is None while that is queued.

    `random_checks_blind` counts the random checks that somebody answered without a prediction, which alone can support
    a guarantee; `random_checks_verified` also those that were answered with one.
    """

    release: str
    version: str | None
    accepted: int
    cubes: int
    sentences: tuple[str, ...]
    random_checks: int
    random_checks_verified: int
    random_checks_blind: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFacts:
    """The labels as last read from Label Studio: numbers of each label, tied cubes, contradictions, random checks.

    `skipped` counts cubes that somebody skipped, `skipped_unanswered` those of them that nobody has answered.
    """

    read_at: str
    counts: Mapping[str, int]
    cubes: int
    verified: int
    tied: tuple[str, ...]
    contradictions: tuple[CubeReason, ...]
    skipped: int = 0
    skipped_unanswered: int = 0
    random_checks: RandomCheckCounts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestedFacts:
    """Predictions of a version that were replaced `replaced` times within a day, because others stood there each time.

    Until `next_at` they are left as they are. `other` is None, or the version that the project showed in the place of
    this one; then not the predictions were replaced, but the version that is shown.
    """

    version: str
    replaced: int
    last_at: str
    next_at: str
    other: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectStatus:
    """All facts about a project or a model folder.

    Parameters
    ----------
    at : str
        When they were read (UTC, ISO 8601).
    project : int or None
        Label Studio project; None for a model folder alone. Then `labels`, `audit` and `services` are None, too.
    place : str
        The command-line options that name this folder, for printed commands.
    tasks_url : str or None
        Address of the project's tasks in Label Studio.
    model_dir : str
        The model folder.
    profile : ProfileFacts
        Its profile.
    versions : tuple of str
        All versions, oldest first.
    published : VersionFacts or None
        The version that Label Studio shows.
    rejected : RejectedFacts or None
        The newest version, if it is rejected and not published.
    failed_rounds : tuple of str
        A sentence for each parked round.
    unusable : tuple of str
        A sentence for each version that could not be published again.
    damaged : str or None
        What is missing or was cut off of the published version, in a clause; None where nothing is.
    releases : tuple of ReadRelease
        What was read from each release.
    excluded : tuple of ExcludedFacts
        Releases of which cubes were excluded.
    unscorable : int
        Cubes that the published version cannot score.
    set_aside : tuple of SetAsideFacts
        Folders that ``helioloop watch`` set aside.
    without_predictions : tuple of str
        Releases that were ingested by ``helioloop watch`` and wait for predictions.
    acceptances : tuple of AcceptanceFacts
        Releases whose labels are accepted under a risk guarantee, or are to be.
    labels : LabelFacts or None
        None before Label Studio was read.
    submitted : Submitted or None
        What Label Studio counts now; None where it does not answer.
    no_submitted : str or None
        Why it does not, in a sentence.
    is_refused : bool
        Whether it answers and refuses: the token, its user or the project.
    audit : ProjectAudit or None
        None before Label Studio was read; without rounds before the first version.
    services : ServiceFacts or None
        None where Redis does not answer.
    no_services : str or None
        Why it does not, in a sentence.
    last_check : LastCheck or None
        What the last retrain check or round planning decided; None before the first.
    round_requested_at : str or None
        Since when a round is requested that no job has planned within minutes; None where none is.
    contested_predictions : ContestedFacts or None
        Predictions that another deployment replaces, too; None where none does.
    configuration : str or None
        What differs from the labelling configuration at `helioloop init`; None where nothing does.
    damaged_controls : str or None
        What is wrong with ``controls.json``, in a sentence; None where nothing is.
    disk : DiskUse or None
        How much disk the model folder and the project's media folder use.
    missing_releases : tuple of str
        Releases that are in no release root: of cubes that the published version was trained on, and of cubes of the
        project that only an earlier one was.
    lost_media : LostMedia or None
        Cubes whose media files were missing when reconciliation looked last; None where none were.
    other_code : OtherCode or None
        Which learning code made the published version, where that is not the code of now.
    """

    at: str
    project: int | None
    place: str
    tasks_url: str | None
    model_dir: str
    profile: ProfileFacts
    versions: tuple[str, ...]
    published: VersionFacts | None = None
    rejected: RejectedFacts | None = None
    failed_rounds: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()
    damaged: str | None = None
    releases: tuple[ReadRelease, ...] = ()
    excluded: tuple[ExcludedFacts, ...] = ()
    unscorable: int = 0
    set_aside: tuple[SetAsideFacts, ...] = ()
    without_predictions: tuple[str, ...] = ()
    acceptances: tuple[AcceptanceFacts, ...] = ()
    labels: LabelFacts | None = None
    submitted: Submitted | None = None
    no_submitted: str | None = None
    is_refused: bool = False
    audit: ProjectAudit | None = None
    services: ServiceFacts | None = None
    no_services: str | None = None
    last_check: LastCheck | None = None
    round_requested_at: str | None = None
    contested_predictions: ContestedFacts | None = None
    configuration: str | None = None
    damaged_controls: str | None = None
    disk: DiskUse | None = None
    missing_releases: tuple[str, ...] = ()
    lost_media: LostMedia | None = None
    other_code: OtherCode | None = None

    @property
    def redis_fault(self) -> str | None:
        """Why Redis does not answer or stores nothing, in a sentence; None where it works."""
        return self.no_services or (None if self.services is None else self.services.no_writes)

    @property
    def has_cubes(self) -> bool:
        """True where cubes were read, excluded or labelled."""
        return bool(self.releases or self.excluded or (self.labels is not None and self.labels.cubes))
