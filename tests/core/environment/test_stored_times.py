"""Stored times: which count as ahead, and what follows from that."""

import math

import pytest

from helioloop.environment.stored_times import AHEAD_SECONDS, ahead_sentence, in_order, is_ahead, is_recent

NOW = 1_795_000_000.0
DAY = 86400.0


@pytest.mark.parametrize(
    ("at", "ahead"),
    [
        (NOW - DAY, False),
        (NOW, False),
        (NOW + 5.0, False),  # another machine's clock
        (NOW + AHEAD_SECONDS, False),
        (NOW + AHEAD_SECONDS + 1.0, True),
        (NOW + DAY, True),
        (math.inf, True),
        (-math.inf, False),
        (math.nan, True),
    ],
)
def test_clocks_of_machines_may_differ_by_a_minute(at: float, ahead: bool) -> None:
    assert is_ahead(at, now=NOW) is ahead


@pytest.mark.parametrize(
    ("at", "recent"),
    [(NOW - 299.0, True), (NOW - 300.0, False), (NOW + 30.0, True), (NOW + DAY, False), (math.nan, False)],
)
def test_what_is_ahead_is_not_recent(at: float, recent: bool) -> None:
    assert is_recent(at, now=NOW, seconds=300.0) is recent


def test_what_is_ahead_comes_before_all_others() -> None:
    """It was written before the clock was put right; of two that are ahead the later one is later."""
    times = [NOW + 2 * DAY, NOW - DAY, NOW + DAY, NOW]
    assert sorted(times, key=lambda at: in_order(at, now=NOW)) == [NOW + DAY, NOW + 2 * DAY, NOW - DAY, NOW]


@pytest.mark.parametrize(("at", "shown"), [(NOW, "2026-11-18T11:06:40+00:00"), (1e300, "1e+300"), (math.nan, "nan")])
def test_the_sentence_names_value_rule_and_remedy(at: float, shown: str) -> None:
    said = ahead_sentence("the heartbeat", at)
    assert said.startswith(f"the heartbeat has the time {shown}, more than 60 s in the future by this machine's clock")
    assert said.endswith("set the clocks of all machines by NTP, and compare them with `helioloop doctor`")
