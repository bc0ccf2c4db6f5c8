"""Random checks: the cubes that humans answer blind, without the model's prediction, from the start of the audit order.

A human who has a prediction on the screen may follow it, and an estimate from such answers would confirm the model by
itself. The cubes are chosen before anybody has answered them, so their answers are a random sample.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from helioloop.evaluation.audit import MIN_RANKED, RoundAudit
from helioloop.evaluation.audit_order import audit_order
from helioloop.records.cubes import CubeInfo
from helioloop.records.labels import CurrentLabel

RANDOM_FRACTION = 0.1
"""Fraction of the cubes that is checked at random. Beyond it the sample of `project_sample` ends soon, because cubes
were verified with the prediction visible. A tenth of 1,140 cubes supports a risk guarantee of 2 % wrong labels."""
LARGEST_FRACTION = 0.25
"""At most this fraction of the cubes is without a prediction, so that the ranking of a small project stays useful."""
MIN_OF_RELEASE = 10
"""Fewest cubes of a release with accepted labels that are checked at random, if it has as many: an estimate needs
ten."""
WAITING_HIT_RATE = 0.75
"""While at least this fraction of the cubes verified by rank has a wrong label, random checks can wait. A campaign that
stops at `audit.STOP_HIT_RATE` has mostly had a round between the two, so it does not end without an estimate."""


def can_wait(audits: Sequence[RoundAudit]) -> bool:
    """Return whether random checks can wait, because nearly every cube that the ranking shows has a wrong label.

    A random check finds a wrong label as often as labels are wrong, the ranking far more often at first. And it counts
    for the estimate of wrong labels only until the ranking reaches its cube, so one that is answered late counts
    longer. When it is answered does not bias the estimate: this depends on the cubes that the ranking has reached, and
    the checks that count are a random sample of the others.

    Parameters
    ----------
    audits : sequence of RoundAudit
        The rounds so far, oldest first. The latest ones with `MIN_RANKED` cubes verified by rank count; with fewer in
        all nothing is known of the ranking, and the checks can wait.
    """
    ranked = hits = 0
    for audit in reversed(audits):
        ranked, hits = ranked + audit.ranked, hits + audit.hits
        if ranked >= MIN_RANKED:
            return hits >= WAITING_HIT_RATE * ranked
    return True


def choose_random_checks(cubes: Iterable[CubeInfo], labels: Mapping[str, CurrentLabel], *, ready: int) -> list[str]:
    """Return the random checks of a project in audit order, answered ones included.

    These are the first `ready` cubes of the audit order, or the first `RANDOM_FRACTION` if that is more; and as many
    more as it takes until `ready` are unanswered. Cubes that were answered with the prediction visible are left out.

    Parameters
    ----------
    cubes : iterable of CubeInfo
        All cubes of the project.
    labels : mapping of str to CurrentLabel
        Their current labels.
    ready : int
        How many cubes are to be unanswered, so that estimates can go on; at most `LARGEST_FRACTION` of all cubes. 0 for
        no random checks.
    """
    order = audit_order(cubes)
    possible = [cube for cube in order if not (_answered(cube, labels) and labels[cube].blind is None)]
    ready = min(ready, math.floor(LARGEST_FRACTION * len(order)))
    if ready == 0:
        return []
    chosen = possible[: max(ready, math.ceil(RANDOM_FRACTION * len(order)))]
    lacking = ready - sum(not _answered(cube, labels) for cube in chosen)
    later = [cube for cube in possible[len(chosen) :] if not _answered(cube, labels)]
    last = later[:lacking][-1:] if lacking > 0 else []
    return possible[: possible.index(last[0]) + 1] if last else chosen


def choose_release_checks(cubes: Sequence[CubeInfo]) -> list[str]:
    """Return the random checks of a release whose labels are accepted without a human, in audit order."""
    return audit_order(cubes)[: max(MIN_OF_RELEASE, math.ceil(RANDOM_FRACTION * len(cubes)))]


def _answered(cube: str, labels: Mapping[str, CurrentLabel]) -> bool:
    label = labels.get(cube)
    return label is not None and label.answered
