"""The verdict of the status: a table of facts and the findings that follow from them, in order."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from helioloop.evaluation.audit import RoundAudit
from helioloop.messaging import queues
from helioloop.registry.last_check import LastCheck
from helioloop.registry.lost_media import LostMedia
from helioloop_worker.reports.audit import ProjectAudit
from helioloop_worker.reports.failing_jobs import FailingJob
from helioloop_worker.reports.job_status import FailedJob, RunningJob
from helioloop_worker.reports.other_code import OtherCode
from helioloop_worker.reports.reading import ReadRelease
from helioloop_worker.reports.round_progress import RoundProgress
from helioloop_worker.reports.service_facts import QueueFacts, RunningRound, ServiceFacts
from helioloop_worker.reports.status_facts import (
    ContestedFacts,
    CubeReason,
    LabelFacts,
    ProfileFacts,
    ProjectStatus,
    RejectedFacts,
    SetAsideFacts,
    VersionFacts,
)
from helioloop_worker.reports.verdict import RULES, WELL_FROM, find_all

DAY = "2026-01-0{}T00:00:00+00:00"
QUEUES = tuple(QueueFacts(name=name, waiting=0, workers=1) for name in queues.QUEUES)
SERVICES = ServiceFacts(
    events_waiting=0, check_due_at=None, running_round=None, queues=QUEUES, running_jobs=(), failed_jobs=()
)
LABELS = LabelFacts(read_at=DAY.format(3), counts={}, cubes=40, verified=0, tied=(), contradictions=())
AUDIT = ProjectAudit(
    versions=("v0003",), rounds=(), next_sampled=("a", "b", "c", "d"), disagreements=40, disagreements_checked=12
)
V3 = VersionFacts(
    version="v0003",
    created_at=DAY.format(2),
    reason="test",
    labels=40,
    verified=0,
    members=2,
    recipe="quick",
    metrics={},
)
IDLE = ProjectStatus(
    at=DAY.format(4),
    project=1,
    place="--project 1",
    tasks_url="http://ls/projects/1/data",
    model_dir="/models/project-1",
    profile=ProfileFacts(name="mdi", frames=225, cadence_minutes=96, size_px=90, patch_deg=15, is_set=True),
    versions=("v0002", "v0003"),
    published=V3,
    labels=LABELS,
    audit=AUDIT,
    services=SERVICES,
)
"""A project with a version, of whose 40 disagreements 12 are checked, and nothing running."""
NEW = replace(IDLE, versions=(), published=None, labels=None, audit=None)
"""A project that was only set up."""
INGESTED = replace(
    NEW, releases=(ReadRelease(release="r3", ok=3, warned=0, refused=0, reasons=(), table="/models/r3.csv"),)
)
"""A project with cubes and without a version."""
FOLDER = replace(IDLE, project=None, place="--model-dir models", labels=None, audit=None, services=None, tasks_url=None)
"""A model folder without a project."""
CHECKED = replace(AUDIT, disagreements_checked=40)
ROUND = RoundProgress(
    version="v0007", since=datetime(2026, 1, 4, tzinfo=UTC), reason="22 cubes were newly verified", phase="training",
    done=5, total=10, left_seconds=110.0,
)  # fmt: skip


def stopped(reason: str) -> ProjectAudit:
    """An audit whose last round gives a reason to stop."""
    last = RoundAudit(
        round=1, cubes=40, verified=40, verifications=40, flips=0, ranked=0, hits=0, hit_rate=None, sampled=40,
        sampled_wrong=0, wrong_left=None, stop=reason,
    )  # fmt: skip
    return replace(AUDIT, rounds=(last,))


def waiting(n: int) -> ProjectAudit:
    """An audit in which all is verified, while so many cubes of the next release have no prediction yet."""
    last = replace(stopped("").rounds[-1], stop=None, unscored=n)
    return replace(AUDIT, rounds=(last,), next_sampled=(), disagreements=0, disagreements_checked=0)


def with_services(status: ProjectStatus = IDLE, **changes: Any) -> ProjectStatus:
    """The status with other facts from Redis."""
    return replace(status, services=replace(SERVICES, **changes))


def unserved(*names: str, waiting: int = 0) -> tuple[QueueFacts, ...]:
    """The queues, of which these have no worker."""
    return tuple(replace(queue, workers=0, waiting=waiting) if queue.name in names else queue for queue in QUEUES)


def running(progress: RoundProgress | None = ROUND) -> RunningRound:
    return RunningRound(fingerprint="ab", since=DAY.format(4), silent_seconds=1.0, progress=progress)


def failed(kind: str, subject: str = "", day: int = 4) -> FailedJob:
    return FailedJob(kind=kind, subject=subject, at=DAY.format(day), reason="it broke")


def failing(kind: str, subject: str = "v0003") -> FailingJob:
    return FailingJob(
        name=f"{kind}-1", kind=kind, subject=subject, failures=4, at=DAY.format(4), reason="it broke", parked=True,
        next_at=None,
    )  # fmt: skip


CASES: dict[str, tuple[ProjectStatus, str, str, str]] = {
    # what the status shows: the status, the cause, words of the sentence, words of the action
    "labels to check": (
        IDLE,
        "disagreements",
        "v0003 is shown. 12 of 40 disagreements are checked.",
        "tab “Disagreements first”: http://ls/projects/1/data",
    ),
    "all disagreements checked": (
        replace(IDLE, audit=CHECKED),
        "audit-sample",
        "All 40 disagreements are checked.",
        "in this order: a, b, c (",
    ),
    "no disagreement at all": (
        replace(IDLE, audit=replace(CHECKED, disagreements=0, disagreements_checked=0)),
        "audit-sample",
        "v0003 is shown.",
        "a, b, c",
    ),
    "the sample is at its end": (
        replace(IDLE, audit=replace(CHECKED, next_sampled=())),
        "nothing",
        "v0003 is shown.",
        "no label waits",
    ),
    "cubes of the next release wait for their predictions": (
        replace(IDLE, audit=waiting(48)),
        "nothing",
        "v0003 is shown.",
        "Wait: the worker scores 48 cubes without a prediction.",
    ),
    "the audit says stop": (
        replace(IDLE, audit=stopped("every label is verified")),
        "stop",
        "every label is verified",
        "`helioloop catalogue --project 1 --out catalogue.ecsv`",
    ),
    "the newest version was rejected": (
        replace(IDLE, rejected=RejectedFacts(version="v0004", created_at="", reason="rejected", command="c")),
        "disagreements",
        "v0003 is shown (v0004 was rejected by the promotion check). 12 of 40",
        "Label",
    ),
    "a round runs beside the labelling": (with_services(running_round=running()), "disagreements", "12 of 40", "Label"),
    "contradictions, when the disagreements are checked": (
        replace(IDLE, audit=CHECKED, labels=replace(LABELS, contradictions=(CubeReason(cube="x", reason="two"),))),
        "contradictions",
        "1 cube has an annotation to look at again, for example x: two.",
        "http://ls",
    ),
    "ties": (
        replace(IDLE, audit=CHECKED, labels=replace(LABELS, tied=("x", "y"))),
        "ties",
        "2 cubes, for example x",
        "ground truth",
    ),
    "nothing is ingested": (NEW, "no-release", "no cubes", "`helioloop ingest RELEASE --project 1`"),
    "a release is being ingested": (
        with_services(
            NEW, running_jobs=(RunningJob(kind="ingestion", subject="r3", what="preparing cubes", done=12, total=120),)
        ),
        "first-round",
        "r3 is being ingested: preparing cubes, 12 of 120.",
        "Wait",
    ),
    "a release is being ingested whose cubes are not counted yet": (
        with_services(
            NEW, running_jobs=(RunningJob(kind="ingestion", subject="r3", what="reading the release", done=0, total=0),)
        ),
        "first-round",
        "r3 is being ingested: reading the release.",
        "Wait",
    ),
    "the first round runs": (
        with_services(INGESTED, running_round=running()),
        "first-round",
        "The first round is running: v0007, member 6 of 10, about 2 min left.",
        "Wait",
    ),
    "the first round waits for its turn": (
        with_services(INGESTED, queues=(replace(QUEUES[0], waiting=3), *QUEUES[1:])),
        "first-round",
        "3 jobs wait",
        "Wait",
    ),
    "another folder is at the place of the model folder": (
        with_services(was_replaced=True, queues=unserved("helioloop-train")),
        "model-folder",
        "its disk is not mounted",
        "Mount the disk",
    ),
    "redis is another deployment's": (
        with_services(foreign_redis="2 workers of it", foreign_workers=("gpu2:7",), queues=unserved("helioloop-train")),
        "model-folder",
        "Redis is in use for another model folder than this one (2 workers of it)",
        "a Redis database of its own in REDIS_URL",
    ),
    "a worker works in another model folder": (
        with_services(INGESTED, foreign_workers=("gpu2:7",), events_waiting=3),
        "model-folder",
        "The worker gpu2:7 works in another model folder",
        "`helioloop doctor --project 1`",
    ),
    "the token was replaced": (
        replace(IDLE, no_submitted="Label Studio at http://ls answered 401; set a valid token", is_refused=True),
        "label-studio",
        "Label Studio at http://ls answered 401; set a valid token.",
        "restart the workers where their settings change. `helioloop doctor --project 1` finds the cause.",
    ),
    "another deployment writes into the project": (
        replace(
            IDLE,
            contested_predictions=ContestedFacts(
                version="v0003", replaced=3, last_at=DAY.format(3), next_at=DAY.format(4)
            ),
        ),
        "contested-predictions",
        f"were replaced 3 times within a day, the last time at {DAY.format(3)}: another deployment",
        "stop it; then run `helioloop init --project 1` here",
    ),
    "another deployment has another version shown": (
        replace(
            IDLE,
            contested_predictions=ContestedFacts(
                version="v0003", replaced=2, last_at=DAY.format(3), next_at=DAY.format(4), other="v0005"
            ),
        ),
        "contested-predictions",
        "Label Studio showed another version than v0003, such as v0005, 2 times within a day",
        f"Until {DAY.format(4)} the version that is shown is left.",
    ),
    "a requested first round is not planned": (
        replace(with_services(INGESTED, events_waiting=3), round_requested_at=DAY.format(3)),
        "unplanned-round",
        f"A round was requested at {DAY.format(3)}, and no worker has planned it.",
        "log of the worker of the role train",
    ),
    "a requested later round is not planned": (
        replace(IDLE, round_requested_at=DAY.format(3)),
        "unplanned-round",
        "no worker has planned it",
        "`helioloop doctor --project 1`",
    ),
    "a requested round is planned now": (
        replace(with_services(INGESTED, events_waiting=3, is_planned=True), round_requested_at=DAY.format(3)),
        "first-round",
        "The first round is being prepared",
        "Wait a few minutes",
    ),
    "a requested round waits for the running one": (
        replace(with_services(running_round=running()), round_requested_at=DAY.format(3)),
        "disagreements",
        "v0003 is shown",
        "Label the next ones",
    ),
    "no round starts": (INGESTED, "no-round", "the labels were not checked yet", "press “Start training”"),
    "no round starts for want of labels": (
        replace(INGESTED, last_check=LastCheck(at=DAY.format(4), outcome="no round: 2 cubes are labelled emergence")),
        "no-round",
        f"the last retrain check, at {DAY.format(4)}, found: no round: 2 cubes are labelled emergence.",
        "press “Start training”",
    ),
    "the labelling configuration lacks a control": (
        with_services(
            failing_jobs=(replace(failing("reconciliation step configuration", ""), parked=False, failures=1),),
            failed_jobs=(failed("write-back", "v0003"),),  # for the same reason
        ),
        "configuration",
        "It broke. Until it has them, no label is read and no prediction written.",
        "Change it back in Label Studio (Settings, Labeling Interface)",
    ),
    "a write-back is parked": (
        with_services(failing_jobs=(failing("write-back"),), failed_jobs=(failed("write-back", "v0003"),)),
        "parked-job",
        "The write-back of v0003 failed 4 times and is parked: it broke.",
        "`helioloop retry --project 1`",
    ),
    "an ingestion failed while that of another release is parked": (
        with_services(failing_jobs=(failing("ingestion", "r1"),), failed_jobs=(failed("ingestion", "r2"),)),
        "parked-job",
        "The ingestion of r1 failed 4 times and is parked: it broke.",
        "`helioloop retry --project 1`",
    ),
    "no round is planned": (
        replace(INGESTED, last_check=LastCheck(at=DAY.format(4), outcome="no round: two cubes", step="round planning")),
        "no-round",
        f"the last round planning, at {DAY.format(4)}, found: no round: two cubes.",
        "press “Start training”",
    ),
    "a write-back is tried again": (
        with_services(failing_jobs=(replace(failing("write-back"), parked=False),)),
        "disagreements",
        "12 of 40",
        "Label",
    ),
    "no worker of the role train": (
        with_services(queues=unserved("helioloop-train", waiting=3)),
        "worker",
        "No worker serves the queue helioloop-train, where 3 jobs wait.",
        "`helioloop worker --role train`",
    ),
    "no worker of the role score": (
        with_services(queues=unserved("helioloop-score", "helioloop-bulk", "helioloop-maintenance")),
        "worker",
        "No worker serves the queues helioloop-score, helioloop-maintenance, helioloop-bulk.",
        "`helioloop worker --role score`",
    ),
    "no worker, and nothing is ingested": (
        with_services(NEW, queues=unserved("helioloop-train")),
        "worker",
        "helioloop-train",
        "--role train",
    ),
    "Redis does not answer": (
        replace(IDLE, services=None, no_services="Redis at redis://r cannot be reached; start it"),
        "redis",
        "Redis at redis://r cannot be reached; start it.",
        "REDIS_URL",
    ),
    "a round failed": (
        replace(
            IDLE, failed_rounds=('round ab failed 3 times and is parked (no space); remove the cause, then press "x"',)
        ),
        "failed-round",
        "Round ab failed 3 times and is parked (no space).",
        "press “Start training”",
    ),
    "an ingestion failed": (
        with_services(failed_jobs=(failed("ingestion", "r3"),)),
        "failed-job",
        "The last ingestion of r3 failed: it broke.",
        "`helioloop ingest r3 --project 1`",
    ),
    "a write-back of the version shown failed": (
        with_services(failed_jobs=(failed("write-back", "v0003"),)),
        "failed-job",
        "write-back of v0003",
        "by itself",
    ),
    "a write-back of an older version failed": (
        with_services(failed_jobs=(failed("write-back", "v0002"),)),
        "disagreements",
        "12 of 40",
        "Label",
    ),
    "a retrain check failed": (
        with_services(failed_jobs=(failed("retrain check"),)),
        "failed-job",
        "retrain check",
        "“Start training”",
    ),
    "a retrain check failed, and the labels were read later": (
        with_services(failed_jobs=(failed("retrain check", day=2),)),
        "disagreements",
        "12 of 40",
        "Label",
    ),
    "a release was renamed": (
        replace(IDLE, missing_releases=("first", "second")),
        "missing-release",
        "Release first (and 1 more), on which versions were trained, is in none of the release roots.",
        "Give the folder its name back",
    ),
    "media were lost": (
        replace(IDLE, lost_media=LostMedia(at=DAY.format(4), releases={"first": 24, "second": 1})),
        "lost-media",
        "Videos of 25 cubes, or what is shown beside them, are not in the media folder (release first and 1 more; seen",
        "run `helioloop ingest first --project 1` where that release is",
    ),
    "weights of the published version are missing": (
        replace(IDLE, damaged="fold0-0.safetensors is missing"),
        "damaged-version",
        "v0003, which is published, is damaged: fold0-0.safetensors is missing.",
        "A worker repeats its round by itself",
    ),
    "weights of the version of a model folder are missing": (
        replace(FOLDER, damaged="fold0-0.safetensors is missing"),
        "damaged-version",
        "v0003, which is published, is damaged: fold0-0.safetensors is missing.",
        "Run `helioloop train RELEASE --model-dir models` on the same release",
    ),
    "an earlier version is published and damaged": (
        replace(FOLDER, damaged="plan.json is cut off", versions=("v0003", "v0004")),
        "damaged-version",
        "v0003, which is published, is damaged: plan.json is cut off.",
        "Publish another version, `helioloop rollback VERSION --model-dir models`",
    ),
    "a round runs that replaces a damaged version": (
        replace(with_services(running_round=running()), damaged="fold0-0.safetensors is missing"),
        "disagreements",
        "12 of 40",
        "Label",
    ),
    "another learning code made the version": (
        replace(IDLE, other_code=OtherCode(version="v0003", made="0.1.0+aaa", now="0.1.0+bbb")),
        "other-code",
        "v0003 was made by another learning code (0.1.0+aaa, now 0.1.0+bbb): it is still shown, but new cubes get "
        "their probabilities by another formula than its other cubes, `helioloop triage` refuses it, no label is "
        "accepted with it, and no round starts because of that.",
        "Press “Start training” in Label Studio (Settings, Model): all members are trained anew.",
    ),
    "the code of now made a version that is not published": (
        replace(IDLE, other_code=OtherCode(version="v0003", made="0.1.0+aaa", now="0.1.0+bbb", newer="v0004")),
        "other-code",
        "v0003 was made by another learning code",
        "Or publish v0004, which the code of now made: `helioloop rollback v0004 --project 1`.",
    ),
    "another learning code made the version of a model folder": (
        replace(FOLDER, other_code=OtherCode(version="v0003", made="0.1.0+aaa", now="0.1.0+bbb")),
        "other-code",
        "it is still used",
        "Repeat `helioloop train`",
    ),
    "a round runs that replaces a version of another code": (
        replace(
            with_services(
                running_round=RunningRound(fingerprint="ab", since=DAY.format(3), silent_seconds=1.0, progress=None)
            ),
            other_code=OtherCode(version="v0003", made="0.1.0+aaa", now="0.1.0+bbb"),
        ),
        "disagreements",
        "12 of 40",
        "Label",
    ),
    "a folder was set aside": (
        replace(IDLE, set_aside=(SetAsideFacts(folder="bad", since="", reason="no cube is readable"),) * 2),
        "set-aside",
        "set the folder bad aside: no cube is readable. (1 more",
        "Correct that folder",
    ),
    "a model folder with a version": (
        FOLDER,
        "nothing",
        "v0003 is published.",
        "`helioloop score RELEASE --model-dir models",
    ),
    "a model folder without a version": (
        replace(FOLDER, versions=(), published=None),
        "no-release",
        "no version",
        "`helioloop train RELEASE --model-dir models`",
    ),
    "a model folder with a failed round": (
        replace(FOLDER, failed_rounds=("round ab failed",)),
        "failed-round",
        "Round ab failed.",
        "`helioloop train`",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_the_most_urgent_finding(name: str) -> None:
    """With the sentence and the action; all is well where nobody has to mend anything."""
    status, cause, sentence, action = CASES[name]
    first = find_all(status)[0]
    assert first.cause == cause
    assert sentence in first.sentence
    assert action in first.action
    causes = list(RULES)
    assert first.well == (cause == "nothing" or causes.index(cause) >= causes.index(WELL_FROM))


def test_every_rule_has_a_case() -> None:
    assert {cause for _, cause, _, _ in CASES.values()} == {*RULES, "nothing"}


def test_further_findings_follow_in_the_order_of_the_rules() -> None:
    """All at once: problems first; a version with a reason to stop asks for no more labels."""
    status = replace(
        with_services(
            queues=unserved("helioloop-score"), failed_jobs=(failed("ingestion", "r3"), failed("acceptance"))
        ),
        failed_rounds=("round ab failed",),
        audit=stopped("every label is verified"),
        labels=replace(LABELS, tied=("x",), contradictions=(CubeReason(cube="x", reason="two"),)),
    )
    causes = [finding.cause for finding in find_all(status)]
    assert causes == ["worker", "failed-round", "failed-job", "failed-job", "stop", "contradictions", "ties"]


def test_of_two_roles_without_a_worker_the_one_with_more_waiting_jobs_comes_first() -> None:
    queued = tuple(replace(queue, workers=0, waiting=2 if queue.name == "helioloop-train" else 0) for queue in QUEUES)
    actions = [finding.action for finding in find_all(with_services(queues=queued))]
    assert actions[:2] == ["Run `helioloop worker --role train`.", "Run `helioloop worker --role score`."]


def test_a_parked_job_does_not_hide_the_failure_of_another_one() -> None:
    """Both are ingestions, of two releases; the parked one is listed once."""
    found = find_all(
        with_services(
            failing_jobs=(failing("ingestion", "r1"),),
            failed_jobs=(failed("ingestion", "r2"), failed("ingestion", "r1")),
        )
    )
    assert [one.sentence for one in found if not one.well] == [
        "The ingestion of r1 failed 4 times and is parked: it broke.",
        "The last ingestion of r2 failed: it broke.",
    ]
