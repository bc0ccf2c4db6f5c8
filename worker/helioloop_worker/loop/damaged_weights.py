"""Weights of the published version that are damaged: made again, once, as a repeat of its round.

The version's own plan is used, so that only the members whose weights are damaged are trained, and neither labels that
have changed since nor a rejected version stands in the way: the promotion check compares a version with its equal. Its
stored scores are served meanwhile. What it lacks is a network for cubes that come later.
"""

from dataclasses import replace
from pathlib import Path

from helioloop.errors import RegistryError
from helioloop.files import atomic
from helioloop.messaging import messages, queues
from helioloop.model.plan import Plan
from helioloop.model.provenance import code_version
from helioloop.registry.card import Card
from helioloop.registry.completeness import NO_SCORES, missing_parts
from helioloop.workflows.damaged_version import copy_sound_members
from helioloop_worker.context import Context
from helioloop_worker.loop import rounds
from helioloop_worker.loop.round_requests import request_round, requests


def replace_weights(context: Context, project: int, *, notes: Path) -> str | None:
    """Repeat the round of the published version, once, where weights of it are damaged; return what was done.

    Where its plan is damaged, too, or made for other learning code, a round on the current labels is requested, unless
    a newer version was rejected or rolled back.

    Parameters
    ----------
    context : Context
        Settings and Redis.
    project : int
        Label Studio project.
    notes : Path
        Folder for a note that this was done: a round that cannot succeed is not made for ever.
    """
    registry = context.registry(project)
    version = registry.published_if_readable()
    if version is None or registry.is_pruned(version):
        return None
    card = registry.card(version)
    parts = missing_parts(registry.folder(version), card.member_files, fingerprint=card.fingerprint)
    lacking = [part for part in parts if part != NO_SCORES]
    note = notes / f"{version}-round-requested.txt"
    if not lacking or note.exists() or _is_busy(context, project):
        return None
    plan = _own_plan(registry.folder(version), card)
    if plan is not None:
        plan = replace(plan, parent=version, reason=f"weights of {version} are damaged")
        copy_sound_members(registry, version, plan)
        if not rounds.start(context, project, plan, forced=False):
            return None  # another round has begun just now
        what = "its round is repeated"
    elif registry.versions()[-1] == version:
        request_round(context, project, forced=True)
        what = "a round is requested"
    else:
        return None
    atomic.write_text(note, "\n".join(lacking) + "\n")
    return f"the published {version} is damaged ({'; '.join(lacking)}): {what}"


def _is_busy(context: Context, project: int) -> bool:
    """Return whether a round runs or is about to be planned, which may replace the version."""
    planning = messages.PlanRound(project=project)
    is_planned = bool(requests(context, project)) and not queues.is_parked(context.connection, planning)
    return is_planned or context.state.running(project) is not None


def _own_plan(folder: Path, card: Card) -> Plan | None:
    """Return the plan of a version; None where it is unreadable or of another round, or other code trains otherwise."""
    try:
        plan = Plan.read(folder)
    except RegistryError:
        return None
    return plan if plan.fingerprint == card.fingerprint and plan.code_version == code_version() else None
