"""Numbers and durations in words, for messages and pages."""


def count(n: int, noun: str) -> str:
    """Return a number with its noun: "1 cube", "2 cubes"."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def times(n: int) -> str:
    """Return how often: "once", "2 times"."""
    return "once" if n == 1 else f"{n} times"


def duration(seconds: float) -> str:
    """Return a duration, rounded up: "40 s", "3 min", "2 h 10 min"."""
    if seconds <= 50.0:
        return f"{max(-(-seconds // 10), 1) * 10:.0f} s"
    minutes = int(-(-seconds // 60))
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
