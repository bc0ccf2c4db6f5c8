"""The log of backend and workers: its two forms, its fields and its levels; no line contains a secret."""

import json
import logging
from base64 import b64encode
from datetime import datetime
from typing import Any

import pytest

from helioloop.logs import JsonFormatter, TextFormatter, fields, log_fields, start_logging
from helioloop.settings import Settings

log = logging.getLogger("helioloop.test")


def started(**given: Any) -> None:
    """Start the log of a worker with settings that no variable gives."""
    start_logging(Settings(**given), process="worker")


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_a_line_of_text_has_time_level_logger_message_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """A field that the message begins with is not repeated."""
    started()
    log.info("project %d: %s", 7, "queued", extra=fields(project=7, job="check-7", empty=None, why="a b"))
    [line] = lines(capsys)
    at, rest = line[:23], line[23:]
    assert datetime.strptime(at, "%Y-%m-%d %H:%M:%S,%f")
    assert rest == ' INFO helioloop.test: project 7: queued [job=check-7 why="a b"]'


def test_a_line_of_json_has_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers stay numbers; fields cannot replace time, level, logger or message."""
    started(log_format="json")
    with log_fields(project=7, version="v0001", job="a"):
        log.warning("“%s”", "queued\nnow", extra=fields(job="b", level="x", seconds=0.5))
    log.info("outside")
    inside, outside = map(json.loads, lines(capsys))
    assert datetime.fromisoformat(inside.pop("time")).utcoffset() is not None
    assert inside == {
        "level": "warning",
        "logger": "helioloop.test",
        "message": "“queued\nnow”",
        "project": 7,
        "version": "v0001",
        "job": "b",
        "seconds": 0.5,
    }
    assert set(outside) == {"time", "level", "logger", "message"}


def test_the_level_holds_for_helioloop_and_other_packages_log_warnings_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Their debug lines contain headers."""
    started(log_level="debug")
    for name in ("helioloop.x", "helioloop_backend.x", "helioloop_worker.x", "httpcore.http11", "urllib3.pool"):
        for level in (logging.DEBUG, logging.WARNING):
            logging.getLogger(name).log(level, "line")
    shown = [" ".join(line.split()[2:4]) for line in lines(capsys)]
    assert [entry for entry in shown if entry.startswith("DEBUG")] == [
        "DEBUG helioloop.x:", "DEBUG helioloop_backend.x:", "DEBUG helioloop_worker.x:",
    ]  # fmt: skip
    assert len([entry for entry in shown if entry.startswith("WARNING")]) == 5
    started(log_level="error")
    log.warning("quiet")
    log.error("loud")
    assert [line.split()[2] for line in lines(capsys)] == ["ERROR"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_line_contains_a_secret(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """Neither in the message, nor in a field, a traceback, a header or an address."""
    password, user = "hunter2/ü", "me"
    secrets = ["t0ken-of-mine", password, "webhook-s3cret", "redis-s3cret", "redis%2Fword", "redis/word"]
    started(
        log_format=form,
        label_studio_api_key=secrets[0],
        basic_auth_user=user,
        basic_auth_password=password,
        webhook_secret=secrets[2],
        redis_password=secrets[3],
        redis_url=f"redis://me:{secrets[4]}@host/0",
    )
    headers = [b64encode(f"{user}:{password}".encode(encoding)).decode() for encoding in ("utf-8", "latin-1")]
    foreign = [
        "https://u:foreign-1@example.org/x",
        "Token 0123456789abcdef01",
        "Bearer eyJhbGciOi.J9.x-1",
        "Basic Zm9vOmJhcjEy",
    ]
    for text in (*secrets, *headers, *foreign):
        log.error("message %s", text, extra=fields(field=text))
        log.error("error", exc_info=RuntimeError(text))
    shown = capsys.readouterr().err
    assert shown.count("message ") == 12
    for text in (*secrets, *headers, "foreign-1", "0123456789abcdef01", "eyJhbGciOi", "Zm9vOmJhcjEy"):
        assert text not in shown
        assert json.dumps(text)[1:-1] not in shown


def test_words_after_the_names_of_schemes_stay(capsys: pytest.CaptureFixture[str]) -> None:
    started()
    log.info("Basic authentication failed; Token expired; Bearer something")
    assert lines(capsys)[0].endswith("Basic authentication failed; Token expired; Bearer something")


def test_no_message_can_look_like_another_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Names in events are foreign text: line ends are indented, control characters of a terminal are written out."""
    started()
    log.info("x\n2026-01-01 00:00:00,000 INFO helioloop: forged\r\x1b[2J", extra=fields(action="a\nb\x1b"))
    _, second = lines(capsys)
    assert second.startswith("    2026-01-01")
    assert second.endswith('forged\\r\\x1b[2J [action="a\\nb\\u001b"]')


def test_a_traceback_is_a_field_of_json_and_indented_in_text() -> None:
    with pytest.raises(ValueError, match="wrong") as caught:
        int("wrong")
    error = (caught.type, caught.value, caught.tb)
    record = logging.LogRecord("helioloop", logging.ERROR, "", 0, "failed", None, error)
    line = json.loads(JsonFormatter().format(record))
    assert line["message"] == "failed"
    assert line["traceback"].endswith("'wrong'")
    first, *rest = TextFormatter().format(record).splitlines()
    assert first.endswith("ERROR helioloop: failed")
    assert rest[-1].startswith("    ValueError: ")
    assert all(line.startswith("    ") for line in rest)


def test_a_second_start_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    started()
    started(log_format="json")
    log.info("once")
    assert len(lines(capsys)) == 1


def test_variables_without_effect_are_reported_at_the_start(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As warnings; settings of the other side as one line of level info."""
    monkeypatch.setenv("HELIOLOOP_MODEL_ROT", "/data")
    monkeypatch.setenv("PORT", "9090")
    start_logging(Settings(), process="worker")
    warning, info = lines(capsys)
    assert " WARNING " in warning
    assert warning.endswith("did you mean HELIOLOOP_MODEL_ROOT?")
    assert " INFO " in info
    assert info.endswith("set, and used only by other processes of helioloop: PORT")
