"""The jobs that RQ runs, by name: each reads the payload of its message and calls one step of the loop.

Payloads are those of `helioloop.messaging.messages`. Every job can be repeated.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from helioloop.logs import fields
from helioloop.messaging import messages, queues
from helioloop.records.cubes import CubeInfo
from helioloop.registry.acceptances import Acceptance
from helioloop.registry.last_check import ROUND_PLANNING, write_last_check
from helioloop.registry.lost_media import forget_lost_media
from helioloop.registry.unscorable import clear_unscorable
from helioloop_worker.context import Context
from helioloop_worker.labelstudio.project import read_project
from helioloop_worker.loop import acceptance, announcing, planning, retrain_check, round_steps, scoring, writeback
from helioloop_worker.loop import ingest as ingestion
from helioloop_worker.loop import reconcile as reconciliation
from helioloop_worker.loop.acceptance import send_acceptance
from helioloop_worker.loop.correction_lag import measure_lags, was_shown
from helioloop_worker.loop.failing import forget_failures
from helioloop_worker.loop.job_progress import job_report, sent_at
from helioloop_worker.loop.writeback_changes import write_back_changes
from helioloop_worker.reports import report as reporting

log = logging.getLogger(__name__)


def check_retraining(context: Context, project: int, forced: bool = False) -> str:
    """Read the annotations and request a round where the rules want one."""
    outcome = retrain_check.check_retraining(context, project, forced=forced, requested_at=sent_at())
    write_last_check(context.settings.model_dir(project), outcome)
    announcing.announce(context, project)
    return _log(project, outcome)


def plan_round(context: Context, project: int) -> str:
    """Prepare the cubes for a requested round and start it."""
    outcome = planning.plan_round(context, project, report=job_report())
    write_last_check(context.settings.model_dir(project), outcome, step=ROUND_PLANNING)
    announcing.announce(context, project)
    return _log(project, outcome)


def train_member(context: Context, project: int, fingerprint: str, member: str) -> str:
    """Train one member of a round."""
    done = round_steps.train_member(context, project, fingerprint, member)
    announcing.announce(context, project)
    return done


def score_round(context: Context, project: int, fingerprint: str) -> int:
    """Score all cubes of a round out of fold."""
    return round_steps.score_round(context, project, fingerprint)


def locate(context: Context, project: int, fingerprint: str, chunk: int, chunks: int) -> int:
    """Locate the emergence frames of one chunk of a round's cubes."""
    return round_steps.locate(context, project, fingerprint, chunk=chunk, chunks=chunks)


def close_round(context: Context, project: int, fingerprint: str) -> str:
    """Admit a round, publish it if the promotion check passes it, and send what follows."""
    outcome = round_steps.close_round(context, project, fingerprint)
    announcing.announce(context, project)
    return _log(project, outcome)


def score(context: Context, project: int, version: str, cubes: list[dict[str, Any]]) -> int | str:
    """Score and locate cubes that the published version has no score of."""
    requested = [CubeInfo.from_dict(entry) for entry in cubes]
    outcome = scoring.score(context, project, version, requested, report=job_report())
    return _log(project, outcome) if isinstance(outcome, str) else outcome


def write_back(context: Context, project: int, version: str) -> dict[str, int]:
    """Write a version's predictions into Label Studio, and have the cubes without a score scored."""
    report, is_new = job_report(), not was_shown(context.settings.model_dir(project), version)
    written = write_back_changes(context, project, version, report=report)
    if written is None:
        written = writeback.write_back(context, project, version, report=report)
    if is_new and was_shown(context.settings.model_dir(project), version):
        measure_lags(context, project, version)
    for chunk in written.chunks:
        queues.send(context.connection, messages.ScoreBulk(project=project, version=version, cubes=chunk))
    for stale in acceptance.withdraw(context, project, version):
        send_acceptance(context.connection, project, stale)
    announcing.announce(context, project)
    complete = not written.chunks  # else another write-back follows
    if complete and (written.whole or not announcing.has_recent_report(context, project)):
        announcing.send_report(context, project)
    return {"written": written.written, "present": written.present, "missing": len(written.missing)}


def accept(context: Context, project: int, release: str, rate: float, confidence: float) -> dict[str, Any]:
    """Accept labels of a release under a risk guarantee, mark its tasks, and have their order in the queue renewed."""
    wanted = Acceptance(release=release, rate=rate, confidence=confidence)
    outcome = acceptance.accept(context, project, wanted, report=job_report())
    if outcome.version is not None:
        queues.send(context.connection, messages.WriteBack(project=project, version=outcome.version))
    return {"version": outcome.version, "accepted": len(outcome.accepted), "sentences": list(outcome.sentences)}


def ingest(context: Context, project: int, release: str) -> dict[str, Any]:
    """Ingest a release, then have it written back with the published version, and send a retrain check.

    Other jobs of the project may have failed by its cubes, so that they are tried again.
    """
    context.registry(project).published()  # raises before tasks are imported for a model folder that cannot be used
    outcome = ingestion.ingest(context, project, release, report=job_report())
    clear_unscorable(context.settings.model_dir(project))
    forget_lost_media(context.settings.model_dir(project), release)
    forget_failures(context, project)
    version = context.registry(project).published()
    if version is not None:
        queues.send(context.connection, messages.WriteBack(project=project, version=version), anew=True)
    queues.send(context.connection, messages.RetrainCheck(project=project), anew=True)
    return outcome.as_dict()


def reconcile(context: Context, project: int) -> list[str]:
    """Repair what a lost webhook, an emptied Redis or a killed worker left undone in a project."""
    done = reconciliation.reconcile(context, project).done
    announcing.announce(context, project)
    return list(done)


def make_report(context: Context, project: int) -> str:
    """Write the report of a project where Label Studio serves it."""
    state = read_project(context.label_studio, project, settings=context.settings)
    runtime = context.runtime(project, job_report())
    page = reporting.make_report(state, context.registry(project), runtime.load, report=runtime.report)
    path = announcing.write_report(context, project, page)
    announcing.announce(context, project)  # its page links to the report
    return _log(project, f"the report is written: {path}")


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    f"{__name__}.{function.__name__}": function
    for function in (
        check_retraining, plan_round, train_member, score_round, locate, close_round, score, write_back, ingest,
        reconcile, accept, make_report,
    )
}  # fmt: skip
"""The jobs by the name that messages give them; a worker runs no other function."""


def _log(project: int, sentence: str) -> str:
    log.info("project %d: %s", project, sentence, extra=fields(project=project))
    return sentence
