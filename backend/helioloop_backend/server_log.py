"""gunicorn's log in the form of helioloop's: its own lines, and one line per request without query and headers."""

import logging
from collections.abc import MutableMapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from gunicorn.config import Config
from gunicorn.glogging import Logger

from helioloop.logs import fields

PROBES: Final = frozenset({"/", "/health", "/metrics"})
"""Routes that are called every few seconds; their requests are logged at level debug only."""
_LONGEST_PATH: Final = 200


class ServerLog(Logger):
    """Hands gunicorn's lines to the handlers of the root logger."""

    def setup(self, cfg: Config) -> None:
        """Set the levels; no handler is added."""
        self.cfg = cfg
        level = logging.getLogger("helioloop_backend").getEffectiveLevel()
        for log in (self.error_log, self.access_log):
            log.propagate = True
            log.handlers.clear()
        # its lines of level info are about its own processes
        self.error_log.setLevel(level if level != logging.INFO else logging.WARNING)
        self.access_log.setLevel(level)

    @property
    def access_log_enabled(self) -> bool:
        """True, so that `access` is called for each request."""
        return True

    def access(self, resp: Any, req: Any, environ: MutableMapping[str, Any], request_time: timedelta) -> None:
        """Log one request; its query is left out, because it may contain a token."""
        path = str(environ.get("PATH_INFO") or req.path)[:_LONGEST_PATH]
        status = resp.status_code or 0  # 0: the client went before the answer began
        milliseconds = round(request_time.total_seconds() * 1000)
        self.access_log.log(
            logging.DEBUG if path in PROBES and status == HTTPStatus.OK else logging.INFO,
            "%s %s: %d in %d ms",
            req.method,
            path,
            status,
            milliseconds,
            extra=fields(
                method=req.method,
                path=path,
                status=status,
                milliseconds=milliseconds,
                client=environ.get("REMOTE_ADDR"),
            ),
        )
