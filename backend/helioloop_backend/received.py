"""The request that is being answered, as an object: each use of Flask's `request` looks the object up first."""

from typing import cast

from flask import Request, request


class Received(Request):
    """A request, and when its answer was begun (`time.perf_counter`)."""

    started: float = 0.0


def current_request() -> Received:
    """Return the request that this thread answers."""
    return cast("Received", request._get_current_object())  # type: ignore[attr-defined] # noqa: SLF001 - werkzeug documents it
