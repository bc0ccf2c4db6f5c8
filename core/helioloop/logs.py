"""The log of backend and workers: one line per record on stderr, as text or JSON, with fields and without secrets.

The loggers are those of the standard library: rq, gunicorn and helioloop all use it, so two formatters are all that a
common form needs. Commands do not call `start_logging`; they print sentences.
"""

import json
import logging
import re
import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal

from helioloop.settings import Settings, environment, secret_values

HIDDEN: Final = "…"
LIBRARY: Final = "WARNING"
"""Level of other packages' loggers: their lines of lower levels contain headers, addresses and arguments of jobs."""
_OURS: Final = ("helioloop", "helioloop_backend", "helioloop_worker")

_fields: ContextVar[Mapping[str, Any]] = ContextVar("fields", default={})  # noqa: B039 - it is never changed in place
_URL_LOGIN: Final = re.compile(r"(?<=://)[^/\s@]*@")
"""``user:password@`` in a URL."""
_HEADER: Final = re.compile(r"\b(Token|Bearer|Basic) (?=[\w.+/~-]*[0-9=])[\w.+/=~-]{8,}")
"""The credentials of an Authorization header; unlike words they contain a digit."""

logger = logging.getLogger(__name__)


def start_logging(settings: Settings, *, process: Literal["backend", "worker"]) -> None:
    """Send the log of this process to stderr, and log what should be known about its environment variables.

    Parameters
    ----------
    settings : Settings
        ``log_level`` and ``log_format``; its secrets are replaced wherever they occur in a line.
    process : str
        The kind of process, which decides what is reported about its variables.
    """
    hidden = tuple(_hidden(settings))
    handler = _Handler(sys.stderr)
    handler.setFormatter(JsonFormatter(hidden) if settings.log_format == "json" else TextFormatter(hidden))
    root = logging.getLogger()
    for earlier in [other for other in root.handlers if isinstance(other, _Handler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(LIBRARY)
    logging.captureWarnings(capture=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(settings.log_level.upper())
    found = environment()
    for sentence in found.doubts(process=process):
        logger.warning("%s", sentence)
    if unused := found.unused(process=process):
        logger.info("set, and used only by other processes of helioloop: %s", ", ".join(unused))


def is_logging() -> bool:
    """Return True after `start_logging`."""
    return any(isinstance(handler, _Handler) for handler in logging.getLogger().handlers)


def fields(**values: Any) -> dict[str, Mapping[str, Any]]:
    """Return the argument ``extra`` of a logging call that adds fields to the line; None leaves a field out."""
    return {"helioloop_fields": values}


@contextmanager
def log_fields(**values: Any) -> Iterator[None]:
    """Add fields to all lines that are logged in the block, in this thread."""
    token = _fields.set({**_fields.get(), **values})
    try:
        yield
    finally:
        _fields.reset(token)


class _Handler(logging.StreamHandler):  # type: ignore[type-arg] # it takes none at run time
    """The handler that `start_logging` adds."""


class _Formatter(logging.Formatter):
    """What both forms share: the fields of a line, and the secrets that are hidden in it.

    Parameters
    ----------
    hidden : iterable of str
        Texts that are replaced.
    """

    def __init__(self, hidden: Iterable[str] = ()) -> None:
        super().__init__()
        self._hidden = tuple(hidden)

    def clean(self, text: str) -> str:
        """Return a text without secrets."""
        for secret in self._hidden:
            text = text.replace(secret, HIDDEN)
        return _HEADER.sub(rf"\1 {HIDDEN}", _URL_LOGIN.sub(f"{HIDDEN}@", text))

    def found_fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields of a line: those of the block, then those of the call."""
        given = {**_fields.get(), **getattr(record, "helioloop_fields", {})}
        given.setdefault("job", getattr(record, "job_id", None))  # from rq, in lines about a job that failed
        return {
            name: value if isinstance(value, int | float) else self.clean(str(value))
            for name, value in given.items()
            if value is not None
        }

    def traceback(self, record: logging.LogRecord) -> str | None:
        """Return the traceback of a line without secrets; None without one."""
        if not record.exc_info or record.exc_info[0] is None:
            return None
        return self.clean(self.formatException(record.exc_info))


class TextFormatter(_Formatter):
    """Time, level, logger and message, then the fields as ``[name=value …]``.

    Line ends and control characters of a message are marked, so that no message can look like another line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; further lines of it are indented."""
        message = self.clean(record.getMessage())
        found = self.found_fields(record)
        if re.match(rf"project {found.get('project')}\b", message):
            del found["project"]
        if found:
            message += " [" + " ".join(f"{name}={_word(value)}" for name, value in found.items()) + "]"
        trace = self.traceback(record)
        lines = _printable("\n".join(filter(None, (message, trace)))).splitlines()
        return f"{self.formatTime(record)} {record.levelname} {record.name}: " + "\n    ".join(lines)


class JsonFormatter(_Formatter):
    """One JSON object per line: ``time`` in UTC, ``level``, ``logger``, ``message``, the fields, and ``traceback``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.clean(record.getMessage()),
        }
        line |= {name: value for name, value in self.found_fields(record).items() if name not in line}
        if (trace := self.traceback(record)) is not None:
            line["traceback"] = trace
        return json.dumps(line)


def _hidden(settings: Settings) -> Iterator[str]:
    """Yield the secrets of the settings and the header that contains user name and password, longest first."""
    user, password = settings.basic_auth_user, settings.basic_auth_password
    if user and password:
        pair = f"{user}:{password.get_secret_value()}"
        for encoding in ("utf-8", "latin-1"):
            yield b64encode(pair.encode(encoding, "replace")).decode()
    yield from secret_values(settings)


def _word(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or re.search(r'[\s"\]=]', text) else text


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)
