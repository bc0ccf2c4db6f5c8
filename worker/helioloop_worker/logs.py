"""Logging of worker processes: one line an event, to standard error; no header, body or token is ever logged."""

import logging
import sys

QUIET = ("httpx", "httpcore", "rq.scheduler")
"""Libraries that log every request; their warnings still show."""


def to_stderr() -> None:
    """Send the log to standard error."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
