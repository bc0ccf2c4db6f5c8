"""Times that were stored earlier, by this machine or another one: whether they can be true by this machine's clock.

The clock of a virtual machine that was resumed, or of one whose battery is empty, may be days ahead until NTP corrects
it. What was written meanwhile has times in the future. These say nothing about what runs or is recent: whoever relied
on them would wait until that moment. They were written before the clock was set back, so other times count as newer.
"""

from datetime import UTC, datetime
from typing import Final

AHEAD_SECONDS: Final = 60.0
"""A stored time may be this far in the future: the clocks of machines that work together differ by seconds. Where they
differ by more, `helioloop doctor` calls it an error."""


def is_ahead(at: float, *, now: float) -> bool:
    """Return whether a stored time (Unix seconds) is so far in the future that a clock was wrong; True for NaN too."""
    return not at <= now + AHEAD_SECONDS


def is_recent(at: float, *, now: float, seconds: float) -> bool:
    """Return whether a stored time is less than so many seconds ago; False for one that is ahead."""
    return now - at < seconds and not is_ahead(at, now=now)


def in_order(at: float, *, now: float) -> tuple[bool, float]:
    """Return what stored times are compared by; those that are ahead come before all others."""
    return not is_ahead(at, now=now), at


def ahead_sentence(what: str, at: float) -> str:
    """Return the sentence about a stored time that is ahead, for the log; `what` names it."""
    try:
        stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        stamp = repr(at)
    return (
        f"{what} has the time {stamp}, more than {AHEAD_SECONDS:.0f} s in the future by this machine's clock, so it "
        "does not count; a clock was wrong then or is now: set the clocks of all machines by NTP, and compare them "
        "with `helioloop doctor`"
    )
