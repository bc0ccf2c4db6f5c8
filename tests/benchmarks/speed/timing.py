"""Times two ways of doing the same work, alternately, so that both meet the same load of the machine."""

import timeit
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Two ways of doing the same work.

    Parameters
    ----------
    ours, reference : callable
        Do the work once.
    rounds : int
        How often each is timed, at least 1.
    reference_rounds : int or None
        How often the reference is timed; None for as often as ours. A reference of many seconds needs only one or two.
    """

    ours: Callable[[], object]
    reference: Callable[[], object]
    rounds: int = 5
    reference_rounds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The time of each side in seconds, the shortest one unless the row has others; more figures by name."""

    ours: float
    reference: float
    more: Mapping[str, float] = field(default_factory=dict)


def measure(sides: Sides) -> Times:
    """Return the shortest times; the garbage collector is off while the clock runs (see `timeit`)."""
    of_reference = sides.rounds if sides.reference_rounds is None else sides.reference_rounds
    ours, reference = [], []
    for k in range(max(sides.rounds, of_reference)):
        if k < sides.rounds:
            ours.append(timeit.timeit(sides.ours, number=1))
        if k < of_reference:
            reference.append(timeit.timeit(sides.reference, number=1))
    return Times(ours=min(ours), reference=min(reference))
