"""Whether all is well with a project, and what to do next: findings from the facts, the most urgent one first.

`RULES` is the order of causes. Causes before `WELL_FROM` need somebody to mend something; from there on all is well,
and the finding is the next piece of work. The first finding is the verdict of ``helioloop status``; docs/status.md
lists the causes.
"""

from collections.abc import Callable
from typing import Final

from helioloop_worker.reports import mending, next_work
from helioloop_worker.reports.finding import Finding, Found
from helioloop_worker.reports.lost_media import lost_media
from helioloop_worker.reports.missing_release import missing_release
from helioloop_worker.reports.status_facts import ProjectStatus


def find_all(status: ProjectStatus) -> list[Finding]:
    """Return all findings about a project or model folder, the most urgent one first; at least one."""
    problems = list(RULES)[: list(RULES).index(WELL_FROM)]
    found = [
        Finding(cause=cause, well=cause not in problems, sentence=sentence, action=action)
        for cause, rule in RULES.items()
        for sentence, action in rule(status)
    ]
    return found or [
        Finding(cause="nothing", well=True, sentence=next_work.shown(status), action=next_work.idle(status))
    ]


RULES: Final[dict[str, Callable[[ProjectStatus], Found]]] = {
    "redis": mending.redis,
    "model-folder": mending.model_folder,
    "label-studio": mending.label_studio,
    "worker": mending.worker,
    "failed-round": mending.failed_round,
    "configuration": mending.configuration,
    "contested-predictions": mending.contested_predictions,
    "parked-job": mending.parked_job,
    "failed-job": mending.failed_job,
    "damaged-version": mending.damaged_version,
    "lost-media": lost_media,
    "missing-release": missing_release,
    "other-code": mending.other_code,
    "set-aside": mending.set_aside,
    "unplanned-round": mending.unplanned_round,
    "no-round": mending.no_round,
    "first-round": next_work.first_round,
    "no-release": next_work.no_release,
    "stop": next_work.stop,
    "disagreements": next_work.disagreements,
    "contradictions": next_work.contradictions,
    "ties": next_work.ties,
    "audit-sample": next_work.sample,
}
"""Cause -> rule, the most urgent first."""
WELL_FROM: Final = "first-round"
"""From this cause on all is well."""
