"""Compares another clock with that of this machine."""

from typing import Final

from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.finding import Cause, Finding, ok

SKEW_SECONDS: Final = 5.0
"""Clocks that differ by more are doubtful."""
LARGE_SKEW_SECONDS: Final = 60.0
"""Clocks that differ by more break access tokens, which are valid for five minutes, and the order of events."""


def compare_clocks(
    facts: Facts, skew_seconds: float, *, whose: str, check: str, skewed: Cause, far_off: Cause
) -> Finding:
    """Return the finding about another clock.

    Parameters
    ----------
    facts : Facts
        All facts.
    skew_seconds : float
        Seconds by which the other clock is ahead of this machine's.
    whose : str
        Whose clock it is, in the genitive.
    check : str
        Name of the check.
    skewed, far_off : Cause
        The causes for more than `SKEW_SECONDS` and `LARGE_SKEW_SECONDS`.
    """
    direction = "ahead of" if skew_seconds > 0 else "behind"
    seen = f"{whose} clock is {abs(skew_seconds):.0f} s {direction} this machine's"
    if abs(skew_seconds) > LARGE_SKEW_SECONDS:
        return far_off.found(facts, seen)
    if abs(skew_seconds) > SKEW_SECONDS:
        return skewed.found(facts, seen)
    return ok(check, f"{whose} clock agrees with this machine's")
