"""Compares another clock with that of this machine."""

from typing import Final

from helioloop.environment.stored_times import AHEAD_SECONDS
from helioloop_worker.doctor.facts import Facts
from helioloop_worker.doctor.finding import Cause, Finding, ok

SKEW_SECONDS: Final = 5.0
"""Clocks that differ by more are doubtful."""
LARGE_SKEW_SECONDS: Final = AHEAD_SECONDS
"""Clocks that differ by more break access tokens, which are valid for five minutes, and the order of events; what one
machine writes does not count on the other."""


class Clock:
    """The causes that another clock can have, for one check.

    Parameters
    ----------
    check : str
        Name of the check.
    whose : str
        Whose clock it is, in the genitive.
    """

    def __init__(self, check: str, *, whose: str) -> None:
        remedy = "Set both clocks by NTP, for example with `timedatectl set-ntp true`."
        self.skewed = Cause(check=check, name="skewed", doubtful=True, remedy=remedy)
        self.far_off = Cause(check=check, name="far-off", remedy=remedy)
        self.causes = (self.skewed, self.far_off)
        self._check = check
        self._whose = whose

    def compare(self, facts: Facts, skew_seconds: float) -> Finding:
        """Return the finding about the clock.

        Parameters
        ----------
        facts : Facts
            All facts.
        skew_seconds : float
            Seconds by which the clock is ahead of this machine's.
        """
        direction = "ahead of" if skew_seconds > 0 else "behind"
        seen = f"{self._whose} clock is {abs(skew_seconds):.0f} s {direction} this machine's"
        if abs(skew_seconds) > LARGE_SKEW_SECONDS:
            return self.far_off.found(facts, seen)
        if abs(skew_seconds) > SKEW_SECONDS:
            return self.skewed.found(facts, seen)
        return ok(self._check, f"{self._whose} clock agrees with this machine's")
