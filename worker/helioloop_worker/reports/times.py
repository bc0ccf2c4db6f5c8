"""Times as reports write them: in UTC, for programs in ISO 8601, for people to the minute."""

from datetime import UTC, datetime


def iso_time(at: float) -> str:
    """Return a time in Unix seconds as UTC, in ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def minute(at: datetime) -> str:
    """Return a time with a zone to the minute of UTC, which the reader is told beside it: "1998-12-06 14:24"."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
