"""The list of all checks, and how they are run: a check that needs another one is not tried where that one is wrong."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from helioloop_worker.doctor import (
    backend,
    backend_entry,
    identity,
    label_studio,
    labelling,
    machine,
    media,
    redis_server,
    versions,
    webhooks,
    workers,
)
from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.finding import Cause, Check, Finding, Verdict, not_tried

_GROUPS: Final = (
    redis_server, workers, machine, label_studio, backend, backend_entry, webhooks, identity, labelling, media,
    versions,
)  # fmt: skip
CHECKS: Final[tuple[Check, ...]] = tuple(check for group in _GROUPS for check in group.CHECKS)
"""All checks, each after those that it needs."""
CAUSES: Final[tuple[Cause, ...]] = tuple(
    sorted(
        (cause for group in _GROUPS for cause in group.CAUSES),
        key=lambda cause: [check.name for check in CHECKS].index(cause.check),
    )
)
"""All causes that they can find."""


def examine(facts: Facts) -> list[Finding]:
    """Return the finding of each check, in the order of `CHECKS`."""
    found: dict[str, Finding] = {}
    for check in CHECKS:
        found[check.name] = _run(check, facts, found)
    return list(found.values())


def _run(check: Check, facts: Facts, found: Mapping[str, Finding]) -> Finding:
    if check.project and facts.project is None:
        known = ", ".join(map(str, facts.projects)) or "none yet"
        return not_tried(check.name, f"no project is named; give --project ID (with a model folder: {known})")
    for needed in check.needs:
        finding = found[needed]
        if finding.verdict is Verdict.WRONG:
            return not_tried(check.name, f"{needed} is wrong")
        if finding.verdict is Verdict.NOT_TRIED:  # for the reason at the begin of the chain
            return replace(finding, check=check.name)
    return check.run(facts)
