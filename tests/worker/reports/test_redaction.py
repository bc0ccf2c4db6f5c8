"""Messages made fit to show: one line, no logins, of paths only the last part."""

from pathlib import Path

import pytest

from helioloop_worker.reports.redaction import redact

MODELS = Path("/srv/models/project-1")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("helioloop.errors.CubeError: no frames", "no frames"),
        ("two\n  lines\tand \x1b[31mcolours", "two lines and [31mcolours"),
        ("read /data/releases/r3/labels.csv, then go on", "read labels.csv, then go on"),
        ("'/data/r3/'", "'r3'"),
        ("in /srv/models/project-1/labels.json", "in /srv/models/project-1/labels.json"),
        ("see http://ls:8080/api/tasks or docs/settings.md", "see http://ls:8080/api/tasks or docs/settings.md"),
        ("http://ann:secret@ls:8080/api", "http://…ls:8080/api"),
        ("Authorization: Token 0123456789abcdef", "Authorization: Token …"),
        ("Bearer abcdefghijklmnop.xyz was refused", "Bearer … was refused"),
        ("Token of Label Studio", "Token of Label Studio"),
    ],
)
def test_a_message_is_redacted(message: str, expected: str) -> None:
    """Class name, line ends, folders and logins go; URLs, relative paths and the model folder stay."""
    assert redact(message, model_dir=MODELS) == expected
